//! Places to test in: network namespaces with addresses of their own.

use std::{
    fs::File,
    os::{fd::AsFd as _, unix::fs::MetadataExt as _},
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::program::run;

/// A network namespace, gone when this goes out of scope.
pub struct Place {
    name: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Place {
    /// A new one, with its loopback up and `fd77::1` on it beside all of 127/8.
    pub fn new() -> Self {
        let name = format!("tracer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        ip(&format!("netns add {name}"));
        ip(&format!("-n {name} link set lo up"));
        ip(&format!("-n {name} addr add fd77::1/128 dev lo nodad"));
        Self { name }
    }

    /// Two, joined by a cable: 10.77.0.1 and fd77:1::1 here, 10.77.0.2 and fd77:1::2 there.
    pub fn pair() -> (Self, Self) {
        let (left, right) = (Self::new(), Self::new());
        ip(&format!("link add veth0 netns {} type veth peer name veth0 netns {}", left.name, right.name));
        for (place, host) in [(&left, 1), (&right, 2)] {
            ip(&format!("-n {} addr add 10.77.0.{host}/24 dev veth0", place.name));
            ip(&format!("-n {} addr add fd77:1::{host}/64 dev veth0 nodad", place.name));
            ip(&format!("-n {} link set veth0 up", place.name));
        }
        (left, right)
    }

    /// Its name for `ip netns`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its inode number.
    pub fn inum(&self) -> u64 {
        self.file().metadata().unwrap().ino()
    }

    fn file(&self) -> File {
        File::open(format!("/run/netns/{}", self.name)).unwrap()
    }

    /// Runs `work` inside, on a thread of its own.
    pub fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let file = self.file();
        thread::scope(|scope| {
            scope
                .spawn(move || {
                    move_into_link_name_space(file.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
                    work()
                })
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// A command that runs inside.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }
}

impl Default for Place {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "del", &self.name]).status();
    }
}

fn ip(arguments: &str) {
    run(Command::new("ip").args(arguments.split(' ')));
}
