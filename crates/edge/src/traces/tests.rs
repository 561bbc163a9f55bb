#![allow(clippy::unwrap_used)]

use super::*;
use decide::NoPlan;
use explain::{Attribute, Ending, Happened, SpanKind, TraceSpan, TraceValue};
use model::{CallRef, Wall};
use serde_json::{Value, json};

const MS: i64 = 1_000;

fn span(id: u64, parent: Option<u64>, kind: SpanKind, fault: Option<&str>) -> TraceSpan {
    let whole: Attribute = ("sip.response.status_code", TraceValue::Whole(503));
    TraceSpan {
        id,
        parent,
        name: "attempt acme".into(),
        kind,
        start: Wall::from_micros(1_795_521_847_112_345),
        end: Wall::from_micros(1_795_521_847_112_345 + 250 * MS),
        attributes: vec![
            whole,
            ("throughline.trunk", TraceValue::Text("acme".into())),
            ("throughline.pdd_ms", TraceValue::Real(1.5)),
            ("throughline.drilled", TraceValue::Truth(true)),
        ],
        events: vec![Happened {
            at: Wall::from_micros(1_795_521_847_200_000),
            name: "ringing",
            attributes: Vec::new(),
        }],
        fault: fault.map(str::to_owned),
    }
}

fn trace(id: u128, spans: usize) -> Trace {
    let first = span(1, None, SpanKind::Server, None);
    let rest = (2..=spans as u64).map(|id| span(id, Some(1), SpanKind::Client, Some("refused with 503")));
    Trace { id, spans: std::iter::once(first).chain(rest).collect() }
}

fn at(ms: u64) -> Instant {
    Instant::ZERO + Span::from_millis(ms)
}

/// Field by field as the specification has it: ids in hexadecimal digits, 64-bit numbers as text, enums as numbers, names in camel case.
#[test]
fn a_post_has_the_shape_of_otlp() {
    let mut batch = Batch::default();
    batch.add(at(0), trace(0x0006_4f2a_1b2c_3d4e_0000_00de_adbe_ef01, 2));
    let post = batch.take("sbc", &"oslo".into()).unwrap();
    assert_eq!(post.holds, 2);
    let body: Value = serde_json::from_str(&post.body).unwrap();
    assert_eq!(body.as_object().unwrap().keys().collect::<Vec<_>>(), ["resourceSpans"]);
    let resource = &body["resourceSpans"][0];
    assert_eq!(
        resource["resource"]["attributes"][0],
        json!({ "key": "service.name", "value": { "stringValue": "sbc" } })
    );
    assert_eq!(resource["resource"]["attributes"][1]["value"]["stringValue"], "oslo");
    let scope = &resource["scopeSpans"][0];
    assert_eq!(scope["scope"]["name"], "throughline");
    let [root, child] = &scope["spans"].as_array().unwrap()[..] else { panic!("{scope}") };
    assert_eq!(root["traceId"], "00064f2a1b2c3d4e000000deadbeef01");
    assert_eq!((&root["spanId"], root.get("parentSpanId")), (&json!("0000000000000001"), None));
    assert_eq!((&root["kind"], &root["status"]), (&json!(2), &json!({})));
    assert_eq!((&child["spanId"], &child["parentSpanId"]), (&json!("0000000000000002"), &root["spanId"]));
    assert_eq!((&child["traceId"], &child["kind"]), (&root["traceId"], &json!(3)));
    assert_eq!(child["status"], json!({ "code": 2, "message": "refused with 503" }));
    assert_eq!((&child["name"], &child["startTimeUnixNano"]), (&json!("attempt acme"), &json!("1795521847112345000")));
    assert_eq!(child["endTimeUnixNano"], "1795521847362345000");
    let wanted = json!([
        { "key": "sip.response.status_code", "value": { "intValue": "503" } },
        { "key": "throughline.trunk", "value": { "stringValue": "acme" } },
        { "key": "throughline.pdd_ms", "value": { "doubleValue": 1.5 } },
        { "key": "throughline.drilled", "value": { "boolValue": true } },
    ]);
    assert_eq!(child["attributes"], wanted);
    let ringing = json!({ "timeUnixNano": "1795521847200000000", "name": "ringing", "attributes": [] });
    assert_eq!(child["events"], json!([ringing]));
}

#[test]
fn a_post_is_closed_when_it_is_full_or_old() {
    let edge = Name::from("oslo");
    let mut batch = Batch::default();
    assert_eq!((batch.deadline(), batch.take_due(at(0), "sbc", &edge)), (None, None));
    batch.add(at(1_000), trace(1, 3));
    batch.add(at(4_000), trace(2, 3));
    assert_eq!(batch.deadline(), Some(at(6_000)), "by its oldest");
    assert_eq!(batch.take_due(at(5_999), "sbc", &edge), None);
    assert_eq!(batch.take_due(at(6_000), "sbc", &edge).unwrap().holds, 6);
    assert_eq!((batch.deadline(), batch.take("sbc", &edge)), (None, None), "it is empty again");
    batch.add(at(7_000), trace(1, SPANS - 1));
    assert_eq!(batch.take_due(at(7_000), "sbc", &edge), None);
    batch.add(at(7_000), trace(2, 4));
    assert_eq!(batch.take_due(at(7_000), "sbc", &edge).unwrap().holds as usize, SPANS + 3);
}

#[test]
fn an_answer_says_whether_to_come_again_and_what_was_left_out() {
    for (status, wanted) in [
        (200, Tried::Taken { except: 0 }),
        (202, Tried::Taken { except: 0 }),
        (301, Tried::Refused),
        (400, Tried::Refused),
        (408, Tried::Refused),
        (429, Tried::Later),
        (500, Tried::Refused),
        (501, Tried::Refused),
        (502, Tried::Later),
        (503, Tried::Later),
        (504, Tried::Later),
    ] {
        assert_eq!(tried(status, b""), wanted, "{status}");
    }
    for (body, except) in [
        (r#"{"partialSuccess":{"rejectedSpans":"7","errorMessage":"too old"}}"#, 7),
        (r#"{"partialSuccess":{"rejectedSpans":7}}"#, 7),
        (r#"{"partialSuccess":{"errorMessage":"use another port soon"}}"#, 0),
        (r#"{"partialSuccess":null}"#, 0),
        ("{}", 0),
        ("\u{0}protobuf", 0),
    ] {
        assert_eq!(tried(200, body.as_bytes()), Tried::Taken { except }, "{body}");
    }
}

fn call(reference: u64, ending: Ending) -> CallRecord {
    CallRecord {
        call: CallRef(reference),
        call_id: String::new(),
        from: "office".into(),
        caller: String::new(),
        called: String::new(),
        invited: at(0),
        progressed: None,
        answered: None,
        ended: at(1),
        plan: Err(NoPlan::NoRoute),
        trunks: Vec::new(),
        tiers: Vec::new(),
        group: None,
        attempts: Vec::new(),
        ending,
        media: None,
        notes: Vec::new(),
        drilled: false,
    }
}

/// References as shards mint them: shard, 24 random bits, serial.
fn reference(random: u64, serial: u64) -> u64 {
    3 << 56 | random << 32 | serial
}

#[test]
fn a_sample_is_a_share_of_calls_and_a_call_that_failed_is_in_each() {
    let told = |sample: u8| {
        let is_told = |n: &u64| is_told(&call(reference(n * 0x0001_0000 + 0x77, *n), Ending::Cancelled), sample);
        (0..256).filter(is_told).collect::<Vec<_>>()
    };
    assert_eq!((told(0).len(), told(100).len()), (0, 256));
    assert!((63..=65).contains(&told(25).len()) && (12..=14).contains(&told(5).len()));
    assert!(told(5).iter().all(|one| told(25).contains(one)), "a smaller share is part of a larger one");
    let failed = call(reference(0x00ff_ffff, 1), Ending::Refused { code: 503 });
    assert!(is_told(&failed, 0) && !is_told(&call(failed.call.0, Ending::Refused { code: 486 }), 0));
}
