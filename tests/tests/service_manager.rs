//! What a service manager is told (sd_notify(3)).

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::ErrorKind,
    os::unix::net::UnixDatagram,
    path::Path,
    time::{Duration, Instant},
};

use rustix::process::Signal;
use tests::{
    patience::LIMIT,
    program::Program,
    served::{address, get},
    tracer,
};

/// After this time a service counts as hung, in microseconds.
const WATCHDOG_US: u32 = 1_000_000;
const HALF: Duration = Duration::from_millis(500);

/// The socket of a service manager.
struct Manager(UnixDatagram);

impl Manager {
    fn new(path: &Path) -> Self {
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Self(socket)
    }

    /// The next message.
    fn told(&self) -> String {
        let mut message = [0; 1024];
        let length = self.0.recv(&mut message).unwrap();
        String::from_utf8(message[..length].to_vec()).unwrap()
    }

    /// The next message that is not about the watchdog.
    fn told_else(&self) -> String {
        std::iter::repeat_with(|| self.told()).find(|message| message != "WATCHDOG=1\n").unwrap()
    }

    /// Forgets what has been told.
    fn clear(&self) {
        self.0.set_nonblocking(true).unwrap();
        while self.0.recv(&mut [0; 1024]).is_ok() {}
        self.0.set_nonblocking(false).unwrap();
    }

    /// Whether nothing is told for this time.
    fn is_silent(&self, time: Duration) -> bool {
        self.0.set_read_timeout(Some(time)).unwrap();
        let told = self.0.recv(&mut [0; 1024]);
        self.0.set_read_timeout(Some(LIMIT)).unwrap();
        told.is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
    }
}

/// Stops the main thread of a process, in which the loop runs, and no other thread.
struct StoppedThread(libc::pid_t);

impl StoppedThread {
    fn new(pid: u32) -> Self {
        let pid = pid.cast_signed();
        let none = std::ptr::null_mut::<libc::c_void>();
        let mut status = 0;
        // SAFETY: these requests take no memory, and the status is ours.
        unsafe {
            assert_eq!(libc::ptrace(libc::PTRACE_SEIZE, pid, none, none), 0);
            assert_eq!(libc::ptrace(libc::PTRACE_INTERRUPT, pid, none, none), 0);
            assert_eq!(libc::waitpid(pid, &raw mut status, libc::__WALL), pid);
        }
        assert!(libc::WIFSTOPPED(status), "{status:#x}");
        Self(pid)
    }

    fn goes_on(self) {
        let none = std::ptr::null_mut::<libc::c_void>();
        // SAFETY: as above.
        assert_eq!(unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, none, none) }, 0);
    }
}

#[test]
fn a_service_manager_is_told_how_it_goes() {
    let folder = tempfile::tempdir().unwrap();
    let (socket, options) = (folder.path().join("notify"), folder.path().join("options"));
    let manager = Manager::new(&socket);
    fs::write(&options, "").unwrap();
    let arguments = format!("serve --listen 127.0.0.1:0 --netns 1 --config {}", options.display());
    let mut command = tracer::command(&arguments);
    command.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", WATCHDOG_US.to_string());
    let mut tracer = Program::collect(&mut command);
    // The first message: nothing is told before.
    assert_eq!(manager.told(), "READY=1\n");
    tracer.wait_for_err("ready", |err| err.contains("tracer: ready\n"));
    assert_eq!(get(address(&tracer), "/readyz", &[]).0, 200);

    assert_eq!(manager.told(), "WATCHDOG=1\n", "at once");
    manager.clear();
    manager.told();
    let begun = Instant::now();
    for _ in 0..4 {
        let before = Instant::now();
        assert_eq!(manager.told(), "WATCHDOG=1\n");
        assert!(before.elapsed() < 2 * HALF, "too late: {:?}", before.elapsed());
    }
    assert!(begun.elapsed() >= 3 * HALF, "half of the time: {:?}", begun.elapsed());

    tracer.signal(Signal::HUP);
    let reloading = manager.told_else();
    let now = reloading.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{reloading}"));
    assert!(now.trim_end().parse::<u64>().unwrap() > 0);
    assert_eq!(manager.told_else(), "READY=1\n");

    // Other threads go on, but the loop does not.
    let stopped = StoppedThread::new(tracer.pid());
    manager.clear();
    assert!(manager.is_silent(3 * HALF));
    assert_eq!(get(address(&tracer), "/healthz", &[]).0, 200);
    stopped.goes_on();
    assert_eq!(manager.told(), "WATCHDOG=1\n");

    tracer.signal(Signal::TERM);
    assert_eq!(manager.told_else(), "STOPPING=1\n");
    let ended = tracer.wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(manager.is_silent(Duration::from_millis(1)), "nothing after the end");
}

/// Whoever hears nothing does no harm; who is no service says nothing; another process's watchdog is not ours.
#[test]
fn only_a_service_tells() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("notify");
    let manager = Manager::new(&socket);
    let mut log = tracer::command("--netns 1 --duration 10ms");
    let ended = Program::collect(log.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1000")).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(manager.is_silent(Duration::from_millis(1)));

    let serve = || tracer::command("serve --listen 127.0.0.1:0 --netns 1");
    let mut of_another = serve();
    of_another.env("NOTIFY_SOCKET", &socket).env("WATCHDOG_USEC", "1000").env("WATCHDOG_PID", "1");
    let tracer = Program::collect(&mut of_another);
    assert_eq!(manager.told(), "READY=1\n");
    assert!(manager.is_silent(HALF));
    assert_eq!(tracer.interrupt().code(), 0);
    assert_eq!(manager.told(), "STOPPING=1\n");

    drop(manager);
    let tracer = Program::collect(serve().env("NOTIFY_SOCKET", &socket));
    let ended = tracer::started(tracer).interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    assert!(ended.err.contains("the service manager cannot be told"), "{}", ended.err);
}
