//! Names of hosts, by the system's resolver (`getnameinfo`). It may wait long for an answer, so threads of its own ask, and
//! what is not answered in time has no name.

use std::{
    collections::{HashMap, HashSet},
    ffi::CStr,
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

use crate::text::escape::escaped;

/// How long a list waits for the names of all its addresses together.
const PATIENCE: Duration = Duration::from_secs(2);

/// How many addresses are asked for at once.
const THREADS: usize = 8;

/// Names that are remembered for the next list (`--watch`). Beyond, all are forgotten.
const MOST: usize = 65_536;

/// Room for a name (`NI_MAXHOST`).
const LONGEST: usize = 1025;

/// What the resolver says of an address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum HostName {
    Name(Box<str>),
    /// It has none.
    Nameless,
    /// The resolver has no answer, such as without a network.
    Failed,
}

/// Asks for names, and remembers them.
#[derive(Debug)]
pub struct Hosts {
    /// `None` while the answer is awaited.
    known: HashMap<IpAddr, Option<HostName>>,
    questions: Sender<IpAddr>,
    answers: Receiver<(IpAddr, HostName)>,
}

impl Default for Hosts {
    fn default() -> Self {
        Self::new(look_up)
    }
}

impl Hosts {
    /// The threads end with the questions, or with the process: one that waits for an answer cannot be stopped.
    fn new(look_up: impl Fn(IpAddr) -> HostName + Copy + Send + 'static) -> Self {
        let (questions, queue) = mpsc::channel();
        let (answered, answers) = mpsc::channel();
        let queue = Arc::new(Mutex::new(queue));
        for _ in 0..THREADS {
            let (queue, answered) = (Arc::clone(&queue), answered.clone());
            let ask = move || {
                while let Some(addr) = next(&queue) {
                    let _ = answered.send((addr, look_up(addr)));
                }
            };
            // Without a thread there is no answer, which is said.
            let _ = thread::Builder::new().name("tracer-names".into()).spawn(ask);
        }
        Self { known: HashMap::new(), questions, answers }
    }

    /// The names of these addresses, and how many of them are not answered. An address is waited for once: one whose answer
    /// comes later has its name in the next list.
    pub fn names(&mut self, addrs: impl IntoIterator<Item = IpAddr>) -> (HashMap<IpAddr, Box<str>>, usize) {
        self.names_within(PATIENCE, addrs.into_iter().filter(|addr| may_have_name(*addr)).collect())
    }

    fn names_within(
        &mut self,
        patience: Duration,
        addrs: HashSet<IpAddr>,
    ) -> (HashMap<IpAddr, Box<str>>, usize) {
        if self.known.len() > MOST {
            self.known.clear();
        }
        let mut awaited: HashSet<IpAddr> =
            addrs.iter().copied().filter(|addr| !self.known.contains_key(addr)).collect();
        for addr in &awaited {
            self.known.insert(*addr, None);
            let _ = self.questions.send(*addr);
        }
        let begun = Instant::now();
        loop {
            let left =
                if awaited.is_empty() { Duration::ZERO } else { patience.saturating_sub(begun.elapsed()) };
            let Ok((addr, answer)) = self.answers.recv_timeout(left) else { break };
            awaited.remove(&addr);
            self.known.insert(addr, Some(answer));
        }
        let (mut names, mut unanswered) = (HashMap::new(), 0);
        for addr in addrs {
            match self.known.get(&addr) {
                Some(Some(HostName::Name(name))) => {
                    names.insert(addr, name.clone());
                }
                Some(Some(HostName::Nameless)) => {}
                _ => unanswered += 1,
            }
        }
        (names, unanswered)
    }
}

fn next(queue: &Mutex<Receiver<IpAddr>>) -> Option<IpAddr> {
    queue.lock().unwrap_or_else(PoisonError::into_inner).recv().ok()
}

/// A wildcard is no host, and a link-local address is another one on each link.
fn may_have_name(addr: IpAddr) -> bool {
    !addr.is_unspecified() && !matches!(addr, IpAddr::V6(addr) if addr.is_unicast_link_local())
}

fn look_up(addr: IpAddr) -> HostName {
    let mut name = [0; LONGEST];
    match ask(addr, &mut name) {
        0 => CStr::from_bytes_until_nul(&name)
            .ok()
            .and_then(|name| shown(name.to_bytes()))
            .map_or(HostName::Nameless, HostName::Name),
        libc::EAI_NONAME => HostName::Nameless,
        _ => HostName::Failed,
    }
}

/// A name that cannot be taken for an address, or for more than a name: whoever owns an address chooses it.
fn shown(name: &[u8]) -> Option<Box<str>> {
    let is_odd = |byte: &u8| byte.is_ascii_whitespace() || b":%[]*".contains(byte);
    let text = escaped(name);
    let is_name = !text.is_empty() && !name.iter().any(is_odd) && text.parse::<IpAddr>().is_err();
    is_name.then(|| text.into())
}

/// Returns the number of the resolver's error; 0 with a name that ends in a zero.
fn ask(addr: IpAddr, name: &mut [u8; LONGEST]) -> libc::c_int {
    // SAFETY: zeros are valid in both structures.
    let (mut four, mut six) = unsafe { std::mem::zeroed::<(libc::sockaddr_in, libc::sockaddr_in6)>() };
    let (pointer, length) = match addr {
        IpAddr::V4(addr) => {
            four.sin_family = libc::sa_family_t::try_from(libc::AF_INET).unwrap_or_default();
            four.sin_addr.s_addr = u32::from_ne_bytes(addr.octets());
            ((&raw const four).cast::<libc::sockaddr>(), size_of_val(&four))
        }
        IpAddr::V6(addr) => {
            six.sin6_family = libc::sa_family_t::try_from(libc::AF_INET6).unwrap_or_default();
            six.sin6_addr.s6_addr = addr.octets();
            ((&raw const six).cast::<libc::sockaddr>(), size_of_val(&six))
        }
    };
    let length = libc::socklen_t::try_from(length).unwrap_or_default();
    let room = libc::socklen_t::try_from(name.len()).unwrap_or_default();
    // SAFETY: an address of this length, and room for as many bytes as it says; no name of a service is asked for.
    unsafe {
        libc::getnameinfo(
            pointer,
            length,
            name.as_mut_ptr().cast(),
            room,
            std::ptr::null_mut(),
            0,
            libc::NI_NAMEREQD,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOON: Duration = Duration::from_millis(50);

    fn addrs(last: &[u8]) -> HashSet<IpAddr> {
        last.iter().map(|last| IpAddr::from([192, 0, 2, *last])).collect()
    }

    #[test]
    fn what_is_not_answered_in_time_is_counted_and_waited_for_once() {
        let mut hosts = Hosts::new(|addr| match addr {
            IpAddr::V4(addr) if addr.octets()[3] == 1 => HostName::Name("one".into()),
            IpAddr::V4(addr) if addr.octets()[3] == 2 => HostName::Nameless,
            IpAddr::V4(addr) if addr.octets()[3] == 3 => HostName::Failed,
            _ => loop {
                thread::park();
            },
        });
        let begun = Instant::now();
        let (names, unanswered) = hosts.names_within(SOON, addrs(&[1, 2, 3, 4]));
        assert_eq!((names.len(), unanswered), (1, 2), "{names:?}");
        assert_eq!(names.values().next().unwrap().as_ref(), "one");
        assert!(begun.elapsed() >= SOON);
        // The next list does not wait again.
        let long = Duration::from_secs(3600);
        assert_eq!(hosts.names_within(long, addrs(&[1, 4])).1, 1);
        // More than there are threads do not wait either.
        assert_eq!(hosts.names_within(SOON, addrs(&(10..40).collect::<Vec<u8>>())).1, 30);
    }

    #[test]
    fn names_cannot_do_harm() {
        assert_eq!(shown(b"host.example"), Some("host.example".into()));
        assert_eq!(shown(b"a\x1b[2Jb"), None);
        assert_eq!(shown(b"a\x07b"), Some("a\\x07b".into()));
        for name in ["", "10.0.0.1", "::1", "a b", "a:80", "*"] {
            assert_eq!(shown(name.as_bytes()), None, "{name}");
        }
    }

    #[test]
    fn wildcards_and_link_local_addresses_have_no_names() {
        for (addr, may) in
            [("0.0.0.0", false), ("::", false), ("fe80::1", false), ("127.0.0.1", true), ("::1", true)]
        {
            assert_eq!(may_have_name(addr.parse().unwrap()), may, "{addr}");
        }
    }
}
