//! RST segments: their direction, and the kernel's reasons for sending one.

use tracer_common::event::REASON_UNKNOWN;

/// The direction of an RST.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[repr(u8)]
pub enum Reset {
    /// There was no RST.
    #[default]
    None,
    /// This side sent it.
    Sent,
    /// This side received it.
    Received,
}

impl Reset {
    /// The name in output; `None` if there was no RST.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        match self {
            Self::None => None,
            Self::Sent => Some("sent"),
            Self::Received => Some("received"),
        }
    }
}

const PREFIX: &str = "SK_RST_REASON_";

/// The names of the running kernel's `enum sk_rst_reason` (since Linux 6.10), by number. A number without a
/// name is shown as a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(from = "Vec<String>")]
pub struct ResetReasons(Vec<Box<str>>);

/// No names, for kernels without this enum.
pub static NO_REASONS: ResetReasons = ResetReasons(Vec::new());

impl ResetReasons {
    /// Makes the table of the enum's names and values, which differ between kernels.
    #[must_use]
    pub fn of(enumerators: &[(String, u32)]) -> Self {
        let mut names: Vec<Box<str>> = (0..REASON_UNKNOWN).map(|number| number.to_string().into()).collect();
        for (name, number) in enumerators {
            let entry = usize::try_from(*number).ok().and_then(|number| names.get_mut(number));
            let name = name.strip_prefix(PREFIX).filter(|name| is_plain_word(name));
            if let (Some(entry), Some(name)) = (entry, name) {
                *entry = name.to_ascii_lowercase().replace('_', "-").into();
            }
        }
        Self(names)
    }

    /// Why an RST was sent; `None` if the kernel gave no reason.
    #[must_use]
    pub fn why(&self, number: u8) -> Option<&str> {
        self.0.get(usize::from(number)).map(|name| &**name)
    }
}

/// From a recording, which anybody may have written.
impl From<Vec<String>> for ResetReasons {
    fn from(names: Vec<String>) -> Self {
        let is_word = |name: &str| is_plain_word(&name.replace('-', "_"));
        let named = names.into_iter().take(REASON_UNKNOWN.into()).zip(0_u8..);
        Self(
            named
                .map(|(name, number)| if is_word(&name) { name } else { number.to_string() }.into())
                .collect(),
        )
    }
}

/// Whether a name is safe to print. The types may come from a file (`--btf`), so a name might contain
/// control characters or be very long.
fn is_plain_word(name: &str) -> bool {
    (1..64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_the_kernel() {
        let enumerators =
            [("SK_RST_REASON_NO_SOCKET", 1), ("SK_RST_REASON_A\x1b", 2), ("OTHER", 3), ("SK_RST_REASON_", 4)]
                .map(|(name, number)| (name.to_owned(), number));
        let reasons = ResetReasons::of(&enumerators);
        assert_eq!(reasons.why(1), Some("no-socket"));
        assert_eq!(reasons.why(2), Some("2"), "nothing that moves the cursor");
        assert_eq!(reasons.why(3), Some("3"));
        assert_eq!(reasons.why(4), Some("4"));
        assert_eq!(reasons.why(REASON_UNKNOWN), None);
        assert_eq!(NO_REASONS.why(9), None);
        assert_eq!(ResetReasons::of(&[("SK_RST_REASON_X".to_owned(), u32::MAX)]).why(254), Some("254"));
    }
}
