//! What is said about a word.

use serde::Deserialize;

/// What is said about a word; empty where there is nothing to say. `en.toml` tells what each part is.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Entry {
    /// In a translation, the hash of the English entry that it translates.
    pub of: String,
    /// One line, as in the list of words.
    pub brief: String,
    /// What it is.
    pub what: String,
    /// What moves a connection into the state.
    pub enters: String,
    /// What moves it out.
    pub leaves: String,
    /// Which end has to act.
    pub acts: String,
    /// What is normal, and for how long.
    pub normal: String,
    /// What a pile of them means.
    pub pile: String,
    /// Usual causes, the likeliest first.
    pub causes: Vec<String>,
    /// Commands to type, and what each shows.
    pub next: Vec<(String, String)>,
    /// Sysctls and socket options, with their defaults.
    pub settings: Vec<String>,
    /// Of a story: a text for each row of its picture.
    pub steps: Vec<String>,
    /// RFC and kernel functions. Translations take it from English.
    pub source: String,
}

/// Offset and prime of FNV-1a, 64 bits.
const FNV: (u64, u64) = (0xcbf2_9ce4_8422_2325, 0x0100_0000_01b3);

/// A short hash of texts, the same on all machines and for ever.
pub fn hash<'a>(texts: impl IntoIterator<Item = &'a str>) -> String {
    let bytes = texts.into_iter().flat_map(|text| text.bytes().chain([b'\n']));
    let hash = bytes.fold(FNV.0, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(FNV.1));
    format!("{:08x}", hash >> 32)
}

impl Entry {
    /// The parts that are one text, with the keys of their headings, in the order of the screen.
    #[must_use]
    pub fn paragraphs(&self) -> [(&'static str, &str); 6] {
        [
            ("what", &self.what),
            ("enters", &self.enters),
            ("leaves", &self.leaves),
            ("acts", &self.acts),
            ("normal", &self.normal),
            ("pile", &self.pile),
        ]
    }

    /// All texts that a translation has to have, each part after its name.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        let paragraphs = self.paragraphs().into_iter().flat_map(|(key, text)| [key, text]);
        let causes = self.causes.iter().map(String::as_str);
        let next = self.next.iter().flat_map(|(command, why)| [command.as_str(), why]);
        let settings = self.settings.iter().map(String::as_str);
        let steps = self.steps.iter().map(String::as_str);
        [self.brief.as_str()]
            .into_iter()
            .chain(paragraphs)
            .chain(["causes"])
            .chain(causes)
            .chain(["next"])
            .chain(next)
            .chain(["settings"])
            .chain(settings)
            .chain(["steps"])
            .chain(steps)
    }

    /// The hash by which a translation says which text it translates.
    #[must_use]
    pub fn hash(&self) -> String {
        hash(self.texts())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_fnv_1a() {
        // The published value for "foobar" is 85944171f73967e8; with the line's end after it, this.
        assert_eq!(hash(["foobar"]), "345316a7");
        assert_ne!(hash(["a", "b"]), hash(["ab"]));
    }

    #[test]
    fn every_part_counts() {
        let entry = Entry { what: "x".into(), ..Entry::default() };
        let others = [
            Entry { pile: "x".into(), ..Entry::default() },
            Entry { causes: vec!["x".into()], ..Entry::default() },
            Entry { settings: vec!["x".into()], ..Entry::default() },
            Entry { next: vec![("x".into(), String::new())], ..Entry::default() },
            Entry { steps: vec!["x".into()], ..Entry::default() },
            Entry::default(),
        ];
        assert!(others.iter().all(|other| other.hash() != entry.hash()));
        let source = Entry { source: "RFC".into(), ..entry.clone() };
        assert_eq!(source.hash(), entry.hash(), "there is nothing in it to translate");
    }
}
