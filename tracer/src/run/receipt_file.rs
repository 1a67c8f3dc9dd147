//! The file of the receipt (`--receipt`).

use std::{
    io,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

use caps::Capability;

use crate::{
    output::file::Destination,
    run::{error::Error, receipt::Receipt},
    source::kernel::privileges,
    text::STARTING_A_THREAD,
};

/// What it takes to write at the end where the check at the start could: into the folder of another user.
const KEPT: [Capability; 2] = [Capability::CAP_DAC_OVERRIDE, Capability::CAP_FOWNER];

/// A thread that waits for the receipt, because the others have no capabilities at the end.
pub(super) struct ReceiptFile {
    name: String,
    receipt: SyncSender<String>,
    writer: JoinHandle<io::Result<()>>,
}

impl ReceiptFile {
    /// Starts the thread. Call this before capabilities are dropped.
    pub(super) fn start(destination: Destination) -> Result<Self, Error> {
        let (receipt, inbox) = sync_channel::<String>(1);
        let name = destination.name().to_owned();
        let write = move || {
            privileges::drop_all_but(&KEPT).map_err(io::Error::other)?;
            // Without a receipt the capture has failed, and the file stays as it is.
            inbox.recv().map_or(Ok(()), |receipt| destination.write(receipt.as_bytes()))
        };
        let writer = thread::Builder::new()
            .name("tracer-receipt".into())
            .spawn(write)
            .map_err(Error::system(STARTING_A_THREAD))?;
        Ok(Self { name, receipt, writer })
    }

    /// Writes the receipt as JSON.
    pub(super) fn write(self, receipt: &Receipt) -> Result<(), Error> {
        let Self { name, receipt: sender, writer } = self;
        let json = serde_json::to_string_pretty(receipt).unwrap_or_default();
        // If the thread has ended, it says why.
        let _ = sender.send(json + "\n");
        let written = writer.join().unwrap_or_else(|_| Err(io::Error::other("the writer panicked")));
        written.map_err(|cause| Error::Receipt { name, cause })
    }
}
