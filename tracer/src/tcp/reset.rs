//! RST segments: which way they went, and the kernel's names of why it sends one.

use tracer_common::event::REASON_UNTOLD;

/// Which way an RST went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Reset {
    /// There was none.
    #[default]
    None,
    /// From here.
    Sent,
    /// To here.
    Received,
}

impl Reset {
    /// As the interface spells it.
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

/// The names of the running kernel's `enum sk_rst_reason`, by number; a number that has none stands
/// for itself.
#[derive(Clone, Debug, Default)]
pub struct ResetReasons(Vec<Box<str>>);

/// None are known.
pub static NO_REASONS: ResetReasons = ResetReasons(Vec::new());

impl ResetReasons {
    /// Of these enumerators. Kernels add some, and move others.
    #[must_use]
    pub fn of(enumerators: &[(String, u32)]) -> Self {
        let mut names: Vec<Box<str>> = (0..REASON_UNTOLD).map(|number| number.to_string().into()).collect();
        for (name, number) in enumerators {
            let place = usize::try_from(*number).ok().and_then(|number| names.get_mut(number));
            let name = name.strip_prefix(PREFIX).filter(|name| is_word(name));
            if let (Some(place), Some(name)) = (place, name) {
                *place = name.to_ascii_lowercase().replace('_', "-").into();
            }
        }
        Self(names)
    }

    /// Why an RST was sent, if the kernel said.
    #[must_use]
    pub fn why(&self, number: u8) -> Option<&str> {
        self.0.get(usize::from(number)).map(|name| &**name)
    }
}

/// The types may come from a file (`--btf`): a name must not move the cursor, nor fill the screen.
fn is_word(name: &str) -> bool {
    (1..64).contains(&name.len()) && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_kernels() {
        let enumerators =
            [("SK_RST_REASON_NO_SOCKET", 1), ("SK_RST_REASON_A\x1b", 2), ("OTHER", 3), ("SK_RST_REASON_", 4)]
                .map(|(name, number)| (name.to_owned(), number));
        let reasons = ResetReasons::of(&enumerators);
        assert_eq!(reasons.why(1), Some("no-socket"));
        assert_eq!(reasons.why(2), Some("2"), "nothing that moves the cursor");
        assert_eq!(reasons.why(3), Some("3"));
        assert_eq!(reasons.why(4), Some("4"));
        assert_eq!(reasons.why(REASON_UNTOLD), None);
        assert_eq!(NO_REASONS.why(9), None);
        assert_eq!(ResetReasons::of(&[("SK_RST_REASON_X".to_owned(), u32::MAX)]).why(254), Some("254"));
    }
}
