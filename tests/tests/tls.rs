//! https: `serve` to curl, openssl and Prometheus, and metrics to a receiver of OTLP.

// A panic is how a test says that it failed.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::{
    fs,
    io::Read as _,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use tests::{
    certificates::Authority,
    otlp::Receiver,
    patience::until,
    place::Place,
    program::{self, Program},
    prometheus::Prometheus,
    served::{address, serve},
    tracer,
    traffic::churn,
};

/// What curl gets over https from those whom an authority has certified: nothing if it trusts nobody there.
fn get(address: SocketAddr, authority: &Path, options: &[&str]) -> Option<String> {
    let mut curl = Command::new("curl");
    curl.args(["-sS", "--fail", "--cacert"]).arg(authority).args(options);
    let answer = program::output(curl.arg(format!("https://{address}/metrics")));
    answer.status.success().then(|| String::from_utf8(answer.stdout).unwrap())
}

/// The name in the certificate that a client is shown.
fn subject(address: SocketAddr) -> String {
    let mut client = Command::new("openssl");
    client.args(["s_client", "-connect", &address.to_string()]).stdin(Stdio::null());
    let answer = program::output(&mut client);
    let shown = String::from_utf8_lossy(&answer.stdout).into_owned();
    shown.lines().find_map(|line| line.strip_prefix("subject=")).unwrap_or_default().to_owned()
}

#[test]
fn pages_are_encrypted_and_a_new_certificate_is_taken() {
    let (authority, other) = (Authority::new(), Authority::new());
    let files = authority.certify("first");
    let users = authority.folder().join("users");
    fs::write(&users, "me:secret\n").unwrap();
    let (tracer, address) =
        serve(&format!("--port 1 {} --basic-auth {}", Authority::options(&files), users.display()));
    assert!(tracer.err().contains(&format!("serving https://{address}/metrics")), "{}", tracer.err());
    let user = ["-u", "me:secret"];
    for version in [&["--tls-max", "1.2"][..], &["--tlsv1.3"]] {
        let page = get(address, &authority.certificate(), &[&user, version].concat()).unwrap();
        assert!(page.contains("tracer_events_total"), "{page}");
    }
    assert_eq!(get(address, &authority.certificate(), &[]), None, "without a password");
    assert_eq!(get(address, &other.certificate(), &user), None, "of another authority");
    assert_eq!(get(address, &authority.certificate(), &["-u", "me:secret", "--tls-max", "1.1"]), None);
    let mut plain = Command::new("curl");
    let plain = program::output(plain.args(["-sS", &format!("http://{address}/healthz")]));
    assert!(!plain.status.success() && plain.stdout.is_empty(), "{plain:?}");

    assert_eq!(subject(address).replace(' ', ""), "CN=first");
    authority.certify("second");
    until("the second certificate", || (subject(address).replace(' ', "") == "CN=second").then_some(()));
    // What is no certificate changes nothing.
    fs::write(&files[0], "garbage").unwrap();
    assert_eq!(subject(address).replace(' ', ""), "CN=second");
    assert!(get(address, &authority.certificate(), &user).is_some());
    until("a warning", || tracer.err().contains("the certificate stays what it was").then_some(()));
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Who connects and says nothing is cut off, as without TLS.
#[test]
fn a_client_that_says_nothing_is_cut_off() {
    let authority = Authority::new();
    let (tracer, address) = serve(&format!("--port 1 {}", Authority::options(&authority.certify("host"))));
    let begun = Instant::now();
    let mut silent = TcpStream::connect(address).unwrap();
    silent.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    // An end or a reset: in any case no wait.
    let _ = silent.read(&mut [0; 16]);
    assert!(begun.elapsed() < Duration::from_secs(25), "{:?}", begun.elapsed());
    assert_eq!(tracer.interrupt().code(), 0);
}

#[test]
fn prometheus_scrapes_with_https() {
    let (authority, place) = (Authority::new(), Place::new());
    let options = Authority::options(&authority.certify("host"));
    let (tracer, address) = serve(&format!("--netns {} {options}", place.inum()));
    let prometheus = Prometheus::with_https(address, &authority.certificate());
    churn(&place, 50);
    prometheus.wait_for("tracer_tcp_connections_total{event=\"opened\"}", 50.0);
    assert_eq!(tracer.interrupt().code(), 0);
}

/// Metrics go to a receiver whose certificate the host trusts, and to no other.
#[test]
fn metrics_are_sent_with_https() {
    let (authority, other) = (Authority::new(), Authority::new());
    let receiver = Receiver::with_https("ok", &authority.certify("receiver"));
    for (trusted, is_trusted) in [(&authority, true), (&other, false)] {
        let before = receiver.requests("/v1/metrics").len();
        let arguments =
            format!("serve --listen 127.0.0.1:0 --port 1 --otlp {} --otlp-interval 200ms", receiver.url);
        let command = &mut tracer::command(&arguments);
        let mut tracer =
            tracer::started(Program::collect(command.env("SSL_CERT_FILE", trusted.certificate())));
        assert!(receiver.url.starts_with("https://") && address(&tracer).port() > 0);
        if is_trusted {
            receiver.wait_for_metrics("metrics", |_| true);
        } else {
            tracer.wait_for_err("why", |err| err.contains("invalid peer certificate"));
        }
        assert_eq!(tracer.interrupt().code(), 0);
        assert_eq!(receiver.requests("/v1/metrics").len() > before, is_trusted);
    }
}

#[test]
fn what_cannot_be_is_said() {
    let (authority, other) = (Authority::new(), Authority::new());
    let [certificate, key] = authority.certify("host");
    let [_, foreign] = other.certify("host");
    let nothing = authority.folder().join("nothing");
    fs::write(&nothing, "").unwrap();
    let gone = authority.folder().join("gone");
    for (files, said) in [
        ([&certificate, &foreign], "the certificate and its key"),
        ([&nothing, &key], "no certificate in PEM"),
        ([&certificate, &nothing], "nothing"),
        ([&gone, &key], "No such file"),
        ([&key, &certificate], "host.key"),
    ] {
        let options = Authority::options(&files.map(Clone::clone));
        let ended = tracer::run(&format!("serve --listen 127.0.0.1:0 {options}"));
        assert!(ended.code() == 2 && ended.err.contains(said), "{options}: {}", ended.err);
    }
    let ended = tracer::run(&format!("serve --tls-cert {}", certificate.display()));
    assert!(ended.code() == 2 && ended.err.contains("--tls-key"), "{}", ended.err);
}
