//! A link between two network namespaces that goes through this process, and may take its time.

use std::{
    fs::File,
    io::{Read as _, Write as _},
    net::Ipv4Addr,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{self, Receiver},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::{place::Place, program::run, remote::tun};

/// The addresses of both ends.
pub const ENDS: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 78, 0, 1), Ipv4Addr::new(10, 78, 0, 2)];

/// How often it is looked whether the link has gone.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 50_000_000 };

/// The link. It is gone when this is dropped.
pub struct Wire {
    delay_us: Arc<AtomicU64>,
    is_gone: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl Wire {
    /// Connects two namespaces.
    pub fn between(places: [&Place; 2]) -> Self {
        let ends = places.map(tun);
        for (place, address) in places.into_iter().zip(ENDS) {
            for words in [format!("addr add {address}/24 dev tun0"), "link set tun0 up".to_owned()] {
                run(Command::new("ip").args(["-n", place.name()]).args(words.split(' ')));
            }
        }
        let mut wire = Self { delay_us: Arc::default(), is_gone: Arc::default(), threads: Vec::new() };
        for (from, to) in [(0, 1), (1, 0)] {
            wire.forward(ends[from].try_clone().unwrap(), ends[to].try_clone().unwrap(), to == 0);
        }
        wire
    }

    /// From now on, what the second namespace sends takes so long.
    pub fn delay(&self, delay: Duration) {
        self.delay_us.store(delay.as_micros().try_into().unwrap(), Ordering::Relaxed);
    }

    fn forward(&mut self, mut from: File, to: File, is_delayed: bool) {
        let (send, packets) = mpsc::channel();
        let (delay_us, is_gone) = (Arc::clone(&self.delay_us), Arc::clone(&self.is_gone));
        self.threads.push(thread::spawn(move || {
            let mut packet = vec![0; 65_536];
            while !is_gone.load(Ordering::Relaxed) {
                if poll(&mut [PollFd::new(&from, PollFlags::IN)], Some(&LOOK)).unwrap() == 0 {
                    continue;
                }
                let Ok(len) = from.read(&mut packet) else { return };
                let delay_us = if is_delayed { delay_us.load(Ordering::Relaxed) } else { 0 };
                let due = Instant::now() + Duration::from_micros(delay_us);
                send.send((due, packet[..len].to_vec())).unwrap();
            }
        }));
        self.threads.push(thread::spawn(move || deliver(&packets, to)));
    }
}

/// Delivers each packet when it is due.
fn deliver(packets: &Receiver<(Instant, Vec<u8>)>, mut to: File) {
    for (due, packet) in packets {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        // The other end may have gone.
        let _ = to.write_all(&packet);
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        self.is_gone.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}
