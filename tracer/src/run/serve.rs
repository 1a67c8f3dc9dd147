//! The pages of `serve`.

use std::os::unix::ffi::OsStrExt as _;

use crate::{
    config::ServeConfig,
    output::{
        http::{self, HttpRoute, PageRequests},
        stderr::message,
    },
    run::{error::Error, otlp},
    source::{
        kernel::privileges,
        streamed::server::{self, Clients},
    },
    text::escape::escaped,
    view::page::ServedPage,
};

/// The pages, and where they are.
const PAGES: [(ServedPage, HttpRoute); 3] = [
    (
        ServedPage::OpenMetrics,
        HttpRoute {
            path: "/metrics",
            media_type: "application/openmetrics-text; version=1.0.0; charset=utf-8",
            accept: Some("application/openmetrics-text"),
        },
    ),
    (
        ServedPage::Metrics,
        HttpRoute { path: "/metrics", media_type: "text/plain; version=0.0.4; charset=utf-8", accept: None },
    ),
    (ServedPage::Front, HttpRoute { path: "/", media_type: "text/html; charset=utf-8", accept: None }),
];

const ROUTES: [HttpRoute; PAGES.len()] = {
    let [(_, open_metrics), (_, metrics), (_, front)] = PAGES;
    [open_metrics, metrics, front]
};

/// The page at this place among the routes.
pub(super) fn page(route: usize) -> Option<ServedPage> {
    PAGES.get(route).map(|(page, _)| *page).or_else(|| otlp::page(route - PAGES.len()))
}

/// Starts to listen on a unix socket, if that is asked for.
pub(super) fn clients(config: &ServeConfig) -> Result<Option<Clients>, Error> {
    let Some(path) = &config.socket else { return Ok(None) };
    let shown = escaped(path.as_os_str().as_bytes());
    let clients =
        server::listen(path, drop_privileges).map_err(|cause| Error::Socket(shown.clone(), cause))?;
    message(format_args!("others on this host may ask {shown}"));
    Ok(Some(clients))
}

fn drop_privileges() {
    if let Err(error) = privileges::drop_all_but(&[]) {
        log::warn!("{error}");
    }
}

/// Starts to listen.
pub(super) fn start(config: &ServeConfig) -> Result<PageRequests, Error> {
    let ServeConfig { listen, access, tls, otlp, .. } = config;
    let requests = http::serve(*listen, &ROUTES, access.clone(), tls.clone(), drop_privileges);
    let mut requests = requests.map_err(|cause| Error::Listen(*listen, cause))?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    message(format_args!("serving {scheme}://{}/metrics", requests.address));
    requests.exporter =
        otlp.as_ref().map(|otlp| otlp::start(otlp, requests.pages(), PAGES.len())).transpose()?;
    Ok(requests)
}
