//! Recordings made of any bytes, and everything that reads recordings.
//!
//! An input is a byte that says how it is shown and whether the rest is a file as it is ([`AS_IT_IS`]). If not, the
//! rest is blocks, one after the other with [`MARK`] in between: their numbers ([`NUMBERS`] bytes) and their entries.
//! They are packed and get checksums, which no mutation would meet: checksums are no protection against people.

pub mod seeds;

use std::{
    cell::RefCell,
    ffi::OsString,
    fs::File,
    io::Write as _,
    os::fd::AsRawFd as _,
    path::PathBuf,
};

use clap::Parser as _;
use rustix::fs::{MemfdFlags, memfd_create};
use tokio::runtime::{self, Runtime};
use tracer::{
    cli::{Cli, Command},
    config,
    output::stdout::Output,
    recording::block::{MARK, Unpacked},
    run::{
        capture::capture,
        confined::Sandbox,
        recording::recording,
        stop::{Signals, Stop},
    },
    source::open::{SourceOptions, open},
};

/// The ways in which recordings are shown or copied: words of the command line. `@` is the recording, `%` a file
/// that is not there yet, `KEY` one with a key.
pub const WAYS: &[&str] = &[
    "log -o csv --from @",
    "log -o json --resets --retransmits --stuck default --from @",
    "log --raw --from @",
    "life -o json --from @",
    "life --time utc --from @",
    "summary --interval 1d --stuck default --from @",
    // At full speed it draws a screen for each second of the recording, however many there are.
    "top --until +30s --from @",
    "recording info @",
    "recording verify -o json @",
    "recording cut @ --to % --port 443",
    "recording cut @ --to % --since +1ms --until -1ms",
    "recording anonymize @ --to % --key KEY",
    "recording merge @ @ --to %",
    "export @ --format parquet --to %",
    "export @ --format csv --life --to %",
    "report @ --to %",
    "diff @ @",
    "list -t --from @ --at +1s",
];

/// Said of an input whose rest is a file as it is.
pub const AS_IT_IS: u8 = 0x80;

/// Bytes of a block's numbers: its own, how many events are before it, and up to when those tell.
pub const NUMBERS: usize = 20;

/// The file that an input stands for.
fn file(input: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let (how, rest) = input.split_first()?;
    let way = WAYS[usize::from(how & !AS_IT_IS) % WAYS.len()];
    if how & AS_IT_IS != 0 {
        return Some((way, rest.to_vec()));
    }
    let mut file = Vec::new();
    let mut rest = rest;
    loop {
        let len = rest.windows(MARK.len()).position(|bytes| bytes == MARK);
        file.extend(block(&rest[..len.unwrap_or(rest.len())]).into_iter().flat_map(|block| block.pack()));
        let Some(len) = len else { break };
        rest = &rest[len + MARK.len()..];
    }
    Some((way, file))
}

fn block(bytes: &[u8]) -> Option<Unpacked> {
    let (sequence, rest) = bytes.split_first_chunk()?;
    let (events_before, rest) = rest.split_first_chunk()?;
    let (from_ns, entries) = rest.split_first_chunk()?;
    Some(Unpacked {
        sequence: u32::from_le_bytes(*sequence),
        events_before: u64::from_le_bytes(*events_before),
        from_ns: u64::from_le_bytes(*from_ns),
        entries: entries.to_vec(),
    })
}

/// The input that stands for these blocks, shown in this way.
#[must_use]
pub fn input(way: usize, blocks: &[Unpacked]) -> Vec<u8> {
    let mut input = vec![u8::try_from(way).unwrap_or_default()];
    for (number, block) in blocks.iter().enumerate() {
        if number > 0 {
            input.extend(MARK);
        }
        input.extend(block.sequence.to_le_bytes());
        input.extend(block.events_before.to_le_bytes());
        input.extend(block.from_ns.to_le_bytes());
        input.extend(&block.entries);
    }
    input
}

thread_local! {
    static RUNTIME: RefCell<Option<Runtime>> = const { RefCell::new(None) };
}

/// Shows what an input stands for. What that says does not matter, as long as it ends.
pub fn show(input: &[u8]) {
    let Some((way, bytes)) = file(input) else { return };
    let Ok(memory) = memfd_create("recording", MemfdFlags::CLOEXEC) else { return };
    let mut memory = File::from(memory);
    if memory.write_all(&bytes).is_err() {
        return;
    }
    let path = PathBuf::from(format!("/proc/self/fd/{}", memory.as_raw_fd()));
    let folder = tempfile::Builder::new().tempdir_in("/dev/shm").expect("a place in memory");
    let key = folder.path().join("key");
    let words = way.split(' ').map(|word| match word {
        "@" => path.clone().into_os_string(),
        "%" => folder.path().join("copy").into_os_string(),
        "KEY" => {
            std::fs::write(&key, [7; 32]).expect("a key");
            key.clone().into_os_string()
        }
        word => word.into(),
    });
    let words: Vec<OsString> = std::iter::once("tracer".into()).chain(words).collect();
    let mut run = match Cli::try_parse_from(words).expect(way).command {
        Some(Command::Log(args)) => config::log(*args),
        Some(Command::Life(args)) => config::life(*args),
        Some(Command::Summary(args)) => config::summary(*args),
        Some(Command::Top(args)) => config::top(*args),
        Some(Command::Recording(command)) => {
            let _ = recording(&config::recording(command).expect(way), Sandbox::Off);
            return;
        }
        Some(Command::Export(args)) => {
            let _ = tracer::run::run(config::export(*args).expect(way), Sandbox::Off);
            return;
        }
        Some(Command::Report(args)) => {
            let _ = tracer::run::run(config::report(*args).expect(way), Sandbox::Off);
            return;
        }
        Some(Command::Diff(args)) => {
            let _ = tracer::run::diff::diff(config::diff(&args).expect(way), Sandbox::Off);
            return;
        }
        Some(Command::List(args)) => {
            let _ = tracer::run::list::list(config::list(*args).expect(way));
            return;
        }
        _ => unreachable!("{way}"),
    }
    .expect(way);
    // Nobody looks at `top`, and nobody ends it.
    if let SourceOptions::Recording(options) = &mut run.source {
        (options.speed, options.is_watched) = (None, false);
    }
    RUNTIME.with_borrow_mut(|runtime| {
        let runtime = runtime.get_or_insert_with(|| {
            runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
        });
        let nowhere = File::options().write(true).open("/dev/null").expect("/dev/null");
        let _ = runtime.block_on(async {
            let source = open(&run.source).await?;
            let mut stop = Stop::new(Signals::new().expect("signals"));
            capture(source, run.capture, Output::to(nowhere).expect("a thread"), None, &mut stop).await
        });
    });
}
