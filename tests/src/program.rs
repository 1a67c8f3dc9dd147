//! Runs other programs in the background and collects their output.

use std::{
    io::{self, Read},
    os::unix::process::ExitStatusExt as _,
    process::{Child, Command, ExitStatus, Output, Stdio},
    sync::{Arc, Mutex, Once, PoisonError, RwLock},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process};

use crate::patience::until;

/// A running program. It is killed when this is dropped.
pub struct Program {
    child: Child,
    out: Capture,
    err: Capture,
}

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
    /// Its exit status.
    pub status: ExitStatus,
}

impl Ended {
    /// The exit status as a shell shows it.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| 128 + self.status.signal().unwrap_or_default())
    }
}

struct Capture {
    bytes: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Capture {
    fn of(stream: Option<impl Read + Send + 'static>) -> Self {
        let bytes = Arc::new(Mutex::new(Vec::new()));
        let reader = stream.map(|mut stream| {
            let bytes = Arc::clone(&bytes);
            thread::spawn(move || {
                let mut chunk = vec![0; 65536];
                while let Ok(count @ 1..) = stream.read(&mut chunk) {
                    bytes.lock().unwrap().extend_from_slice(&chunk[..count]);
                }
            })
        });
        Self { bytes, reader }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.bytes.lock().unwrap()).into_owned()
    }

    fn end(&mut self) -> String {
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.text()
    }
}

impl Program {
    /// Starts a program without standard input. Its standard error is collected; its standard output only if
    /// the command asks for a pipe.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null());
        Self::spawn(command)
    }

    /// Starts a program with this standard input, and collects its output.
    pub fn with_input(command: &mut Command, input: Stdio) -> Self {
        command.stdin(input).stdout(Stdio::piped());
        Self::spawn(command)
    }

    fn spawn(command: &mut Command) -> Self {
        heed_signals();
        command.stderr(Stdio::piped());
        let mut child = spawn(command).unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let out = Capture::of(child.stdout.take());
        let err = Capture::of(child.stderr.take());
        Self { child, out, err }
    }

    /// Starts a program without standard input, and collects its output.
    pub fn collect(command: &mut Command) -> Self {
        Self::start(command.stdout(Stdio::piped()))
    }

    /// Its standard output so far.
    pub fn out(&self) -> String {
        self.out.text()
    }

    /// Its standard error so far.
    pub fn err(&self) -> String {
        self.err.text()
    }

    /// Waits until its standard output satisfies `condition`.
    pub fn wait_for_out(&mut self, what: &str, condition: impl Fn(&str) -> bool) {
        until(what, || {
            self.check_alive(what);
            condition(&self.out.text()).then_some(())
        });
    }

    /// Waits until its standard error satisfies `condition`.
    pub fn wait_for_err(&mut self, what: &str, condition: impl Fn(&str) -> bool) {
        until(what, || {
            let done = condition(&self.err.text());
            if !done {
                self.check_alive(what);
            }
            done.then_some(())
        });
    }

    fn check_alive(&mut self, what: &str) {
        if let Some(status) = self.child.try_wait().unwrap() {
            let (out, err) = (self.out.end(), self.err.end());
            panic!("ended ({status}) before {what}:\n{out}\n{err}");
        }
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its memory (`VmRSS`), in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap();
        let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        resident.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
    }

    /// The CPU time that it has used so far, in clock ticks of 10 ms.
    pub fn cpu_ticks(&self) -> u64 {
        cpu_ticks(self.pid())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        self::signal(self.pid(), signal);
    }

    /// Ends it as `kill` does, and waits: a program with children of its own ends those, too.
    pub fn terminate(&mut self) {
        self.end_with(Signal::TERM);
    }

    /// Ends it with this signal, and waits.
    pub fn end_with(&mut self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
        until("its end", || self.child.try_wait().unwrap());
    }

    /// Waits until it ends.
    pub fn wait(self) -> Ended {
        self.wait_with(|_| {})
    }

    /// Waits until it ends, and calls `meanwhile` repeatedly until then.
    fn wait_with(mut self, mut meanwhile: impl FnMut(&Self)) -> Ended {
        let status = until("the program's end", || {
            meanwhile(&self);
            self.child.try_wait().unwrap()
        });
        let ended = Ended { status, out: self.out.end(), err: self.err.end() };
        // Shown if the test fails.
        println!("{}", ended.err);
        ended
    }

    /// Interrupts the program because the test has failed, and prints its standard error: a tracer's receipt
    /// may show why.
    fn tell_receipt(&mut self) {
        let _ = kill_process(Pid::from_child(&self.child), Signal::INT);
        let told = Instant::now();
        while told.elapsed() < Duration::from_secs(3)
            && self.child.try_wait().is_ok_and(|status| status.is_none())
        {
            thread::sleep(Duration::from_millis(10));
        }
        println!("{}", self.err.text());
    }

    /// Interrupts the program every second until it ends, for programs that may miss a signal.
    pub fn interrupt_until_it_ends(self) -> Ended {
        let mut next = Instant::now();
        self.wait_with(|program| {
            if Instant::now() >= next {
                program.signal(Signal::INT);
                next += Duration::from_secs(1);
            }
        })
    }

    /// Interrupts the program as Ctrl-C does, and waits until it ends.
    pub fn interrupt(self) -> Ended {
        self.signal(Signal::INT);
        self.wait()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        if thread::panicking() && self.child.try_wait().is_ok_and(|status| status.is_none()) {
            self.tell_receipt();
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Resets ignored signals to their default. A shell ignores some of them for background jobs, and all
/// programs that the tests start would inherit that.
pub fn heed_signals() {
    static DONE: Once = Once::new();
    DONE.call_once(|| {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM] {
            // SAFETY: this installs no handler, and the tests have none that it could remove.
            unsafe { libc::signal(signal, libc::SIG_DFL) };
        }
    });
}

/// Sends a signal to a process.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), signal).unwrap();
}

/// The CPU time that all threads of a process have used so far, in clock ticks of 10 ms.
pub fn cpu_ticks(pid: u32) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
    fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
}

/// Held while programs are started. Until a child runs its program it has all descriptors of this process.
static STARTS: RwLock<()> = RwLock::new(());

/// Closes a socket while no child has it, which would be the one that closes it.
pub fn close<T>(socket: T) {
    let _guard = STARTS.write().unwrap_or_else(PoisonError::into_inner);
    drop(socket);
}

/// Starts a program as [`Command::spawn`] does, while no other thread closes a socket.
pub fn spawn(command: &mut Command) -> io::Result<Child> {
    let _guard = STARTS.read().unwrap_or_else(PoisonError::into_inner);
    command.spawn()
}

/// Runs a command to its end. Panics if it cannot be started.
pub fn output(command: &mut Command) -> Output {
    spawn(command.stdout(Stdio::piped()).stderr(Stdio::piped()))
        .and_then(Child::wait_with_output)
        .unwrap_or_else(|error| panic!("{command:?}: {error}"))
}

/// Runs a command to its end and returns its standard output. Panics if it fails.
pub fn run(command: &mut Command) -> String {
    heed_signals();
    let output = output(command.stdin(Stdio::null()));
    let err = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{err}", output.status);
    String::from_utf8(output.stdout).unwrap()
}
