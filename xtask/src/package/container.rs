//! Runs the image as Kubernetes would with the manifest in `packaging/`: the node's processes, a network of its own,
//! two capabilities, a root that nobody can write, and a seccomp profile.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::{Value, json};

use crate::{
    command::{as_root, output, run},
    package::{image, site::Site},
    vm::arch::Arch,
};

/// All that the container may do.
const CAPABILITIES: [&str; 2] = ["CAP_BPF", "CAP_PERFMON"];

/// The default profile of Podman and CRI-O. In it `bpf` takes CAP_SYS_ADMIN; in containerd's (since 1.7) and Docker's
/// (since 23) CAP_BPF is enough.
const PROFILE: &str = "/usr/share/containers/seccomp.json";
const PERMITTED: [(&str, &str); 2] = [("bpf", "CAP_BPF"), ("perf_event_open", "CAP_PERFMON")];

/// An unpacked image.
pub(super) struct Container(PathBuf);

impl Container {
    /// Unpacks it with tools that did not make it.
    pub(super) fn new(site: &Site, archs: &[Arch]) -> Result<Self> {
        let archive = format!("oci-archive:{}", image::file(site).display());
        for arch in archs {
            let inspect = ["--override-arch", arch.name(), "inspect", "--config", &archive];
            let config: Value = serde_json::from_str(&output(Command::new("skopeo").args(inspect))?)?;
            ensure!(config["architecture"] == arch.name(), "{config}");
            ensure!(config["config"]["Entrypoint"] == json!(["/usr/bin/tracer"]), "{config}");
        }
        let layout = format!("{}:it", site.empty("image-copy")?.display());
        let copy = ["--insecure-policy", "copy", "--quiet", &archive, &format!("oci:{layout}")];
        run(Command::new("skopeo").args(copy))?;
        let bundle = site.work().join("bundle");
        run(as_root("rm").arg("-rf").arg(&bundle))?;
        run(as_root("umoci").args(["unpack", "--image", &layout]).arg(&bundle))?;
        Ok(Self(bundle))
    }

    /// A command that runs it with these arguments, once.
    pub(super) fn command(&self, arguments: &[&str]) -> Result<Command> {
        let path = self.0.join("config.json");
        let mut config: Value = serde_json::from_str(&fs::read_to_string(&path)?)?;
        let process = &mut config["process"];
        let program = process["args"][0].as_str().context("an entry point")?.to_owned();
        process["args"] =
            [&program].into_iter().map(String::as_str).chain(arguments.iter().copied()).collect();
        process["terminal"] = false.into();
        process["noNewPrivileges"] = true.into();
        process["capabilities"] =
            json!({ "bounding": CAPABILITIES, "effective": CAPABILITIES, "permitted": CAPABILITIES });
        config["root"]["readonly"] = true.into();
        let kinds = ["mount", "network", "uts", "ipc"];
        config["linux"]["namespaces"] = kinds.iter().map(|kind| json!({ "type": kind })).collect();
        config["linux"]["seccomp"] = profile(Path::new(PROFILE))?;
        fs::write(path, config.to_string())?;
        let mut runc = as_root("runc");
        runc.args(["run", "--bundle"]).arg(&self.0).arg(format!("tracer-package-{}", std::process::id()));
        Ok(runc)
    }
}

/// A runtime's profile as it comes out for these capabilities.
fn profile(path: &Path) -> Result<Value> {
    let mut profile: Value = serde_json::from_str(
        &fs::read_to_string(path).with_context(|| format!("reading {}", path.display()))?,
    )?;
    let has = |caps: &Value| {
        caps.as_array().is_some_and(|caps| caps.iter().any(|cap| CAPABILITIES.iter().any(|it| cap == it)))
    };
    let rules = profile["syscalls"].as_array_mut().context("system calls")?;
    rules.retain(|rule| {
        let wants = &rule["includes"]["caps"];
        (wants.is_null() || has(wants)) && !has(&rule["excludes"]["caps"])
    });
    for rule in rules.iter_mut() {
        let names = rule["names"].as_array_mut().context("names")?;
        names.retain(|name| PERMITTED.iter().all(|(call, _)| name != call));
        rule.as_object_mut()
            .context("a rule")?
            .retain(|key, _| ["names", "action", "errnoRet", "args"].contains(&&**key));
    }
    rules.retain(|rule| rule["names"].as_array().is_some_and(|names| !names.is_empty()));
    let permitted =
        PERMITTED.iter().filter(|(_, capability)| CAPABILITIES.contains(capability)).map(|(call, _)| *call);
    rules.push(json!({ "names": permitted.collect::<Vec<_>>(), "action": "SCMP_ACT_ALLOW" }));
    Ok(json!({
        "defaultAction": profile["defaultAction"],
        "defaultErrnoRet": profile["defaultErrnoRet"],
        "architectures": ["SCMP_ARCH_X86_64"],
        "syscalls": profile["syscalls"],
    }))
}
