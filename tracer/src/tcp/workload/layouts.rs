//! Names of cgroups, as runtimes and systemd make them.

use crate::tcp::workload::Runtime;

/// Digits of the identifier that runtimes give a container (OCI: Docker, containerd, CRI-O, Podman).
const ID_LEN: usize = 64;

/// What stands before such an identifier.
const PREFIXES: [(&str, Runtime); 6] = [
    ("docker", Runtime::Docker),
    ("cri-containerd", Runtime::Containerd),
    ("nerdctl", Runtime::Containerd),
    ("crio", Runtime::Crio),
    ("libpod", Runtime::Podman),
    ("libpod-payload", Runtime::Podman),
];

/// What stands before the identifier where not the container runs, but what watches it.
const MONITORS: [&str; 2] = ["crio-conmon", "libpod-conmon"];

/// What units end with in whose cgroups processes run.
const UNITS: [&str; 5] = [".service", ".scope", ".socket", ".mount", ".swap"];

/// Whether it is an identifier of a container.
pub(super) fn is_id(id: &str) -> bool {
    id.len() == ID_LEN && id.bytes().all(is_hex)
}

/// Whether the name is that of a unit.
pub(super) fn is_unit(name: &str) -> bool {
    UNITS.iter().any(|end| name.strip_suffix(end).is_some_and(|name| !name.is_empty()))
}

/// The container whose own cgroup has this name, with the names above it, outermost first, and the next one below.
pub(super) fn container(
    above: &[&str],
    name: &str,
    below: Option<&str>,
) -> Option<(Option<Runtime>, String)> {
    let by_name = |runtime, name: &str| Some((Some(runtime), name.to_owned()));
    if let Some((runtime, id)) = with_id(above, name) {
        return Some((runtime, id.to_owned()));
    }
    if let Some(name) = name.strip_prefix("lxc.payload.").filter(|name| !name.is_empty()) {
        return by_name(Runtime::Lxc, name);
    }
    if matches!(above.last(), Some(&("lxc" | "lxc.payload"))) {
        return by_name(Runtime::Lxc, name);
    }
    if let Some(machine) = machine(name, below) {
        return Some((Some(Runtime::Nspawn), unescaped(machine)));
    }
    let task = name.strip_suffix(".scope").unwrap_or(name);
    let is_task = task.split_once('.').is_some_and(|(alloc, task)| is_uuid(alloc) && !task.is_empty());
    (is_task && above.iter().any(|name| matches!(*name, "nomad" | "nomad.slice")))
        .then(|| (Some(Runtime::Nomad), task.to_owned()))
}

/// A container with an identifier of 64 digits.
fn with_id<'a>(above: &[&str], name: &'a str) -> Option<(Option<Runtime>, &'a str)> {
    let name = name.strip_suffix(".scope").unwrap_or(name);
    // With `:` where a runtime was told that systemd makes cgroups, and it made them itself.
    let (before, id) = name.rsplit_once(['-', ':']).unwrap_or(("", name));
    let prefix = before.rsplit(':').next().unwrap_or_default();
    if !is_id(id) || MONITORS.contains(&prefix) {
        return None;
    }
    let prefix = if prefix.is_empty() { above.last().copied().unwrap_or_default() } else { prefix };
    let runtime = PREFIXES.iter().find(|(known, _)| *known == prefix);
    Some((runtime.map(|(_, runtime)| *runtime), id))
}

/// The machine of systemd-nspawn that this unit runs. Virtual machines have scopes of such names, too.
fn machine<'a>(unit: &'a str, below: Option<&str>) -> Option<&'a str> {
    let template = unit.strip_prefix("systemd-nspawn@").and_then(|unit| unit.strip_suffix(".service"));
    let scope = unit.strip_prefix("machine-").and_then(|unit| unit.strip_suffix(".scope"));
    let machine = match below {
        Some("payload") => template.or(scope),
        None => template,
        Some(_) => None,
    };
    machine.filter(|machine| !machine.is_empty())
}

/// Whether this is the manager of a user who is not root (user@.service(5)).
pub(super) fn is_users_manager(unit: &str) -> bool {
    let user = unit.strip_prefix("user@").and_then(|unit| unit.strip_suffix(".service"));
    user.is_some_and(|user| user != "0")
}

/// The identifier of the innermost pod of Kubernetes.
pub(super) fn pod_uid(names: &[&str]) -> Option<String> {
    let kubepods = names.iter().position(|name| name.contains("kubepods"))?;
    names[kubepods..].iter().rev().find_map(|name| {
        let name = name.split(':').next().unwrap_or_default();
        let name = name.strip_suffix(".slice").unwrap_or(name);
        let uid = name.strip_prefix("pod").or_else(|| Some(name.rsplit_once("-pod")?.1))?;
        // systemd takes `-` for the step into a slice.
        let uid = uid.replace('_', "-");
        // Those that the kubelet itself reads from a file have a hash.
        let is_uid = is_uuid(&uid) || uid.len() == 32 && uid.bytes().all(is_hex);
        is_uid.then_some(uid)
    })
}

fn is_hex(byte: u8) -> bool {
    byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte)
}

fn is_uuid(text: &str) -> bool {
    let mut parts = text.split('-');
    let is_next = |len: usize, part: Option<&str>| {
        part.is_some_and(|part| part.len() == len && part.bytes().all(is_hex))
    };
    [8, 4, 4, 4, 12].into_iter().all(|len| is_next(len, parts.next())) && parts.next().is_none()
}

/// A name without systemd's escapes for what users give as names of machines: `-` is `\x2d`. In a path that output shows
/// the backslash is doubled.
fn unescaped(name: &str) -> String {
    name.replace("\\\\x2d", "-").replace("\\x2d", "-")
}
