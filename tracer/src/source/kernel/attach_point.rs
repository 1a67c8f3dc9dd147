//! Where a program of an optional hook is attached.

use aya::{
    Ebpf,
    programs::{BtfTracePoint, FEntry, FExit, ProgramError},
};

use crate::source::kernel::{Link, btf::Btf, uninterrupted};

/// A place in the kernel, and the name of the program for it.
#[derive(Clone, Copy, Debug)]
pub(super) enum AttachPoint {
    /// A tracepoint; the program has its name.
    Tracepoint(&'static str),
    /// The entry of a kernel function (fentry); the program has its name.
    Entry(&'static str),
    /// The exit of a kernel function (fexit).
    Exit { function: &'static str, program: &'static str },
}

/// The exit of a function, for a program that has its name.
pub(super) const fn exit(function: &'static str) -> AttachPoint {
    AttachPoint::Exit { function, program: function }
}

impl AttachPoint {
    /// The program's name.
    pub(super) fn program(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Entry(name) | Self::Exit { program: name, .. } => name,
        }
    }

    /// The kernel's name of the tracepoint or function.
    pub(super) fn target(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Entry(name) | Self::Exit { function: name, .. } => name,
        }
    }

    /// How many arguments the tracepoint or function has in this kernel; `None` if it does not exist.
    pub(super) fn arg_count(self, btf: &Btf) -> Option<u32> {
        match self {
            Self::Tracepoint(name) => btf.hook_args(name),
            Self::Entry(function) | Self::Exit { function, .. } => btf.function_args(function),
        }
    }

    pub(super) fn load(self, ebpf: &mut Ebpf, types: &aya::Btf) -> Result<(), ProgramError> {
        uninterrupted::load(|| self.try_to_load(ebpf, types))
    }

    fn try_to_load(self, ebpf: &mut Ebpf, types: &aya::Btf) -> Result<(), ProgramError> {
        let program = ebpf.program_mut(self.program()).ok_or(ProgramError::UnexpectedProgramType)?;
        match self {
            Self::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, types),
            Self::Entry(function) => <&mut FEntry>::try_from(program)?.load(function, types),
            Self::Exit { function, .. } => <&mut FExit>::try_from(program)?.load(function, types),
        }
    }

    pub(super) fn attach(self, ebpf: &mut Ebpf) -> Result<Link, ProgramError> {
        let program = ebpf.program_mut(self.program()).ok_or(ProgramError::UnexpectedProgramType)?;
        Ok(match self {
            Self::Tracepoint(_) => {
                let program = <&mut BtfTracePoint>::try_from(program)?;
                Box::new(program.attach().and_then(|id| program.take_link(id))?)
            }
            Self::Entry(_) => {
                let program = <&mut FEntry>::try_from(program)?;
                Box::new(program.attach().and_then(|id| program.take_link(id))?)
            }
            Self::Exit { .. } => {
                let program = <&mut FExit>::try_from(program)?;
                Box::new(program.attach().and_then(|id| program.take_link(id))?)
            }
        })
    }
}
