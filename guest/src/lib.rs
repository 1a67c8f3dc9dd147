//! What a virtual machine tells its host: a line of JSON for each scenario.

use serde::{Deserialize, Serialize};

/// How a scenario went.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Its name.
    pub scenario: String,
    /// How long it took.
    pub seconds: f64,
    /// What was found, or why it could not be.
    pub result: Result<Found, String>,
}

/// What a scenario found.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// What runs here, and its type information, which is on the disk.
    Kernel {
        /// As `uname -r` prints it.
        release: String,
        /// Bytes of type information there.
        btf_bytes: usize,
    },
    /// What `tracer check` says.
    Check {
        /// All of it.
        text: String,
        /// Whether tracer can run here.
        passed: bool,
    },
    /// What loading takes.
    Load {
        /// From the start to `tracer: ready`.
        milliseconds: u64,
        /// Instructions that the verifier looked at, of all programs.
        verified: u64,
    },
    /// `--raw` beside the kernel's own trace.
    Oracle {
        /// Events that tracer told.
        tracer: usize,
        /// Events that tracer said it had lost.
        lost: usize,
        /// Events that the kernel traced.
        kernel: usize,
        /// What one has more often than the other.
        differences: Vec<String>,
    },
    /// The hooks that can be done without; what they told was right.
    Hooks {
        /// Those in use here, by the kernel's names.
        used: Vec<String>,
    },
    /// The stories of connections that are known.
    Story {
        /// How many were told right.
        connections: usize,
    },
    /// What `summary --in-kernel` has counted.
    InKernel {
        /// Connections that were counted where they belong, at both ends.
        connections: u64,
    },
    /// What tracer's programs take of the processor.
    Costs(Vec<Cost>),
    /// How long TIME_WAIT was; nothing where it is not followed, or the host did not ask.
    TimeWait(Option<Length>),
}

/// A stay in a state, as tracer tells it.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub struct Length {
    /// In microseconds.
    pub state_us: f64,
    /// How far that may be off.
    pub error_us: f64,
}

/// What a program took, as the kernel counts it (`kernel.bpf_stats_enabled`).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Cost {
    /// Its number in its kernel.
    pub id: u64,
    /// Its name: the first 15 bytes of it.
    pub program: String,
    /// How often it ran.
    pub runs: u64,
    /// How long in all.
    pub nanoseconds: u64,
}

/// Only lines that begin so are reports; the kernel writes on the same console.
pub const MARK: &str = "report: ";

/// What a guest is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Play {
    /// All scenarios but those that take long.
    Short,
    /// All scenarios, such as a whole TIME_WAIT.
    Long,
    /// What the programs cost, and nothing else.
    Costs,
}

impl Play {
    /// The variable that says so in the environment of the guest's first process.
    pub const VARIABLE: &str = "PLAY";

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Short, Self::Long, Self::Costs];

    /// Its value there.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Long => "long",
            Self::Costs => "costs",
        }
    }
}
