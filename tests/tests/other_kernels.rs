//! The type information (BTF) of other kernels, imitated on this one: tracer adapts to it or refuses to
//! start, but never reads wrong values. `cargo xtask vm` boots real kernels of other versions.

use std::{io::Write as _, net::Ipv4Addr, path::Path};

use tests::{
    patience::until,
    place::Place,
    program::{Ended, Program, close},
    story::{self, Line, text},
    tracer,
    traffic::{Scenario, connect, listen, play, storm, wait_for_end},
    types::Types,
};

const ADDRESS: Ipv4Addr = Ipv4Addr::new(127, 77, 61, 1);

/// Smallest of tracer's own numbers for sockets, which replace cookies if the kernel does not report them.
const FIRST_OWN: u64 = 1 << 52;

/// Starts tracer with this type information.
fn with_types(types: &Path, arguments: &str) -> Program {
    tracer::started(Program::collect(tracer::command(arguments).arg("--btf").arg(types)))
}

/// Runs tracer with type information that it should refuse.
fn refused(types: &Types) -> Ended {
    Program::collect(tracer::command("--duration 100ms --btf").arg(types.file())).wait()
}

/// The lines of each socket, without what differs between two tracers: times and numbers of sockets.
fn stories(lines: &[Line]) -> Vec<Vec<String>> {
    let facts = |line: &&Line| {
        let keys = [
            "old_state",
            "new_state",
            "pid",
            "comm",
            "owner",
            "role",
            "reason",
            "uid",
            "netns",
            "local_addr",
            "local_port",
            "remote_addr",
            "remote_port",
            "tx_bytes",
            "rx_bytes",
        ];
        // An owner that was asked for again meanwhile may be the same by another word.
        let asked_for = r#"owner="holder""#;
        let told = keys.map(|key| format!("{key}={}", line[key])).join(" ");
        told.replace(asked_for, r#"owner="listener""#)
    };
    let sockets = story::by_socket(lines);
    let mut stories: Vec<Vec<String>> =
        sockets.values().map(|lines| lines.iter().map(facts).collect()).collect();
    stories.sort();
    stories
}

/// As on Linux 5.10, tracing programs have no helpers for cookies, the current task, and the socket of a
/// file.
#[test]
fn without_cookies_addresses_and_births_tell_who_is_who() {
    let types = Types::of_this_kernel()
        .without_function("bpf_get_socket_ptr_cookie")
        .without_function("bpf_get_current_task_btf")
        .without_function("bpf_sock_from_file");
    let place = Place::new();
    let (listener, mut client, mut server) = place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        let (server, _) = listener.accept().unwrap();
        (listener, client, server)
    });
    let arguments = format!("-o json --no-timewait --netns {}", place.name());
    let old = with_types(&types.file(), &arguments);
    let new = tracer::start(&arguments);
    storm(&[&place], 400, 61);
    client.write_all(b"hello").unwrap();
    close(client);
    wait_for_end(&mut server);
    drop((server, listener));
    place.settle();

    let lines = |tracer: Program| {
        until("the last listener's end", || {
            let is_end = |line: &&str| {
                line.contains(r#""old_state":"LISTEN","new_state":"CLOSE""#)
                    && line.contains(r#""local_addr":"127.77.61.1""#)
            };
            tracer.out().lines().any(|line| is_end(&line)).then_some(())
        });
        let ended = tracer.interrupt();
        assert_eq!(ended.code(), 0, "{}", ended.err);
        assert_eq!(tracer::lost(&ended), 0, "{}", ended.err);
        story::lines(&ended.out)
    };
    let (old, new) = (lines(old), lines(new));
    let numbers = |lines: &[Line]| story::by_socket(lines).into_keys().collect::<Vec<_>>();
    assert!(numbers(&old).iter().all(|number| *number >= FIRST_OWN));
    assert!(numbers(&new).iter().all(|number| *number < FIRST_OWN));
    let (old, new) = (stories(&old), stories(&new));
    assert!(new.len() > 800, "{} stories", new.len());
    for (old, new) in old.iter().zip(&new) {
        assert_eq!(old, new);
    }
    assert_eq!(old.len(), new.len());
    let older = old.iter().flatten().find(|line| line.contains("owner=\"snapshot\""));
    assert!(older.is_some(), "no owner from the snapshot, although a connection is older than the tracer");
}

#[test]
fn without_cookies_that_is_said() {
    let out = checked(&Types::of_this_kernel().without_function("bpf_get_socket_ptr_cookie"));
    assert!(out.contains("does not tell socket cookies"), "{out}");
}

/// `skc_dport` and `skc_num` are neighbours, and both are ports.
#[test]
fn members_are_read_where_the_types_say() {
    let types = Types::of_this_kernel().with_places_swapped("sock_common", "skc_dport", "skc_num");
    let place = Place::new();
    let tracer = with_types(&types.file(), &format!("--raw -o json --netns {}", place.name()));
    let local = place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        connect(listener.local_addr().unwrap()).unwrap().local_addr().unwrap().port()
    });
    let is_client = |line: &Line| {
        text(line, "old_state") == "SYN_SENT" && line["local_port"].as_u64() == Some(u64::from(local))
    };
    let line =
        until("the client's line", || story::lines(story::whole(&tracer.out())).into_iter().find(is_client));
    assert_eq!(line["remote_port"].as_u64(), Some(u64::from(local.swap_bytes())), "{line}");
}

/// `SO_LINGER` is a bit of the socket's flags.
#[test]
fn socket_flags_are_read_at_the_bits_that_the_types_say() {
    let reason = |types: &Types| {
        let place = Place::new();
        let tracer = with_types(&types.file(), &format!("-o json --netns {}", place.name()));
        place.run(|| play(Scenario::Reset, ADDRESS.into()));
        let is_end = |line: &Line| text(line, "role") == "client" && !line["reason"].is_null();
        let line =
            until("the client's end", || story::lines(story::whole(&tracer.out())).into_iter().find(is_end));
        text(&line, "reason").to_owned()
    };
    assert_eq!(reason(&Types::of_this_kernel()), "reset-local-linger");
    // The last bit is unused.
    assert_eq!(reason(&Types::of_this_kernel().with_value("SOCK_LINGER", 63)), "reset-local");
}

#[test]
fn reset_reasons_have_the_numbers_that_the_types_say() {
    let reason = |types: &Types| {
        let place = Place::new();
        let tracer = with_types(&types.file(), &format!("-o json --resets --netns {}", place.name()));
        place.run(|| play(Scenario::Refused, ADDRESS.into()));
        let is_sent = |line: &Line| text(line, "event") == "reset" && text(line, "reset") == "sent";
        let line = until("the RST", || story::lines(story::whole(&tracer.out())).into_iter().find(is_sent));
        text(&line, "reset_reason").to_owned()
    };
    let types = Types::of_this_kernel;
    assert_eq!(reason(&types()), "no-socket");
    let moved = || types().with_value("SK_RST_REASON_NO_SOCKET", 201);
    assert_eq!(reason(&moved()), "1", "a number without a name stands for itself");
    assert_eq!(reason(&moved().with_value("SK_RST_REASON_NOT_SPECIFIED", 1)), "not-specified");
}

/// The output of `tracer check` with this type information.
fn checked(types: &Types) -> String {
    let ended = Program::collect(tracer::command("check --color never --btf").arg(types.file())).wait();
    assert_eq!(ended.code(), 0, "{}", ended.out);
    ended.out
}

#[test]
fn a_function_of_another_signature_is_left_alone() {
    // No known signature has one argument.
    let out = checked(&Types::of_this_kernel().with_arguments("inet_csk_accept", 1));
    assert!(out.contains("without inet_csk_accept: of 1 arguments, not 2 or 4"), "{out}");
}

/// As on Linux 6.9, the tracepoint has no third argument, and does not fire for segments without a
/// connection.
#[test]
fn without_reset_reasons_that_is_said() {
    let types = Types::of_this_kernel().with_hook_arguments("tcp_send_reset", 2);
    assert!(checked(&types).contains("does not tell why it sends an RST"), "{}", checked(&types));
    assert!(!checked(&Types::of_this_kernel()).contains("RST"));
}

#[test]
fn states_with_other_numbers_are_refused() {
    let ended = refused(&Types::of_this_kernel().with_value("TCP_SYN_SENT", 13));
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("TCP_SYN_SENT is 13, not 2"), "{}", ended.err);
    let ended = refused(&Types::of_this_kernel().without_enumerator("TCP_LAST_ACK"));
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("no state TCP_LAST_ACK"), "{}", ended.err);
}

#[test]
fn flags_and_members_that_are_not_there_are_refused_or_null() {
    let types = Types::of_this_kernel;
    for (types, message) in [
        (types().without_enumerator("SOCK_DONE"), "no socket flag `SOCK_DONE`"),
        (types().without_member("sock_common", "skc_dport"), "`__sk_common.skc_dport`"),
        (types().without_member("sock", "sk_err"), "`sk_err` of 4 bytes"),
    ] {
        let ended = refused(&types);
        assert_eq!(ended.code(), 1, "{message}: {}", ended.err);
        assert!(ended.err.contains(message), "{message}: {}", ended.err);
    }
    let types = types().without_member("tcp_sock", "srtt_us");
    let place = Place::new();
    let tracer = with_types(&types.file(), &format!("-o json --netns {}", place.name()));
    place.run(|| {
        let listener = listen(ADDRESS.into(), 0);
        connect(listener.local_addr().unwrap()).unwrap();
    });
    until("a line", || (!tracer.out().is_empty()).then_some(()));
    for line in story::lines(&tracer.interrupt().out) {
        assert!(line["srtt_us"].is_null(), "{line}");
    }
}

/// The verifier checks against the real types of the kernel, so it refuses offsets outside a structure.
#[test]
fn places_that_cannot_be_are_refused() {
    let ended = refused(&Types::of_this_kernel().with_place("sock", "sk_lingertime", 8 << 16));
    assert_eq!(ended.code(), 1, "{}", ended.err);
    assert!(ended.err.contains("verifier refused"), "{}", ended.err);
}
