//! A filter in the words of the command line.

use std::fmt;

use tracer_common::filter::{EITHER, LOCAL, NOT_EITHER, NOT_LOCAL, NOT_REMOTE, REMOTE, family};

use crate::{
    filter::{Filter, PerEnd, addrs::Cidr, ports::Ports},
    tcp::netns::NetnsFilter,
};

/// The ends, with the marks of values that are wanted there and that are not.
const ENDS: [(&str, u8, u8); 3] =
    [("", EITHER, NOT_EITHER), ("local-", LOCAL, NOT_LOCAL), ("remote-", REMOTE, NOT_REMOTE)];

impl fmt::Display for Ports {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (first, last) = self.bounds();
        if first == last { write!(f, "{first}") } else { write!(f, "{first}-{last}") }
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from(*self))
    }
}

/// Values of an option, as `--local-port 80,8000-8100,!8022`.
fn values<T: fmt::Display>(option: &str, ends: &PerEnd<T>, words: &mut Vec<String>) {
    for (end, wanted, unwanted) in ENDS {
        let value = |(value, mark): &(T, u8)| match *mark {
            mark if mark == wanted => Some(value.to_string()),
            mark if mark == unwanted => Some(format!("!{value}")),
            _ => None,
        };
        let values: Vec<String> = ends.marked().filter_map(value).collect();
        if !values.is_empty() {
            words.push(format!("--{end}{option} {}", values.join(",")));
        }
    }
}

impl fmt::Display for Filter {
    /// As it is typed: `--port 443 --netns 4026531840`; nothing if everything passes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut words = Vec::new();
        values("port", &self.ports, &mut words);
        values("addr", &self.addrs, &mut words);
        if self.families & family::ANY != family::ANY {
            words.push(if self.families & family::IPV4 != 0 { "--ipv4" } else { "--ipv6" }.to_owned());
        }
        let not = if matches!(self.netns, NetnsFilter::AllBut(_)) { "!" } else { "" };
        if !self.netns.is_open() {
            let mut netns: Vec<u32> = self.netns.listed().map(|netns| netns.inum).collect();
            netns.sort_unstable();
            let netns: Vec<String> = netns.iter().map(|inum| format!("{not}{inum}")).collect();
            words.push(format!(
                "--netns {}",
                if netns.is_empty() { "none".to_owned() } else { netns.join(",") }
            ));
        }
        f.write_str(&words.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_told_as_it_is_typed() {
        let ports = PerEnd::new(
            vec!["443".parse().unwrap(), "!22".parse().unwrap()],
            vec![],
            vec!["8000-8100".parse().unwrap()],
        );
        let addrs = PerEnd::new(vec!["10.0.0.0/8".parse().unwrap()], vec![], vec![]);
        let filter = Filter { ports, addrs, families: family::IPV6, ..Filter::default() };
        assert_eq!(filter.to_string(), "--port 443,!22 --remote-port 8000-8100 --addr 10.0.0.0/8 --ipv6");
        assert_eq!(Filter::default().to_string(), "");
    }
}
