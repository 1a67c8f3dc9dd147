//! Nothing is missing in the tables, and no translation is stale.

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use crate::{
        aggregate::findings::FindingKind,
        explain::{
            texts::{
                HEADING, Language, TABLES, Texts,
                entry::{Entry, hash},
            },
            topic::Topic,
        },
        facts::{counts::TcpCounts, losses::Losses},
        format::{columns::COLUMNS, links::LINK_COLUMNS, routes::ROUTE_COLUMNS},
        run::receipt::{Connections, Kernel, Receipt},
        tcp::{reason::Reason, state::State},
        track::owner::Evidence,
    };

    /// In a translation, the hash of the English text that it translates.
    const OF: &str = "of";

    fn english() -> Texts {
        Texts::read(Language::ENGLISH).unwrap()
    }

    fn words(texts: &Texts, topic: Topic) -> BTreeSet<String> {
        texts.words(topic).map(|(word, _)| word.to_owned()).collect()
    }

    #[track_caller]
    fn are_all_there(topic: Topic, expected: impl IntoIterator<Item = impl ToString>) {
        let expected: BTreeSet<String> = expected.into_iter().map(|word| word.to_string()).collect();
        assert!(expected.len() > 4, "{expected:?}");
        assert_eq!(words(&english(), topic), expected);
    }

    #[test]
    fn every_word_has_an_entry() {
        are_all_there(Topic::State, (0..=u8::MAX).filter_map(|number| State::from_kernel(number).name()));
        are_all_there(Topic::Reason, Reason::ALL.iter().map(|reason| reason.name()));
        are_all_there(Topic::Finding, FindingKind::all());
        are_all_there(Topic::Column, COLUMNS.iter().map(|column| column.key));
        are_all_there(Topic::Interface, LINK_COLUMNS.iter().map(|column| column.key));
        are_all_there(Topic::Route, ROUTE_COLUMNS.iter().map(|column| column.key));
        let evidence = [
            Evidence::Unknown,
            Evidence::Listener,
            Evidence::Snapshot,
            Evidence::Holder,
            Evidence::Accept,
            Evidence::Own,
        ];
        are_all_there(Topic::Owner, evidence.map(|evidence| evidence.name().unwrap_or("null")));
        let events = COLUMNS.iter().find(|column| column.key == "event").unwrap().help;
        let (_, events) = events.split_once(": ").unwrap();
        let events = events.split(", ").map(|event| event.split(' ').next().unwrap());
        are_all_there(Topic::Event, events);
        let stories = ["open", "close", "simultaneous-close", "half-open", "reset", "timeout"];
        are_all_there(Topic::Story, stories);
    }

    fn keys(value: &serde_json::Value, into: &mut BTreeSet<String>) {
        for (key, value) in value.as_object().into_iter().flatten() {
            into.insert(key.clone());
            keys(value, into);
        }
    }

    /// The words of the receipt are those of its JSON, and the two outcomes of the comparison.
    #[test]
    fn every_word_of_the_receipt_has_an_entry() {
        let counts = TcpCounts { opened: 1, accepted: 2, failed: 3, reset: 4 };
        let kernel = Kernel {
            counts: Some(counts),
            compared: Some(counts),
            tolerance: Some(counts),
            agrees: Some(false),
            notes: Vec::new(),
        };
        let receipt = Receipt {
            seen: 0,
            shown: 0,
            sampled: 0,
            incidents: 0,
            stuck: 0,
            filtered: None,
            losses: Losses::NONE,
            gaps: 0,
            cut_off: false,
            damaged: false,
            beyond: 0,
            unwritten: 0,
            forgotten: 0,
            crowded_out_hooks: Vec::new(),
            connections: Some(Connections { counts, open: 0, waiting: 0, ended_unseen: 0 }),
            kernel: Some(kernel),
            hosts: Vec::new(),
        };
        let mut expected = BTreeSet::from(["disagrees".to_owned()]);
        keys(&serde_json::to_value(&receipt).unwrap(), &mut expected);
        are_all_there(Topic::Receipt, expected);
    }

    /// What a word of this topic needs to be answered.
    fn needed(topic: Topic, entry: &Entry) -> Vec<(&'static str, bool)> {
        let is_told =
            |key: &str| entry.paragraphs().iter().any(|(other, text)| *other == key && !text.is_empty());
        let mut needed = vec![("brief", !entry.brief.is_empty())];
        let mut also = |keys: &[&'static str]| needed.extend(keys.iter().map(|key| (*key, is_told(key))));
        match topic {
            Topic::State => also(&["what", "enters", "leaves", "acts", "normal", "pile"]),
            Topic::Column | Topic::Interface | Topic::Route | Topic::Receipt => {}
            _ => also(&["what"]),
        }
        match topic {
            Topic::State | Topic::Finding => {
                needed.extend([("causes", !entry.causes.is_empty()), ("next", !entry.next.is_empty())]);
            }
            Topic::Reason => needed.push(("next", !entry.next.is_empty())),
            Topic::Story => needed.push(("steps", !entry.steps.is_empty())),
            _ => {}
        }
        if matches!(topic, Topic::State | Topic::Transition | Topic::Story) {
            needed.push(("source", entry.source.contains("RFC")));
        }
        needed
    }

    #[test]
    fn every_entry_is_whole() {
        let english = english();
        let mut missing = Vec::new();
        for topic in Topic::ALL {
            for (word, entry) in english.words(topic) {
                let parts = needed(topic, entry).into_iter().filter(|(_, is_there)| !is_there);
                missing.extend(parts.map(|(part, _)| format!("{}.{word}: {part}", topic.name())));
                assert_eq!(entry.of, "", "{word}: English translates nothing");
                // Lists show it behind the word, on one line.
                assert!(!entry.brief.ends_with('.') && !entry.brief.contains('\n'), "{word}");
            }
        }
        assert!(missing.is_empty(), "{missing:#?}");
    }

    #[test]
    fn every_finding_names_its_threshold() {
        for (word, entry) in english().words(Topic::Finding) {
            assert!(entry.what.contains(&format!("`--finding {word}=")), "{word}: {}", entry.what);
        }
    }

    /// What stands between backticks, which no language changes.
    fn quoted(text: &str) -> Vec<&str> {
        let mut quoted: Vec<_> = text.split('`').skip(1).step_by(2).collect();
        quoted.sort_unstable();
        quoted
    }

    /// What is wrong with a translated entry.
    fn faults(english: &Entry, entry: &Entry) -> Vec<String> {
        let mut faults = Vec::new();
        if entry.of != english.hash() {
            faults.push("is stale: translate it again, then UPDATE_HASHES".to_owned());
        }
        if !entry.source.is_empty() {
            faults.push("has a source: that is English's".to_owned());
        }
        let (ours, theirs): (Vec<_>, Vec<_>) = (entry.texts().collect(), english.texts().collect());
        if ours.len() != theirs.len() {
            faults.push("has more or fewer parts".to_owned());
        }
        for (ours, theirs) in ours.iter().zip(theirs) {
            if ours.is_empty() != theirs.is_empty() {
                faults.push(format!("{ours:?} stands for {theirs:?}"));
            }
            if quoted(ours) != quoted(theirs) {
                faults.push(format!("{:?} became {:?}", quoted(theirs), quoted(ours)));
            }
        }
        let commands =
            |entry: &Entry| entry.next.iter().map(|(command, _)| command.clone()).collect::<Vec<_>>();
        if commands(entry) != commands(english) {
            faults.push("has other commands".to_owned());
        }
        faults
    }

    #[test]
    fn translations_are_whole_and_fresh() {
        let english = english();
        let mut faulty = Vec::new();
        for language in Language::all().filter(|language| *language != Language::ENGLISH) {
            let texts = Texts::read(language).unwrap();
            let keys =
                |texts: &Texts| texts.headings.keys().filter(|key| *key != OF).cloned().collect::<Vec<_>>();
            assert_eq!(keys(&texts), keys(&english), "{language}");
            if texts.heading(OF) != hash(english.headings.values().map(String::as_str)) {
                faulty.push(format!("{language} {HEADING} is stale"));
            }
            for topic in Topic::ALL {
                let name = topic.name();
                for word in words(&texts, topic).symmetric_difference(&words(&english, topic)) {
                    faulty.push(format!("{language} {name}.{word} stands in one table only"));
                }
                for (word, original) in english.words(topic) {
                    let faults = texts.entry(topic, word).map(|entry| faults(original, entry));
                    let told = |fault| format!("{language} {name}.{word} {fault}");
                    faulty.extend(faults.into_iter().flatten().map(told));
                }
            }
        }
        assert!(faulty.is_empty(), "{faulty:#?}");
    }

    #[test]
    fn faults_are_found() {
        let original = Entry { brief: "a `b` c".into(), causes: vec!["d".into()], ..Entry::default() };
        let good = Entry {
            brief: "x `b` y".into(),
            of: original.hash(),
            causes: vec!["z".into()],
            ..Entry::default()
        };
        assert_eq!(faults(&original, &good), [""; 0]);
        for bad in [
            Entry { of: "0".into(), ..good.clone() },
            Entry { brief: "x `B` y".into(), ..good.clone() },
            Entry { causes: Vec::new(), ..good.clone() },
            Entry { what: "more".into(), ..good.clone() },
            Entry { source: "RFC".into(), ..good.clone() },
            Entry { next: vec![("tracer".into(), "x".into())], ..good.clone() },
        ] {
            assert!(!faults(&original, &bad).is_empty(), "{bad:?}");
        }
    }

    /// `UPDATE_HASHES=ja cargo test -p tcp-tracer hashes` writes into each entry of `ja.toml` the hash of the English one:
    /// run it once the entries are translated, or translated again.
    #[test]
    fn hashes_of_a_translation_can_be_written() {
        let Ok(code) = std::env::var("UPDATE_HASHES") else { return };
        assert!(code != TABLES[0].0 && code.len() == 2, "a language: {code}");
        let path = format!("{}/src/explain/texts/{code}.toml", env!("CARGO_MANIFEST_DIR"));
        let english = english();
        fs::write(&path, with_hashes(&fs::read_to_string(&path).unwrap(), &english)).unwrap();
    }

    /// A table with the hash behind the head of each entry that English has.
    fn with_hashes(table: &str, english: &Texts) -> String {
        let mut out = String::new();
        for line in table.lines().filter(|line| !line.starts_with("of = ")) {
            out += line;
            out += "\n";
            let head = line.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
            let Some(head) = head.filter(|_| !line.starts_with("[[")) else { continue };
            let hash = match head.split_once('.') {
                None if head == HEADING => Some(hash(english.headings.values().map(String::as_str))),
                None => None,
                Some((topic, word)) => {
                    let topic = Topic::ALL.into_iter().find(|other| other.name() == topic);
                    topic.and_then(|topic| english.entry(topic, word.trim_matches('"'))).map(Entry::hash)
                }
            };
            if let Some(hash) = hash {
                out += &["of = \"", &hash, "\"\n"].concat();
            }
        }
        out
    }

    #[test]
    fn hashes_stand_behind_heads() {
        let english = english();
        let hash = english.entry(Topic::Transition, "CLOSE:LISTEN").unwrap().hash();
        let table =
            "[transition.\"CLOSE:LISTEN\"]\nof = \"old\"\nbrief = \"x\"\n\n[state.NONE]\nbrief = \"y\"\n";
        let expected = table.replace("old", &hash);
        assert_eq!(with_hashes(table, &english), expected);
        assert_eq!(with_hashes(&expected, &english), expected);
    }
}
