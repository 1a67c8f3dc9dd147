//! What `tracer explain` says, as parts of a page.

use crate::explain::{texts::Texts, topic::Topic};

/// Text between backticks is code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct TextPiece {
    pub(super) is_code: bool,
    pub(super) text: String,
}

/// Takes a text apart at its backticks.
pub(super) fn pieces(text: &str) -> Vec<TextPiece> {
    let parts = text.split('`').enumerate();
    let pieces = parts.map(|(number, text)| TextPiece { is_code: number % 2 == 1, text: text.to_owned() });
    pieces.filter(|piece| !piece.text.is_empty()).collect()
}

/// What `tracer explain` says about a word.
#[derive(Clone, Debug, Default)]
pub(super) struct Explained {
    pub(super) what: Vec<TextPiece>,
    pub(super) causes: Vec<Vec<TextPiece>>,
    /// Commands to type, and what each shows.
    pub(super) next: Vec<(String, Vec<TextPiece>)>,
}

impl Explained {
    /// Of the finding with this name.
    pub(super) fn finding(texts: Option<&Texts>, name: &str) -> Self {
        let Some(entry) = texts.and_then(|texts| texts.entry(Topic::Finding, name)) else {
            return Self::default();
        };
        Self {
            what: pieces(&entry.what),
            causes: entry.causes.iter().map(|cause| pieces(cause)).collect(),
            next: entry.next.iter().map(|(command, why)| (command.clone(), pieces(why))).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{aggregate::findings::FindingKind, explain::texts::Language};

    #[test]
    fn code_stands_between_backticks() {
        let piece = |is_code, text: &str| TextPiece { is_code, text: text.to_owned() };
        assert_eq!(pieces("a `b` c"), [piece(false, "a "), piece(true, "b"), piece(false, " c")]);
        assert_eq!(pieces("`b`"), [piece(true, "b")]);
    }

    #[test]
    fn every_finding_is_explained() {
        let texts = Texts::read(Language::ENGLISH).unwrap();
        for kind in FindingKind::all() {
            let explained = Explained::finding(Some(&texts), kind.name());
            assert!(!explained.what.is_empty() && !explained.causes.is_empty(), "{kind}");
        }
    }
}
