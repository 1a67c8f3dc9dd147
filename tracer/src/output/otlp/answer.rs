//! What the answer to an export means.

use std::time::Duration;

use hyper::StatusCode;
use prost::Message as _;

/// Statuses after which the protocol wants a request to be sent again.
const RETRYABLE: [StatusCode; 4] = [
    StatusCode::TOO_MANY_REQUESTS,
    StatusCode::BAD_GATEWAY,
    StatusCode::SERVICE_UNAVAILABLE,
    StatusCode::GATEWAY_TIMEOUT,
];

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum ExportAnswer {
    /// The receiver has it.
    Accepted {
        /// What of it the receiver does not want.
        rejected: u64,
        /// What it says about that, or wants to be said.
        warning: String,
    },
    /// It has to be sent again.
    Failed {
        /// Why.
        why: String,
        /// Not before so long.
        after: Option<Duration>,
    },
    /// The receiver will never want it.
    Refused {
        /// Why.
        why: String,
    },
}

/// `ExportMetricsServiceResponse` and `ExportLogsServiceResponse`.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialAnswer {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportMetricsPartialSuccess` and `ExportLogsPartialSuccess`.
#[derive(Clone, PartialEq, prost::Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`, which the body of an error is.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(string, tag = "2")]
    message: String,
}

/// A request with log records, as far as it has to be read to count them.
#[derive(Clone, PartialEq, prost::Message)]
struct CountedRequest {
    #[prost(message, repeated, tag = "1")]
    of_resources: Vec<CountedResource>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CountedResource {
    #[prost(message, repeated, tag = "2")]
    of_scopes: Vec<CountedScope>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct CountedScope {
    #[prost(bytes = "bytes", repeated, tag = "2")]
    records: Vec<bytes::Bytes>,
}

/// How many log records are in a request.
pub(super) fn items(request: &bytes::Bytes) -> u64 {
    let request = CountedRequest::decode(request.clone()).unwrap_or_default();
    let scopes = request.of_resources.iter().flat_map(|resource| &resource.of_scopes);
    scopes.map(|scope| scope.records.len() as u64).sum()
}

impl ExportAnswer {
    /// The meaning of a status, with its body and the time of `Retry-After`.
    pub(super) fn new(status: StatusCode, body: &[u8], after: Option<Duration>) -> Self {
        if status.is_success() {
            // What is no message has been accepted all the same: the status says so.
            let answer = PartialAnswer::decode(body).unwrap_or_default();
            let partial = answer.partial_success.unwrap_or_default();
            let rejected = partial.rejected.try_into().unwrap_or_default();
            return Self::Accepted { rejected, warning: shortened(&partial.error_message) };
        }
        let message = RpcStatus::decode(body).unwrap_or_default().message;
        // Many receivers say why in plain text.
        let said = if message.is_empty() { String::from_utf8_lossy(body) } else { message.into() };
        let said = shortened(said.trim());
        let why = if said.is_empty() { status.to_string() } else { format!("{status}: {said}") };
        if RETRYABLE.contains(&status) { Self::Failed { why, after } } else { Self::Refused { why } }
    }

    /// There was no answer.
    pub(super) fn none(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), after: None }
    }
}

/// The beginning of what a receiver says.
fn shortened(text: &str) -> String {
    const MOST: usize = 200;
    text.chars().take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_mean_what_the_protocol_says() {
        for status in [429, 502, 503, 504] {
            let answer = ExportAnswer::new(StatusCode::from_u16(status).unwrap(), b"", Some(Duration::ZERO));
            assert!(matches!(answer, ExportAnswer::Failed { after: Some(_), .. }), "{status}");
        }
        for status in [302, 400, 401, 404, 413, 415, 500, 501] {
            let answer = ExportAnswer::new(StatusCode::from_u16(status).unwrap(), b" no\n", None);
            assert!(matches!(answer, ExportAnswer::Refused { why } if why.ends_with(": no")), "{status}");
        }
    }

    #[test]
    fn a_partial_success_says_how_much_is_missing() {
        let accepted =
            |rejected, warning: &str| ExportAnswer::Accepted { rejected, warning: warning.to_owned() };
        assert_eq!(ExportAnswer::new(StatusCode::OK, b"", None), accepted(0, ""));
        assert_eq!(ExportAnswer::new(StatusCode::OK, b"\x0a\x06\x08\x03\x12\x02no", None), accepted(3, "no"));
        assert_eq!(ExportAnswer::new(StatusCode::OK, b"\x0a\xff garbage", None), accepted(0, ""));
    }
}
