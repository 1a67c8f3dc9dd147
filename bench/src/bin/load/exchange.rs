//! Exchanges requests and responses on a connection, in one thread that holds both ends.

use std::io::{self, Read as _, Write as _};

use socket2::Socket;

/// Bytes that are sent before the other end reads. They fit into the socket buffers, so that neither end
/// blocks.
const CHUNK: usize = 16 << 10;

/// An exchange, with memory for what is sent and received.
pub(crate) struct Exchange {
    payload: usize,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Exchange {
    /// An exchange of `payload` bytes in each direction.
    pub(crate) fn new(payload: usize) -> Self {
        let chunk = payload.min(CHUNK);
        Self { payload, request: vec![b'x'; chunk], response: vec![0; chunk] }
    }

    /// The client sends, and the server sends the same back.
    pub(crate) fn run(&mut self, mut client: &Socket, mut server: &Socket) -> io::Result<()> {
        for begin in (0..self.payload).step_by(CHUNK) {
            let len = (self.payload - begin).min(CHUNK);
            let (request, response) = (&self.request[..len], &mut self.response[..len]);
            client.write_all(request)?;
            server.read_exact(response)?;
            server.write_all(response)?;
            client.read_exact(response)?;
        }
        Ok(())
    }
}
