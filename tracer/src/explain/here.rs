//! What there is of it on this host now. The view that knows the sockets tells; without it nothing is said.

use crate::text::{duration::duration, width::grouped};

/// The sockets of a state, as a list of sockets knows them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Here {
    /// How many there are.
    pub count: u64,
    /// How long the oldest has been in the state, at least.
    pub oldest_ns: Option<u64>,
    /// Those who hold most of them, with how many.
    pub owners: Vec<(String, u64)>,
    /// How long a socket usually stays in the state at most (`--stuck`), if there is such a limit.
    pub limit_ns: Option<u64>,
}

impl Here {
    /// The key of the words that say whether that is a pile; `None` where there is no limit.
    #[must_use]
    pub(super) fn verdict(&self) -> Option<&'static str> {
        let limit_ns = self.limit_ns?;
        Some(if self.oldest_ns.is_some_and(|oldest_ns| oldest_ns >= limit_ns) {
            "is_pile"
        } else {
            "is_no_pile"
        })
    }

    /// One line, `77, oldest 20.5s, python3 (412) 70, nginx (3) 7`: numbers and names.
    #[must_use]
    pub(super) fn line(&self, oldest: &str) -> String {
        let mut parts = vec![grouped(self.count)];
        parts.extend(self.oldest_ns.map(|oldest_ns| format!("{oldest} {}", duration(oldest_ns))));
        parts.extend(self.owners.iter().map(|(owner, count)| format!("{owner} {}", grouped(*count))));
        parts.join(", ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_known_is_not_told() {
        let here = Here {
            count: 4077,
            oldest_ns: Some(20_500_000_000),
            owners: vec![("nginx (3)".into(), 4000)],
            limit_ns: None,
        };
        assert_eq!(here.line("oldest"), "4,077, oldest 20.5s, nginx (3) 4,000");
        assert_eq!((Here::default().line("oldest").as_str(), Here::default().verdict()), ("0", None));
        assert_eq!(Here { limit_ns: Some(1), ..here }.verdict(), Some("is_pile"));
        assert_eq!(Here { limit_ns: Some(1), ..Here::default() }.verdict(), Some("is_no_pile"));
    }
}
