//! Names of containers that really run: Podman's and containerd's, both with runc. A container makes a connection, and is
//! gone at once.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tests::{
    otlp::Receiver,
    patience::{until, until_or},
    place::Place,
    program::{Program, output, run},
    served::{address, metrics},
    story::{self, Line},
    tracer,
};

const ADDRESS: &str = "127.77.63.1";
const COLUMNS: &str = "remote_port,new_state,comm,container,container_id,pod,k8s_namespace";
/// Limits of this host, if they are lower than those that engines ask for.
const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=1000:1000"];

/// A file system with one program, and its names.
fn root_file_system() -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for folder in ["bin", "dev", "etc", "proc", "sys", "tmp"] {
        fs::create_dir(root.path().join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", root.path().join("bin/busybox")).unwrap();
    for name in ["nc", "sh"] {
        symlink("busybox", root.path().join("bin").join(name)).unwrap();
    }
    root
}

/// Nobody listens at the port.
fn call(port: u16) -> String {
    format!("nc {ADDRESS} {port} || true")
}

/// The first line of the connection to this port.
fn line_of(tracer: &Program, port: u16) -> Line {
    let find = || story::lines(&tracer.out()).into_iter().find(|line| line["remote_port"] == port);
    until_or(&format!("port {port}"), find, || tracer.err())
}

#[test]
fn containers_of_podman() {
    let (place, root) = (Place::new(), root_file_system());
    let arguments = format!("log -o json --columns {COLUMNS} --netns {}", place.inum());
    let (all, filtered) =
        (tracer::start(&arguments), tracer::start(&format!("{arguments} --container tracer-web-*")));
    let network = format!("--network=ns:/run/netns/{}", place.name());
    for port in 7801..7806 {
        let name = format!("tracer-web-{}-{port}", std::process::id());
        let mut podman = Command::new("podman");
        podman.args(["--runtime", "runc", "--cgroup-manager", "cgroupfs", "run", "--rm", "--name", &name]);
        run(podman.arg(&network).args(LIMITS).arg("--rootfs").arg(root.path()).args([
            "sh",
            "-c",
            &call(port),
        ]));
        for tracer in [&all, &filtered] {
            let line = line_of(tracer, port);
            assert_eq!(line["container"], name.as_str(), "{line}");
            assert_eq!(line["container_id"].as_str().map(str::len), Some(64), "{line}");
        }
    }
}

/// A containerd of this test's own. It ends with this.
struct Containerd {
    folder: tempfile::TempDir,
    _daemon: Program,
}

impl Containerd {
    fn start() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let settings = format!(
            "version = 2
            root = '{0}/root'
            state = '{0}/state'
            disabled_plugins = ['io.containerd.grpc.v1.cri']
            [grpc]
            address = '{0}/socket'",
            folder.path().display()
        );
        fs::write(path("config.toml"), settings).unwrap();
        let daemon = Program::collect(Command::new("containerd").arg("-c").arg(path("config.toml")));
        let containerd = Self { _daemon: daemon, folder };
        until("containerd", || output(containerd.client().arg("version")).status.success().then_some(()));
        containerd
    }

    fn client(&self) -> Command {
        let mut client = Command::new("ctr");
        client.arg("--address").arg(self.folder.path().join("socket")).args(["--namespace", "k8s.io"]);
        client
    }

    /// A tracer that finds the state where it usually is.
    fn tracer(&self, arguments: &str) -> Program {
        let script = "mkdir -p /run/containerd && mount --bind \"$0\" /run/containerd && exec \"$@\"";
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", script]);
        command.arg(self.folder.path().join("state"));
        command.env("LC_ALL", "C.UTF-8").arg(tracer::binary()).args(arguments.split_whitespace());
        tracer::started(Program::collect(&mut command))
    }
}

/// As the kubelet asks for it: the cgroup is the pod's, and annotations have the names.
#[test]
fn containers_of_containerd_in_pods() {
    let (place, root, containerd) = (Place::new(), root_file_system(), Containerd::start());
    let id = format!("{:064x}", u64::from(std::process::id()) << 24);
    let pod = "7c1b5cd2-8d3f-4b5e-9c6a-0123456789ab";
    let arguments = format!("log -o json --columns {COLUMNS} --netns {}", place.inum());
    let tracers = [
        containerd.tracer(&arguments),
        containerd.tracer(&format!("{arguments} --pod shop-? --k8s-namespace prod --container cart")),
    ];
    let receiver = Receiver::start("ok");
    let served = containerd.tracer(&format!(
        "serve --listen 127.0.0.1:0 --netns {} --label container --otlp {} --otlp-interval 200ms --otlp-logs",
        place.inum(),
        receiver.url
    ));
    let parent = format!("/tracer-{}", std::process::id());
    let mut run_it = containerd.client();
    run_it.args([
        "run",
        "--rm",
        "--rootfs",
        "--cgroup",
        &format!("{parent}/kubepods/besteffort/pod{pod}/{id}"),
    ]);
    for annotation in ["container-name=cart", "sandbox-name=shop-1", "sandbox-namespace=prod"] {
        run_it.args(["--annotation", &format!("io.kubernetes.cri.{annotation}")]);
    }
    run_it.args(["--with-ns", &format!("network:/run/netns/{}", place.name())]);
    run(run_it.arg(root.path()).args([&id, "/bin/sh", "-c", &call(7803)]));
    for tracer in &tracers {
        let line = line_of(tracer, 7803);
        let names = ["container", "container_id", "pod", "k8s_namespace"].map(|key| line[key].as_str());
        assert_eq!(names, [Some("cart"), Some(&*id), Some("shop-1"), Some("prod")], "{line}");
    }
    // As the semantic conventions of OpenTelemetry name them.
    let keys = ["container.name", "container.id", "k8s.pod.name", "k8s.namespace.name"];
    let names = [Some("cart"), Some(&*id), Some("shop-1"), Some("prod")];
    let record = until("a log record", || receiver.records().pop());
    assert_eq!(keys.map(|key| record["attributes"][key].as_str()), names, "{record}");
    let has_names = |point: &Line| {
        let of = ["container.name", "k8s.pod.name", "k8s.namespace.name"]
            .map(|key| point["attributes"][key].as_str());
        of == [names[0], names[2], names[3]]
    };
    receiver.wait_for_metrics("a metric of the pod", |request| {
        request["points"].as_array().is_some_and(|points| points.iter().any(has_names))
    });
    let label = "container=\"cart\",pod=\"shop-1\",k8s_namespace=\"prod\"";
    let failed = format!("tracer_tcp_container_connections_total{{{label},event=\"failed\"}}");
    assert_eq!(metrics(address(&served)).get(&failed).copied(), Some(1.0));
    remove_cgroups(&parent);
}

/// The engine removes those of its containers only.
fn remove_cgroups(parent: &str) {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
    for mount in mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
        let folder = PathBuf::from(format!("{}{parent}", mount[1]));
        if mount[2].starts_with("cgroup") && Path::new(&folder).is_dir() {
            run(Command::new("find")
                .arg(&folder)
                .args(["-depth", "-type", "d", "-exec", "rmdir", "{}", "+"]));
        }
    }
}
