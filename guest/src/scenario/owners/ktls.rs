//! A socket with the kernel's TLS (kTLS). What did not fit into the socket, a kernel thread sends later, with the
//! socket owned: what happens meanwhile happens in the kernel thread.

use std::{
    io::{ErrorKind, Read as _, Write as _},
    net::TcpStream,
};

use nix::{errno::Errno, libc};
use socket2::SockRef;
use tests::{
    option::set,
    patience::until,
    place::Place,
    processors::stay_on_one,
    traffic::{connect, listen},
};

const ADDRESS: [u8; 4] = [127, 77, 64, 1];
/// Smaller than a record, so that the kernel has to keep a part of it.
const BUFFER: usize = 4 << 10;
/// The largest record.
const RECORD: usize = 16 << 10;

/// Makes a connection that is reset while a kernel thread sends. Returns its server's port; `None` if this kernel has
/// no kTLS.
pub(super) fn play(place: &Place) -> Option<u16> {
    let (client, port) = place.run(|| {
        // The kernel's timers and its thread are on this processor, too.
        stay_on_one();
        let listener = listen(ADDRESS.into(), 0);
        SockRef::from(&listener).set_recv_buffer_size(BUFFER).expect("a setting");
        let to = listener.local_addr().expect("an address");
        let mut client = connect(to).expect("a listener");
        let server = listener.accept().expect("a client").0;
        if !encrypt(&client) {
            return None;
        }
        SockRef::from(&client).set_send_buffer_size(BUFFER).expect("a setting");
        client.set_nonblocking(true).expect("a setting");
        while client.write(&[0; RECORD]).is_ok() {}
        become_real_time();
        take_and_close(server);
        Some((client, to.port()))
    })?;
    until("the RST", || client.take_error().expect("an option"));
    Some(port)
}

/// Turns TLS on, with a key that nobody needs. Returns whether the kernel has it.
fn encrypt(socket: &TcpStream) -> bool {
    match set(socket, libc::IPPROTO_TCP, libc::TCP_ULP, b"tls") {
        Err(error) if error.kind() == ErrorKind::NotFound => return false,
        result => result.expect("a TLS socket"),
    }
    let key = libc::tls12_crypto_info_aes_gcm_128 {
        info: libc::tls_crypto_info {
            version: libc::TLS_1_2_VERSION,
            cipher_type: libc::TLS_CIPHER_AES_GCM_128,
        },
        iv: [1; 8],
        key: [2; 16],
        salt: [3; 4],
        rec_seq: [0; 8],
    };
    set(socket, libc::SOL_TLS, libc::TLS_TX, &key).expect("a cipher");
    true
}

/// From now on this thread's processor does nothing else until the thread ends.
fn become_real_time() {
    let priority = libc::sched_param { sched_priority: 1 };
    // SAFETY: the parameters are only read.
    let result = unsafe { libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const priority) };
    Errno::result(result).expect("a real-time thread");
}

/// Reads everything, and closes. The room that this makes lets a kernel thread send the rest, but only when this
/// thread has ended. So the rest comes to a closed socket, which answers with an RST.
fn take_and_close(mut server: TcpStream) {
    server.set_nonblocking(true).expect("a setting");
    let end = loop {
        match server.read(&mut [0; RECORD]) {
            Ok(1..) => {}
            Ok(0) => panic!("the client does not close"),
            Err(error) => break error,
        }
    };
    assert_eq!(end.kind(), ErrorKind::WouldBlock);
}
