//! Where the survey thread is, and where it can go: the network namespaces of the host, by inode number.

use std::{
    collections::{HashMap, HashSet},
    path::{Path, PathBuf},
};

use crate::{
    source::kernel::namespaces,
    tcp::netns::{NetnsFilter, NetnsId},
};

/// The namespaces that are there, and the one that this thread is in.
pub(super) struct Whereabouts {
    /// Paths of namespaces that the user gave.
    given: Vec<PathBuf>,
    /// The namespaces that the user asks for.
    asked_for: NetnsFilter,
    /// The namespace that the tracer was started in.
    home: Option<u32>,
    /// The namespace that this thread is in.
    current: Option<u32>,
    paths: HashMap<u32, PathBuf>,
}

impl Whereabouts {
    /// At home, before anything was searched.
    pub(super) fn new(given: Vec<PathBuf>, asked_for: NetnsFilter) -> Self {
        let home = namespaces::current();
        Self { given, asked_for, home, current: home, paths: HashMap::new() }
    }

    /// Finds the namespaces that are there.
    pub(super) fn find(&mut self) {
        self.paths = namespaces::all(&self.given);
    }

    /// Whether this namespace was found.
    pub(super) fn knows(&self, inum: u32) -> bool {
        self.paths.contains_key(&inum)
    }

    /// The namespaces that were found, the first one to visit last: the tracer's own, those that the user asks for, and
    /// those with sockets.
    pub(super) fn order(&self, with_sockets: &HashSet<u32>) -> Vec<u32> {
        let mut order: Vec<_> = self.paths.keys().copied().collect();
        order.sort_unstable_by_key(|inum| {
            let is_asked_for = self.asked_for.selects(NetnsId::new(*inum, 0));
            (Some(*inum) == self.home, is_asked_for, with_sockets.contains(inum))
        });
        order
    }

    /// The namespaces that are asked for, in that order; with `searches` also new ones. To look at sockets takes a walk
    /// through the host's table for each.
    pub(super) fn asked_for(&mut self, searches: bool) -> Vec<u32> {
        // With thousands of processes the search takes longer than the looks.
        if let NetnsFilter::Only(ids) = self.asked_for.clone()
            && ids.iter().all(|netns| self.enter_only(*netns))
        {
            return ids.iter().map(|netns| netns.inum).collect();
        }
        if searches {
            self.find();
        }
        let mut order = self.order(&HashSet::new());
        order.retain(|inum| self.asked_for.selects(NetnsId::new(*inum, 0)));
        order
    }

    /// Enters a namespace that was found. Returns whether the thread is in it.
    pub(super) fn enter(&mut self, inum: u32) -> bool {
        let is_here = self.current == Some(inum);
        is_here || self.paths.get(&inum).is_some_and(|path| enter(&mut self.current, inum, path))
    }

    /// Enters this namespace. Returns whether the thread is in it, and not in another one that has its number now.
    pub(super) fn enter_only(&mut self, netns: NetnsId) -> bool {
        self.enter(netns.inum) && netns.may_be(namespaces::here(netns.inum))
    }

    /// While a thread is in a namespace, the kernel does not free it.
    pub(super) fn return_home(&mut self) {
        if let Some(home) = self.home {
            // The first thread of the process never leaves this namespace.
            let path = format!("/proc/{}/ns/net", std::process::id());
            enter(&mut self.current, home, Path::new(&path));
        }
    }
}

/// Enters a namespace, unless the thread is in it already. Returns whether it is.
fn enter(current: &mut Option<u32>, inum: u32, path: &Path) -> bool {
    if *current != Some(inum) {
        if namespaces::enter(inum, path).is_err() {
            return false;
        }
        *current = Some(inum);
    }
    true
}
