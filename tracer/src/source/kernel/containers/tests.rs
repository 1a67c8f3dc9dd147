//! State files, made by hand from the documentation of the engines and of Kubernetes.

use std::{fs, os::unix::fs::symlink, path::Path, process::Command};

use super::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const UID: &str = "7c1b5cd2-8d3f-4b5e-9c6a-0123456789ab";

fn put(root: &Path, file: &str, contents: &str) {
    let file = root.join(file);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, contents).unwrap();
}

/// The names of a container and its pod, with these files.
fn named(files: &[(&str, &str)]) -> Option<[Option<String>; 3]> {
    let root = tempfile::tempdir().unwrap();
    for (file, contents) in files {
        put(root.path(), &file.replace("$ID", ID), &contents.replace("$ID", ID));
    }
    named_below(root.path())
}

fn named_below(root: &Path) -> Option<[Option<String>; 3]> {
    let workload = Workload::of(&format!("/kubepods/pod{UID}/{ID}"));
    let names = Containers::below(root.to_owned()).names(&workload)?;
    let ContainerNames { container, pod, k8s_namespace } = names;
    Some([container, pod, k8s_namespace])
}

fn all() -> [Option<String>; 3] {
    ["web", "shop-1", "prod"].map(|name| Some(name.to_owned()))
}

const CONTAINERD: &str = "run/containerd/io.containerd.runtime.v2.task/k8s.io/$ID/config.json";
const DOCKER: &str = "var/lib/docker/containers/$ID/config.v2.json";
const PODMAN: &str = "var/lib/containers/storage/overlay-containers/containers.json";

#[test]
fn engines_and_the_kubelet_name_containers() {
    let of_cri = r#"{"ociVersion": "1.2.0", "annotations": {"io.kubernetes.cri.container-name": "web",
        "io.kubernetes.cri.sandbox-name": "shop-1", "io.kubernetes.cri.sandbox-namespace": "prod"}}"#;
    let of_crio = r#"{"annotations": {"io.kubernetes.container.name": "web", "io.kubernetes.pod.name": "shop-1",
        "io.kubernetes.pod.namespace": "prod"}}"#;
    assert_eq!(named(&[(CONTAINERD, of_cri)]), Some(all()));
    assert_eq!(
        named(&[("run/containers/storage/overlay-containers/$ID/userdata/config.json", of_crio)]),
        Some(all())
    );
    assert_eq!(named(&[("run/crun/$ID/config.json", of_crio)]), Some(all()));
    let of_docker = r#"{"ID": "$ID", "Name": "/k8s_web_x", "Config": {"Labels": {"io.kubernetes.container.name": "web",
        "io.kubernetes.pod.name": "shop-1", "io.kubernetes.pod.namespace": "prod"}}}"#;
    assert_eq!(named(&[(DOCKER, of_docker)]), Some(all()));
    assert_eq!(named(&[(&format!("var/log/containers/shop-1_prod_web-{ID}.log"), "")]), Some(all()));

    let web = Some([Some("web".to_owned()), None, None]);
    assert_eq!(named(&[(DOCKER, r#"{"ID": "$ID", "Name": "/web", "Config": {"Labels": null}}"#)]), web);
    assert_eq!(named(&[(PODMAN, r#"[{"id": "other"}, {"id": "$ID", "names": ["web", "b"]}]"#)]), web);
    assert_eq!(named(&[(CONTAINERD, r#"{"annotations": {"nerdctl/name": "web"}}"#)]), web);

    let pod = Some([None, Some("shop-1".to_owned()), Some("prod".to_owned())]);
    assert_eq!(named(&[(&format!("var/log/pods/prod_shop-1_{UID}/web/0.log"), "")]), pod);
    // What one does not say another may.
    let both = [
        (PODMAN, r#"[{"id": "$ID", "names": ["web"]}]"#),
        (&format!("var/log/pods/prod_shop-1_{UID}/x"), ""),
    ];
    assert_eq!(named(&both), Some(all()));
}

#[test]
fn hostile_files_name_nothing_and_do_no_harm() {
    assert_eq!(named(&[]), None);
    let huge = format!(r#"{{"annotations": {{"nerdctl/name": "{}"}}}}"#, "a".repeat(5 << 20));
    let deep = format!(r#"{{"annotations": {}"#, "[".repeat(1 << 20));
    for contents in
        ["", "null", "{", "[1]", r#"{"annotations": 7}"#, r#"{"annotations": {"a": []}}"#, &huge, &deep]
    {
        assert_eq!(named(&[(CONTAINERD, contents), (PODMAN, contents), (DOCKER, contents)]), None);
    }
    assert_eq!(named(&[(DOCKER, r#"{"ID": "another", "Name": "/web"}"#)]), None);
    assert_eq!(
        named(&[("var/log/containers/a_b_c_d-$ID.log", ""), ("var/log/containers/__-$ID.log", "")]),
        None
    );
    let names = named(&[(CONTAINERD, r#"{"annotations": {"nerdctl/name": "a\u001b[2J\n\u202e"}}"#)]).unwrap();
    assert_eq!(names[0].as_deref(), Some("a\\x1b[2J\\n\\u{202e}"));
    let long = format!(r#"{{"annotations": {{"nerdctl/name": "{}"}}}}"#, "a".repeat(1000));
    let names = named(&[(CONTAINERD, &long)]).unwrap();
    assert!(names[0].as_ref().is_some_and(|name| name.chars().count() == 256 && name.ends_with('…')));

    // A pipe, a loop and a folder are no files.
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("run/crun").join(ID);
    fs::create_dir_all(&folder).unwrap();
    assert!(Command::new("mkfifo").arg(folder.join("config.json")).status().unwrap().success());
    assert_eq!(named_below(root.path()), None);
    fs::remove_file(folder.join("config.json")).unwrap();
    symlink("config.json", folder.join("config.json")).unwrap();
    assert_eq!(named_below(root.path()), None);
}

#[test]
fn names_stay_known_and_are_bounded() {
    let root = tempfile::tempdir().unwrap();
    let file = DOCKER.replace("$ID", ID);
    put(root.path(), &file, &format!(r#"{{"ID": "{ID}", "Name": "/web"}}"#));
    let mut containers = Containers::below(root.path().to_owned());
    let workload = Workload::of(&format!("/docker/{ID}"));
    let web = containers.names(&workload);
    assert!(web.is_some());
    fs::remove_file(root.path().join(file)).unwrap();
    assert_eq!(containers.names(&workload), web);
    for number in 0..MOST {
        assert_eq!(containers.names(&Workload::of(&format!("/docker/{number:064x}"))), None);
    }
    assert_eq!((containers.known.len(), containers.order.len()), (MOST, MOST));
    assert_eq!(containers.names(&workload), None);
}

/// A user may make a cgroup that is called as root's container.
#[test]
fn a_container_below_a_users_manager_has_none_of_roots_names() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), &DOCKER.replace("$ID", ID), &format!(r#"{{"ID": "{ID}", "Name": "/web"}}"#));
    let name = |path: &str| {
        let workload = Workload::of(&path.replace("$ID", ID));
        assert_eq!(workload.container.as_deref(), Some(ID));
        Containers::below(root.path().to_owned()).names(&workload)?.container
    };
    assert_eq!(name("/system.slice/docker-$ID.scope").as_deref(), Some("web"));
    assert_eq!(name("/user.slice/user-0.slice/user@0.service/docker-$ID.scope").as_deref(), Some("web"));
    assert_eq!(name("/user.slice/user-1000.slice/user@1000.service/user.slice/docker-$ID.scope"), None);
}

/// The name of a pod is there before that of a container.
#[test]
fn names_come_one_by_one() {
    let root = tempfile::tempdir().unwrap();
    put(root.path(), &format!("var/log/pods/prod_shop-1_{UID}/web/0.log"), "");
    let workload = Workload::of(&format!("/kubepods/pod{UID}/{ID}"));
    let mut containers = Containers::below(root.path().to_owned());
    assert_eq!(containers.names(&workload).unwrap().container, None);
    put(root.path(), &format!("var/log/containers/shop-1_prod_web-{ID}.log"), "");
    let known = containers.known.get_mut(ID).unwrap();
    known.looked_at = known.looked_at.checked_sub(LOOK_AGAIN).unwrap();
    let names = containers.names(&workload).unwrap();
    assert_eq!((names.container.as_deref(), names.pod.as_deref()), (Some("web"), Some("shop-1")));
}
