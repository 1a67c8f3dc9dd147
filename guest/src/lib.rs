//! The reports that a virtual machine sends to its host: one line of JSON per scenario.

use serde::{Deserialize, Serialize};

/// The result of a scenario.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// The scenario's name.
    pub scenario: String,
    /// How long it took, in seconds.
    pub seconds: f64,
    /// What it found, or why it failed.
    pub result: Result<Found, String>,
}

/// What a scenario found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// The kernel that runs in the guest. Its type information (BTF) is copied to the disk.
    Kernel {
        /// The release, as `uname -r` prints it.
        release: String,
        /// Size of the type information on the disk, in bytes; 0 without a disk.
        btf_bytes: usize,
    },
    /// The package for Debian was removed.
    Package {
        /// Files that it had installed.
        files: usize,
    },
    /// The output of `tracer check`.
    Check {
        /// Standard output, then standard error.
        text: String,
        /// Whether tracer can run on this kernel.
        passed: bool,
    },
    /// `tracer list -tuxanpeoi`, compared with `ss`.
    List {
        /// Sockets of which all fields are the same.
        sockets: usize,
    },
    /// The cost of loading the kernel programs.
    Load {
        /// Time from the start to `tracer: ready`.
        milliseconds: u64,
        /// Instructions that the verifier processed, summed over all programs.
        verified: u64,
    },
    /// The output of `--raw`, compared with the kernel's own trace.
    Oracle {
        /// Events that tracer printed.
        tracer: usize,
        /// Events that tracer reported as lost.
        lost: usize,
        /// Events in the kernel's trace.
        kernel: usize,
        /// Events that occur more often on one side than on the other.
        differences: Vec<String>,
    },
    /// The optional hooks: what they reported was right.
    Hooks {
        /// The hooks in use on this kernel, by the kernel's names.
        used: Vec<String>,
    },
    /// Connections whose owners, roles and reasons are known in advance.
    Story {
        /// Ends of connections that were reported right.
        connections: usize,
    },
    /// Lines of a prefork server's connections, by what they say of the owner.
    Owners {
        /// With the name of another process than the worker, and without a mark.
        wrong: usize,
        /// Without a name.
        unknown: usize,
        /// With the worker's name.
        sure: usize,
        /// With a name that is marked as inherited from the listener.
        marked: usize,
        /// Whether this kernel has TLS of its own, and named the process when a kernel thread worked for it.
        has_ktls: bool,
    },
    /// The counts of `summary --in-kernel`.
    InKernel {
        /// Connections that were counted for the right port, at both ends.
        connections: u64,
    },
    /// Connections in two VRFs.
    Vrf {
        /// Connections that were told apart.
        connections: usize,
    },
    /// What a recording has after a power cut.
    AfterPowerCut {
        /// The clients' ports of the connections in it.
        ports: Vec<u16>,
        /// What `tracer recording verify` says of it.
        verdict: String,
    },
    /// CPU time of tracer's kernel programs.
    Costs(Vec<Cost>),
    /// How long TIME_WAIT lasted. `None` if the host did not ask for it, if it cannot be followed on this
    /// kernel, or if events were lost.
    TimeWait(Option<Length>),
}

/// Time in a state, as tracer reports it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Length {
    /// The time, in microseconds.
    pub state_us: f64,
    /// How much shorter it may have been, in microseconds.
    pub error_us: f64,
}

/// Run statistics of a kernel program (sysctl `kernel.bpf_stats_enabled`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// The program's id in its kernel.
    pub id: u64,
    /// The first 15 bytes of its name, which is all that the kernel keeps.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// Total run time.
    pub nanoseconds: u64,
}

/// The prefix of report lines. The kernel writes to the same console.
pub const MARK: &str = "report: ";

/// What the host asks a guest to run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// All scenarios except those that take long.
    Short,
    /// All scenarios, including a whole TIME_WAIT.
    Long,
    /// Only the costs of the kernel programs.
    Costs,
    /// A recording on a disk, for ever: the host cuts the power. Lines with [`MADE`] tell what is in it.
    Record,
    /// What is in that recording.
    Replay,
}

/// The prefix of lines about connections that were made and recorded: milliseconds on a clock of the guest, and the
/// client's port.
pub const MADE: &str = "made: ";

impl Play {
    /// The environment variable of the guest's first process that selects one of them.
    pub const VARIABLE: &str = "PLAY";

    /// All variants.
    pub const ALL: [Self; 5] = [Self::Short, Self::Long, Self::Costs, Self::Record, Self::Replay];

    /// The value of [`Play::VARIABLE`] that selects this one.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Costs => "costs",
            Self::Record => "record",
            Self::Replay => "replay",
        }
    }
}
