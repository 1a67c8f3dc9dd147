//! The two architectures.

use std::process::Command;

/// An architecture, by Debian's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, clap::ValueEnum)]
pub(crate) enum Arch {
    Amd64,
    Arm64,
}

impl Arch {
    pub(crate) const ALL: [Self; 2] = [Self::Amd64, Self::Arm64];

    /// For Debian.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Amd64 => "amd64",
            Self::Arm64 => "arm64",
        }
    }

    /// Whether this host's compiler and linker cannot do it alone.
    pub(crate) fn is_foreign(self) -> bool {
        self == Self::Arm64
    }

    /// For Rust.
    pub(crate) fn triple(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-unknown-linux-gnu",
            Self::Arm64 => "aarch64-unknown-linux-gnu",
        }
    }

    /// Where Debian keeps libraries.
    pub(crate) fn libraries(self) -> &'static str {
        match self {
            Self::Amd64 => "x86_64-linux-gnu",
            Self::Arm64 => "aarch64-linux-gnu",
        }
    }

    /// The machine that is emulated.
    pub(crate) fn machine(self) -> Command {
        let (program, arguments) = match self {
            Self::Amd64 => ("qemu-system-x86_64", ["-machine", "q35", "-cpu", "max"]),
            Self::Arm64 => ("qemu-system-aarch64", ["-machine", "virt", "-cpu", "cortex-a72"]),
        };
        let mut qemu = Command::new(program);
        qemu.args(arguments);
        qemu
    }

    /// Its serial line.
    pub(crate) fn console(self) -> &'static str {
        match self {
            Self::Amd64 => "ttyS0",
            Self::Arm64 => "ttyAMA0",
        }
    }
}
