//! Names of containers, pods and units, in every view. The cgroups and the files of the runtimes are made by hand, in the
//! layouts that the runtimes' documentation tells of; `container_engines` runs two of them.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    cgroups,
    engines::query,
    patience::{until, until_or},
    place::Place,
    program::{Ended, Program, output, run},
    served::{address, get},
    story::{self, Line},
    tracer,
    traffic::actor,
};

const ADDRESS: &str = "127.77.62.1";
const POD: &str = "7c1b5cd2-8d3f-4b5e-9c6a-0123456789ab";
const COLUMNS: &str = "remote_port,local_port,container,container_id,pod,k8s_namespace,unit";

/// Cgroups below one of their own, in the hierarchy that sockets belong to. They are removed when this is dropped.
struct Cgroups(PathBuf);

impl Cgroups {
    fn new(name: &str) -> Self {
        Self(cgroups::mount().join(format!("tracer-{name}-{}", std::process::id())))
    }

    fn make(&self, path: &str) -> PathBuf {
        let path = self.0.join(path);
        fs::create_dir_all(&path).unwrap();
        path
    }
}

impl Drop for Cgroups {
    fn drop(&mut self) {
        // All that runs below it.
        _ = fs::write(self.0.join("cgroup.kill"), "1");
        // Folders only: the files in them cannot be removed, and go with them.
        let rmdir = ["-depth", "-type", "d", "-exec", "rmdir", "{}", "+"];
        until("the cgroups to be empty", || {
            output(Command::new("find").arg(&self.0).args(rmdir)).status.success().then_some(())
        });
    }
}

/// A container, and how it is known.
struct Container {
    cgroup: PathBuf,
    port: u16,
    /// Name, identifier, pod, namespace, unit.
    known: [Option<String>; 5],
}

fn id(number: u8) -> String {
    format!("{number:02x}{}", "0123456789abcdef".repeat(4)).chars().take(64).collect()
}

fn put(folder: &Path, file: &str, contents: &str) {
    let file = folder.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, contents).unwrap();
}

/// Files as the runtimes leave them: `var` and `run`.
fn state_files() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let [docker, containerd, podman] = [1, 2, 3].map(id);
    put(
        root,
        &format!("var/lib/docker/containers/{docker}/config.v2.json"),
        &format!(r#"{{"ID": "{docker}", "Name": "/web", "Config": {{"Labels": {{}}}}}}"#),
    );
    put(
        root,
        &format!("run/containerd/io.containerd.runtime.v2.task/k8s.io/{containerd}/config.json"),
        r#"{"annotations": {"io.kubernetes.cri.container-name": "cart", "io.kubernetes.cri.sandbox-name": "shop-1",
            "io.kubernetes.cri.sandbox-namespace": "prod"}}"#,
    );
    put(
        root,
        "var/lib/containers/storage/overlay-containers/containers.json",
        &format!(r#"[{{"id": "{podman}", "names": ["db"]}}]"#),
    );
    // Of this one only the pod is known.
    put(root, &format!("var/log/pods/prod_shop-2_{}/x/0.log", POD.replace('7', "8")), "");
    folder
}

fn containers(cgroups: &Cgroups) -> Vec<Container> {
    let [docker, containerd, podman, bare] = [1, 2, 3, 4].map(id);
    let slice = |uid: &str| format!("kubepods.slice/kubepods-pod{}.slice", uid.replace('-', "_"));
    let other = POD.replace('7', "8");
    let unit = |unit: String| Some(unit);
    let of = |path: String, port, [name, id, pod, namespace]: [Option<&str>; 4], unit| Container {
        cgroup: cgroups.make(&path),
        port,
        known: [name, id, pod, namespace]
            .map(|name| name.map(str::to_owned))
            .into_iter()
            .chain([unit])
            .collect::<Vec<_>>()
            .try_into()
            .unwrap(),
    };
    vec![
        of(
            format!("system.slice/docker-{docker}.scope"),
            7701,
            [Some("web"), Some(&docker), None, None],
            unit(format!("docker-{docker}.scope")),
        ),
        of(
            format!("{}/cri-containerd-{containerd}.scope", slice(POD)),
            7702,
            [Some("cart"), Some(&containerd), Some("shop-1"), Some("prod")],
            unit(format!("cri-containerd-{containerd}.scope")),
        ),
        of(
            format!("machine.slice/libpod-{podman}.scope/container"),
            7703,
            [Some("db"), Some(&podman), None, None],
            unit(format!("libpod-{podman}.scope")),
        ),
        of(
            format!("{}/crio-{bare}", slice(&other)),
            7704,
            [Some(&bare), Some(&bare), Some("shop-2"), Some("prod")],
            None,
        ),
        of("system.slice/nginx.service".to_owned(), 7705, [None; 4], unit("nginx.service".to_owned())),
    ]
}

/// A tracer that finds these files at their places: it has mounts of its own.
fn tracer_with(files: &Path, arguments: &str) -> Command {
    let script = "for folder in var run; do
            mount -t overlay none -o lowerdir=\"$0/$folder:/$folder\" \"/$folder\" || exit 1
        done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", script]).arg(files);
    command.env("LC_ALL", "C.UTF-8").arg(tracer::binary()).args(arguments.split_whitespace());
    command
}

/// A program that enters the cgroup first, and then the namespace.
fn inside(cgroup: &Path, place: &Place) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "echo $$ > \"$0/cgroup.procs\" && exec \"$@\""]).arg(cgroup);
    command.args(["ip", "netns", "exec", place.name()]).arg(actor());
    command
}

fn check(line: &Line, container: &Container, view: &str) {
    let keys = ["container", "container_id", "pod", "k8s_namespace", "unit"];
    let found = keys.map(|key| line[key].as_str().map(str::to_owned));
    assert_eq!(found, container.known, "{view}: {line}");
}

fn of_port(ended: &Ended, port: u16) -> Vec<Line> {
    let lines = story::lines(&ended.out);
    lines.into_iter().filter(|line| line["remote_port"] == port).collect()
}

/// The rows of the last report: names, and how many connections have ended.
fn ranked(report: &str) -> Vec<(Option<String>, u64)> {
    let reports = story::lines(report);
    let rows = reports.last().unwrap()["top"][0]["rows"].as_array().unwrap();
    let row = |row: &Line| (row["container"].as_str().map(str::to_owned), row["ended"].as_u64().unwrap());
    let mut rows: Vec<_> = rows.iter().map(row).collect();
    rows.sort();
    rows
}

#[test]
fn names_in_every_view() {
    let (place, cgroups, files) = (Place::new(), Cgroups::new("containers"), state_files());
    let containers = containers(&cgroups);
    let netns = place.inum();
    let start = |arguments: &str| {
        let mut command = tracer_with(files.path(), &format!("{arguments} --netns {netns}"));
        tracer::started(Program::collect(&mut command))
    };
    let recording = files.path().join("recording");
    let recorded = format!("log -o json --columns {COLUMNS} --record {}", recording.display());
    let views = [
        &recorded,
        &format!("life -o json --columns {COLUMNS}"),
        &format!("log --raw -o json --columns {COLUMNS}"),
    ];
    let tracers = views.map(|view| (view, start(view)));
    let summary = start("summary -o json --by container --interval 1h");
    let served = start("serve --listen 127.0.0.1:0 --label container");
    let filters: [(&str, &[u16]); 8] = [
        ("--container web,d?", &[7701, 7703]),
        ("--container 04*", &[7704]),
        ("--container * --container !web", &[7702, 7703, 7704]),
        ("--container !web", &[7702, 7703, 7704, 7705]),
        ("--pod shop-*", &[7702, 7704]),
        ("--k8s-namespace prod --pod !shop-2", &[7702]),
        ("--unit nginx.service", &[7705]),
        ("--unit !*.scope", &[7704, 7705]),
    ];
    let filtered = filters.map(|(filter, ports)| (filter, start(&format!("log -o json {filter}")), ports));

    let mut servers = Vec::new();
    for container in &containers {
        // Nobody listens there.
        _ = output(inside(&container.cgroup, &place).args(["call", ADDRESS, &container.port.to_string()]));
        let mut server = Program::collect(inside(&container.cgroup, &place).args(["serve", ADDRESS]));
        server.wait_for_out("the server's port", |out| out.ends_with('\n'));
        servers.push((server.out().trim().parse::<u16>().unwrap(), server));
    }

    let list = |arguments: &str| {
        let mut command = tracer_with(files.path(), &format!("list {arguments} -tl --netns {netns} -o json"));
        Program::collect(&mut command).wait()
    };
    let listed = list(&format!("--columns {COLUMNS}"));
    for (container, (port, _)) in containers.iter().zip(&servers) {
        let lines = story::lines(&listed.out);
        let line = lines.iter().find(|line| line["local_port"] == *port);
        check(line.unwrap_or_else(|| panic!("{port}: {}", listed.err)), container, "list");
    }
    let grouped = list("--by container");
    for name in [Some("web"), Some("cart"), Some("db"), Some(&id(4)[..12]), None] {
        let groups = story::lines(&grouped.out);
        let is_one = |group: &Line| group["container"].as_str() == name && group["count"] == 1;
        assert!(groups.iter().any(is_one), "{name:?}: {}", grouped.out);
    }
    assert_eq!(story::lines(&list("--container db").out).len(), 1);

    for (view, tracer) in tracers {
        until(view, || tracer.out().contains("7705").then_some(()));
        let ended = tracer.interrupt();
        for container in &containers {
            let lines = of_port(&ended, container.port);
            assert!(!lines.is_empty(), "{view}: {}", ended.out);
            for line in &lines {
                check(line, container, view);
            }
        }
        if *view == recorded {
            // There the files are not.
            let replay =
                format!("log -o json --columns {COLUMNS} --netns {netns} --from {}", recording.display());
            assert_eq!(tracer::run(&replay).out, ended.out);
        }
    }
    for (filter, tracer, ports) in filtered {
        let last = format!("\"remote_port\":{}", ports[ports.len() - 1]);
        until(filter, || tracer.out().contains(&last).then_some(()));
        let ended = tracer.interrupt();
        for container in &containers {
            let is_shown = !of_port(&ended, container.port).is_empty();
            assert_eq!(is_shown, ports.contains(&container.port), "{filter}: {}", container.port);
        }
    }
    let (_, page) = get(address(&served), "/metrics", &[]);
    for of in
        [r#"container="web""#, r#"container="cart",pod="shop-1",k8s_namespace="prod""#, r#"container="none""#]
    {
        let line = format!("tracer_tcp_container_connections_total{{{of},event=\"failed\"}} 1\n");
        assert!(page.contains(&line), "{of}: {page}");
    }
    let names = [Some("cart"), Some("db"), Some("web")].map(|name| name.map(str::to_owned));
    let expected = [None, Some(id(4))].into_iter().chain(names).map(|name| (name, 1)).collect::<Vec<_>>();
    let live = ranked(&summary.interrupt().out);
    assert_eq!(live, expected);
    let replay = format!("summary -o json --by container --netns {netns} --from {}", recording.display());
    assert_eq!(ranked(&tracer::run(&replay).out), expected);
}

/// A server whose listener another process has made, in another cgroup, as systemd does it for a unit with a socket. What
/// it accepts has its listener's cgroup in the kernel. `cgroup`: where the server runs.
fn activated(place: &Place, maker: &Path, cgroup: &Path, port: u16) -> Program {
    let script = r#"
        serve='echo $$ > "$0/cgroup.procs" && exec "$1" serve-inherited <&3'
        echo $$ > "$0/cgroup.procs" && exec nsenter "--net=/run/netns/$1" systemd-socket-activate -l "$2" \
            sh -c 'sh -c "$0" "$1" "$2" & exec 3<&-; wait' "$serve" "$3" "$4""#;
    let mut command = Command::new("sh");
    command.args(["-c", script]).args([maker, Path::new(place.name())]).arg(format!("{ADDRESS}:{port}"));
    let server = Program::collect(command.arg(cgroup).arg(actor()));
    let listeners = || run(place.command("ss").args(["-tlnH", &format!("sport = :{port}")]));
    until("the listener", || (!listeners().is_empty()).then_some(()));
    server
}

/// Calls, and waits until the server has closed the connection.
fn call(place: &Place, port: u16) {
    run(place.command(actor()).args(["call", ADDRESS, &port.to_string()]));
}

#[test]
fn a_service_that_its_socket_starts_belongs_where_it_runs() {
    let (place, cgroups, files) = (Place::new(), Cgroups::new("activated"), state_files());
    let (maker, web) = (cgroups.make("init.scope"), &containers(&cgroups)[0]);
    let (netns, port) = (place.inum(), 7801);
    let recording = files.path().join("recording");
    let columns =
        "role,local_port,reason,cgroup_path,remote_port,container,container_id,pod,k8s_namespace,unit";
    let life = format!("life -o json --columns {columns}");
    let recorded = format!("{life} --record {}", recording.display());
    let start = |arguments: &str| {
        let arguments = format!("{arguments} --netns {netns} --port {port}");
        tracer::started(Program::collect(&mut tracer_with(files.path(), &arguments)))
    };
    let filtered = format!("{life} --container web --unit docker*");
    let views = [&life, &filtered, &recorded].map(|view| (view, start(view)));
    let summary = start("summary -o json --by container");

    let _server = activated(&place, &maker, &web.cgroup, port);
    // The first one is made while there is no server yet.
    call(&place, port);
    call(&place, port);
    let listed = format!("list -tl -o json --columns {COLUMNS} --netns {netns}");
    let listed = |more: &str| {
        let mut command = tracer_with(files.path(), &format!("{listed} {more}"));
        story::lines(&Program::collect(&mut command).wait().out)
    };
    let listeners = listed("--container web");
    assert_eq!(listeners.len(), 1, "{:?}", listed(""));
    check(&listeners[0], web, "list");
    assert!(listed("--unit init.scope").is_empty());

    for (view, tracer) in views {
        until(view, || (tracer.out().lines().count() >= 2).then_some(()));
        let ended = tracer.interrupt();
        let mut connections = story::lines(&ended.out);
        connections.retain(|line| line["role"] == "server");
        assert!(connections.len() >= 2, "{view}: {}", ended.out);
        for line in &connections {
            assert!(line["cgroup_path"].as_str().is_some_and(|path| path.ends_with("/init.scope")), "{line}");
            check(line, web, view);
        }
        if *view == recorded {
            let replay = format!("{life} --netns {netns} --port {port} --from {}", recording.display());
            assert_eq!(tracer::run(&replay).out, ended.out);
        }
    }
    let report = summary.interrupt().out;
    // The clients run in none, and wait: that they do is found by looking, once a second.
    let rows = ranked(&report);
    let of_web: Vec<_> = rows.iter().filter(|(container, _)| container.is_some()).collect();
    assert_eq!(of_web, [&(Some("web".to_owned()), 2)], "{report}");
}

/// A hierarchy of version 1, as old hosts have them, with a cgroup of this test.
struct OldHierarchy(tempfile::TempDir);

impl OldHierarchy {
    /// That of systemd. Where it is there already, this is the same one.
    fn mount() -> Self {
        let folder = tempfile::tempdir().unwrap();
        run(Command::new("mount")
            .args(["-t", "cgroup", "-o", "none,name=systemd", "none"])
            .arg(folder.path()));
        Self(folder)
    }

    fn root(&self) -> PathBuf {
        self.0.path().join(format!("tracer-{}", std::process::id()))
    }
}

impl Drop for OldHierarchy {
    fn drop(&mut self) {
        run(Command::new("find")
            .arg(self.root())
            .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]));
        run(Command::new("umount").arg(self.0.path()));
    }
}

#[test]
fn containers_of_old_hosts_are_named_by_their_processes() {
    let (place, files, old) = (Place::new(), state_files(), OldHierarchy::mount());
    let docker = id(1);
    let cgroup = old.root().join(format!("docker/{docker}"));
    fs::create_dir_all(&cgroup).unwrap();
    let netns = place.inum();
    let arguments = format!("life -o json --columns {COLUMNS} --netns {netns} --container web");
    let tracer = tracer::started(Program::collect(&mut tracer_with(files.path(), &arguments)));
    // There all processes are in the root of the v2 hierarchy, if there is one.
    let root = cgroups::mount();
    let serve = |cgroup: &Path| {
        let mut server = Command::new("sh");
        server.args([
            "-c",
            "echo $$ > \"$0/cgroup.procs\" && echo $$ > \"$1/cgroup.procs\" && shift && exec \"$@\"",
        ]);
        server.args([root.as_path(), cgroup]).args(["ip", "netns", "exec", place.name()]).arg(actor());
        Program::collect(server.args(["answer", "old", ADDRESS]))
    };
    let mut server = serve(&cgroup);
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    call(&place, server.out().trim().parse().unwrap());
    until_or("a line", || tracer.out().contains('\n').then_some(()), || tracer.err());
    let ended = tracer.interrupt();
    let lines = story::lines(&ended.out);
    let known = [Some("web"), Some(&docker), None, None, None].map(|name| name.map(str::to_owned));
    let container = Container { cgroup, port: 0, known };
    for line in &lines {
        check(line, &container, "life");
    }
    drop(server);

    // What is there, and what is not, is told at the start. No other test has a container that is called so.
    let other = id(9);
    let is_missing = || {
        let arguments = format!("life --netns {netns} --container {other}");
        let said = tracer::started(Program::collect(&mut tracer::command(&arguments))).interrupt().err;
        said.contains(&format!("--container {other}: no such container now"))
    };
    assert!(is_missing());
    let cgroup = old.root().join(format!("docker/{other}"));
    fs::create_dir(&cgroup).unwrap();
    let mut server = serve(&cgroup);
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    assert!(!is_missing());
    drop(server);
}

/// As in a pod that has the host's hierarchy mounted: the paths in `/proc` are others than those below the mount.
#[test]
fn a_cgroup_namespace_changes_no_container() {
    let (place, cgroups) = (Place::new(), Cgroups::new("namespace"));
    let docker = id(1);
    let cgroup = cgroups.make(&format!("docker-{docker}.scope"));
    let enter = "echo $$ > \"$0/cgroup.procs\" && exec \"$@\"";
    let mut inside = Command::new("sh");
    inside.args(["-c", enter]).arg(&cgroup).args(["unshare", "--cgroup"]).arg(tracer::binary());
    inside.args(["life", "-o", "json", "--columns", "role,container_id"]);
    inside.args(["--netns", &place.inum().to_string()]);
    let tracer = tracer::started(Program::collect(&mut inside));
    let mut server = Command::new("sh");
    server.args(["-c", enter]).arg(&cgroup).args(["ip", "netns", "exec", place.name()]).arg(actor());
    let mut server = Program::collect(server.args(["answer", "pod", ADDRESS]));
    server.wait_for_out("the server's port", |out| out.ends_with('\n'));
    call(&place, server.out().trim().parse().unwrap());
    until("a line", || tracer.out().contains("\"server\"").then_some(()));
    let lines = story::lines(&tracer.interrupt().out);
    let of_server = lines.iter().find(|line| line["role"] == "server").unwrap();
    assert_eq!(of_server["container_id"], docker.as_str());
    drop(server);
}

/// Containers that are gone as soon as they have connected: their cgroups are heard of when they are made.
#[test]
fn containers_that_live_shortly_are_named() {
    come_and_go(500);
}

#[test]
#[ignore = "takes minutes: cargo xtask test --long"]
fn ten_thousand_containers_that_live_shortly_are_named() {
    come_and_go(10_000);
}

/// How many of these containers are there at the same time.
const AT_ONCE: u16 = 8;

/// That many containers come and go. Each lives for 200 ms, connects at the end of that, and takes all that its runtime keeps
/// of it with it.
fn come_and_go(many: u16) {
    let (place, cgroups) = (Place::new(), Cgroups::new("short"));
    let (files, parent) = (tempfile::tempdir().unwrap(), cgroups.make("system.slice"));
    let bundles = files.path().join("run/containerd/io.containerd.runtime.v2.task/k8s.io");
    fs::create_dir_all(&bundles).unwrap();
    fs::create_dir(files.path().join("var")).unwrap();
    let columns = "remote_port,new_state,container,container_id,pod,k8s_namespace,unit,cgroup,cgroup_path";
    let arguments = format!("log -o json --netns {} --columns {columns}", place.inum());
    let tracer = tracer::started(Program::collect(&mut tracer_with(files.path(), &arguments)));
    // Nobody listens at any of these ports. The port is the end of the identifier.
    let script = format!(
        r#"set -e
        live() {{
            id=$(printf '%064d' $1)
            mkdir "$bundles/$id"
            printf '{{"annotations": {{"io.kubernetes.cri.container-name": "c%s", "io.kubernetes.cri.sandbox-name": "p%s",
                "io.kubernetes.cri.sandbox-namespace": "n%s"}}}}' $1 $1 $1 > "$bundles/$id/config.json"
            mkdir "$parent/cri-containerd-$id.scope"
            (echo $BASHPID > "$parent/cri-containerd-$id.scope/cgroup.procs" || exit 2; sleep 0.19
                exec "$actor" call {ADDRESS} $1 2> /dev/null)
            until rmdir "$parent/cri-containerd-$id.scope"; do sleep 0.01; done
            rm -r "$bundles/$id"
        }}
        for first in $(seq 20000 {AT_ONCE} {last}); do
            for port in $(seq $first $((first + {AT_ONCE} - 1))); do
                [ $port -gt {last} ] || live $port &
                lives="$lives $!"
            done
            for life in $lives; do wait $life; done
            lives=
        done"#,
        last = 19_999 + many
    );
    let mut client = Command::new("nsenter");
    client.arg(format!("--net=/run/netns/{}", place.name())).args(["bash", "-c", &script]);
    run(client.env("parent", &parent).env("bundles", &bundles).env("actor", actor()));
    let begun = until("all of them", || {
        let lines = story::lines(tracer.out().rsplit_once('\n').unwrap_or_default().0);
        let begun: Vec<_> = lines.into_iter().filter(|line| line["new_state"] == "SYN_SENT").collect();
        (begun.len() == usize::from(many)).then_some(begun)
    });
    let mut unnamed = 0;
    for line in begun {
        let port = line["remote_port"].as_u64().unwrap();
        let id = format!("{port:064}");
        let names = [
            ("container_id", id.clone()),
            ("unit", format!("cri-containerd-{id}.scope")),
            ("container", format!("c{port}")),
            ("pod", format!("p{port}")),
            ("k8s_namespace", format!("n{port}")),
        ];
        let is_unnamed = names.iter().any(|(key, name)| line[*key] != name.as_str());
        if is_unnamed {
            println!("{line}");
            // What is not known is null, or the identifier, and not a name of another one.
            for (key, name) in &names {
                assert!(
                    line[*key].is_null() || line[*key] == name.as_str() || line[*key] == id.as_str(),
                    "{line}"
                );
            }
            unnamed += 1;
        }
    }
    println!("{unnamed} of {many} without names");
    // On a busy host one may be gone before tracer gets a CPU.
    assert!(unnamed <= (many / 1000).max(1), "{unnamed} of {many} without names");
}

/// Parts of a recording, while each container connects to where nobody listens, so many times, until there are some.
fn recorded_in_parts(
    (place, files, folder): (&Place, &Path, &Path),
    name: &str,
    calls: &[(&Container, usize)],
) -> Vec<PathBuf> {
    let path = folder.join(name);
    let parts = || {
        let all = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
        let first = format!("{}.", path.display());
        let mut parts: Vec<_> = all.filter(|file| file.to_str().unwrap().starts_with(&first)).collect();
        parts.sort();
        parts
    };
    let arguments = format!("record --rotate 100ms --netns {} {}", place.inum(), path.display());
    let tracer = tracer::started(Program::collect(&mut tracer_with(files, &arguments)));
    until("parts", || {
        for (container, count) in calls {
            for _ in 0..*count {
                let port = container.port.to_string();
                _ = output(inside(&container.cgroup, place).args(["call", ADDRESS, &port]));
            }
        }
        (parts().len() >= 3).then_some(())
    });
    let ended = tracer.interrupt();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    parts()
}

/// What `diff` says of each container, over parts of recordings, is what DuckDB counts in their export.
#[test]
fn comparisons_by_container_agree_with_duckdb() {
    let (place, cgroups, files) = (Place::new(), Cgroups::new("compared"), state_files());
    let containers = containers(&cgroups);
    let folder = tempfile::tempdir().unwrap();
    let calls = |counts: [usize; 5]| containers.iter().zip(counts).collect::<Vec<_>>();
    let record =
        |name: &str, counts| recorded_in_parts((&place, files.path(), folder.path()), name, &calls(counts));
    let sides = [("a", record("before", [12, 7, 5, 3, 9])), ("b", record("after", [4, 15, 0, 6, 11]))];
    let mut command = tracer::command("diff -o json --rows 2000 --a");
    let ended = Program::collect(command.args(&sides[0].1).arg("--b").args(&sides[1].1)).wait();
    assert_eq!(ended.code(), 0, "{}", ended.err);
    let report: Line = serde_json::from_str(&ended.out).unwrap();
    let rows = report["rows"].as_array().unwrap().iter();
    let rows: Vec<_> = rows
        .filter(|row| row["by"] == "container" && row["measure"] == "end" && row["reason"] == "refused")
        .collect();
    for (side, parts) in &sides {
        let to = folder.path().join(format!("{side}.parquet"));
        let mut export = tracer::command(
            "export --format parquet --life --columns end,role,container,k8s_namespace,reason",
        );
        let ended = Program::collect(export.args(parts).arg("--to").arg(&to)).wait();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        let counted = query(&format!(
            "select container, k8s_namespace, role, count(*) as n from '{}' where reason = 'refused' group by all",
            to.display()
        ));
        let names = |row: &Line| ["container", "k8s_namespace", "role"].map(|key| row[key].to_string());
        let mut expected: Vec<_> =
            counted.into_iter().map(Line::Object).map(|row| (names(&row), row["n"].clone())).collect();
        let mut found: Vec<_> = rows.iter().map(|row| (names(row), row[side]["count"].clone())).collect();
        found.retain(|(_, count)| *count != 0);
        for rows in [&mut expected, &mut found] {
            rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        }
        assert_eq!(found, expected, "{side}");
        assert_eq!(found.len(), if *side == "a" { 5 } else { 4 }, "{found:?}");
    }
}
