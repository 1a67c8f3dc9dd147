//! The architectures of guests.

use std::process::Command;

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// Debian's name.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Whether building for it needs another linker and another standard library.
    pub(crate) fn is_foreign(self) -> bool {
        self == Self::Arm64
    }

    /// Rust's name.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// The folder in which Debian keeps its libraries.
    pub(crate) fn libraries(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// A program of the compiler's tools for it.
    pub(crate) fn tool(self, name: &str) -> String {
        format!("{}-{name}", self.libraries())
    }

    /// The name that rpm and the kernel have for it.
    pub(crate) fn machine_name(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64",
            Self::Arm64 => "aarch64",
        }
    }

    /// The command that emulates a machine.
    pub(crate) fn machine(self) -> Command {
        let (program, arguments) = match self {
            Self::Amd64 => ("qemu-system-x86_64", ["-machine", "q35", "-cpu", "max"]),
            Self::Arm64 => ("qemu-system-aarch64", ["-machine", "virt", "-cpu", "cortex-a72"]),
        };
        let mut qemu = Command::new(program);
        qemu.args(arguments);
        qemu
    }

    /// The device of the serial console.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }
}
