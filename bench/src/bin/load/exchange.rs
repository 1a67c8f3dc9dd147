//! Requests and responses between the two ends of a connection that one thread holds both of.

use std::io::{self, Read as _, Write as _};

use socket2::Socket;

/// What is sent before the other end reads: fits into the buffers of both, so that neither blocks.
const CHUNK: usize = 16 << 10;

/// Memory for what is sent and received.
pub(crate) struct Exchange {
    payload: usize,
    request: Vec<u8>,
    response: Vec<u8>,
}

impl Exchange {
    /// One of `payload` bytes each way.
    pub(crate) fn new(payload: usize) -> Self {
        let chunk = payload.min(CHUNK);
        Self { payload, request: vec![b'x'; chunk], response: vec![0; chunk] }
    }

    /// The client sends, the server echoes.
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
