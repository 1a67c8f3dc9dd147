//! Words of the command line for values that are defined elsewhere, and their help.

use clap::{ValueEnum, builder::PossibleValue};

use crate::{
    aggregate::By,
    format::{Kind, text::TimeFormat},
    source::kernel::optional::Hooks,
};

macro_rules! words {
    ($of:ident { $($value:ident = $word:literal, $help:literal;)* }) => {
        impl ValueEnum for $of {
            fn value_variants<'a>() -> &'a [Self] {
                &[$(Self::$value,)*]
            }

            fn to_possible_value(&self) -> Option<PossibleValue> {
                Some(match self {
                    $(Self::$value => PossibleValue::new($word).help($help),)*
                })
            }
        }
    };
}

words! { Kind {
    Text = "text", "Aligned columns";
    Json = "json", "An object per line";
    Csv = "csv", "RFC 4180 with a header";
} }

words! { TimeFormat {
    Local = "local", "This host's time zone";
    Utc = "utc", "UTC";
    Relative = "relative", "Seconds since the tracer started";
    Unix = "unix", "Seconds since 1970";
} }

words! { By {
    Port = "port", "Services: local ports of servers, remote ports of clients";
    Peer = "peer", "Remote addresses";
    Process = "process", "Owners, by name";
    Cgroup = "cgroup", "Cgroups";
    Netns = "netns", "Network namespaces";
} }

words! { Hooks {
    Auto = "auto", "All that the kernel offers";
    Minimal = "minimal", "None but the one on state transitions";
} }
