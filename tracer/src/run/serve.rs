//! The pages of `serve`.

use crate::{
    config::ServeConfig,
    output::{
        http::{self, HttpRoute, PageRequests},
        stderr::message,
    },
    run::error::Error,
    source::kernel::privileges,
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
    PAGES.get(route).map(|(page, _)| *page)
}

/// Starts to listen.
pub(super) fn start(config: &ServeConfig) -> Result<PageRequests, Error> {
    let ServeConfig { listen, access, .. } = config;
    let first = || {
        if let Err(error) = privileges::drop_all_but(&[]) {
            log::warn!("{error}");
        }
    };
    let requests = http::serve(*listen, &ROUTES, access.clone(), first);
    let requests = requests.map_err(|cause| Error::Listen(*listen, cause))?;
    message(format_args!("serving http://{}/metrics", requests.address));
    Ok(requests)
}
