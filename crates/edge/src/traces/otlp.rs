//! Traces as OTLP writes them in JSON: ids in hexadecimal digits, 64-bit numbers as text, words of a closed few as numbers.
//!
//! The few shapes that are sent are written out here: the protocol's own crate brings protobuf and its generated code for what serde does
//! in a page. Refuses to know: what is in a trace.

use explain::{Attribute, Happened, SpanKind, Trace, TraceSpan, TraceValue};
use model::{Name, Wall};
use serde::{Deserialize, Serialize, Serializer};

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Request<'t> {
    resource_spans: [ResourceSpans<'t>; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ResourceSpans<'t> {
    resource: Resource<'t>,
    scope_spans: [ScopeSpans<'t>; 1],
}

#[derive(Serialize)]
struct Resource<'t> {
    attributes: Vec<KeyValue<'t>>,
}

#[derive(Serialize)]
struct ScopeSpans<'t> {
    scope: Scope,
    spans: Vec<Span<'t>>,
}

#[derive(Serialize)]
struct Scope {
    name: &'static str,
    version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Span<'t> {
    trace_id: String,
    span_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_span_id: Option<String>,
    name: &'t str,
    kind: u8,
    start_time_unix_nano: String,
    end_time_unix_nano: String,
    attributes: Vec<KeyValue<'t>>,
    events: Vec<Event<'t>>,
    status: Status<'t>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Event<'t> {
    time_unix_nano: String,
    name: &'static str,
    attributes: Vec<KeyValue<'t>>,
}

/// Without a code it is not said to be good or bad.
#[derive(Serialize)]
struct Status<'t> {
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'t str>,
}

#[derive(Serialize)]
struct KeyValue<'t> {
    key: &'static str,
    value: AnyValue<'t>,
}

#[derive(Serialize)]
enum AnyValue<'t> {
    #[serde(rename = "stringValue")]
    Text(&'t str),
    #[serde(rename = "intValue", serialize_with = "as_text")]
    Whole(i64),
    #[serde(rename = "doubleValue")]
    Real(f64),
    #[serde(rename = "boolValue")]
    Truth(bool),
}

/// `STATUS_CODE_ERROR`.
const ERROR: u8 = 2;

/// The body of one export.
pub(super) fn request(traces: &[Trace], service: &str, edge: &Name) -> String {
    let resource = Resource {
        attributes: vec![
            KeyValue { key: "service.name", value: AnyValue::Text(service) },
            KeyValue { key: "service.instance.id", value: AnyValue::Text(edge) },
            KeyValue { key: "service.version", value: AnyValue::Text(env!("CARGO_PKG_VERSION")) },
        ],
    };
    let spans = traces.iter().flat_map(|trace| trace.spans.iter().map(|one| span(trace.id, one))).collect();
    let scope = Scope { name: "throughline", version: env!("CARGO_PKG_VERSION") };
    let request = Request { resource_spans: [ResourceSpans { resource, scope_spans: [ScopeSpans { scope, spans }] }] };
    // Texts and numbers alone: nothing of it can fail to be written.
    serde_json::to_string(&request).unwrap_or_default()
}

fn span(trace: u128, span: &TraceSpan) -> Span<'_> {
    Span {
        trace_id: format!("{trace:032x}"),
        span_id: format!("{:016x}", span.id),
        parent_span_id: span.parent.map(|parent| format!("{parent:016x}")),
        name: &span.name,
        kind: match span.kind {
            SpanKind::Internal => 1,
            SpanKind::Server => 2,
            SpanKind::Client => 3,
        },
        start_time_unix_nano: nanoseconds(span.start),
        end_time_unix_nano: nanoseconds(span.end),
        attributes: attributes(&span.attributes),
        events: span.events.iter().map(event).collect(),
        status: Status { code: span.fault.is_some().then_some(ERROR), message: span.fault.as_deref() },
    }
}

fn event(happened: &Happened) -> Event<'_> {
    Event {
        time_unix_nano: nanoseconds(happened.at),
        name: happened.name,
        attributes: attributes(&happened.attributes),
    }
}

fn attributes(list: &[Attribute]) -> Vec<KeyValue<'_>> {
    list.iter().map(|(key, known)| KeyValue { key, value: value(known) }).collect()
}

fn value(value: &TraceValue) -> AnyValue<'_> {
    match value {
        TraceValue::Text(text) => AnyValue::Text(text),
        TraceValue::Whole(number) => AnyValue::Whole(*number),
        TraceValue::Real(number) => AnyValue::Real(*number),
        TraceValue::Truth(truth) => AnyValue::Truth(*truth),
    }
}

fn nanoseconds(at: Wall) -> String {
    (i128::from(at.as_micros()) * 1_000).to_string()
}

fn as_text<S: Serializer>(number: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(number)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    partial_success: Option<Partial>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Partial {
    /// Text by the specification, a number by some.
    rejected_spans: Option<serde_json::Value>,
}

/// How many spans a collector that has taken a post says it has left out. An answer of another form says nothing of any.
pub(super) fn rejected(body: &[u8]) -> u32 {
    let answer = serde_json::from_slice::<Answer>(body).ok();
    let count = answer.and_then(|answer| answer.partial_success?.rejected_spans);
    let count = count.and_then(|count| count.as_u64().or_else(|| count.as_str()?.parse().ok()));
    count.map_or(0, |count| u32::try_from(count).unwrap_or(u32::MAX))
}
