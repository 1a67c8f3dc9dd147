//! Roles of connections that are older than the tracer: only what the socket itself proves.

use std::net::{SocketAddr, TcpListener, TcpStream};

use socket2::{Domain, Socket, Type};
use tests::{
    place::Place,
    program::close,
    story::{Line, lines},
    tracer,
    traffic::{connect, listen},
};

const SERVER: [u8; 4] = [127, 77, 75, 1];
const CLIENT: [u8; 4] = [127, 77, 75, 2];

/// Sockets that may share a port.
fn shared(at: SocketAddr) -> Socket {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_reuse_port(true).unwrap();
    socket.bind(&at.into()).unwrap();
    socket
}

/// The role of this end of a connection, as all its lines tell it.
fn role(told: &[Line], end: &TcpStream) -> Option<String> {
    let ports = (end.local_addr().unwrap().port(), end.peer_addr().unwrap().port());
    let of_end: Vec<_> = told
        .iter()
        .filter(|line| (&line["local_port"], &line["remote_port"]) == (&ports.0.into(), &ports.1.into()))
        .collect();
    let first = of_end.first().unwrap_or_else(|| panic!("no line of {ports:?}: {told:#?}"));
    assert!(of_end.iter().all(|line| line["role"] == first["role"]), "{of_end:#?}");
    first["role"].as_str().map(str::to_owned)
}

#[test]
fn a_socket_tells_its_role_by_itself() {
    let place = Place::new();
    let (bound_client, its_server, plain_client, plain_server, _listeners) = place.run(|| {
        let server: TcpListener = listen(SERVER.into(), 0);
        let to = server.local_addr().unwrap();
        // A client whose port is a listener's at the same address, as with BGP.
        let beside = shared((CLIENT, 0).into());
        beside.listen(4).unwrap();
        let port = beside.local_addr().unwrap().as_socket().unwrap().port();
        let bound = shared((CLIENT, port).into());
        bound.connect(&to.into()).unwrap();
        let its_server = server.accept().unwrap().0;
        let plain = connect(to).unwrap();
        let plain_server = server.accept().unwrap().0;
        // The listener that the servers came out of is gone, and another is at its port.
        close(server);
        let other = shared(SocketAddr::from(([127, 77, 75, 3], to.port())));
        other.listen(4).unwrap();
        (TcpStream::from(bound), its_server, plain, plain_server, (beside, other))
    });
    let tracer = tracer::start(&format!("-o json --netns {} --stuck ESTABLISHED=100ms", place.name()));
    let ends = [&bound_client, &its_server, &plain_client, &plain_server];
    let told = tests::patience::until("all of them", || {
        let told = lines(tests::story::whole(&tracer.out()));
        (told.len() >= ends.len()).then_some(told)
    });
    let [bound_client, its_server, plain_client, plain_server] = ends.map(|end| role(&told, end));
    assert_eq!(bound_client.as_deref(), Some("client"));
    assert_eq!((its_server.as_deref(), plain_server.as_deref()), (Some("server"), Some("server")));
    println!("a client whose port the kernel chose: {plain_client:?}");
    assert_ne!(plain_client.as_deref(), Some("server"));
    drop(tracer.interrupt());
}
