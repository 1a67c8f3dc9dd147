//! `tracer check`: can it run here, with which features?

use std::{io::Write as _, path::Path, process::ExitCode};

use anstyle::{AnsiColor, Style};

use crate::{
    buffer::BufferSize,
    cli::CheckArgs,
    config::use_colour,
    filter::Filter,
    source::kernel::{
        HOOK,
        load::{self, Options},
        preflight,
    },
};

/// One line of the checklist.
struct Check {
    name: &'static str,
    /// What was found; or what is missing and what to do.
    result: Result<String, String>,
}

/// Prints the checklist; fails if the tracer cannot run.
#[must_use]
pub fn check(args: &CheckArgs) -> ExitCode {
    let checks = [
        Check { name: "kernel", result: kernel() },
        Check { name: "types (BTF)", result: types(args.btf.as_deref()) },
        Check { name: "hook", result: hook(args.btf.as_deref()) },
        Check { name: "privileges", result: privileges() },
        Check { name: "lockdown", result: lockdown() },
        Check { name: "program and ring buffer", result: program(args) },
    ];
    let colour = use_colour(args.color);
    let mut out = Vec::new();
    for Check { name, result } in &checks {
        let (mark, colour_of_mark, text) = match result {
            Ok(found) => ("✓", AnsiColor::Green, found),
            Err(missing) => ("✗", AnsiColor::Red, missing),
        };
        let style = if colour { Style::new().fg_color(Some(colour_of_mark.into())) } else { Style::new() };
        // Memory does not refuse bytes.
        let _ = writeln!(out, "{style}{mark}{style:#} {name:<24} {text}");
    }
    let can_run = checks.iter().all(|check| check.result.is_ok());
    let _ = writeln!(out, "{}", if can_run { "tracer can run here" } else { "tracer cannot run here" });
    let is_written = std::io::stdout().write_all(&out).is_ok();
    if can_run && is_written { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn kernel() -> Result<String, String> {
    let release = preflight::kernel().map_err(|error| error.to_string())?;
    Ok(format!("Linux {release}, {} or newer is needed", preflight::MINIMUM))
}

fn types(path: Option<&Path>) -> Result<String, String> {
    preflight::btf(path).map_err(|error| error.to_string())?;
    Ok(path.unwrap_or(Path::new(preflight::KERNEL_BTF)).display().to_string())
}

fn hook(path: Option<&Path>) -> Result<String, String> {
    let btf = preflight::btf(path).map_err(|_| "not looked for without types".to_owned())?;
    let layout = preflight::hook(&btf).map_err(|error| error.to_string())?;
    let absent: Vec<_> = layout.absent().map(|spec| spec.path).collect();
    Ok(if absent.is_empty() {
        format!("sock:{HOOK}, with all that is read there")
    } else {
        format!("sock:{HOOK}; this kernel does not tell {}", absent.join(", "))
    })
}

fn privileges() -> Result<String, String> {
    preflight::privileges().map_err(|error| error.to_string())?;
    Ok("CAP_BPF and CAP_PERFMON".to_owned())
}

fn lockdown() -> Result<String, String> {
    preflight::lockdown().map_err(|error| error.to_string())?;
    Ok("none that forbids reading kernel memory".to_owned())
}

/// Loads and attaches for a moment: the only proof there is.
fn program(args: &CheckArgs) -> Result<String, String> {
    let buffer = BufferSize::default();
    let options =
        Options { buffer, filter: Filter::default(), hold_open: false, debug: false, btf: args.btf.clone() };
    match load::load(&options) {
        Ok(_) => Ok(format!("loaded and attached, with a buffer of {buffer}")),
        Err(load::Error::Preflight(_)) => Err("not tried, see above".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}
