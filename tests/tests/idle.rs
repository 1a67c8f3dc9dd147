//! `idle_us`: how long a connection was idle before it ended. The kernel's stamps are jiffies, so the test's own
//! clock, read around the last data and the close, has to agree within the error that is told.

use std::{
    io::{Read as _, Write as _},
    net::TcpStream,
    thread,
    time::{Duration, Instant},
};

use tests::{
    patience::until,
    place::Place,
    program::close,
    story::{lines, number, whole},
    tracer,
    traffic::{connect, listen, wait_for_end},
};

/// The test measures the silence itself, so it need not be exact.
const SILENCE: Duration = Duration::from_millis(700);

fn send(from: &mut TcpStream, to: &mut TcpStream) {
    from.write_all(b"data").unwrap();
    to.read_exact(&mut [0; 4]).unwrap();
}

#[test]
fn the_silence_before_the_end_is_measured() {
    for client_sends_last in [true, false] {
        let place = Place::new();
        let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
        let (mut client, mut server) = place.run(|| {
            let listener = listen([127, 77, 72, 1].into(), 0);
            let client = connect(listener.local_addr().unwrap()).unwrap();
            (client, listener.accept().unwrap().0)
        });
        send(&mut server, &mut client);
        let before = Instant::now();
        if client_sends_last {
            send(&mut client, &mut server);
        } else {
            send(&mut server, &mut client);
        }
        let after = Instant::now();
        thread::sleep(SILENCE);
        let least = after.elapsed();
        close(client);
        wait_for_end(&mut server);
        close(server);
        until("both ends", || {
            let lines = lines(whole(&tracer.out()));
            (lines.iter().filter(|line| !line["reason"].is_null()).count() == 2).then_some(())
        });
        let most = before.elapsed();
        let ended = tracer.interrupt();
        assert_eq!((ended.code(), tracer::lost(&ended)), (0, 0), "{}", ended.err);
        for line in lines(&ended.out).iter().filter(|line| !line["reason"].is_null()) {
            let idle_us = number(line, "idle_us").unwrap();
            let error_us = number(line, "idle_error_us").unwrap();
            assert!(error_us < 2e6, "{line}");
            let range = (least.as_secs_f64() * 1e6 - error_us)..=(most.as_secs_f64() * 1e6 + error_us);
            assert!(range.contains(&idle_us), "{idle_us} is not in {range:?}: {line}");
        }
    }
}

/// A connection without data was never busy.
#[test]
fn without_data_there_is_no_idle_time() {
    let place = Place::new();
    let tracer = tracer::start(&format!("-o json --netns {}", place.name()));
    let (client, mut server) = place.run(|| {
        let listener = listen([127, 77, 72, 2].into(), 0);
        let client = connect(listener.local_addr().unwrap()).unwrap();
        (client, listener.accept().unwrap().0)
    });
    close(client);
    wait_for_end(&mut server);
    close(server);
    until("both ends", || (tracer.out().matches("\"reason\":\"fin-").count() == 2).then_some(()));
    let ended = tracer.interrupt();
    assert!(lines(&ended.out).iter().all(|line| line["idle_us"].is_null()), "{}", ended.out);
}
