//! The hooks that a kernel may lack, a host may refuse, or a user may not want. Without them
//! everything else is as it is.
//!
//! A hook is a program of its name in `tracer-ebpf/src/transitions/`, perhaps with others, and a row here.

use aya::{
    Ebpf, EbpfLoader,
    programs::{BtfTracePoint, FEntry, FExit, ProgramError},
};
use tracer_common::{
    helper::Helper,
    member::{
        Member::{
            self, Cookie, DeviceNet, Listener, RequestSocket, SegmentDevice, SegmentHead, SegmentNetwork,
            SegmentTransport, TimeWaitSubstate,
        },
        SPECS,
    },
};

use crate::{
    facts::hooks::{HookReport, Hooks, REQUEST_HOOK, TIMEWAIT_HOOK},
    source::kernel::{Link, btf::Btf, error::chain, layout::Layout, verdict::verdict},
    tcp::reset::ResetReasons,
};

/// A hook that is not needed, of one program or of several that make sense only together.
#[derive(Debug)]
struct Hook {
    /// Its name, and that of its first program.
    name: &'static str,
    programs: &'static [At],
    /// The global in which the program finds how many arguments the first has, if that differs.
    args: Option<&'static str>,
    /// How many those may be; empty where more do no harm.
    counts: &'static [u32],
    /// The members that it cannot do without.
    needs: &'static [Member],
    /// Without socket cookies what it tells belongs to nobody.
    needs_cookies: bool,
}

/// Where a program is.
#[derive(Clone, Copy, Debug)]
enum At {
    /// On the tracepoint of its name.
    Tracepoint(&'static str),
    /// At the beginning of the kernel's function of its name.
    Entry(&'static str),
    /// At the end of a function.
    Exit { function: &'static str, program: &'static str },
}

/// That function's program is of the same name.
const fn exit(function: &'static str) -> At {
    At::Exit { function, program: function }
}

const HOOKS: &[Hook] = &[
    Hook {
        name: "tcp_send_reset",
        programs: &[At::Tracepoint("tcp_send_reset")],
        args: Some("SEND_RESET_ARGS"),
        counts: &[],
        needs: &[SegmentHead, SegmentNetwork, SegmentTransport, SegmentDevice, DeviceNet],
        needs_cookies: false,
    },
    Hook {
        name: "tcp_receive_reset",
        programs: &[At::Tracepoint("tcp_receive_reset")],
        args: None,
        counts: &[],
        needs: &[],
        needs_cookies: false,
    },
    Hook {
        name: "tcp_retransmit_skb",
        programs: &[At::Tracepoint("tcp_retransmit_skb")],
        args: Some("RETRANSMIT_ARGS"),
        counts: &[],
        needs: &[],
        needs_cookies: false,
    },
    Hook {
        name: "tcp_retransmit_synack",
        programs: &[At::Tracepoint("tcp_retransmit_synack")],
        args: None,
        counts: &[],
        needs: &[],
        needs_cookies: false,
    },
    Hook {
        name: "inet_csk_accept",
        programs: &[exit("inet_csk_accept")],
        args: Some("ACCEPT_ARGS"),
        counts: &[2, 4],
        needs: &[],
        needs_cookies: false,
    },
    Hook {
        name: TIMEWAIT_HOOK,
        programs: &[
            At::Entry(TIMEWAIT_HOOK),
            // What takes the mark back first: a timer between the two would leave it.
            At::Exit { function: "tw_timer_handler", program: "tw_timer_handler_end" },
            At::Entry("tw_timer_handler"),
            At::Entry("__inet_twsk_schedule"),
        ],
        args: None,
        counts: &[],
        needs: &[TimeWaitSubstate],
        needs_cookies: true,
    },
    Hook {
        name: REQUEST_HOOK,
        programs: &[
            // What ends them first: none that begins may stay for ever.
            At::Entry("tcp_v4_reqsk_destructor"),
            At::Entry("tcp_v6_reqsk_destructor"),
            At::Exit { function: "reqsk_timer_handler", program: "reqsk_timer_handler_end" },
            At::Entry("reqsk_timer_handler"),
            At::Entry(REQUEST_HOOK),
        ],
        args: None,
        counts: &[],
        needs: &[Listener, Cookie, RequestSocket],
        needs_cookies: true,
    },
];

impl At {
    fn program(self) -> &'static str {
        match self {
            Self::Tracepoint(name) | Self::Entry(name) | Self::Exit { program: name, .. } => name,
        }
    }

    /// How many arguments the running kernel has there; `None` if there is no such place.
    fn args(self, btf: &Btf) -> Option<u32> {
        match self {
            Self::Tracepoint(name) => btf.hook_args(name),
            Self::Entry(function) | Self::Exit { function, .. } => btf.function_args(function),
        }
    }

    fn load(self, ebpf: &mut Ebpf, types: &aya::Btf) -> Result<(), ProgramError> {
        let program = ebpf.program_mut(self.program()).ok_or(ProgramError::UnexpectedProgramType)?;
        match self {
            Self::Tracepoint(name) => <&mut BtfTracePoint>::try_from(program)?.load(name, types),
            Self::Entry(function) => <&mut FEntry>::try_from(program)?.load(function, types),
            Self::Exit { function, .. } => <&mut FExit>::try_from(program)?.load(function, types),
        }
    }

    fn attach(self, ebpf: &mut Ebpf) -> Result<Link, ProgramError> {
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

/// What the running kernel offers.
#[derive(Debug, Default)]
pub(super) struct Offer {
    /// With how many arguments.
    hooks: Vec<(&'static Hook, u32)>,
    report: HookReport,
    /// The kernel's names of what makes it send an RST.
    pub(super) reset_reasons: ResetReasons,
}

impl Offer {
    /// Looks for those that are wanted.
    pub(super) fn find(btf: &Btf, layout: &Layout, wanted: Hooks) -> Self {
        let mut offer = Self::default();
        if wanted == Hooks::Minimal {
            return offer;
        }
        let absent = layout.absent();
        for hook in HOOKS {
            let nowhere = hook.programs.iter().find(|at| at.args(btf).is_none());
            let missing = hook.needs.iter().find(|member| absent.contains(member));
            let args = hook.programs.first().and_then(|at| at.args(btf)).unwrap_or_default();
            if let Some(nowhere) = nowhere {
                offer.leave_out(hook, format!("{} is not in this kernel", nowhere.program()));
            } else if let Some(missing) = missing {
                offer.leave_out(hook, format!("no `{}`", SPECS[*missing as usize].path));
            } else if hook.needs_cookies && !layout.has(Helper::SocketCookie) {
                offer.leave_out(hook, "no socket cookies".to_owned());
            } else if !hook.counts.is_empty() && !hook.counts.contains(&args) {
                let known = hook.counts.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
                offer.leave_out(hook, format!("of {args} arguments, not {known}"));
            } else {
                offer.hooks.push((hook, args));
            }
        }
        offer.reset_reasons = ResetReasons::of(&btf.enumerators("sk_rst_reason"));
        offer
    }

    /// Tells the programs what differs between kernels.
    pub(super) fn tell<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        for (hook, args) in &self.hooks {
            if let Some(global) = hook.args {
                loader.override_global(global, args, true);
            }
        }
    }

    /// Loads the programs; those that do not load are left out.
    pub(super) fn load(&mut self, ebpf: &mut Ebpf, types: &aya::Btf) {
        self.keep(|hook| hook.programs.iter().try_for_each(|at| at.load(ebpf, types)));
    }

    /// Attaches them.
    pub(super) fn attach(mut self, ebpf: &mut Ebpf) -> (Vec<Link>, HookReport) {
        let mut links = Vec::new();
        self.keep(|hook| {
            // All or none: those that are attached go again with this.
            let attached: Result<Vec<_>, _> = hook.programs.iter().map(|at| at.attach(ebpf)).collect();
            links.extend(attached?);
            Ok(())
        });
        self.report.used = self.hooks.iter().map(|(hook, _)| hook.name).collect();
        (links, self.report)
    }

    /// Keeps those with which it works.
    fn keep(&mut self, mut work: impl FnMut(&'static Hook) -> Result<(), ProgramError>) {
        for (hook, args) in std::mem::take(&mut self.hooks) {
            match work(hook) {
                Ok(()) => self.hooks.push((hook, args)),
                Err(error) => self.leave_out(hook, why(&error)),
            }
        }
    }

    fn leave_out(&mut self, hook: &'static Hook, why: String) {
        self.report.left_out.push((hook.name, why));
    }
}

fn why(error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { verifier_log, io_error } => {
            let log = verdict(&verifier_log.to_string());
            log::debug!("{log}");
            format!("refused ({io_error})")
        }
        error => chain(error),
    }
}
