//! Layouts of cgroups. They were made by hand from the documentation of the runtimes, and of systemd.

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OUTER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";
const POD: &str = "7c1b5cd2-8d3f-4b5e-9c6a-0123456789ab";
const STATIC_POD: &str = "0123456789abcdef0123456789abcdef";

/// In a path: `ID`, `OUTER`, `POD` and `STATIC` stand for identifiers, `UID` for a pod's with underscores.
type CgroupLayout =
    (&'static str, Option<Runtime>, Option<&'static str>, Option<&'static str>, Option<&'static str>);

use Runtime::{Containerd, Crio, Docker, Lxc, Nomad, Nspawn, Podman};

const LAYOUTS: &[CgroupLayout] = &[
    // Docker with the driver cgroupfs (v1, v2), with systemd, and without root.
    ("/docker/ID", Some(Docker), Some("ID"), None, None),
    ("/system.slice/docker-ID.scope", Some(Docker), Some("ID"), None, Some("docker-ID.scope")),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/docker-ID.scope",
        Some(Docker),
        Some("ID"),
        None,
        Some("docker-ID.scope"),
    ),
    // Docker behind Kubernetes (cri-dockerd).
    (
        "/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-podUID.slice/docker-ID.scope",
        Some(Docker),
        Some("ID"),
        Some("POD"),
        Some("docker-ID.scope"),
    ),
    // containerd behind Kubernetes: systemd, cgroupfs, and a configuration with one here and the other there.
    (
        "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-podUID.slice/cri-containerd-ID.scope",
        Some(Containerd),
        Some("ID"),
        Some("POD"),
        Some("cri-containerd-ID.scope"),
    ),
    (
        "/kubepods.slice/kubepods-podUID.slice/cri-containerd-ID.scope",
        Some(Containerd),
        Some("ID"),
        Some("POD"),
        Some("cri-containerd-ID.scope"),
    ),
    ("/kubepods/burstable/podPOD/ID", None, Some("ID"), Some("POD"), None),
    ("/kubepods/podPOD/ID", None, Some("ID"), Some("POD"), None),
    (
        "/system.slice/containerd.service/kubepods-burstable-podUID.slice:cri-containerd:ID",
        Some(Containerd),
        Some("ID"),
        Some("POD"),
        Some("containerd.service"),
    ),
    // Pods that the kubelet reads from files.
    ("/kubepods/burstable/podSTATIC/ID", None, Some("ID"), Some("STATIC"), None),
    // nerdctl: its namespace is the folder.
    ("/system.slice/nerdctl-ID.scope", Some(Containerd), Some("ID"), None, Some("nerdctl-ID.scope")),
    ("/default/ID", None, Some("ID"), None, None),
    // CRI-O: systemd, cgroupfs, and a container that makes cgroups of its own; its monitor is not the container.
    (
        "/kubepods.slice/kubepods-podUID.slice/crio-ID.scope",
        Some(Crio),
        Some("ID"),
        Some("POD"),
        Some("crio-ID.scope"),
    ),
    ("/kubepods/besteffort/podPOD/crio-ID", Some(Crio), Some("ID"), Some("POD"), None),
    (
        "/kubepods.slice/kubepods-podUID.slice/crio-ID.scope/container",
        Some(Crio),
        Some("ID"),
        Some("POD"),
        Some("crio-ID.scope"),
    ),
    (
        "/kubepods.slice/kubepods-podUID.slice/crio-conmon-ID.scope",
        None,
        None,
        Some("POD"),
        Some("crio-conmon-ID.scope"),
    ),
    // Podman: with root, without, in a pod of its own, cgroupfs, and `--cgroups=split` below the unit that called it.
    ("/machine.slice/libpod-ID.scope/container", Some(Podman), Some("ID"), None, Some("libpod-ID.scope")),
    (
        "/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-ID.scope/container",
        Some(Podman),
        Some("ID"),
        None,
        Some("libpod-ID.scope"),
    ),
    (
        "/machine.slice/machine-libpod_pod_OUTER.slice/libpod-ID.scope",
        Some(Podman),
        Some("ID"),
        None,
        Some("libpod-ID.scope"),
    ),
    ("/libpod_parent/libpod-ID", Some(Podman), Some("ID"), None, None),
    ("/system.slice/web.service/libpod-payload-ID", Some(Podman), Some("ID"), None, Some("web.service")),
    ("/system.slice/web.service/runtime", None, None, None, Some("web.service")),
    ("/machine.slice/libpod-conmon-ID.scope", None, None, None, Some("libpod-conmon-ID.scope")),
    // A container with its own systemd.
    (
        "/machine.slice/libpod-ID.scope/container/system.slice/nginx.service",
        Some(Podman),
        Some("ID"),
        None,
        Some("nginx.service"),
    ),
    // LXC, Incus and LXD; the project is a part of the name. Their monitor is not the container.
    ("/lxc.payload.web/system.slice/nginx.service", Some(Lxc), Some("web"), None, Some("nginx.service")),
    ("/lxc.payload.shop_web/.lxc", Some(Lxc), Some("shop_web"), None, None),
    ("/lxc/web", Some(Lxc), Some("web"), None, None),
    ("/lxc.payload/web", Some(Lxc), Some("web"), None, None),
    ("/lxc.monitor.web", None, None, None, None),
    // systemd-nspawn: by template and by hand. The same name without a payload may be a virtual machine.
    (
        "/machine.slice/systemd-nspawn@web.service/payload/system.slice/x.service",
        Some(Nspawn),
        Some("web"),
        None,
        Some("x.service"),
    ),
    (
        "/machine.slice/systemd-nspawn@web.service/supervisor",
        None,
        None,
        None,
        Some("systemd-nspawn@web.service"),
    ),
    (
        "/machine.slice/machine-my\\\\x2dweb.scope/payload",
        Some(Nspawn),
        Some("my-web"),
        None,
        Some("machine-my\\\\x2dweb.scope"),
    ),
    (
        "/machine.slice/machine-qemu\\\\x2d1\\\\x2dvm.scope/libvirt/vcpu0",
        None,
        None,
        None,
        Some("machine-qemu\\\\x2d1\\\\x2dvm.scope"),
    ),
    // kind: a node is a container, its containers are inside; with systemd, and on v1.
    (
        "/docker/OUTER/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-podUID.slice/cri-containerd-ID.scope",
        Some(Containerd),
        Some("ID"),
        Some("POD"),
        Some("cri-containerd-ID.scope"),
    ),
    ("/docker/OUTER/docker/OUTER/kubelet/kubepods/burstable/podPOD/ID", None, Some("ID"), Some("POD"), None),
    (
        "/docker/OUTER/kubelet.slice/kubelet.service",
        Some(Docker),
        Some("OUTER"),
        None,
        Some("kubelet.service"),
    ),
    // Docker in Docker, and Docker in a pod.
    ("/docker/OUTER/docker/ID", Some(Docker), Some("ID"), None, None),
    ("/kubepods/podPOD/OUTER/docker/ID", Some(Docker), Some("ID"), Some("POD"), None),
    // Nomad: v2, with reserved cores, before 1.7, and v1.
    ("/nomad.slice/share.slice/POD.web.scope", Some(Nomad), Some("POD.web"), None, Some("POD.web.scope")),
    ("/nomad.slice/reserve.slice/POD.web.scope", Some(Nomad), Some("POD.web"), None, Some("POD.web.scope")),
    ("/nomad.slice/POD.web.scope", Some(Nomad), Some("POD.web"), None, Some("POD.web.scope")),
    ("/nomad/share/POD.web", Some(Nomad), Some("POD.web"), None, None),
    // What is none of them.
    ("/", None, None, None, None),
    ("", None, None, None, None),
    ("/system.slice/ssh.service", None, None, None, Some("ssh.service")),
    (
        "/user.slice/user-1000.slice/user@1000.service/app.slice/sync.service",
        None,
        None,
        None,
        Some("sync.service"),
    ),
    ("/user.slice/user-1000.slice/session-2.scope", None, None, None, Some("session-2.scope")),
    // Hostile, or nearly: a digit short, a digit that is none, no pods of Kubernetes, empty names.
    ("/x/ID0", None, None, None, None),
    ("/x/g-IDg", None, None, None, None),
    ("/podPOD", None, None, None, None),
    ("/kubepods/pod..", None, None, None, None),
    ("/kubepods/pod", None, None, None, None),
    ("/lxc.payload./.scope/.service/machine-.scope/payload", None, None, None, Some("machine-.scope")),
    ("//..//../lxc.payload", None, None, None, None),
    ("/\\xff\\n/é-pod/:-:/nomad/..scope", None, None, None, Some("..scope")),
];

fn filled(text: &str) -> String {
    let text =
        text.replace("OUTER", OUTER).replace("STATIC", STATIC_POD).replace("UID", &POD.replace('-', "_"));
    text.replace("POD", POD).replace("ID", ID)
}

#[test]
fn layouts_of_runtimes() {
    for (path, runtime, container, pod_uid, unit) in LAYOUTS {
        let expected = Workload {
            runtime: *runtime,
            container: container.map(filled),
            pod_uid: pod_uid.map(filled),
            unit: unit.map(filled),
            is_users_own: path.contains("/user@1000.service/"),
        };
        assert_eq!(Workload::of(&filled(path)), expected, "{path}");
    }
}

#[test]
fn only_identifiers_that_runtimes_make_are_looked_up() {
    assert_eq!(Workload::of(&filled("/docker/ID")).oci_id(), Some(ID));
    assert_eq!(Workload::of("/lxc.payload...").oci_id(), None);
}

proptest::proptest! {
    #[test]
    fn any_path_is_read(path: String) {
        let workload = Workload::of(&path);
        proptest::prop_assert!(workload.unit.is_none_or(|unit| path.contains(&unit)));
    }
}
