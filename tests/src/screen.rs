//! A terminal of a given size, provided by tmux.

use std::{
    fs,
    process::Command,
    sync::atomic::{AtomicU32, Ordering},
};

use crate::{
    patience::{until, until_or},
    program::{output, run},
};

/// A terminal. It is closed when this is dropped.
pub struct Screen {
    server: String,
}

static COUNT: AtomicU32 = AtomicU32::new(0);

impl Screen {
    /// Opens a terminal in which a shell runs `script`. It stays open after the script has ended.
    pub fn run(width: u16, height: u16, script: &str) -> Self {
        let server = format!("tracer-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let screen = Self { server };
        let (width, height) = (width.to_string(), height.to_string());
        let script = format!("{script}\nexec cat");
        // Ignore the user's tmux configuration and locale.
        let mut tmux = Command::new("tmux");
        tmux.args(["-u", "-L", &screen.server, "-f", "/dev/null", "new-session", "-d"]);
        run(tmux.args(["-x", &width, "-y", &height, "sh", "-c", &script]).env("LC_ALL", "C.UTF-8"));
        screen
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        run(Command::new("tmux").args(["-u", "-L", &self.server]).args(arguments).env("LC_ALL", "C.UTF-8"))
    }

    /// The text on the screen.
    pub fn shown(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// Waits until the text on the screen satisfies `condition`, and returns it.
    pub fn wait_for(&self, what: &str, condition: impl Fn(&str) -> bool) -> String {
        let look = || Some(self.shown()).filter(|shown| condition(shown));
        until_or(what, look, || self.shown())
    }

    /// Waits until the shell runs a program of this name, and returns its process id.
    pub fn program(&self, name: &str) -> u32 {
        // The kernel keeps only 15 bytes of a name.
        let name = &name[..name.len().min(15)];
        let shell: u32 = self.tmux(&["display-message", "-p", "#{pane_pid}"]).trim().parse().unwrap();
        until(name, || {
            let entries = fs::read_dir("/proc").unwrap().flatten();
            let mut pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
            pids.find(|pid| parent(*pid, name) == Some(shell))
        })
    }

    /// Presses keys, by tmux's names.
    pub fn keys(&self, keys: &[&str]) {
        let mut arguments = vec!["send-keys"];
        arguments.extend(keys);
        self.tmux(&arguments);
    }

    /// Types text.
    pub fn types(&self, text: &str) {
        self.tmux(&["send-keys", "-l", text]);
    }

    /// Changes the size of the terminal.
    pub fn resize(&self, width: u16, height: u16) {
        self.tmux(&["resize-window", "-x", &width.to_string(), "-y", &height.to_string()]);
    }

    /// Whether the cursor is visible, and whether the alternate screen is active.
    pub fn modes(&self) -> (bool, bool) {
        let modes = self.tmux(&["display-message", "-p", "#{cursor_flag} #{alternate_on}"]);
        let mut modes = modes.split_whitespace().map(|mode| mode == "1");
        (modes.next().unwrap(), modes.next().unwrap())
    }
}

/// The parent's process id, if the process has this name.
fn parent(pid: u32, name: &str) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (before, after) = stat.rsplit_once(") ")?;
    before.ends_with(&format!("({name}")).then(|| after.split(' ').nth(1)?.parse().ok())?
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = output(Command::new("tmux").args(["-L", &self.server, "kill-server"]));
    }
}
