//! Bytes that somebody gives out as a recording, shown in every view and copied in every way. With `SEEDS=FOLDER` in the
//! environment it writes the inputs to begin with there, and ends.

#![no_main]

use std::path::Path;

use libfuzzer_sys::fuzz_target;

fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("SEEDS") {
            hostile::seeds::write(Path::new(&folder));
            std::process::exit(0);
        }
    },
    |input: &[u8]| hostile::show(input)
);
