//! `tracer list` of sockets of all kinds, beside `ss`: field by field.

use std::fs;

use guest::Found;
use tests::{
    listed::{bytes, compare, json, told, told_by_ss},
    place::Place,
    sockets::mixed_without_firewall,
};

/// Connections of IPv4, IPv6 and mapped each.
const CONNECTIONS: usize = 20;
/// For unix sockets.
const FOLDER: &str = "/sockets";

/// Makes the sockets, and compares.
pub(crate) fn play() -> Found {
    let place = Place::new();
    fs::create_dir_all(FOLDER).expect("a folder");
    let _kept = mixed_without_firewall(&place, FOLDER.as_ref(), CONNECTIONS);
    let list = || told(&json(&place, "-tuxanpeoi"));
    compare(|| told_by_ss(&bytes(&place, "ss", "-tuxanpeOHoi")), list);
    let sockets = list().len();
    assert!(sockets > 6 * CONNECTIONS, "{sockets}");
    Found::List { sockets }
}
