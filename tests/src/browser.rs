//! Chromium, which opens pages: `browser.js` drives it.

use std::{
    env,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};

use crate::{place::Place, program::run};

/// How a page is looked at.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
    /// The reader likes it dark.
    pub dark: bool,
}

/// A phone, a laptop and a wide screen.
pub const WINDOWS: [Window; 3] = [
    Window { width: 390, height: 844, dark: false },
    Window { width: 1280, height: 800, dark: true },
    Window { width: 1920, height: 1080, dark: false },
];

/// What a browser has seen.
#[derive(Debug, serde::Deserialize)]
pub struct Seen {
    /// Messages in the console, and errors.
    pub console: Vec<String>,
    /// What was asked for, the page itself included.
    pub requests: Vec<String>,
    /// What each step gave.
    pub results: Vec<Value>,
    /// What axe-core complains about.
    pub violations: Vec<Violation>,
    /// From the beginning to the event `load`, in milliseconds.
    pub opened_ms: f64,
}

/// A complaint of axe-core.
#[derive(Debug, serde::Deserialize)]
pub struct Violation {
    /// The rule.
    pub id: String,
    /// `minor`, `moderate`, `serious` or `critical`.
    pub impact: Option<String>,
    /// What is to be done.
    pub help: String,
    /// The elements.
    pub nodes: Vec<String>,
}

impl Seen {
    /// The complaints that are more than a matter of taste.
    pub fn serious(&self) -> Vec<&Violation> {
        let is_serious = |impact: &str| ["serious", "critical"].contains(&impact);
        self.violations
            .iter()
            .filter(|violation| violation.impact.as_deref().is_none_or(is_serious))
            .collect()
    }
}

/// Opens a page in a namespace that leads nowhere, and evaluates these expressions there, one after the other.
/// axe-core looks at what is there then. Pictures of it go to `PICTURES`, if that variable names a folder.
pub fn open(place: &Place, page: &Path, window: Window, steps: &[&str]) -> Seen {
    let Window { width, height, dark } = window;
    let picture = |suffix: &str| {
        let folder = env::var_os("PICTURES")?;
        let name = page.file_stem()?.to_str()?;
        let shade = if dark { "dark" } else { "light" };
        Some(PathBuf::from(folder).join(format!("{name}-{width}-{shade}.{suffix}")))
    };
    let asked = json!({
        "url": format!("file://{}", page.display()),
        "width": width,
        "height": height,
        "dark": dark,
        "steps": steps,
        "axe": axe(),
        "screenshot": picture("png"),
        "pdf": picture("pdf"),
        "whole": true,
    });
    let driver = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/browser.js");
    let seen = run(place.command("node").arg(driver).arg(asked.to_string()));
    serde_json::from_str(&seen).unwrap_or_else(|error| panic!("{error}: {seen}"))
}

/// axe-core, which `cargo xtask test` installs, or the file that the environment variable `AXE` names.
fn axe() -> PathBuf {
    let installed = "../target/tools/axe/node_modules/axe-core/axe.min.js";
    env::var_os("AXE").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join(installed), PathBuf::from)
}
