//! The container image: an OCI layout (image-spec 1.1) in an archive, made from nothing and by no daemon. It has the
//! static program, its documents, and the one user that there is.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{
    command::output,
    package::{
        inside::{copy, files, write},
        site::Site,
    },
    vm::arch::Arch,
};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// Makes it, for several architectures.
pub(super) fn make(site: &Site, archs: &[Arch]) -> Result<PathBuf> {
    let layout = Layout(site.empty("image")?);
    let mut manifests = Vec::new();
    for &arch in archs {
        manifests.push(manifest(site, &layout, arch)?);
    }
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests });
    let mut all = layout.json(INDEX, &index)?;
    all["annotations"] = json!({ "org.opencontainers.image.ref.name": site.version });
    let named = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [all] });
    write(&layout.0.join("index.json"), named.to_string())?;
    write(&layout.0.join("oci-layout"), json!({ "imageLayoutVersion": "1.0.0" }).to_string())?;
    let archive = file(site);
    site.tar(&layout.0, &["oci-layout", "index.json", "blobs"], &archive)?;
    Ok(archive)
}

/// Its name.
pub(super) fn file(site: &Site) -> PathBuf {
    site.out().join(site.named("oci.tar"))
}

fn manifest(site: &Site, layout: &Layout, arch: Arch) -> Result<Value> {
    let root = site.empty("image-root")?;
    copy(&site.work().join("programs").join(arch.name()).join("static"), &root.join("usr/bin/tracer"))?;
    for tree in ["share/doc", "rpm/share/licenses"] {
        let from = site.inside().join(tree);
        for file in files(&from)? {
            let to = root.join("usr").join(tree.trim_start_matches("rpm/"));
            copy(&file, &to.join(file.strip_prefix(&from)?))?;
        }
    }
    write(&root.join("etc/passwd"), "root:x:0:0:root:/:/sbin/nologin\n")?;
    write(&root.join("etc/group"), "root:x:0:\n")?;
    let tar = site.work().join("layer.tar");
    site.tar(&root, &["etc", "usr"], &tar)?;
    let unpacked = format!("sha256:{:x}", Sha256::digest(fs::read(&tar)?));
    let packed = site.gzip(&tar)?;
    let layer = layout.blob(LAYER, &fs::read(&packed)?)?;
    fs::remove_file(packed)?;
    let created = output(site.command("date").args(["-u", "-d", &format!("@{}", site.epoch), "+%FT%TZ"]))?;
    let created = created.trim();
    let config = json!({
        "created": created,
        "architecture": arch.name(),
        "os": "linux",
        "config": {
            "Entrypoint": ["/usr/bin/tracer"],
            "Env": ["PATH=/usr/bin", "LC_ALL=C.UTF-8"],
            "Labels": {
                "org.opencontainers.image.title": "tracer",
                "org.opencontainers.image.version": site.version,
                "org.opencontainers.image.licenses": env!("CARGO_PKG_LICENSE"),
                "org.opencontainers.image.source": env!("CARGO_PKG_REPOSITORY"),
                "org.opencontainers.image.created": created,
            },
        },
        "rootfs": { "type": "layers", "diff_ids": [unpacked] },
        "history": [{ "created": created, "created_by": "cargo xtask package" }],
    });
    let config = layout.json(CONFIG, &config)?;
    let manifest = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": [layer],
    });
    let mut manifest = layout.json(MANIFEST, &manifest)?;
    manifest["platform"] = json!({ "architecture": arch.name(), "os": "linux" });
    Ok(manifest)
}

/// The folder of a layout.
struct Layout(PathBuf);

impl Layout {
    /// Puts a blob into it. Returns its descriptor.
    fn blob(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let digest = format!("{:x}", Sha256::digest(bytes));
        write(&self.0.join(Path::new("blobs/sha256")).join(&digest), bytes)?;
        Ok(json!({ "mediaType": media_type, "digest": format!("sha256:{digest}"), "size": bytes.len() }))
    }

    fn json(&self, media_type: &str, value: &Value) -> Result<Value> {
        self.blob(media_type, value.to_string().as_bytes())
    }
}
