//! A unix socket on which others on this host get what is known, on a thread of its own. Nothing is read from them, and
//! who reads slowly delays nobody.

use std::{
    fs::{self, Permissions},
    io,
    os::unix::{
        fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _},
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use bytes::Bytes;
use rustix::process::geteuid;
use tokio::{
    runtime,
    sync::mpsc::{self, Receiver, Sender, error::TrySendError},
    time::{sleep, timeout},
};

use crate::{facts::client_counts::ClientCounts, recording::block::Unpacked};

/// Where it is unless told otherwise.
pub const SOCKET: &str = "/run/tracer/tracer.sock";

/// Clients at a time.
const CLIENTS: u64 = 8;

/// Blocks that may wait for a client.
const WAITING: usize = 32;

/// How long a client may take nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// What clients get.
#[derive(Debug)]
pub enum StreamedPiece {
    /// The beginning.
    Header(Bytes),
    /// What follows, not packed yet. The beginning is many blocks.
    Blocks(Vec<Unpacked>),
    /// There is no more.
    End,
}

/// What waits for a client.
#[derive(Debug)]
pub struct ClientQueue {
    pieces: Sender<StreamedPiece>,
    is_too_slow: Arc<AtomicBool>,
}

impl ClientQueue {
    /// Adds a piece. Returns whether the client gets it: it has gone, or it is too slow and gets no more.
    pub(super) fn push(&self, piece: StreamedPiece) -> bool {
        match self.pieces.try_send(piece) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.is_too_slow.store(true, Ordering::Relaxed);
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }

    /// Waits until the client has everything, or has gone.
    pub(super) async fn finish(self) {
        if self.pieces.send(StreamedPiece::End).await.is_ok() {
            self.pieces.closed().await;
        }
    }
}

/// Clients that come.
#[derive(Debug)]
pub struct Clients {
    inbox: Receiver<ClientQueue>,
    counts: Arc<SharedCounts>,
    /// The socket, which is removed at the end.
    path: PathBuf,
    /// Its device and inode.
    identity: Option<(u64, u64)>,
}

#[derive(Debug, Default)]
struct SharedCounts {
    now: AtomicU64,
    served: AtomicU64,
    refused: AtomicU64,
    cut_off: AtomicU64,
}

impl Clients {
    /// The next one; without any, waits for ever. Dropping the future loses nothing.
    pub(super) async fn next(clients: Option<&mut Self>) -> ClientQueue {
        match clients {
            Some(clients) => match clients.inbox.recv().await {
                Some(client) => client,
                None => std::future::pending().await,
            },
            None => std::future::pending().await,
        }
    }

    pub(super) fn counts(&self) -> ClientCounts {
        let SharedCounts { now, served, refused, cut_off } = &*self.counts;
        let [now, served, refused, cut_off] =
            [now, served, refused, cut_off].map(|count| count.load(Ordering::Relaxed));
        ClientCounts { now, served, refused, cut_off }
    }
}

impl Drop for Clients {
    fn drop(&mut self) {
        // Somebody may have put something else there, or removed it.
        if identity(&self.path).is_some_and(|there| Some(there) == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Starts to listen. `first` runs on the thread before all else.
///
/// # Errors
/// The socket cannot be made, or somebody listens there already. The system has no room for a thread.
pub fn listen(path: &Path, first: impl FnOnce() + Send + 'static) -> io::Result<Clients> {
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty())
        && let Err(error) = fs::create_dir(folder)
        && error.kind() != io::ErrorKind::AlreadyExists
    {
        return Err(error);
    }
    remove_stale(path)?;
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o600))?;
    listener.set_nonblocking(true)?;
    let (clients, inbox) = mpsc::channel(1);
    let counts = Arc::<SharedCounts>::default();
    let of_thread = Arc::clone(&counts);
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("tracer-socket".to_owned()).spawn(move || {
        first();
        runtime.block_on(async {
            if let Ok(listener) = tokio::net::UnixListener::from_std(listener) {
                accept(&listener, &clients, &of_thread).await;
            }
        });
    })?;
    Ok(Clients { inbox, counts, path: path.to_owned(), identity: identity(path) })
}

fn identity(path: &Path) -> Option<(u64, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((file.dev(), file.ino()))
}

/// Removes a socket on which nobody listens any more.
fn remove_stale(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
        Ok(found) if !found.file_type().is_socket() => Err(io::ErrorKind::AlreadyExists.into()),
        Ok(_) => match UnixStream::connect(path) {
            Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
            Err(error) => Err(error),
            Ok(_) => Err(io::ErrorKind::AddrInUse.into()),
        },
    }
}

async fn accept(
    listener: &tokio::net::UnixListener,
    clients: &Sender<ClientQueue>,
    counts: &Arc<SharedCounts>,
) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is free, or the client has gone.
            sleep(Duration::from_millis(100)).await;
            continue;
        };
        let is_known =
            stream.peer_cred().is_ok_and(|peer| peer.uid() == 0 || peer.uid() == geteuid().as_raw());
        let (pieces, waiting) = mpsc::channel(WAITING);
        let has_room = counts.now.load(Ordering::Relaxed) < CLIENTS;
        let is_too_slow = Arc::<AtomicBool>::default();
        let queue = ClientQueue { pieces, is_too_slow: Arc::clone(&is_too_slow) };
        if !is_known || !has_room || clients.send(queue).await.is_err() {
            counts.refused.fetch_add(1, Ordering::Relaxed);
            continue;
        }
        counts.now.fetch_add(1, Ordering::Relaxed);
        counts.served.fetch_add(1, Ordering::Relaxed);
        let counts = Arc::clone(counts);
        tokio::spawn(async move {
            let ended = serve(&stream, waiting).await;
            if is_too_slow.load(Ordering::Relaxed)
                || ended.is_err_and(|error| error.kind() == io::ErrorKind::TimedOut)
            {
                counts.cut_off.fetch_add(1, Ordering::Relaxed);
            }
            counts.now.fetch_sub(1, Ordering::Relaxed);
        });
    }
}

/// Writes all pieces.
async fn serve(stream: &tokio::net::UnixStream, mut pieces: Receiver<StreamedPiece>) -> io::Result<()> {
    loop {
        let piece = tokio::select! {
            piece = pieces.recv() => piece,
            gone = hung_up(stream) => return gone,
        };
        match piece {
            Some(StreamedPiece::Header(bytes)) => write(stream, &bytes).await?,
            Some(StreamedPiece::Blocks(blocks)) => {
                for block in blocks {
                    write(stream, &block.pack()).await?;
                }
            }
            Some(StreamedPiece::End) | None => return Ok(()),
        }
    }
}

/// Waits until the client has gone. What it sends is of no interest.
async fn hung_up(stream: &tokio::net::UnixStream) -> io::Result<()> {
    let mut unread = [0; 4096];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut unread) {
            Ok(0) => return Ok(()),
            // Who sends something speaks another protocol.
            Ok(_) => return Err(io::ErrorKind::InvalidData.into()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(stream: &tokio::net::UnixStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        timeout(PATIENCE, stream.writable()).await.map_err(|_| io::ErrorKind::TimedOut)??;
        match stream.try_write(bytes) {
            Ok(taken) => bytes = &bytes[taken..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
