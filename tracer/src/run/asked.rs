//! What a running `tracer serve` on this host knows: since when sockets are in their states.

use std::{
    collections::HashMap,
    io,
    os::unix::{fs::MetadataExt as _, net::UnixStream},
    path::{Component, Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
    time::Duration,
};

use rustix::{
    net::sockopt::socket_peercred,
    process::{Uid, geteuid},
};

use crate::{
    facts::{Fact, listing::KnownSince},
    recording::{
        entry::RecordingEntry,
        reader::{RecordingPiece, RecordingReader},
    },
    track::{Tracker, connection::Connection},
};

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_millis(200);

/// Since when sockets are in their states, by cookie.
pub(super) fn ages(path: &Path) -> io::Result<HashMap<u64, KnownSince>> {
    let (sender, answer) = sync_channel(1);
    let path = PathBuf::from(path);
    let ask = move || {
        // Nobody may be waiting any more.
        let _ = sender.send(ask(&path));
    };
    // To connect takes as long as the other side likes.
    thread::Builder::new().name("tracer-ask".to_owned()).spawn(ask)?;
    answer.recv_timeout(PATIENCE).map_err(|_| io::ErrorKind::TimedOut)?
}

fn ask(path: &Path) -> io::Result<HashMap<u64, KnownSince>> {
    let stream = UnixStream::connect(path)?;
    // By then nobody waits any more.
    stream.set_read_timeout(Some(2 * PATIENCE))?;
    // Somebody else could say anything.
    let uid = socket_peercred(&stream)?.uid;
    if !(uid.is_root() || uid == geteuid() || geteuid().is_root() && root_made_folder_for(uid, path)) {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let mut reader = RecordingReader::new(stream);
    while let Some(piece) = reader.read().map_err(io::Error::other)? {
        let RecordingPiece::Block(block) = piece else { continue };
        for entry in block.entries {
            if let RecordingEntry::Fact(Fact::Checkpoint(checkpoint)) = entry {
                let mut tracker = Tracker::new(true);
                tracker.restore(&checkpoint).map_err(io::Error::other)?;
                return Ok(tracker.iter().map(|one| (one.cookie, since(one))).collect());
            }
        }
    }
    Err(io::ErrorKind::UnexpectedEof.into())
}

/// Whether root has made the folder of this socket for a user, as systemd does for a service (`RuntimeDirectory=`): it is that
/// user's alone, and all above it root's alone. Symbolic links are not followed: others may have put them there.
fn root_made_folder_for(uid: Uid, socket: &Path) -> bool {
    let is_only_for = |owner: Uid, folder: &Path| {
        let metadata = folder.symlink_metadata();
        metadata.is_ok_and(|it| it.is_dir() && it.uid() == owner.as_raw() && it.mode() & 0o022 == 0)
    };
    let has_other_parts =
        socket.components().any(|part| !matches!(part, Component::RootDir | Component::Normal(_)));
    let mut folders = socket.ancestors().skip(1);
    socket.is_absolute()
        && !has_other_parts
        && folders.next().is_some_and(|folder| is_only_for(uid, folder))
        && folders.all(|above| is_only_for(Uid::ROOT, above))
}

fn since(connection: &Connection) -> KnownSince {
    KnownSince {
        state: connection.state,
        from_ns: connection.in_state_from_ns(),
        is_exact: connection.since_ns().is_some(),
    }
}
