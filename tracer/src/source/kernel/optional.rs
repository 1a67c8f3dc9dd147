//! Optional hooks: a kernel may lack them, a host may refuse them, and a user may not want them. Everything
//! else works without them.
//!
//! To add a hook, add a program of its name in `tracer-ebpf/src/transitions/`, and a row to `HOOKS`.

use aya::{Ebpf, EbpfLoader, programs::ProgramError};
use tracer_common::{
    helper::Helper,
    member::{
        Member::{
            self, CgroupNode, CgroupRoot, Cookie, DeviceNet, HierarchyId, Listener, NodeId, RequestSocket,
            SegmentDevice, SegmentHead, SegmentNetwork, SegmentTransport, TimeWaitSubstate,
        },
        SPECS,
    },
};

use crate::{
    facts::hooks::{HookReport, LeftOut, REQUEST_HOOK, TIMEWAIT_HOOK},
    source::kernel::{
        Link,
        attach_point::{AttachPoint, exit},
        btf::Btf,
        error::{E2BIG, errno, with_causes},
        layout::Layout,
        verdict::verdict,
    },
    tcp::reset::ResetReasons,
};

/// Which optional hooks to use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Hooks {
    /// All that the kernel offers.
    #[default]
    Auto,
    /// None but the one on state transitions.
    Minimal,
}

/// An optional hook: one program, or several that are of use only together.
#[derive(Debug)]
struct OptionalHook {
    /// Name of the hook and of its first program.
    name: &'static str,
    /// What only this hook tells.
    tells: &'static str,
    programs: &'static [AttachPoint],
    /// The program's global variable for how many arguments the first attach point has, if kernels differ in
    /// it.
    args_global: Option<&'static str>,
    /// The argument counts that the program can handle; empty if it can handle any.
    known_arg_counts: &'static [u32],
    /// Structure members that the programs read.
    needs_members: &'static [Member],
    /// Its events can be matched to connections only by cookie.
    needs_cookies: bool,
}

/// The hook that tells of cgroups that are made.
pub(super) const CGROUP_HOOK: &str = "cgroup_mkdir";

const HOOKS: &[OptionalHook] = &[
    OptionalHook {
        name: "tcp_send_reset",
        tells: "RSTs that are sent",
        programs: &[AttachPoint::Tracepoint("tcp_send_reset")],
        args_global: Some("SEND_RESET_ARGS"),
        known_arg_counts: &[],
        needs_members: &[SegmentHead, SegmentNetwork, SegmentTransport, SegmentDevice, DeviceNet],
        needs_cookies: false,
    },
    OptionalHook {
        name: "tcp_receive_reset",
        tells: "RSTs that are received",
        programs: &[AttachPoint::Tracepoint("tcp_receive_reset")],
        args_global: None,
        known_arg_counts: &[],
        needs_members: &[],
        needs_cookies: false,
    },
    OptionalHook {
        name: "tcp_retransmit_skb",
        tells: "retransmissions",
        programs: &[AttachPoint::Tracepoint("tcp_retransmit_skb")],
        args_global: Some("RETRANSMIT_ARGS"),
        known_arg_counts: &[],
        needs_members: &[],
        needs_cookies: false,
    },
    OptionalHook {
        name: "tcp_retransmit_synack",
        tells: "retransmissions of SYN-ACKs",
        programs: &[AttachPoint::Tracepoint("tcp_retransmit_synack")],
        args_global: None,
        known_arg_counts: &[],
        needs_members: &[],
        needs_cookies: false,
    },
    OptionalHook {
        name: "inet_csk_accept",
        tells: "which process accepts a connection",
        programs: &[exit("inet_csk_accept")],
        args_global: Some("ACCEPT_ARGS"),
        known_arg_counts: &[2, 4],
        needs_members: &[],
        needs_cookies: false,
    },
    OptionalHook {
        name: TIMEWAIT_HOOK,
        tells: "the ends of timewait sockets when they happen",
        programs: &[
            AttachPoint::Entry(TIMEWAIT_HOOK),
            // The exit comes first, because it clears the mark that the entry sets: a timer that runs after
            // only the entry was attached would leave the mark set.
            AttachPoint::Exit { function: "tw_timer_handler", program: "tw_timer_handler_end" },
            AttachPoint::Entry("tw_timer_handler"),
            AttachPoint::Entry("__inet_twsk_schedule"),
        ],
        args_global: None,
        known_arg_counts: &[],
        needs_members: &[TimeWaitSubstate],
        needs_cookies: true,
    },
    OptionalHook {
        name: "inet_twsk_alloc",
        tells: "timewait sockets that could not be made",
        programs: &[exit("inet_twsk_alloc")],
        args_global: None,
        known_arg_counts: &[3],
        needs_members: &[],
        needs_cookies: true,
    },
    OptionalHook {
        name: REQUEST_HOOK,
        tells: "half-open connections",
        programs: &[
            // The ends come first: otherwise a half-open connection could begin whose end is not seen.
            AttachPoint::Entry("tcp_v4_reqsk_destructor"),
            AttachPoint::Entry("tcp_v6_reqsk_destructor"),
            AttachPoint::Exit { function: "reqsk_timer_handler", program: "reqsk_timer_handler_end" },
            AttachPoint::Entry("reqsk_timer_handler"),
            AttachPoint::Entry(REQUEST_HOOK),
        ],
        args_global: None,
        known_arg_counts: &[],
        needs_members: &[Listener, Cookie, RequestSocket],
        needs_cookies: true,
    },
    OptionalHook {
        name: CGROUP_HOOK,
        tells: "names of cgroups that live shorter than two seconds",
        programs: &[AttachPoint::Tracepoint(CGROUP_HOOK)],
        args_global: None,
        known_arg_counts: &[],
        needs_members: &[CgroupNode, NodeId, CgroupRoot, HierarchyId],
        needs_cookies: false,
    },
];

/// The optional hooks that the running kernel has.
#[derive(Debug, Default)]
pub(super) struct OptionalHooks {
    /// The hooks, each with the argument count of its first attach point.
    hooks: Vec<(&'static OptionalHook, u32)>,
    report: HookReport,
    /// The kernel's names for why it sends an RST.
    pub(super) reset_reasons: ResetReasons,
}

impl OptionalHooks {
    /// Looks for the wanted hooks in the kernel's types.
    pub(super) fn find(btf: &Btf, layout: &Layout, wanted: Hooks) -> Self {
        let mut optional = Self::default();
        if wanted == Hooks::Minimal {
            return optional;
        }
        let absent = layout.absent();
        for hook in HOOKS {
            let missing_point = hook.programs.iter().find(|point| point.arg_count(btf).is_none());
            let missing = hook.needs_members.iter().find(|member| absent.contains(member));
            let arg_count = hook.programs.first().and_then(|point| point.arg_count(btf)).unwrap_or_default();
            if let Some(missing_point) = missing_point {
                optional.lack(hook, format!("{} is not in this kernel", missing_point.target()));
            } else if let Some(missing) = missing {
                optional.lack(hook, format!("no `{}`", SPECS[*missing as usize].path));
            } else if hook.needs_cookies && !layout.has(Helper::SocketCookie) {
                optional.lack(hook, "no socket cookies".to_owned());
            } else if !hook.known_arg_counts.is_empty() && !hook.known_arg_counts.contains(&arg_count) {
                let known = hook.known_arg_counts.iter().map(u32::to_string).collect::<Vec<_>>().join(" or ");
                optional.lack(hook, format!("of {arg_count} arguments, not {known}"));
            } else {
                optional.hooks.push((hook, arg_count));
            }
        }
        optional.reset_reasons = ResetReasons::of(&btf.enumerators("sk_rst_reason"));
        optional
    }

    /// Sets the programs' globals for what differs between kernels.
    pub(super) fn set_globals<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        for (hook, arg_count) in &self.hooks {
            if let Some(global) = hook.args_global {
                loader.override_global(global, arg_count, true);
            }
        }
    }

    /// Loads the programs. A hook whose programs do not load is left out.
    pub(super) fn load(&mut self, ebpf: &mut Ebpf, types: &aya::Btf) {
        self.keep_working(|hook| {
            let load = |point: &AttachPoint| point.load(ebpf, types).map_err(|error| (*point, error));
            hook.programs.iter().try_for_each(load)
        });
    }

    /// Attaches the programs. A hook whose programs do not attach is left out.
    pub(super) fn attach(mut self, ebpf: &mut Ebpf) -> (Vec<Link>, HookReport) {
        let mut links = Vec::new();
        self.keep_working(|hook| {
            let attach = |point: &AttachPoint| point.attach(ebpf).map_err(|error| (*point, error));
            // All or none: on an error this drops the links that exist, which detaches their programs.
            let attached: Result<Vec<_>, _> = hook.programs.iter().map(attach).collect();
            links.extend(attached?);
            Ok(())
        });
        self.report.used = self.hooks.iter().map(|(hook, _)| hook.name.into()).collect();
        (links, self.report)
    }

    /// Keeps the hooks for which `work` succeeds, and leaves the others out.
    fn keep_working(
        &mut self,
        mut attempt: impl FnMut(&'static OptionalHook) -> Result<(), (AttachPoint, ProgramError)>,
    ) {
        for (hook, arg_count) in std::mem::take(&mut self.hooks) {
            match attempt(hook) {
                Ok(()) => self.hooks.push((hook, arg_count)),
                Err((point, error)) => {
                    self.leave_out(hook, why(point, &error), is_crowded(&error));
                }
            }
        }
    }

    /// This kernel does not have it.
    fn lack(&mut self, hook: &OptionalHook, why: String) {
        self.leave_out(hook, why, false);
    }

    fn leave_out(&mut self, hook: &OptionalHook, why: String, is_crowded_out: bool) {
        let OptionalHook { name: hook, tells, .. } = *hook;
        self.report.left_out.push(LeftOut { hook: hook.into(), why, tells: tells.into(), is_crowded_out });
    }
}

/// Why the program for `point` does not load or attach.
fn why(point: AttachPoint, error: &ProgramError) -> String {
    match error {
        ProgramError::LoadError { verifier_log, io_error } => {
            let log = verdict(&verifier_log.to_string());
            log::debug!("{log}");
            format!("refused ({io_error})")
        }
        _ if is_crowded(error) => {
            format!("no room for another program at {} (the kernel takes about 38)", point.target())
        }
        _ => with_causes(error),
    }
}

/// Whether there is no room for another program. The entry and the exit of a function count together. The limit
/// was 40 at first, and is 27 on s390x.
fn is_crowded(error: &ProgramError) -> bool {
    // When loading it means that a program is too large.
    !matches!(error, ProgramError::LoadError { .. }) && errno(error) == Some(E2BIG)
}
