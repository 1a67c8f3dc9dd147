//! One request to a receiver, and its answer. The connection is kept for the next one.

use std::{error::Error as _, fmt::Write as _, time::Duration};

use http_body_util::{BodyExt as _, Collected, Full, Limited};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    client::conn::http1::{self, SendRequest},
    header::{CONTENT_TYPE, HOST, HeaderValue, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::output::{
    otlp::{answer::ExportAnswer, retry::retry_after, target::ExportTarget},
    tls::Channel,
};

/// How long a request may take, with its answer (the protocol's default).
const REQUEST_TIME: Duration = Duration::from_secs(10);

/// How long the rest of an answer may take whose status has come.
const BODY_TIME: Duration = Duration::from_secs(2);

/// The most bytes of an answer.
const ANSWER: usize = 64 << 10;

/// The media type of protobuf.
const PROTOBUF: &str = "application/x-protobuf";

/// Who sends.
const AGENT: &str = concat!("tracer/", env!("CARGO_PKG_VERSION"));

/// A client of one receiver.
pub(super) struct ExportClient {
    target: ExportTarget,
    path: String,
    connection: Option<SendRequest<Full<Bytes>>>,
}

impl ExportClient {
    /// A client for this path below the receiver's.
    pub(super) fn new(target: ExportTarget, path: &str) -> Self {
        let path = format!("{}{path}", target.path);
        Self { target, path, connection: None }
    }

    /// Sends a request.
    pub(super) async fn post(&mut self, body: Bytes) -> ExportAnswer {
        let deadline = Instant::now() + REQUEST_TIME;
        match timeout_at(deadline, self.response(body)).await {
            Err(_) => {
                self.connection = None;
                ExportAnswer::none(format!("no answer within {} s", REQUEST_TIME.as_secs()))
            }
            Ok(Err(why)) => ExportAnswer::none(why),
            Ok(Ok(response)) => self.answer(response).await,
        }
    }

    async fn response(&mut self, body: Bytes) -> Result<Response<Incoming>, String> {
        // A receiver may close a connection that nothing was sent on for a while: that is no failure yet.
        if let Some(mut kept) = self.connection.take().filter(|kept| !kept.is_closed())
            && kept.ready().await.is_ok()
            && let Ok(response) = kept.send_request(self.request(body.clone())?).await
        {
            self.connection = Some(kept);
            return Ok(response);
        }
        let (host, port) = (self.target.host.as_str(), self.target.port);
        let stream = TcpStream::connect((host, port)).await.map_err(|error| error.to_string())?;
        let stream: Box<dyn Channel> = match self.target.tls() {
            None => Box::new(stream),
            Some(tls) => tls.connect(stream).await.map_err(|error| error.to_string())?,
        };
        let io = TokioIo::new(stream);
        let (mut sender, connection) =
            http1::Builder::new().max_buf_size(ANSWER).handshake(io).await.map_err(|e| said(&e))?;
        // It ends with the sender; what is wrong with it, the sender says.
        tokio::spawn(connection);
        let response = sender.send_request(self.request(body)?).await.map_err(|error| said(&error))?;
        self.connection = Some(sender);
        Ok(response)
    }

    fn request(&self, body: Bytes) -> Result<Request<Full<Bytes>>, String> {
        let mut request = Request::builder()
            .method(Method::POST)
            .uri(&self.path)
            .header(HOST, &self.target.authority)
            .header(USER_AGENT, AGENT)
            .body(Full::new(body))
            .map_err(|error| error.to_string())?;
        let headers = request.headers_mut();
        for (name, value) in self.target.headers() {
            headers.insert(name, value.clone());
        }
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(PROTOBUF));
        Ok(request)
    }

    async fn answer(&mut self, response: Response<Incoming>) -> ExportAnswer {
        let status = response.status();
        let after = response.headers().get(RETRY_AFTER).and_then(|after| retry_after(after.to_str().ok()?));
        let body = Limited::new(response.into_body(), ANSWER).collect();
        let body = timeout_at(Instant::now() + BODY_TIME, body).await.ok().and_then(Result::ok);
        if body.is_none() {
            // It is too long or never ends: the status is known, and the connection of no use any more.
            self.connection = None;
        }
        ExportAnswer::new(status, &body.map(Collected::to_bytes).unwrap_or_default(), after)
    }
}

/// What an error says, with its causes.
fn said(error: &hyper::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        // Writing into memory cannot fail.
        let _ = write!(text, ": {error}");
        cause = error.source();
    }
    text
}
