//! The systemd unit and the Kubernetes manifests that come with the product.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    net::{IpAddr, Ipv4Addr},
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    engines::python,
    patience::until,
    place::Place,
    program::{Program, output, run},
    served::{address, get, metrics},
    tracer,
    traffic::connect,
};

fn packaged(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../packaging").join(path).canonicalize().unwrap()
}

/// The words of all lines of a unit that set this.
fn words(unit: &str, name: &str) -> Vec<String> {
    let unit = fs::read_to_string(packaged(unit)).unwrap();
    let values = unit.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    values.flat_map(str::split_whitespace).map(str::to_owned).collect()
}

/// How exposed systemd finds a unit: from 0, not at all, to 10.
#[test]
fn the_unit_is_hardly_exposed() {
    let mut analyze = Command::new("systemd-analyze");
    analyze.args(["security", "--offline=true", "--no-pager", "--threshold=20"]);
    let analyzed = output(analyze.arg(packaged("systemd/tracer.service")));
    let said = String::from_utf8_lossy(&analyzed.stdout);
    let level = said.lines().find_map(|line| line.split_once("Overall exposure level for tracer.service: "));
    let level: f64 = level.unwrap_or_else(|| panic!("{said}")).1.split(' ').next().unwrap().parse().unwrap();
    assert!(level <= 2.0 && analyzed.status.success(), "{said}");
}

/// systemd knows every setting of the unit and of the drop-in.
#[test]
fn the_unit_is_understood() {
    let folder = tempfile::tempdir().unwrap();
    let drop_in = folder.path().join("tracer.service.d");
    fs::create_dir(&drop_in).unwrap();
    fs::copy(packaged("systemd/namespaces.conf"), drop_in.join("namespaces.conf")).unwrap();
    let unit = fs::read_to_string(packaged("systemd/tracer.service")).unwrap();
    // Neither is installed here.
    let unit = unit.replace("/usr/bin/tracer", "/bin/true").replace("man:tracer-serve(1) ", "");
    let path = folder.path().join("tracer.service");
    fs::write(&path, unit).unwrap();
    let mut verify = Command::new("systemd-analyze");
    let verified = output(verify.args(["verify", "--recursive-errors=one"]).arg(&path));
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && said.is_empty(), "{said}");
}

/// The capabilities of the unit are enough for a user that has no others, and can get no others.
#[test]
fn the_units_capabilities_are_enough() {
    let capabilities = words("systemd/tracer.service", "AmbientCapabilities");
    assert_eq!(capabilities, ["CAP_BPF", "CAP_PERFMON"]);
    assert_eq!(capabilities, words("systemd/tracer.service", "CapabilityBoundingSet"));
    assert_eq!(words("systemd/namespaces.conf", "AmbientCapabilities"), ["CAP_SYS_ADMIN", "CAP_SYS_PTRACE"]);
    let only = capabilities.iter().map(|name| name.to_lowercase().replace("cap_", ",+")).collect::<String>();
    let only = format!("-all{only}");
    let (_folder, binary) = tracer::public_binary();
    let unprivileged = |arguments: &str| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs"]);
        command.args(["--inh-caps", &only, "--ambient-caps", &only, "--bounding-set", &only]);
        command.arg(&binary).args(arguments.split_whitespace()).env("LC_ALL", "C.UTF-8");
        Program::collect(&mut command)
    };
    let ended = unprivileged("check").wait();
    assert!(ended.code() == 0 && ended.out.contains("loaded and attached"), "{}{}", ended.out, ended.err);
    let place = Place::new();
    let tracer = unprivileged(&format!("serve --listen 127.0.0.1:0 --netns {}", place.inum()));
    let tracer = tracer::started(tracer);
    let address = address(&tracer);
    for port in 1..=5 {
        place.run(|| connect((IpAddr::V4(Ipv4Addr::LOCALHOST), port).into())).unwrap_err();
    }
    until("what happens elsewhere", || {
        let refused = "tracer_tcp_ends_total{reason=\"refused\",closed_by=\"remote\"}";
        let metrics = metrics(address);
        (metrics.get(refused).is_some_and(|count| *count >= 5.0)).then_some(())
    });
    assert_eq!(get(address, "/readyz", &[]).0, 200);
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
}

/// The manifests are what Kubernetes' own schemas allow, and no word more.
#[test]
fn manifests_have_kubernetes_schema() {
    let manifest = packaged("kubernetes/tracer.yaml");
    let validate = python("python").with_file_name("kubernetes-validate");
    let check = |file: &Path| output(Command::new(&validate).arg("--strict").arg(file));
    let checked = check(&manifest);
    let said = String::from_utf8_lossy(&checked.stdout) + String::from_utf8_lossy(&checked.stderr);
    assert!(checked.status.success() && said.matches("passed").count() == 4, "{said}");
    // Which does find what is wrong.
    let folder = tempfile::tempdir().unwrap();
    let faulty = folder.path().join("faulty.yaml");
    let text = fs::read_to_string(&manifest).unwrap();
    fs::write(&faulty, text.replace("hostPID: true", "hostPid: true")).unwrap();
    assert!(!check(&faulty).status.success());
    // The unit and the pod have the same capabilities.
    let capabilities = words("systemd/tracer.service", "AmbientCapabilities");
    let added = capabilities.iter().map(|name| format!("\"{}\"", name.trim_start_matches("CAP_")));
    assert!(text.contains(&format!("add: [{}]", added.collect::<Vec<_>>().join(", "))));
    // The manifest runs the version that this is.
    let version = run(&mut tracer::command("--version"));
    let version = version.trim().rsplit(' ').next().unwrap();
    assert!(text.contains(&format!("image: ghcr.io/tracer-rs/tracer:{version}\n")), "{version}");
}
