//! A tracer of the whole host, and what its receipt says of a namespace.

use std::{fs, process::Stdio};

use serde_json::Value;

use crate::{place::Place, program::Program, tracer};

/// A tracer of the whole host. Its lines are discarded; it writes a receipt to a file.
pub struct Unfiltered {
    /// The running tracer.
    pub tracer: Program,
    receipt: tempfile::NamedTempFile,
}

impl Unfiltered {
    /// Starts it with more options.
    pub fn start(options: &str) -> Self {
        let receipt = tempfile::NamedTempFile::new().unwrap();
        let arguments = format!("-o json --strict {options} --receipt {}", receipt.path().display());
        let mut command = tracer::command(&arguments);
        Self { tracer: tracer::started(Program::start(command.stdout(Stdio::null()))), receipt }
    }

    /// Ends the tracer and returns its receipt. Its exit status has to agree with the receipt, which may be
    /// incomplete because of other programs on the host.
    pub fn finish(self) -> Value {
        let ended = self.tracer.interrupt();
        let receipt: Value = serde_json::from_slice(&fs::read(self.receipt.path()).unwrap()).unwrap();
        let kernel = &receipt["kernel"];
        let lost_beside = tracer::remark(&ended, "records of other hooks were lost");
        let is_complete =
            kernel["agrees"] == true && receipt["lost"] == 0 && receipt["gaps"] == 0 && lost_beside == 0;
        assert_eq!(ended.code(), if is_complete { 0 } else { 3 }, "{receipt:#} {}", ended.err);
        let says = if kernel["agrees"] == true { ": agrees" } else { ": DISAGREES" };
        assert!(ended.err.contains(says), "{receipt:#} {}", ended.err);
        receipt
    }
}

/// The receipt's notes on the comparison with the kernel's counters.
pub fn notes(receipt: &Value) -> impl Iterator<Item = &str> {
    receipt["kernel"]["notes"].as_array().unwrap().iter().map(|note| note.as_str().unwrap())
}

/// The receipt's note if the kernel's counters of a namespace disagree with the tracer.
pub fn dispute<'a>(receipt: &'a Value, place: &Place) -> Option<&'a str> {
    let about = format!("in namespace {} ", place.inum());
    notes(receipt).find(|note| note.starts_with(&about))
}
