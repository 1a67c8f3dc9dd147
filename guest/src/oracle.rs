//! Reads the tracepoint through the kernel's own trace buffer, to compare tracer with it.

use std::{
    fs,
    net::Ipv6Addr,
    path::{Path, PathBuf},
    thread::sleep,
    time::Duration,
};

use tests::{event::Event, patience::until};

/// A separate instance of the trace buffer, in which only the tracepoint is enabled.
pub(crate) struct Oracle {
    folder: PathBuf,
}

const INSTANCE: &str = "/sys/kernel/tracing/instances/tracer";
const TRACEPOINT: &str = "events/sock/inet_sock_set_state";
const BUFFER_KIB: &str = "8192";

/// After this time without an event no more are expected.
const QUIET: Duration = Duration::from_millis(300);

impl Oracle {
    /// Starts tracing TCP.
    pub(crate) fn start() -> Self {
        let folder = PathBuf::from(INSTANCE);
        fs::create_dir(&folder).expect("an instance of the trace buffer");
        let oracle = Self { folder };
        oracle.set("buffer_size_kb", BUFFER_KIB);
        // Without this, lines name only the thread, not the process.
        oracle.set("options/record-tgid", "1");
        oracle.set(&format!("{TRACEPOINT}/filter"), "protocol == 6");
        oracle.set(&format!("{TRACEPOINT}/enable"), "1");
        oracle
    }

    fn set(&self, file: &str, value: &str) {
        let file = self.folder.join(file);
        fs::write(&file, value).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    }

    /// Waits until no more events arrive.
    pub(crate) fn wait_until_quiet(&self) {
        until("the end of all events", || {
            let before = self.count("entries");
            sleep(QUIET);
            (before == self.count("entries")).then_some(())
        });
    }

    /// A figure of the buffer's statistics, summed over all CPUs.
    fn count(&self, figure: &str) -> u64 {
        let cpus = fs::read_dir(self.folder.join("per_cpu")).expect("CPUs");
        cpus.map(|cpu| figure_of(&cpu.expect("a CPU").path(), figure)).sum()
    }

    /// Stops tracing and returns all events. Panics if the buffer has lost any.
    pub(crate) fn finish(self) -> Vec<Event> {
        self.set(&format!("{TRACEPOINT}/enable"), "0");
        for figure in ["overrun", "commit overrun", "dropped events"] {
            assert_eq!(self.count(figure), 0, "the trace buffer has lost events: {figure}");
        }
        let entries = self.count("entries");
        let trace = fs::read_to_string(self.folder.join("trace")).expect("a trace");
        let lines = trace.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
        let events: Vec<_> =
            lines.map(|line| parse(line).unwrap_or_else(|| panic!("not understood: {line}"))).collect();
        assert_eq!(events.len() as u64, entries, "the trace does not show all entries of the buffer");
        events
    }
}

impl Drop for Oracle {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.folder);
    }
}

fn figure_of(cpu: &Path, figure: &str) -> u64 {
    let stats = fs::read_to_string(cpu.join("stats")).expect("statistics");
    let value = stats.lines().find_map(|line| line.strip_prefix(figure)?.strip_prefix(": "));
    value.and_then(|value| value.trim().parse().ok()).unwrap_or_else(|| panic!("no {figure} in {stats}"))
}

/// Parses a line such as `nc-12 (12) [000] ..... 1.2: inet_sock_set_state: family=AF_INET sport=0 ...`.
fn parse(line: &str) -> Option<Event> {
    let (task, event) = line.split_once(": inet_sock_set_state: ")?;
    let field = |name: &str| {
        let mut words = event.split(' ').filter_map(|word| word.split_once('='));
        words.find_map(|(key, value)| (key == name).then_some(value))
    };
    let family = field("family")?;
    let address = |v4, v6| {
        // On an IPv6 socket the IPv4 fields are garbage.
        if family == "AF_INET" {
            return field(v4).map(str::to_owned);
        }
        Some(field(v6)?.parse::<Ipv6Addr>().ok()?.to_string())
    };
    let port = |name| Some(field(name)?.parse().ok().filter(|port| *port != 0));
    let state = |name| Some(field(name)?.strip_prefix("TCP_")?.to_owned());
    Some(Event {
        pid: Some(process(task)?),
        family: if family == "AF_INET" { "ipv4" } else { "ipv6" }.to_owned(),
        local_addr: Some(address("saddr", "saddrv6")?),
        local_port: port("sport")?,
        remote_addr: Some(address("daddr", "daddrv6")?),
        remote_port: port("dport")?,
        old_state: state("oldstate")?,
        new_state: state("newstate")?,
        ..Event::default()
    })
}

/// The process id in `COMM-TID (TGID) [CPU] ...`. The TGID is `-------` if the kernel has not recorded it;
/// then this is the thread id.
fn process(task: &str) -> Option<u32> {
    let (left, _) = task.rsplit_once(" [")?;
    let (thread, process) = left.rsplit_once('(')?;
    let process = process.trim().trim_end_matches(')').trim();
    process.parse().or_else(|_| thread.trim().rsplit('-').next().unwrap_or_default().parse()).ok()
}
