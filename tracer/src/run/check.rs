//! `tracer check`: whether the tracer can run on this host, and with which features.

use std::{
    io::{self, Write as _},
    panic::resume_unwind,
    path::Path,
    process::ExitCode,
    thread,
};

use anstyle::AnsiColor;
use tokio::runtime;
use tracer_common::{helper::Helper, member::SPECS};

use crate::{
    config::CheckOptions,
    filter::Filter,
    output::stdout::write_whole,
    run::printed,
    sandbox::{calls, files},
    source::kernel::{
        HOOK,
        buffer::BufferSize,
        clock::namespace_offset_ns,
        faults, limits,
        load::{self, LoadOptions},
        namespaces,
        optional::Hooks,
        preflight, privileges,
        rings::Rings,
        surroundings,
    },
    text::{charset, escape::escaped, painted::painted},
};

/// One line of the checklist.
struct Check {
    name: &'static str,
    found: Found,
}

/// What was found, or what is missing and how to fix it.
enum Found {
    Fine(String),
    /// Tracer runs, but does not know everything.
    Less(String),
    Missing(String),
}

impl From<Result<String, String>> for Found {
    fn from(result: Result<String, String>) -> Self {
        result.map_or_else(Self::Missing, Self::Fine)
    }
}

/// Prints the checklist. Fails if the tracer cannot run.
#[must_use]
pub fn check(options: &CheckOptions) -> ExitCode {
    let mut checks = vec![
        Check { name: "kernel", found: kernel().into() },
        Check { name: "limits", found: limits().into() },
    ];
    // The rest takes what the limits may not allow.
    if !checks.iter().any(Check::is_missing) {
        checks.extend(beyond_limits(options));
    }
    let mut out = Vec::new();
    for Check { name, found } in &checks {
        let (mark, colour_of_mark, text) = match found {
            Found::Fine(text) => ("✓", AnsiColor::Green, text),
            Found::Less(text) => ("!", AnsiColor::Yellow, text),
            Found::Missing(text) => ("✗", AnsiColor::Red, text),
        };
        let mark = painted(mark, colour_of_mark.on_default(), options.colour);
        // Writing into memory cannot fail.
        let _ = writeln!(out, "{mark} {name:<24} {text}");
    }
    let can_run = !checks.iter().any(Check::is_missing);
    let conclusion = match can_run {
        false => "tracer cannot run here",
        true if checks.iter().any(|check| matches!(check.found, Found::Less(_))) => {
            "tracer can run here, but does not know everything: see `!` above"
        }
        true => "tracer can run here",
    };
    let _ = writeln!(out, "{conclusion}");
    if let Some(recode) = charset::recoding() {
        recode(&mut out);
    }
    let printed = printed(write_whole(&out));
    if can_run { printed } else { ExitCode::FAILURE }
}

fn beyond_limits(options: &CheckOptions) -> Vec<Check> {
    let mut checks = vec![
        Check { name: "event loop and threads", found: event_loop_and_threads().into() },
        Check { name: "types (BTF)", found: types(options.btf.as_deref()).into() },
        Check { name: "hook", found: hook(options.btf.as_deref()).into() },
        Check { name: "privileges", found: privileges().into() },
        Check { name: "lockdown", found: lockdown().into() },
    ];
    checks.extend(
        faults::check_iterator()
            .map(|said| Check { name: "kernel faults", found: said.map_or_else(Found::Less, Found::Fine) }),
    );
    let (program, hooks) = if checks.iter().any(Check::is_missing) {
        (Err("not tried, see above".to_owned()), "not tried".to_owned())
    } else {
        program(options)
    };
    checks.extend([
        Check { name: "program and ring buffers", found: program.into() },
        Check { name: "other hooks", found: Found::Fine(hooks) },
        Check { name: "/proc and /sys", found: surroundings() },
        Check { name: "network namespaces", found: Found::Fine(namespaces()) },
        Check { name: "clock", found: Found::Fine(clock()) },
        Check { name: "sandbox", found: sandbox() },
    ]);
    checks
}

impl Check {
    fn is_missing(&self) -> bool {
        matches!(self.found, Found::Missing(_))
    }
}

fn limits() -> Result<String, String> {
    limits::check().map_err(|error| error.to_string())?;
    Ok("high enough".to_owned())
}

/// What a capture takes from the system beside BPF: an event loop, and threads that give their capabilities up.
fn event_loop_and_threads() -> Result<String, String> {
    runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("no event loop can be had: {error}: does seccomp forbid it?"))?;
    let thread = thread::Builder::new().spawn(|| privileges::drop_all_but(&[]));
    let dropped = thread.map_err(|error| format!("no thread can be had: {error}"))?.join();
    dropped.unwrap_or_else(|panic| resume_unwind(panic)).map_err(|error| error.to_string())?;
    Ok("can be had".to_owned())
}

fn surroundings() -> Found {
    let hidden = surroundings::hidden();
    if hidden.is_empty() { Found::Fine("there".to_owned()) } else { Found::Less(hidden.join("; ")) }
}

fn kernel() -> Result<String, String> {
    let release = preflight::kernel().map_err(|error| error.to_string())?;
    Ok(format!("Linux {release}, {} or newer is needed", preflight::MINIMUM))
}

fn types(path: Option<&Path>) -> Result<String, String> {
    preflight::btf(path).map_err(|error| error.to_string())?;
    let name = escaped(path.unwrap_or(Path::new(preflight::KERNEL_BTF)).as_os_str().as_encoded_bytes());
    Ok(if preflight::are_foreign(path) {
        format!("{name}, which is not what this kernel shows")
    } else {
        name
    })
}

fn hook(path: Option<&Path>) -> Result<String, String> {
    let btf = preflight::btf(path).map_err(|_| "not looked for without types".to_owned())?;
    let layout = preflight::hook(&btf).map_err(|error| error.to_string())?;
    let absent = layout.absent().into_iter().map(|member| SPECS[member as usize]);
    let mut absent: Vec<_> = absent.filter(|spec| spec.told).map(|spec| spec.path).collect();
    if !layout.has(Helper::SocketCookie) {
        absent.push("socket cookies (connections have numbers of tracer's own, and TIME_WAIT is not followed to its end)");
    }
    if btf.hook_args("tcp_send_reset").is_some_and(|args| args < 3) {
        absent.push("why it sends an RST, and those that belong to no connection");
    }
    Ok(if absent.is_empty() {
        format!("sock:{HOOK}, with all that is read there")
    } else {
        format!("sock:{HOOK}; this kernel does not tell {}", absent.join(", "))
    })
}

/// What can be given up. A thread tries it, because that is for good.
fn sandbox() -> Found {
    let tried = thread::Builder::new().spawn(|| (files::keep(&[], &[]), calls::give_up_here()));
    let Ok(Ok((files, calls))) = tried.map(thread::JoinHandle::join) else {
        return Found::Less("not tried: no thread can be had".to_owned());
    };
    match (calls, files) {
        (Ok(left), Ok(true)) => Found::Fine(format!(
            "all but {left} system calls are given up (seccomp), and files where recordings are read (Landlock)"
        )),
        (Ok(left), files) => Found::Less(format!(
            "all but {left} system calls are given up (seccomp), no files where recordings are read: {}",
            files.err().map_or("this kernel has no Landlock".to_owned(), |error| error.to_string())
        )),
        (Err(error), _) => Found::Less(format!("nothing is given up: {error}")),
    }
}

fn clock() -> String {
    match namespace_offset_ns() {
        0 => "that of the kernel's events".to_owned(),
        offset_ns => format!(
            "in a time namespace, {} s from that of the kernel's events, which is taken into account",
            offset_ns / 1_000_000_000
        ),
    }
}

fn privileges() -> Result<String, String> {
    preflight::privileges().map_err(|error| error.to_string())?;
    Ok("CAP_BPF and CAP_PERFMON".to_owned())
}

fn lockdown() -> Result<String, String> {
    preflight::lockdown().map_err(|error| error.to_string())?;
    Ok("none that forbids reading kernel memory".to_owned())
}

/// Loads and attaches the programs for a moment, which is the only proof that it works. Also returns the
/// state of the optional hooks.
fn program(check: &CheckOptions) -> (Result<String, String>, String) {
    let buffer = BufferSize::default();
    let options = LoadOptions {
        buffer,
        filter: Filter::default(),
        asks_for_sockets: true,
        hooks: Hooks::Auto,
        stray_resets: true,
        debug: false,
        btf: check.btf.clone(),
    };
    let attached = match load::load(&options) {
        Ok(attached) => attached,
        Err(error) => return (Err(error.to_string()), "not tried".to_owned()),
    };
    let hooks = attached.hooks.to_string();
    let program = match Rings::map(attached) {
        Ok(()) => Ok(format!("loaded and attached, with a buffer of {buffer}")),
        Err(error) => Err(format!("{error}: if memory is short, give a smaller --buffer")),
    };
    (program, hooks)
}

/// Namespaces that cannot be entered lose no transitions, only their timewait sockets and their kernel
/// counters.
fn namespaces() -> String {
    let all = namespaces::all(&[]);
    let found = all.len();
    // Entering a namespace changes the thread, so a separate thread does it. Those that are gone meanwhile do not count.
    let is_gone = |entered: &io::Result<()>| {
        entered.as_ref().is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
    };
    let reach = thread::Builder::new().spawn(move || {
        let entered = all.iter().map(|(inum, path)| namespaces::enter(*inum, path));
        let entered: Vec<_> = entered.filter(|entered| !is_gone(entered)).collect();
        (entered.len(), entered.iter().filter(|entered| entered.is_ok()).count())
    });
    match reach.map(thread::JoinHandle::join) {
        Ok(Ok((0, _))) => "none can be seen".to_owned(),
        Ok(Ok((seen, reached))) if reached == seen && !privileges::reads_processes() => {
            format!("{seen} seen, and entered: with CAP_SYS_PTRACE those of all processes could be seen")
        }
        Ok(Ok((seen, reached))) if reached == seen => format!("{reached}, all of which can be entered"),
        Ok(Ok((seen, reached))) => format!(
            "{seen} seen, {reached} of which can be entered: with CAP_SYS_ADMIN and CAP_SYS_PTRACE all could"
        ),
        Ok(Err(_)) => "unknown".to_owned(),
        Err(error) => format!("{found} seen; to enter them takes a thread, which cannot be had: {error}"),
    }
}
