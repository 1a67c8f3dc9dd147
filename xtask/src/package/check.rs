//! What must be true of packages: installed in a clean system they run on this kernel, and once removed they have left
//! nothing.

use std::{
    collections::BTreeSet,
    io::{BufRead as _, BufReader, Read as _},
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail, ensure};

use crate::{
    command::{as_root, output, run},
    package::{
        chroot::{self, Chroot},
        container::Container,
        deb, rpm,
        site::Site,
        tarball,
    },
    vm::arch::Arch,
};

/// Checks all packages of these architectures. Those of the other architecture are looked at; this machine's are
/// installed, too.
pub(super) fn all(site: &Site, archs: &[Arch]) -> Result<()> {
    for &arch in archs {
        lintian(&deb::file(site, arch))?;
        contents(site, arch)?;
        runs_emulated(site, arch)?;
    }
    if archs.contains(&Arch::Amd64) {
        let chroot = Chroot::new(site, chroot::HERE)?;
        let before = chroot.names()?;
        debian_package(site, &chroot).context("the .deb")?;
        same(&before, &chroot.names()?).context("after the .deb is purged")?;
        rpm_package(site, &chroot).context("the .rpm")?;
        same(&before, &own(&chroot, &before)?).context("after the .rpm is erased")?;
        static_program(site, &Chroot::new(site, chroot::ELSEWHERE)?).context("the tarball")?;
        container(site, archs).context("the image")?;
    }
    println!("package: all of it was installed, ran and left nothing");
    Ok(())
}

fn lintian(package: &Path) -> Result<()> {
    // It reads the package, and nobody is asked for a changelog of Debian's bugs.
    let mut lintian = Command::new("lintian");
    lintian.args([
        "--fail-on",
        "error",
        "--suppress-tags",
        "initial-upload-closes-no-bugs",
        "--tag-display-limit",
        "0",
    ]);
    run(lintian.arg("--allow-root").arg(package)).context("lintian")
}

/// Both kinds of packages have the same files, but for where distributions differ.
fn contents(site: &Site, arch: Arch) -> Result<()> {
    let listed = output(Command::new("dpkg-deb").arg("--contents").arg(deb::file(site, arch)))?;
    let of_deb: BTreeSet<_> = listed
        .lines()
        .filter(|line| !line.starts_with('d'))
        .filter_map(|line| line.split_whitespace().nth(5))
        .map(|name| name.trim_start_matches('.').to_owned())
        .collect();
    let query = "[%{FILEMODES:perms} %{FILENAMES}\n]";
    let mut rpm = Command::new("rpm");
    let listed = output(rpm.args(["-qp", "--nosignature", "--qf", query]).arg(rpm::file(site, arch)))?;
    let of_rpm: BTreeSet<_> = listed
        .lines()
        .filter(|line| !line.starts_with('d'))
        .filter_map(|line| Some(line.split_once(' ')?.1.to_owned()))
        .collect();
    let elsewhere = |name: &&String| {
        ["/zsh/", "/licenses/", "/copyright", "changelog.Debian"].iter().any(|part| name.contains(part))
    };
    let differs: Vec<_> = of_deb.symmetric_difference(&of_rpm).filter(|name| !elsewhere(name)).collect();
    ensure!(differs.is_empty(), "only in one of .deb and .rpm: {differs:?}");
    for wanted in [
        "/etc/tracer/serve.conf",
        "/usr/bin/tracer",
        "/usr/lib/systemd/system/tracer.service",
        "/usr/share/bash-completion/completions/tracer",
        "/usr/share/doc/tracer/examples/prometheus/alerts.yml",
        "/usr/share/doc/tracer/examples/kubernetes/tracer.yaml",
        "/usr/share/doc/tracer/third-party-licences.gz",
        "/usr/share/doc/tracer/tracer.cdx.json",
        "/usr/share/man/man1/tracer.1.gz",
        "/usr/share/man/man1/tracer-serve.1.gz",
    ] {
        ensure!(of_rpm.contains(wanted), "{wanted} is missing");
    }
    let requires =
        output(Command::new("rpm").args(["-qp", "--requires", "--nosignature"]).arg(rpm::file(site, arch)))?;
    ensure!(requires.contains("libc.so.6(GLIBC_2.34)(64bit)"), "{requires}");
    Ok(())
}

/// The programs run on a machine of their architecture; without its kernel's own part, which no emulator has.
fn runs_emulated(site: &Site, arch: Arch) -> Result<()> {
    if !arch.is_foreign() {
        return Ok(());
    }
    for program in ["static", "dynamic"] {
        let path = site.work().join("programs").join(arch.name()).join(program);
        let mut emulator = Command::new(format!("qemu-{}", arch.machine_name()));
        let said = output(
            emulator
                .args(["-L", &format!("/usr/{}", arch.tool("").trim_end_matches('-'))])
                .arg(path)
                .arg("--version"),
        )?;
        ensure!(said.trim() == format!("tracer {}", site.version), "{said}");
    }
    Ok(())
}

fn debian_package(site: &Site, chroot: &Chroot) -> Result<()> {
    let package = chroot.take(&deb::file(site, Arch::Amd64))?;
    chroot.says("dpkg", &["--install", &package])?;
    works(site, |arguments| Ok(chroot.with("tracer", arguments)))?;
    documented(chroot)?;
    knows_users(chroot, "tracer")?;
    // Its configuration is the user's.
    chroot.says("dpkg", &["--remove", "tracer"])?;
    ensure!(chroot.0.join("etc/tracer/serve.conf").exists(), "the configuration is gone after --remove");
    chroot.says("dpkg", &["--purge", "tracer"]).map(drop)
}

fn rpm_package(site: &Site, chroot: &Chroot) -> Result<()> {
    let rpm = |arguments: &[&str]| {
        let mut rpm = as_root("rpm");
        rpm.arg("--root").arg(&chroot.0).args(arguments);
        rpm
    };
    run(&mut rpm(&["--initdb"]))?;
    // What it needs is in Debian's database, and not in rpm's.
    let package = rpm::file(site, Arch::Amd64);
    run(rpm(&["--install", "--nodeps", "--nosignature"]).arg(package))?;
    run(&mut rpm(&["--verify", "--nodeps", "tracer"]))?;
    works(site, |arguments| Ok(chroot.with("tracer", arguments)))?;
    documented(chroot)?;
    run(&mut rpm(&["--erase", "tracer"]))
}

fn static_program(site: &Site, chroot: &Chroot) -> Result<()> {
    let name = tarball::name(site, Arch::Amd64);
    let archive = chroot.take(&site.out().join(format!("{name}.tar.gz")))?;
    chroot.says("tar", &["-xf", &archive, "-C", "/tmp"])?;
    let program = format!("/tmp/{name}/tracer");
    works(site, |arguments| Ok(chroot.with(&program, arguments)))?;
    knows_users(chroot, &program)
}

/// It tells its version, finds that it can run here, and sees a connection on this kernel.
fn works(site: &Site, tracer: impl Fn(&[&str]) -> Result<Command>) -> Result<()> {
    let version = output(&mut tracer(&["--version"])?)?;
    ensure!(version.trim() == format!("tracer {}", site.version), "{version}");
    let check = output(&mut tracer(&["check"])?)?;
    ensure!(check.contains("loaded and attached"), "{check}");
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port().to_string();
    let mut tracer = tracer(&["-o", "json", "--port", &port, "--count", "4", "--duration", "60s"])?;
    let mut tracer = tracer.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let mut said = BufReader::new(tracer.stderr.take().context("a pipe")?);
    let mut line = String::new();
    while line != "tracer: ready\n" {
        line.clear();
        ensure!(said.read_line(&mut line)? > 0, "it ended before it was ready");
    }
    drop(TcpStream::connect(listener.local_addr()?)?);
    drop(listener.accept()?);
    let mut shown = String::new();
    tracer.stdout.take().context("a pipe")?.read_to_string(&mut shown)?;
    let status = tracer.wait()?;
    ensure!(status.success() && shown.lines().count() == 4, "{status}\n{shown}");
    ensure!(shown.contains("\"new_state\":\"ESTABLISHED\""), "{shown}");
    Ok(())
}

/// Its manual is found, and there are completions.
fn documented(chroot: &Chroot) -> Result<()> {
    for (page, word) in [("tracer", "tracer-summary"), ("tracer-serve", "--listen")] {
        let shown = chroot.says("man", &[page])?;
        ensure!(shown.contains("NAME") && shown.contains(word), "{page}: {shown}");
    }
    let script = chroot
        .says("bash", &["-c", ". /usr/share/bash-completion/completions/tracer && complete -p tracer"])?;
    ensure!(script.contains("tracer"), "{script}");
    Ok(())
}

/// Users are found in the system's file, and nobody else is.
fn knows_users(chroot: &Chroot, program: &str) -> Result<()> {
    for (user, code) in [("games", 0), ("nobody-of-this-name", 2)] {
        let status = chroot.command(program).args(["--uid", user, "--duration", "10ms"]).output()?.status;
        ensure!(status.code() == Some(code), "--uid {user}: {status}");
    }
    Ok(())
}

/// The image has the same user of its own that Kubernetes' manifest says, and sees the node's connections.
fn container(site: &Site, archs: &[Arch]) -> Result<()> {
    let container = Container::new(site, archs)?;
    works(site, |arguments| container.command(arguments))
}

/// What is there now, without shared folders that are new: rpm leaves them to the packages that they belong to, which
/// this system does not have.
fn own(chroot: &Chroot, before: &BTreeSet<PathBuf>) -> Result<BTreeSet<PathBuf>> {
    let mut names = chroot.names()?;
    names.retain(|name| {
        let is_of_tracer = name.to_string_lossy().contains("tracer");
        before.contains(name) || is_of_tracer || !chroot.0.join(name).is_dir()
    });
    Ok(names)
}

fn same(before: &BTreeSet<PathBuf>, after: &BTreeSet<PathBuf>) -> Result<()> {
    let left: Vec<_> = after.difference(before).collect();
    let gone: Vec<_> = before.difference(after).collect();
    if left.is_empty() && gone.is_empty() {
        return Ok(());
    }
    bail!("left behind: {left:?}; gone: {gone:?}")
}
