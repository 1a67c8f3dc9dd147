//! Installs the packages and tools that builds and tests need, and says so.

use std::{
    path::PathBuf,
    process::{Command, Stdio},
};

use anyhow::{Result, bail};

use crate::{
    command::{as_root, cargo, exists, run},
    root,
};

/// For the kernel programs: a compiler with `core` for the BPF target, and LLVM for the linker.
pub(crate) const EBPF: &[&str] = &["rustc-web", "libstd-rust-web-dev-bpf", "llvm-22", "llvm-22-dev"];

/// For the tests: tools to compare tracer with, programs that make traffic, terminals and shells.
pub(crate) const TESTS: &[&str] = &[
    "bpftrace",
    "bpftool",
    "iproute2",
    "net-tools",
    "nginx-light",
    "curl",
    "redis-server",
    "redis-tools",
    "postgresql",
    "python3-psycopg2",
    "haproxy",
    "nodejs",
    "python3",
    "python3-venv",
    "libcap2-bin",
    "net-tools",
    "nftables",
    "procps",
    "systemd",
    "chromium",
    "tmux",
    "zsh",
    "fish",
    "groff-base",
    "openssl",
    "busybox-static",
    "podman",
    "containerd",
    "runc",
];

/// For the bench: a compiler for its C programs, other tools to compare tracer with, and a service with its
/// clients.
pub(crate) const BENCH: &[&str] =
    &["clang-22", "libbpf-dev", "bpftool", "bpftrace", "libbpf-tools", "nginx-light", "wrk"];

/// For counting instructions.
pub(crate) const INSTRUCTIONS: &[&str] = &["valgrind"];

/// For other kernels: emulators of two architectures, a linker for the foreign one, and tools for initramfs
/// archives and kernel modules.
pub(crate) const VM: &[&str] = &[
    "qemu-system-x86",
    "qemu-system-arm",
    "seabios",
    "ipxe-qemu",
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "cpio",
    "kmod",
];

/// For packages: a linker for the foreign architecture, a clean system to install in, and tools that read what
/// others made.
pub(crate) const PACKAGE: &[&str] = &[
    "gcc-aarch64-linux-gnu",
    "libc6-dev-arm64-cross",
    "binutils",
    "debootstrap",
    "lintian",
    "rpm",
    "skopeo",
    "umoci",
    "runc",
    "qemu-user",
    "systemd",
];

/// Debian's PostgreSQL makes a database when it is installed, and starts it, unless a file in this folder says no. The
/// tests make their own.
const CLUSTER_SETTINGS: &str = "/etc/postgresql-common/createcluster.d/tracer.conf";
const NO_CLUSTER: &str = "mkdir -p /etc/postgresql-common/createcluster.d && \
    echo create_main_cluster = false > /etc/postgresql-common/createcluster.d/tracer.conf";

/// The version of bpf-linker that works with the LLVM in [`EBPF`].
const BPF_LINKER: &str = "0.13.0";
const LLVM_PREFIX: &str = "/usr/lib/llvm-22";

/// Everything that `cargo xtask test` needs.
pub(crate) fn all() -> Vec<&'static str> {
    let mut all = [EBPF, TESTS, BENCH, INSTRUCTIONS, VM].concat();
    all.sort_unstable();
    all.dedup();
    all
}

/// Installs the Debian packages that are missing.
pub(crate) fn packages(names: &[&str]) -> Result<()> {
    if !exists("apt-get") {
        println!(
            "setup: this is not Debian; the programs of these packages must be installed: {}",
            names.join(" ")
        );
        return Ok(());
    }
    let missing: Vec<_> = names.iter().copied().filter(|name| !is_installed(name)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("setup: installing the Debian packages {}", missing.join(" "));
    run(as_root("apt-get").args(["-qq", "update"]))?;
    let has_postgresql = missing.contains(&"postgresql");
    if has_postgresql {
        run(as_root("sh").args(["-c", NO_CLUSTER]))?;
    }
    let mut install = as_root("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").stdout(Stdio::null());
    let installed = run(install.args(["-qq", "-y", "--no-install-recommends", "install"]).args(missing));
    if has_postgresql {
        run(as_root("rm").args(["-f", CLUSTER_SETTINGS]))?;
    }
    installed
}

fn is_installed(package: &str) -> bool {
    Command::new("dpkg-query")
        .args(["-W", "-f=${Status}", package])
        .stderr(Stdio::null())
        .output()
        .is_ok_and(|output| output.stdout == b"install ok installed")
}

/// The linker for the BPF target: the one on the path if it has the right version, else our own below
/// `target`, which is installed if need be.
pub(crate) fn bpf_linker() -> Result<PathBuf> {
    let own_root = root().join("target/tools");
    let own = own_root.join("bin/bpf-linker");
    if let Some(linker) = [PathBuf::from("bpf-linker"), own.clone()].into_iter().find(is_right_linker) {
        return Ok(linker);
    }
    println!("setup: installing bpf-linker {BPF_LINKER} into target/tools");
    let mut install = cargo();
    install.env("LLVM_PREFIX", LLVM_PREFIX).args(["install", "--quiet", "--locked", "bpf-linker", "--root"]);
    install.arg(own_root).args(["--version", BPF_LINKER, "--no-default-features", "--features", "llvm-22"]);
    run(&mut install)?;
    Ok(own)
}

/// The versions of cargo's tools for packages.
pub(crate) const CARGO_DEB: &str = "3.8.0";
pub(crate) const CARGO_GENERATE_RPM: &str = "0.21.1";
pub(crate) const CARGO_CYCLONEDX: &str = "0.5.9";

/// A tool of cargo in this version: our own below `target`, which is installed if need be.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let own_root = root().join("target/tools");
    let (own, stamp) = (own_root.join("bin").join(name), own_root.join(format!("{name}-{version}")));
    if !(own.exists() && stamp.exists()) {
        println!("setup: installing {name} {version} into target/tools");
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--force", name, "--version", version, "--root"]);
        // Debian's compiler and ours make other files.
        run(install.arg(own_root).env_remove("CARGO_TARGET_DIR"))?;
        std::fs::write(stamp, "")?;
    }
    Ok(own)
}

fn is_right_linker(linker: &PathBuf) -> bool {
    let version = Command::new(linker).arg("--version").output();
    version.is_ok_and(|output| String::from_utf8_lossy(&output.stdout).contains(BPF_LINKER))
}

/// The compiler for fuzzing.
pub(crate) const NIGHTLY: &str = "nightly";

/// The tool for fuzzing: our own below `target`, which is installed if need be.
pub(crate) fn cargo_fuzz() -> Result<PathBuf> {
    let own_root = root().join("target/tools");
    let own = own_root.join("bin/cargo-fuzz");
    let has_nightly = Command::new("rustup").args(["run", NIGHTLY, "rustc", "--version"]).output();
    if !has_nightly.is_ok_and(|output| output.status.success()) {
        bail!("fuzzing needs a nightly compiler: rustup toolchain install {NIGHTLY} --profile minimal");
    }
    if !own.exists() {
        println!("setup: installing cargo-fuzz into target/tools");
        run(cargo().args(["install", "--quiet", "--locked", "cargo-fuzz", "--root"]).arg(own_root))?;
    }
    Ok(own)
}

/// Prometheus, unpacked below `target`: Debian's package would start it.
pub(crate) fn prometheus() -> Result<()> {
    let folder = root().join("target/tools/prometheus");
    if folder.join("usr/bin/prometheus").exists() || !exists("apt-get") {
        return Ok(());
    }
    println!("setup: unpacking Prometheus into target/tools");
    std::fs::create_dir_all(&folder)?;
    run(as_root("apt-get").args(["-qq", "update"]))?;
    // The user that downloads otherwise may not write there.
    let download = ["-qq", "-o", "APT::Sandbox::User=root", "download", "prometheus"];
    run(as_root("apt-get").args(download).current_dir(&folder).stdout(Stdio::null()))?;
    run(Command::new("sh")
        .args(["-c", "dpkg-deb -x prometheus_*.deb . && rm prometheus_*.deb"])
        .current_dir(&folder))
}

/// Python packages for the tests, which read what tracer exports and sends, and check its statistics.
const PYTHON: &[&str] = &[
    "duckdb==2.0.1",
    "polars==2.1.0",
    "opentelemetry-proto==1.45.2",
    "scipy==1.17.1",
    "kubernetes-validate==1.37.0",
];

/// More engines that read it, for `--long`: together 1.5 GB. ClickHouse's is in chdb.
const ENGINES: &[&str] = &["chdb==4.4.0", "pyspark==4.3.0"];

/// Installs Python packages for the tests.
pub(crate) fn python() -> Result<()> {
    environment("python", PYTHON)
}

/// Installs more engines that read what tracer exports.
pub(crate) fn engines() -> Result<()> {
    if !exists("java") {
        packages(&["default-jre-headless"])?;
    }
    environment("engines", ENGINES)
}

/// Installs Python packages into an environment of their own, below `target`.
fn environment(name: &str, packages: &[&str]) -> Result<()> {
    let environment = root().join("target/tools").join(name);
    let installed = environment.join("installed");
    let wanted = packages.join(" ");
    if std::fs::read_to_string(&installed).is_ok_and(|installed| installed == wanted) {
        return Ok(());
    }
    println!("setup: installing the Python packages {wanted} into target/tools");
    run(Command::new("python3").args(["-m", "venv"]).arg(&environment))?;
    run(Command::new(environment.join("bin/pip")).args(["install", "--quiet"]).args(packages))?;
    Ok(std::fs::write(installed, wanted)?)
}

/// The version of axe-core, which looks at pages as somebody would who cannot see them.
const AXE: &str = "4.14.1";

/// Installs axe-core for the tests of pages, below `target`.
pub(crate) fn axe() -> Result<()> {
    let folder = root().join("target/tools/axe");
    let installed = std::fs::read_to_string(folder.join("installed"));
    if installed.is_ok_and(|installed| installed == AXE) {
        return Ok(());
    }
    if !exists("npm") {
        packages(&["npm"])?;
    }
    println!("setup: installing axe-core {AXE} into target/tools");
    std::fs::create_dir_all(&folder)?;
    let options = ["install", "--silent", "--ignore-scripts", "--no-save", "--prefix"];
    run(Command::new("npm").args(options).arg(&folder).arg(format!("axe-core@{AXE}")))?;
    Ok(std::fs::write(folder.join("installed"), AXE)?)
}

/// Mounts tracefs if it is not mounted: tests compare with the kernel's own trace.
pub(crate) fn tracefs() -> Result<()> {
    if std::path::Path::new("/sys/kernel/tracing/events").exists() {
        return Ok(());
    }
    println!("setup: mounting tracefs");
    run(as_root("mount").args(["-t", "tracefs", "tracefs", "/sys/kernel/tracing"]))
}

/// Fails if the kernel has no BTF: tests are never skipped.
pub(crate) fn kernel() -> Result<()> {
    if !std::path::Path::new("/sys/kernel/btf/vmlinux").exists() {
        bail!("the tests need a kernel with BTF (/sys/kernel/btf/vmlinux)");
    }
    Ok(())
}
