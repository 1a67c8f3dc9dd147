//! The folders of cgroups, which the kernel names by number.

use std::{
    collections::HashMap,
    os::unix::fs::MetadataExt as _,
    time::{Duration, Instant},
};

use walkdir::WalkDir;

use crate::{select::story::hierarchy, text::escape::escaped};

/// Those that are known so far.
#[derive(Debug, Default)]
pub struct Cgroups {
    paths: HashMap<u64, String>,
    looked: Option<Instant>,
}

/// The hierarchy is walked at most this often.
const PAUSE: Duration = Duration::from_secs(2);

impl Cgroups {
    /// A cgroup's path below the hierarchy's root, escaped; `None` if it is gone or out of sight.
    /// Looks at the hierarchy when it meets a number that it does not know.
    pub fn path(&mut self, id: u64) -> Option<String> {
        if id == 0 {
            return None;
        }
        let may_look = self.looked.is_none_or(|looked| looked.elapsed() > PAUSE);
        if !self.paths.contains_key(&id) && may_look {
            self.look();
        }
        self.paths.get(&id).cloned()
    }

    fn look(&mut self) {
        self.looked = Some(Instant::now());
        // Those that are gone do not come back.
        self.paths.clear();
        let Some(root) = hierarchy() else {
            return;
        };
        for folder in WalkDir::new(&root).into_iter().filter_map(Result::ok) {
            if folder.file_type().is_dir()
                && let (Ok(metadata), Ok(below)) = (folder.metadata(), folder.path().strip_prefix(&root))
            {
                let path = format!("/{}", escaped(below.as_os_str().as_encoded_bytes()));
                self.paths.insert(metadata.ino(), path);
            }
        }
    }
}
