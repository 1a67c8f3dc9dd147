//! What there is of it on this host now. The view that knows the sockets tells; without it nothing is said.

use crate::text::{duration::duration, width::grouped};

/// How many that are stuck are a pile.
const PILE: u64 = 10;

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
    /// How many have been in the state for longer than that, as far as is known.
    pub stuck: u64,
    /// Of how many it is not known how long they have been in the state.
    pub ageless: u64,
    /// Of how many the owners may not be seen.
    pub hidden: u64,
    /// Whether other network namespaces may not be seen.
    pub is_part: bool,
}

impl Here {
    /// One line, `77, oldest 20.5s, python3 (412) 70, nginx (3) 7`: numbers and names.
    #[must_use]
    pub(super) fn line(&self, oldest: &str) -> String {
        let mut parts = vec![grouped(self.count)];
        parts.extend(self.oldest_ns.map(|oldest_ns| format!("{oldest} {}", duration(oldest_ns))));
        parts.extend(self.owners.iter().map(|(owner, count)| format!("{owner} {}", grouped(*count))));
        parts.join(", ")
    }

    /// Whether that is a pile, and what is not known: the keys of sentences, each with the number behind it.
    #[must_use]
    pub(super) fn remarks(&self) -> Vec<(&'static str, String)> {
        let has_limit = self.limit_ns.is_some() && self.count > 0;
        let number = |number: u64| format!(" {}", grouped(number));
        let limit = || self.limit_ns.map(|limit_ns| format!(" {}", duration(limit_ns))).unwrap_or_default();
        let remarks = [
            (has_limit && self.stuck > 0, "is_stuck", number(self.stuck)),
            (has_limit && self.stuck >= PILE, "is_pile", String::new()),
            (has_limit && self.stuck == 0 && self.ageless == 0, "is_no_pile", limit()),
            (has_limit && self.ageless > 0, "is_ageless", number(self.ageless)),
            (self.hidden > 0, "is_hidden", number(self.hidden)),
            (self.is_part, "is_part", String::new()),
        ];
        remarks.into_iter().filter(|(is_so, ..)| *is_so).map(|(_, key, number)| (key, number)).collect()
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
            ..Here::default()
        };
        assert_eq!(here.line("oldest"), "4,077, oldest 20.5s, nginx (3) 4,000");
        assert_eq!(Here::default().line("oldest"), "0");
    }

    #[test]
    fn it_is_told_whether_that_is_a_pile() {
        let told = |here: Here| {
            let remarks = here.remarks();
            remarks.into_iter().map(|(key, number)| format!("{key}{number}")).collect::<Vec<_>>().join(", ")
        };
        let limit_ns = Some(60_000_000_000);
        let some = Here { count: 5000, limit_ns, ..Here::default() };
        assert_eq!(told(Here { limit_ns, ..Here::default() }), "", "there is none");
        assert_eq!(told(Here { count: 5000, stuck: 5000, ..Here::default() }), "", "there is no limit");
        assert_eq!(told(some.clone()), "is_no_pile 60.0s");
        assert_eq!(told(Here { stuck: 9, ..some.clone() }), "is_stuck 9");
        assert_eq!(told(Here { stuck: 1234, ..some.clone() }), "is_stuck 1,234, is_pile");
        assert_eq!(told(Here { ageless: 7, ..some.clone() }), "is_ageless 7");
        assert_eq!(told(Here { hidden: 2, is_part: true, ..some }), "is_no_pile 60.0s, is_hidden 2, is_part");
    }
}
