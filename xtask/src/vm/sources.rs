//! Takes the Debian sources of this machine's apt, and makes sources of other suites from them.

use std::{fmt::Write as _, fs, path::Path};

use anyhow::{Result, bail};

/// A source of packages: a stanza of an apt `.sources` file, or a line of a `.list` file.
#[derive(Debug, Default, PartialEq)]
struct Source {
    uris: String,
    suites: Vec<String>,
    components: Vec<String>,
    signed_by: Option<String>,
    trusted: bool,
}

/// Suites with kernels and userland, oldest first. Security suites have a source of their own.
const SUITES: &str = "bullseye bookworm bookworm-backports trixie trixie-backports sid";
const SECURITY_SUITES: &str = "bullseye-security bookworm-security trixie-security";

/// The suites that a Debian machine may use.
const OWN: [&str; 9] =
    ["bullseye", "bookworm", "trixie", "forky", "sid", "oldstable", "stable", "testing", "unstable"];

const KEYRING: &str = "debian-archive";

/// Apt's sources for all suites and these architectures.
pub(crate) fn for_all_suites(etc_apt: &Path, architectures: &str) -> Result<String> {
    let sources = read(etc_apt);
    let is_own = |source: &&Source, suffix: &str| {
        let mut suites = source.suites.iter().filter_map(|suite| suite.strip_suffix(suffix));
        // Other repositories use the names of Debian's suites, too.
        suites.any(|suite| OWN.contains(&suite))
            && source.components.iter().any(|component| component == "main")
            && source.signed_by.as_ref().is_none_or(|key| key.contains(KEYRING) || key.contains('\n'))
    };
    let Some(main) = sources.iter().find(|source| is_own(source, "")) else {
        bail!(
            "{} has no source of Debian's packages: give the paths of kernels with --kernel",
            etc_apt.display()
        );
    };
    let mut text = stanza(main, SUITES, architectures);
    if let Some(security) = sources.iter().find(|source| is_own(source, "-security")) {
        text += &stanza(security, SECURITY_SUITES, architectures);
    }
    Ok(text)
}

fn stanza(source: &Source, suites: &str, architectures: &str) -> String {
    let mut text = format!(
        "Types: deb\nURIs: {}\nSuites: {suites}\nComponents: main\nArchitectures: {architectures}\nTargets: Packages\n",
        source.uris
    );
    if let Some(key) = &source.signed_by {
        // Writing into a String cannot fail.
        let _ = writeln!(text, "Signed-By: {key}");
    }
    if source.trusted {
        text += "Trusted: yes\n";
    }
    text + "\n"
}

fn read(etc_apt: &Path) -> Vec<Source> {
    let parts = fs::read_dir(etc_apt.join("sources.list.d")).into_iter().flatten().flatten();
    let mut files: Vec<_> = parts.map(|part| part.path()).collect();
    files.sort();
    files.insert(0, etc_apt.join("sources.list"));
    let of_file = |file: &std::path::PathBuf| {
        let text = fs::read_to_string(file).unwrap_or_default();
        match file.extension().and_then(|extension| extension.to_str()) {
            Some("list") => text.lines().filter_map(line).collect(),
            Some("sources") => stanzas(&text),
            _ => Vec::new(),
        }
    };
    files.iter().flat_map(of_file).collect()
}

/// Parses a line such as `deb [signed-by=KEY] URI SUITE COMPONENT...`
fn line(line: &str) -> Option<Source> {
    let line = line.split('#').next()?.trim().strip_prefix("deb")?.strip_prefix([' ', '\t'])?.trim();
    let (options, line) = match line.strip_prefix('[') {
        Some(line) => line.split_once(']')?,
        None => ("", line),
    };
    let option = |name: &str| {
        let mut words = options.split_whitespace().filter_map(|word| word.split_once('='));
        words.find_map(|(key, value)| (key.eq_ignore_ascii_case(name)).then(|| value.to_owned()))
    };
    let mut words = line.split_whitespace().map(str::to_owned);
    Some(Source {
        uris: words.next()?,
        suites: vec![words.next()?],
        components: words.collect(),
        signed_by: option("signed-by"),
        trusted: option("trusted").as_deref() == Some("yes"),
    })
}

/// Parses stanzas of lines such as `Types: deb` and `URIs: ...`, with empty lines between stanzas.
fn stanzas(text: &str) -> Vec<Source> {
    let lines: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
    lines.split(|line| line.trim().is_empty()).filter_map(of_fields).collect()
}

fn of_fields(lines: &[&str]) -> Option<Source> {
    let field = |name: &str| {
        let is_it = |line: &&str| line.split_once(':').is_some_and(|(key, _)| key.eq_ignore_ascii_case(name));
        let at = lines.iter().position(is_it)?;
        let first = lines[at].split_once(':')?.1.trim().to_owned();
        // The value may be a whole key, on further lines that begin with a blank.
        let more = lines[at + 1..].iter().take_while(|line| line.starts_with([' ', '\t']));
        Some(more.fold(first, |text, line| text + "\n" + line))
    };
    let words = |name| field(name).unwrap_or_default().split_whitespace().map(str::to_owned).collect();
    if !field("Types")?.split_whitespace().any(|kind| kind == "deb")
        || field("Enabled").as_deref() == Some("no")
    {
        return None;
    }
    Some(Source {
        uris: field("URIs")?,
        suites: words("Suites"),
        components: words("Components"),
        signed_by: field("Signed-By"),
        trusted: field("Trusted").as_deref() == Some("yes"),
    })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn turned(name: &str, text: &str) -> Result<String> {
        // Tests run at the same time, some of them with the same name.
        static FOLDERS: AtomicU32 = AtomicU32::new(0);
        let number = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let folder = std::env::temp_dir().join(format!("xtask-sources-{}-{number}", std::process::id()));
        fs::create_dir_all(folder.join("sources.list.d"))?;
        fs::write(folder.join(name), text)?;
        let sources = for_all_suites(&folder, "amd64 arm64");
        fs::remove_dir_all(folder)?;
        sources
    }

    #[test]
    fn both_styles_give_the_same() {
        let lines = "# ours\ndeb [signed-by=/k/debian-archive-keyring.gpg] http://a.test/debian bookworm main # it\n\
            deb http://other.test/x bookworm stable\n\
            deb [signed-by=/k/debian-archive-keyring.gpg] http://a.test/debian-security bookworm-security main\n";
        let stanzas = "# ours\nTypes: deb\n# a comment\nURIs: http://a.test/debian\nSuites: bookworm bookworm-updates\n\
            Components: main contrib\nSigned-By: /k/debian-archive-keyring.gpg\n\n\
            Types: deb\nURIs: http://a.test/debian-security\nSuites: bookworm-security\nComponents: main\n\
            Signed-By: /k/debian-archive-keyring.gpg\n";
        let turned_lines = turned("sources.list", lines).unwrap();
        assert_eq!(turned_lines, turned("sources.list.d/debian.sources", stanzas).unwrap());
        assert!(
            turned_lines.starts_with("Types: deb\nURIs: http://a.test/debian\nSuites: bullseye bookworm ")
        );
        assert!(turned_lines.contains("URIs: http://a.test/debian-security\nSuites: bullseye-security "));
        assert!(!turned_lines.contains("other.test"));
    }

    #[test]
    fn a_key_may_stand_there_itself() {
        let key = " -----BEGIN\n .\n abc\n -----END";
        let text =
            format!("Types: deb\nURIs: http://a.test\nSuites: trixie\nComponents: main\nSigned-By:\n{key}\n");
        assert!(
            turned("sources.list.d/a.sources", &text).unwrap().contains(&format!("Signed-By: \n{key}\n"))
        );
    }

    #[test]
    fn without_debian_it_says_so() {
        let error = turned("sources.list", "deb http://b.test noble main\n").unwrap_err();
        assert!(error.to_string().contains("--kernel"), "{error}");
    }
}
