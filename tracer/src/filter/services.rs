//! Names of services, as `/etc/services` has them (services(5)).

use std::{fs::File, io, io::Read as _, path::Path};

use crate::text::escape::escaped;

/// Where the names are.
const SERVICES: &str = "/etc/services";

/// As much as is read of the file. The longest that distributions have are below 1 MiB.
const LONGEST: u64 = 4 << 20;

/// Why a name is no port.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The file does not name it.
    #[error(
        "`{0}` is not a port, nor a TCP service in {SERVICES}: give ports or ranges separated by commas, such as 443,8000-8100"
    )]
    Unknown(String),
    /// The file cannot be read.
    #[error("`{0}` is not a port, and may be the name of one, but {SERVICES} cannot be read: {1}")]
    Unreadable(String, String),
}

/// The TCP port of a service.
pub fn port(name: &str) -> Result<u16, Error> {
    port_in(Path::new(SERVICES), name)
}

fn port_in(path: &Path, name: &str) -> Result<u16, Error> {
    let services = read(path).map_err(|why| Error::Unreadable(escaped(name.as_bytes()), why.to_string()))?;
    let found = services.lines().find_map(|line| port_of(line, name));
    found.ok_or_else(|| Error::Unknown(escaped(name.as_bytes())))
}

/// The names of ports, each with its protocol as the file has it, such as `tcp`. Of several names the first one counts,
/// as for getservbyport(3).
pub fn names() -> io::Result<Vec<(String, u16, String)>> {
    names_in(Path::new(SERVICES))
}

fn names_in(path: &Path) -> io::Result<Vec<(String, u16, String)>> {
    let text = read(path)?;
    let named = text.lines().filter_map(|line| {
        let mut words = line.split('#').next()?.split_whitespace();
        let (service, port) = (words.next()?, words.next()?);
        let (port, protocol) = port.split_once('/')?;
        // A name that looks like a port, or like an address with one, would lie.
        let is_name = service.parse::<u16>().is_err() && !service.contains(':');
        Some((protocol.to_owned(), port.parse().ok().filter(|port| *port > 0)?, escaped(service.as_bytes())))
            .filter(|_| is_name)
    });
    Ok(named.collect())
}

/// The beginning of the file, whatever bytes it has.
fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    File::open(path)?.take(LONGEST).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// The port in a line such as `http 80/tcp www # WorldWideWeb`, if that is the service's name or alias.
fn port_of(line: &str, name: &str) -> Option<u16> {
    let mut words = line.split('#').next()?.split_whitespace();
    let (service, port) = (words.next()?, words.next()?);
    let port = port.strip_suffix("/tcp")?.parse().ok().filter(|port| *port > 0)?;
    std::iter::once(service).chain(words).any(|word| word == name).then_some(port)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn names_and_aliases_of_tcp_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services");
        let unknown = |name: &str| Err(Error::Unknown(name.to_owned()));
        let text = b"# http 1/tcp\n\nhttp\t80/tcp www # web\nntp 123/udp\nbad 70000/tcp\nzero 0/tcp\nshort\n\
                    \xff 7/tcp\nhttp-alt 8080/tcp webcache\n";
        fs::write(&path, text).unwrap();
        assert_eq!(port_in(&path, "http"), Ok(80));
        assert_eq!(port_in(&path, "www"), Ok(80));
        assert_eq!(port_in(&path, "http-alt"), Ok(8080));
        for name in ["ntp", "web", "bad", "zero", "short", "HTTP", "#"] {
            assert_eq!(port_in(&path, name), unknown(name));
        }
    }

    #[test]
    fn ports_have_names() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("services");
        fs::write(&path, b"http 80/tcp www\nntp 123/udp # time\n81 80/tcp\na:b 9/tcp\n\x1b 7/tcp\nx y\n")
            .unwrap();
        let names = names_in(&path).unwrap();
        let shown: Vec<_> = names.iter().map(|(kind, port, name)| format!("{kind} {port} {name}")).collect();
        assert_eq!(shown, ["tcp 80 http", "udp 123 ntp", "tcp 7 \\x1b"]);
        assert!(names_in(Path::new("/no/such/file")).is_err());
    }

    #[test]
    fn a_file_that_is_missing_or_endless_is_no_trouble() {
        let missing = port_in(Path::new("/no/such/file"), "x\x1b").unwrap_err().to_string();
        assert!(missing.contains("`x\\x1b`") && missing.contains("No such file"), "{missing}");
        assert_eq!(port_in(Path::new("/dev/zero"), "http"), Err(Error::Unknown("http".to_owned())));
    }
}
