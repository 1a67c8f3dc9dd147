//! Pages over HTTP/1.1 (RFC 9112), on a thread of its own: whoever reads slowly, or never ends a request, delays
//! nobody. Pages are asked for where they are made.

use std::{
    convert::Infallible,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{
        ACCEPT, ALLOW, AUTHORIZATION, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderValue,
        WWW_AUTHENTICATE, X_CONTENT_TYPE_OPTIONS,
    },
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::{io::Errno, net::sockopt};
use tokio::{
    net::TcpStream,
    runtime,
    sync::{Semaphore, mpsc, oneshot},
    time::{Instant, sleep_until, timeout},
};

use crate::output::{
    otlp::Exporter,
    tls::{Channel, ServerTls},
};

/// Connections at a time; others wait.
const CONNECTIONS: usize = 64;

/// How long the header of a request may take.
const HEADER_TIME: Duration = Duration::from_secs(5);

/// How long a connection may last: scrapers keep them.
const CONNECTION_TIME: Duration = Duration::from_secs(300);

/// After this time without a sign of life, in milliseconds, events are not being read any more.
const SILENCE_MS: u64 = 30_000;

/// How long what was sent may stay unread, in milliseconds.
const UNREAD_MS: u32 = 10_000;

/// How long a page may take.
const PAGE_TIME: Duration = Duration::from_secs(10);

/// The most bytes of a request's header.
const HEADER: usize = 16 << 10;

/// Pages that may be asked for at a time.
const WAITING: usize = 16;

/// How many times as long as a page has taken there is time for all else: whoever asks all the time must not keep events
/// from being read.
const REST: u32 = 1;

/// How much of that time may be owed before the next page waits: several may come at once.
const OWED: Duration = Duration::from_millis(250);

/// A page that can be asked for.
#[derive(Clone, Copy, Debug)]
pub struct HttpRoute {
    /// Its path.
    pub path: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// It is meant only for those who say that they understand it; `None`: for all.
    pub accept: Option<&'static str>,
}

/// Somebody asks for a page.
#[derive(Debug)]
pub struct PageRequest {
    /// The place of its route.
    pub route: usize,
    /// Where it goes.
    pub reply: oneshot::Sender<Vec<u8>>,
}

/// Who may ask.
#[derive(Clone, Debug, Default)]
pub struct Access {
    /// What the header `Authorization` must be, if there is something: any of these.
    pub allowed: Vec<String>,
    /// What a client is told to send.
    pub challenge: &'static str,
}

/// What pages need.
struct Server {
    routes: &'static [HttpRoute],
    pages: mpsc::Sender<PageRequest>,
    access: Access,
    /// `None`: pages are not encrypted.
    tls: Option<Arc<ServerTls>>,
    pulse: Arc<Pulse>,
}

/// When whoever makes pages was last seen at work.
#[derive(Debug)]
struct Pulse {
    is_ready: AtomicBool,
    begun: Instant,
    /// In milliseconds since then.
    last: AtomicU64,
}

impl Pulse {
    fn note(&self) {
        self.last.store(self.now(), Ordering::Relaxed);
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// Whether it goes on. Before it is ready that is not known.
    fn goes_on(&self) -> bool {
        let silent = self.now().saturating_sub(self.last.load(Ordering::Relaxed));
        !self.is_ready.load(Ordering::Relaxed) || silent < SILENCE_MS
    }
}

/// Pages that are asked for, and whether they can be.
#[derive(Debug)]
pub struct PageRequests {
    /// Where they can be asked for.
    pub address: SocketAddr,
    /// Who also asks for them, to send them.
    pub exporter: Option<Exporter>,
    pages: mpsc::Sender<PageRequest>,
    inbox: mpsc::Receiver<PageRequest>,
    /// When the present page was asked for.
    asked: Instant,
    /// Until when the time for all else goes that pages so far owe.
    owes_until: Instant,
    pulse: Arc<Pulse>,
}

impl PageRequests {
    /// From now on `/readyz` says so.
    pub fn is_ready(&self) {
        self.goes_on();
        self.pulse.is_ready.store(true, Ordering::Relaxed);
    }

    /// Events are being read. If this is not said for half a minute, `/healthz` says so.
    pub fn goes_on(&self) {
        self.pulse.note();
    }

    /// Answers with the page that has been made since [`Self::next`].
    pub fn reply(&mut self, request: PageRequest, page: Vec<u8>) {
        self.owes_until = self.owes_until.max(Instant::now()) + REST * self.asked.elapsed();
        // Whoever has asked may have gone.
        let _ = request.reply.send(page);
    }

    /// For others that ask.
    #[must_use]
    pub fn pages(&self) -> &mpsc::Sender<PageRequest> {
        &self.pages
    }

    /// The next one that the exporter asks for at its end; `None` when it has ended. The first call tells it to end.
    pub async fn next_last(&mut self) -> Option<PageRequest> {
        let exporter = self.exporter.as_mut()?;
        exporter.end();
        tokio::select! {
            () = exporter.ended() => None,
            request = self.inbox.recv() => request,
        }
    }

    /// The next one; without any, waits for ever. Dropping the future loses nothing.
    pub async fn next(requests: Option<&mut Self>) -> PageRequest {
        match requests {
            Some(requests) => {
                if let Some(until) = requests.owes_until.checked_sub(OWED)
                    && until > Instant::now()
                {
                    sleep_until(until).await;
                }
                loop {
                    match requests.inbox.recv().await {
                        // Whoever has asked has given up.
                        Some(request) if request.reply.is_closed() => {}
                        Some(request) => {
                            requests.asked = Instant::now();
                            return request;
                        }
                        None => std::future::pending().await,
                    }
                }
            }
            None => std::future::pending().await,
        }
    }
}

/// Starts to listen. `first` runs on the thread before all else.
///
/// # Errors
/// The address is in use, or not this host's. The system has no room for a thread.
pub fn serve(
    listen: SocketAddr,
    routes: &'static [HttpRoute],
    access: Access,
    tls: Option<Arc<ServerTls>>,
    first: impl FnOnce() + Send + 'static,
) -> io::Result<PageRequests> {
    let listener = TcpListener::bind(listen).or_else(|error| match listen {
        // All addresses, on a host without IPv6: those of IPv4.
        SocketAddr::V6(all) if all.ip().is_unspecified() && is_without_ipv6(&error) => {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, all.port()))
        }
        _ => Err(error),
    })?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let (pages, inbox) = mpsc::channel(WAITING);
    let pulse =
        Arc::new(Pulse { is_ready: AtomicBool::new(false), begun: Instant::now(), last: AtomicU64::new(0) });
    let server = Server { routes, pages: pages.clone(), access, tls, pulse: Arc::clone(&pulse) };
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("tracer-http".to_owned()).spawn(move || {
        first();
        runtime.block_on(async {
            if let Ok(listener) = tokio::net::TcpListener::from_std(listener) {
                accept(listener, Arc::new(server)).await;
            }
        });
    })?;
    let now = Instant::now();
    Ok(PageRequests { address, exporter: None, pages, inbox, asked: now, owes_until: now, pulse })
}

fn is_without_ipv6(error: &io::Error) -> bool {
    [Errno::AFNOSUPPORT, Errno::ADDRNOTAVAIL]
        .map(Errno::raw_os_error)
        .map(Some)
        .contains(&error.raw_os_error())
}

async fn accept(listener: tokio::net::TcpListener, server: Arc<Server>) {
    let room = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(permit) = Arc::clone(&room).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            // No descriptor is free, or the client has gone.
            tokio::time::sleep(Duration::from_millis(100)).await;
            continue;
        };
        // One that does not read what it has asked for is cut off (tcp(7)).
        if let Err(error) = sockopt::set_tcp_user_timeout(&stream, UNREAD_MS) {
            log::debug!("TCP_USER_TIMEOUT: {error}");
        }
        let server = Arc::clone(&server);
        tokio::spawn(async move {
            let _permit = permit;
            let Some(stream) = server.channel(stream).await else { return };
            let answer = service_fn(|request| answer(request, &server));
            let connection = http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEADER_TIME)
                .max_buf_size(HEADER)
                .serve_connection(TokioIo::new(stream), answer);
            let mut connection = pin!(connection);
            // The client has gone, or has sent something that is no request.
            if timeout(CONNECTION_TIME, connection.as_mut()).await.is_err() {
                // An answer that has begun is not cut off.
                connection.as_mut().graceful_shutdown();
                let _ = timeout(2 * PAGE_TIME, connection).await;
            }
        });
    }
}

async fn answer(request: Request<Incoming>, server: &Server) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = match server.page(&request).await {
        Ok((media_type, body)) => {
            let mut response = Response::new(Full::from(body));
            response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
            response
        }
        Err(status) => {
            let mut response = Response::new(Full::from(format!("{status}\n")));
            *response.status_mut() = status;
            let headers = response.headers_mut();
            headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
            match status {
                StatusCode::METHOD_NOT_ALLOWED => {
                    _ = headers.insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
                }
                StatusCode::UNAUTHORIZED => {
                    headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(server.access.challenge));
                }
                _ => {}
            }
            response
        }
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"),
    );
    Ok(response)
}

impl Server {
    /// The client behind a connection; `None` if it does not agree on keys in time.
    async fn channel(&self, stream: TcpStream) -> Option<Box<dyn Channel>> {
        match &self.tls {
            None => Some(Box::new(stream)),
            Some(tls) => timeout(HEADER_TIME, tls.accept(stream)).await.ok()?.ok(),
        }
    }

    async fn page(&self, request: &Request<Incoming>) -> Result<(&'static str, Bytes), StatusCode> {
        const TEXT: &str = "text/plain; charset=utf-8";
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            return Err(StatusCode::METHOD_NOT_ALLOWED);
        }
        match request.uri().path() {
            // Those who look whether it runs need no password.
            "/healthz" if self.pulse.goes_on() => return Ok((TEXT, Bytes::from_static(b"ok\n"))),
            "/readyz" if self.pulse.is_ready.load(Ordering::Relaxed) => {
                return Ok((TEXT, Bytes::from_static(b"ready\n")));
            }
            "/healthz" | "/readyz" => return Err(StatusCode::SERVICE_UNAVAILABLE),
            _ => {}
        }
        if !self.access.permits(request.headers().get(AUTHORIZATION)) {
            return Err(StatusCode::UNAUTHORIZED);
        }
        let accepted = request.headers().get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let accepted: Vec<_> = accepted.collect();
        let is_asked = |route: &HttpRoute| {
            let understands = |name| accepted.iter().any(|accepted| accepts(accepted, name));
            route.path == request.uri().path() && route.accept.is_none_or(understands)
        };
        let route = self.routes.iter().position(is_asked).ok_or(StatusCode::NOT_FOUND)?;
        let (reply, page) = oneshot::channel();
        self.pages.try_send(PageRequest { route, reply }).map_err(|_| StatusCode::SERVICE_UNAVAILABLE)?;
        match timeout(PAGE_TIME, page).await {
            Ok(Ok(body)) => Ok((self.routes[route].media_type, body.into())),
            _ => Err(StatusCode::SERVICE_UNAVAILABLE),
        }
    }
}

impl Access {
    fn permits(&self, given: Option<&HeaderValue>) -> bool {
        // The scheme may be written in any case (RFC 9110, section 11.1).
        let given = given.and_then(|given| given.to_str().ok()?.trim().split_once(' '));
        let is_same = |allowed: &String| {
            let both = allowed.split_once(' ').zip(given);
            both.is_some_and(|((scheme, word), (given_scheme, given))| {
                scheme.eq_ignore_ascii_case(given_scheme) && equal(given.trim().as_bytes(), word.as_bytes())
            })
        };
        self.allowed.is_empty() || self.allowed.iter().any(is_same)
    }
}

/// Whether this list of media ranges asks for a type (RFC 9110, section 12.5.1): with a weight of 0 it refuses it.
fn accepts(ranges: &str, media_type: &str) -> bool {
    ranges.split(',').any(|range| {
        let mut parts = range.split(';').map(str::trim);
        let is_it = parts.next().is_some_and(|one| one.eq_ignore_ascii_case(media_type));
        let is_refusal = |part: &str| {
            let weight = part.split_once('=').filter(|(name, _)| name.eq_ignore_ascii_case("q"));
            weight.is_some_and(|(_, weight)| weight.parse() == Ok(0.0_f32))
        };
        is_it && !parts.any(is_refusal)
    })
}

/// Compares in a time that does not tell where they differ.
fn equal(one: &[u8], other: &[u8]) -> bool {
    let differs = one.iter().zip(other).fold(0, |differs, (one, other)| differs | (one ^ other));
    one.len() == other.len() && std::hint::black_box(differs) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_the_same_is_permitted() {
        let access = Access { allowed: vec!["Bearer abc".to_owned()], challenge: "Bearer" };
        let permits = |given: &'static str| access.permits(Some(&HeaderValue::from_static(given)));
        assert!(
            permits("Bearer abc")
                && permits("bearer  abc")
                && !permits("Bearer abd")
                && !permits("Bearer ab")
                && !permits("")
        );
        assert!(!access.permits(None) && Access::default().permits(None));
    }

    #[tokio::test]
    async fn whoever_asks_all_the_time_waits() {
        let mut requests = serve(([127, 0, 0, 1], 0).into(), &[], Access::default(), None, || {}).unwrap();
        let ask = |requests: &PageRequests| {
            let (reply, answer) = oneshot::channel();
            requests.pages().try_send(PageRequest { route: 0, reply }).unwrap();
            answer
        };
        drop(ask(&requests));
        let _answers = [ask(&requests), ask(&requests)];
        let first = PageRequests::next(Some(&mut requests)).await;
        // It takes its time.
        let took = 2 * OWED / REST;
        thread::sleep(took);
        let begun = Instant::now();
        requests.reply(first, Vec::new());
        let second = PageRequests::next(Some(&mut requests)).await;
        assert!(begun.elapsed() >= OWED, "{:?}", begun.elapsed());
        requests.reply(second, Vec::new());
        // A page that takes nothing owes nothing.
        let waited = begun.elapsed();
        let _answer = ask(&requests);
        PageRequests::next(Some(&mut requests)).await;
        assert!(begun.elapsed() < waited + OWED);
    }

    #[test]
    fn silence_is_noticed_once_it_is_ready() {
        let begun = Instant::now().checked_sub(Duration::from_secs(40)).unwrap();
        let pulse = Pulse { is_ready: AtomicBool::new(false), begun, last: AtomicU64::new(0) };
        assert!(pulse.goes_on());
        pulse.is_ready.store(true, Ordering::Relaxed);
        assert!(!pulse.goes_on());
        pulse.note();
        assert!(pulse.goes_on());
    }

    #[test]
    fn a_weight_of_zero_refuses() {
        let accepts = |ranges| accepts(ranges, "application/openmetrics-text");
        assert!(accepts("application/openmetrics-text;version=1.0.0;q=0.5,text/plain;q=0.4"));
        assert!(accepts("text/plain, Application/OpenMetrics-Text"));
        assert!(!accepts("application/openmetrics-text; q=0, text/plain") && !accepts("text/plain"));
        assert!(
            !accepts("application/openmetrics-text;Q=0.000") && !accepts("x/application/openmetrics-text")
        );
    }
}
