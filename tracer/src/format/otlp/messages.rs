//! Messages of OTLP (opentelemetry-proto 1.x), as far as tracer fills them in. A test decodes them with the official
//! ones.

/// `AggregationTemporality`: since the start time.
pub(crate) const CUMULATIVE: i32 = 2;

/// `AnyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpValue {
    #[prost(oneof = "OtlpValueKind", tags = "1, 2, 3, 4")]
    pub(crate) value: Option<OtlpValueKind>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum OtlpValueKind {
    #[prost(string, tag = "1")]
    Text(String),
    #[prost(bool, tag = "2")]
    Truth(bool),
    #[prost(int64, tag = "3")]
    Integer(i64),
    #[prost(double, tag = "4")]
    Fraction(f64),
}

/// `KeyValue`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpAttribute {
    #[prost(string, tag = "1")]
    pub(crate) key: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) value: Option<OtlpValue>,
}

/// `Resource`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpResource {
    #[prost(message, repeated, tag = "1")]
    pub(crate) attributes: Vec<OtlpAttribute>,
}

/// `InstrumentationScope`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpScope {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) version: String,
}

/// `ExportMetricsServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpMetricsRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_metrics: Vec<OtlpResourceMetrics>,
}

/// `ResourceMetrics`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpResourceMetrics {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<OtlpResource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_metrics: Vec<OtlpScopeMetrics>,
}

/// `ScopeMetrics`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpScopeMetrics {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<OtlpScope>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) metrics: Vec<OtlpMetric>,
}

/// `Metric`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpMetric {
    #[prost(string, tag = "1")]
    pub(crate) name: String,
    #[prost(string, tag = "2")]
    pub(crate) description: String,
    #[prost(string, tag = "3")]
    pub(crate) unit: String,
    #[prost(oneof = "OtlpData", tags = "5, 7, 9")]
    pub(crate) data: Option<OtlpData>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum OtlpData {
    #[prost(message, tag = "5")]
    Gauge(OtlpGauge),
    #[prost(message, tag = "7")]
    Sum(OtlpSum),
    #[prost(message, tag = "9")]
    Histogram(OtlpHistogram),
}

/// `Gauge`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpGauge {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<OtlpNumber>,
}

/// `Sum`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpSum {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<OtlpNumber>,
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
    #[prost(bool, tag = "3")]
    pub(crate) is_monotonic: bool,
}

/// `Histogram`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpHistogram {
    #[prost(message, repeated, tag = "1")]
    pub(crate) data_points: Vec<OtlpDistribution>,
    #[prost(int32, tag = "2")]
    pub(crate) aggregation_temporality: i32,
}

/// `NumberDataPoint`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpNumber {
    #[prost(message, repeated, tag = "7")]
    pub(crate) attributes: Vec<OtlpAttribute>,
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[prost(oneof = "OtlpNumberKind", tags = "4, 6")]
    pub(crate) value: Option<OtlpNumberKind>,
}

#[derive(Clone, Copy, PartialEq, prost::Oneof)]
pub(crate) enum OtlpNumberKind {
    #[prost(double, tag = "4")]
    Fraction(f64),
    #[prost(sfixed64, tag = "6")]
    Integer(i64),
}

/// `HistogramDataPoint`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpDistribution {
    #[prost(message, repeated, tag = "9")]
    pub(crate) attributes: Vec<OtlpAttribute>,
    #[prost(fixed64, tag = "2")]
    pub(crate) start_time_unix_nano: u64,
    #[prost(fixed64, tag = "3")]
    pub(crate) time_unix_nano: u64,
    #[prost(fixed64, tag = "4")]
    pub(crate) count: u64,
    #[prost(double, optional, tag = "5")]
    pub(crate) sum: Option<f64>,
    #[prost(fixed64, repeated, tag = "6")]
    pub(crate) bucket_counts: Vec<u64>,
    #[prost(double, repeated, tag = "7")]
    pub(crate) explicit_bounds: Vec<f64>,
}

/// `ExportLogsServiceRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpLogsRequest {
    #[prost(message, repeated, tag = "1")]
    pub(crate) resource_logs: Vec<OtlpResourceLogs>,
}

/// `ResourceLogs`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpResourceLogs {
    #[prost(message, optional, tag = "1")]
    pub(crate) resource: Option<OtlpResource>,
    #[prost(message, repeated, tag = "2")]
    pub(crate) scope_logs: Vec<OtlpScopeLogs>,
}

/// `ScopeLogs`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpScopeLogs {
    #[prost(message, optional, tag = "1")]
    pub(crate) scope: Option<OtlpScope>,
    /// Records that are encoded already: a message within another is written as its bytes are.
    #[prost(bytes = "vec", repeated, tag = "2")]
    pub(crate) log_records: Vec<Vec<u8>>,
}

/// `LogRecord`.
#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct OtlpLogRecord {
    #[prost(fixed64, tag = "1")]
    pub(crate) time_unix_nano: u64,
    #[prost(fixed64, tag = "11")]
    pub(crate) observed_time_unix_nano: u64,
    #[prost(int32, tag = "2")]
    pub(crate) severity_number: i32,
    #[prost(string, tag = "3")]
    pub(crate) severity_text: String,
    #[prost(message, optional, tag = "5")]
    pub(crate) body: Option<OtlpValue>,
    #[prost(message, repeated, tag = "6")]
    pub(crate) attributes: Vec<OtlpAttribute>,
    #[prost(string, tag = "12")]
    pub(crate) event_name: String,
}
