//! Text in lines of a width, by display width (Unicode).

use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// What begins no line.
const NO_START: &str =
    "、。，．・：；？！」』）］｝〉》】〕…ー々ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮ,.:;?!)]}%";

/// What ends no line.
const NO_END: &str = "「『（［｛〈《【〔([{";

/// What must not be parted, and whether a blank stands before it.
struct Piece<'a> {
    text: &'a str,
    is_spaced: bool,
}

/// Breaks text into lines of at most this width, where words are parted, and between wide characters, which have no
/// blanks. What stands between backticks stays whole where it fits. Only a word that is wider than a line makes a
/// wider one.
#[must_use]
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for Piece { text, is_spaced } in pieces(text).into_iter().flat_map(|piece| fitting(piece, width)) {
        let blank = usize::from(is_spaced && !line.is_empty());
        if !line.is_empty() && line.width() + blank + text.width() > width {
            lines.push(std::mem::take(&mut line));
        } else if blank > 0 {
            line.push(' ');
        }
        line.push_str(text);
    }
    lines.push(line);
    lines
}

/// What is wider than a line is parted at its blanks, even between backticks.
fn fitting(piece: Piece<'_>, width: usize) -> Vec<Piece<'_>> {
    if piece.text.width() <= width {
        return vec![piece];
    }
    let parts = piece.text.split(' ').enumerate();
    parts.map(|(index, text)| Piece { text, is_spaced: piece.is_spaced || index > 0 }).collect()
}

fn is_wide(character: char) -> bool {
    character.width() == Some(2)
}

fn pieces(text: &str) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let (mut start, mut is_spaced, mut is_quoted) = (0, false, false);
    let mut before: Option<char> = None;
    for (at, character) in text.char_indices() {
        let is_blank = character == ' ' && !is_quoted;
        let opens = character == '`' && !is_quoted;
        let is_break =
            is_blank || before.is_some_and(|before| may_break(before, character, is_quoted, opens));
        if is_break && start < at {
            pieces.push(Piece { text: &text[start..at], is_spaced });
            is_spaced = false;
        }
        if is_break {
            start = at;
        }
        if is_blank {
            (start, is_spaced, before) = (at + 1, true, None);
            continue;
        }
        is_quoted ^= character == '`';
        before = Some(if opens { '(' } else { character });
    }
    if start < text.len() {
        pieces.push(Piece { text: &text[start..], is_spaced });
    }
    pieces
}

/// Whether a line may end between two characters that no blank parts.
fn may_break(before: char, after: char, is_quoted: bool, opens: bool) -> bool {
    let starts_no_line = NO_START.contains(after) || (after == '`' && !opens);
    !is_quoted && (is_wide(before) || is_wide(after)) && !starts_no_line && !NO_END.contains(before)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_stay_whole() {
        assert_eq!(wrap("one two three four", 9), ["one two", "three", "four"]);
        assert_eq!(wrap("a  b", 9), ["a b"]);
        assert_eq!(wrap("far-too-long a", 5), ["far-too-long", "a"]);
        assert_eq!(wrap("", 5), [""]);
    }

    #[test]
    fn what_is_quoted_stays_whole() {
        assert_eq!(wrap("type `tracer list -t` now", 18), ["type", "`tracer list -t`", "now"]);
        assert_eq!(wrap("(`a b`), c", 8), ["(`a b`),", "c"]);
        assert_eq!(wrap("`one two three`", 8), ["`one two", "three`"]);
    }

    #[test]
    fn japanese_breaks_between_characters_but_not_before_punctuation() {
        assert_eq!(wrap("接続を閉じる。次に", 12), ["接続を閉じ", "る。次に"]);
        assert_eq!(wrap("接続「閉じる」次", 6), ["接続", "「閉じ", "る」次"]);
        assert_eq!(wrap("状態CLOSE_WAITです", 10), ["状態", "CLOSE_WAIT", "です"]);
        assert_eq!(wrap("値は`a b`です。", 9), ["値は`a b`", "です。"]);
        for width in 4..40 {
            for line in wrap("相手は閉じました、しかし「この側」は`close()`をまだ呼んでいません。", width)
            {
                assert!(line.width() <= width.max(11), "{width}: {line}");
                assert!(!line.starts_with(['、', '。', '」']) && !line.ends_with('「'), "{width}: {line}");
            }
        }
    }
}
