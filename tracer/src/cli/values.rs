//! Words of the command line for values that are defined elsewhere, and their help.

use clap::{ValueEnum, builder::PossibleValue};

use crate::{
    aggregate::{By, Rank},
    format::{Kind, text::TimeFormat},
    source::kernel::optional::Hooks,
};

macro_rules! words {
    ($of:ident { $($value:ident = $word:literal $(| $alias:literal)*, $help:literal;)* } $(without $other:ident)?) => {
        impl ValueEnum for $of {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$value,)*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$value => PossibleValue::new($word)$(.alias($alias))*.help($help),)*
                    $(Self::$other => return None,)?
                })
            }
        }
    };
}

words! { Kind {
    Text = "text", "Aligned columns";
    Json = "json", "An object per line";
    Csv = "csv", "RFC 4180 with a header";
} without Parquet }

words! { TimeFormat {
    Local = "local", "This host's time zone";
    Utc = "utc", "UTC";
    Relative = "relative", "Seconds since the tracer started";
    Unix = "unix", "Seconds since 1970";
} }

words! { By {
    Service = "service" | "port", "Services: local ports of servers, remote ports of clients";
    Peer = "peer", "Remote addresses";
    Process = "process", "Owners, by name";
    Pid = "pid", "Owners, each process by itself";
    Cgroup = "cgroup", "Cgroups";
    Container = "container", "Containers";
    Netns = "netns", "Network namespaces";
    State = "state", "States that connections are in, or have entered";
} }

words! { Rank {
    Count = "count", "Transitions";
    Begun = "begun", "Connections that began";
    Ended = "ended", "Connections that ended";
    Failed = "failed", "Connections that ended, but not in order";
} }

words! { Hooks {
    Auto = "auto", "All that the kernel offers";
    Minimal = "minimal", "None but the one on state transitions";
} }
