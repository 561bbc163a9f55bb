//! `[traces]`: who collects traces of calls.

use super::fault::Faults;
use super::reader::{Node, Reader};
use super::schema::{Section, is, needed, other};
use super::trunk::Env;
use super::url::{self, Address};
use super::value;
use model::Span;

pub(super) static TRACES: Section = Section {
    title: "[traces]",
    example: "[traces]",
    about: "Who collects traces: each call that is over is told as a trace of OpenTelemetry (OTLP over HTTP, as JSON). What is in one is told in the guide.",
    keys: &[
        needed(
            "url",
            "\"http://…\", \"https://…\" or \"env:NAME\"",
            "\"http://127.0.0.1:4318/v1/traces\"",
            "Where to, with the path. The certificate is held to those that this machine trusts.",
        ),
        other(
            "headers",
            "\"env:NAME\"",
            "no headers of the collector's own",
            "\"env:OTEL_EXPORTER_OTLP_HEADERS\"",
            "Environment variable with headers that the collector wants, a token for example, in OpenTelemetry's own form: `name=value,name=value`.",
        ),
        is(
            "sample",
            "share",
            "\"100%\"",
            "How many calls are told. Those that failed, took more than one attempt, or had something done about their audio are told always.",
        ),
        is(
            "service",
            "text",
            "\"throughline\"",
            "What collectors know it by (`service.name`). `name` of `[edge]` tells edges apart.",
        ),
        is("timeout", "duration", "\"10s\"", "How long one post may take, from the name of the host to the answer."),
        is(
            "give_up",
            "duration",
            "\"5min\"",
            "How long a post is tried again and again when nobody takes it. Then it is dropped, which a counter tells, and the next one has its turn.",
        ),
    ],
};

/// Headers of the collector's own at most.
const HEADERS_MAX: usize = 16;
/// What the edge says itself.
const OURS: [&str; 6] = ["host", "content-type", "content-length", "connection", "transfer-encoding", "user-agent"];

/// The collector, and what it is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Traces {
    /// Where.
    pub address: Address,
    /// Names and values of headers that it wants; never printed.
    pub headers: Vec<(String, String)>,
    /// Percent of calls that are told whatever became of them.
    pub sample: u8,
    /// Its `service.name`.
    pub service: String,
    /// How long one post may take.
    pub timeout: Span,
    /// How long one post is tried again.
    pub give_up: Span,
}

/// Neither headers nor the address, which may hold a secret, are shown.
impl core::fmt::Debug for Traces {
    fn fmt(&self, out: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        out.debug_struct("Traces")
            .field("service", &self.service)
            .field("host", &self.address.host)
            .finish_non_exhaustive()
    }
}

pub(super) fn read(root: &Reader<'_, '_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<Traces> {
    let node = root.get("traces")?;
    let reader = Reader::open(node, &node.span(), &TRACES, faults)?;
    let address = reader.need("url", faults, |node, faults| url::read(node, env, faults));
    let headers = reader.read("headers", faults, |node, faults| headers(node, env, faults)).unwrap_or_default();
    if address.as_ref().is_some_and(|address| address.path == "/") {
        let fix = Some(String::from("collectors take traces at /v1/traces, unless they are told otherwise"));
        faults.warn(
            &reader.place("url"),
            "this address has no path, and none is added to it",
            "an address with its path",
            fix,
        );
    }
    let mut sample = 100;
    reader.set("sample", &mut sample, faults, value::percent(0));
    let service = reader.read("service", faults, value::text).filter(|service| !service.is_empty());
    let service = service.unwrap_or_else(|| String::from("throughline"));
    let (mut timeout, mut give_up) = (Span::from_secs(10), Span::from_secs(300));
    reader.set("timeout", &mut timeout, faults, value::span(Span::from_millis(100), Span::from_secs(60)));
    reader.set("give_up", &mut give_up, faults, value::span(Span::from_secs(1), Span::from_secs(3_600)));
    Some(Traces { address: address?, headers, sample, service, timeout, give_up })
}

/// Never says what it found: that is a secret.
fn headers(node: &Node<'_>, env: Env<'_>, faults: &mut Faults<'_>) -> Option<Vec<(String, String)>> {
    let text = value::secret(env)(node, faults)?.reveal();
    let parsed = header_list(&text);
    if let Err(what) = parsed {
        let expected = "name=value, more of them after commas; a blank or a comma in a value is written %20 or %2C";
        faults.error(&node.span(), what, expected, None);
    }
    parsed.ok()
}

/// OpenTelemetry writes headers as members of a baggage (W3C Baggage §3.2): values are percent-encoded.
fn header_list(text: &str) -> Result<Vec<(String, String)>, &'static str> {
    let mut list = Vec::new();
    for member in text.split(',').map(str::trim).filter(|member| !member.is_empty()) {
        let (name, value) = member.split_once('=').ok_or("one of these headers has no value")?;
        let name = name.trim().to_ascii_lowercase();
        // A token of RFC 9110 §5.6.2.
        let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(token) {
            return Err("one of these headers has no good name");
        }
        if OURS.contains(&name.as_str()) {
            return Err("one of these headers is the edge's own to say");
        }
        let value = decoded(value.trim()).filter(|value| !value.is_empty());
        list.push((name, value.ok_or("one of these headers has no good value")?));
    }
    if list.len() > HEADERS_MAX { Err("these are more headers than a collector wants") } else { Ok(list) }
}

/// None when it is not written so, or is nothing that a header may say.
fn decoded(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) = (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    let printed = |byte: &u8| *byte == b' ' || byte.is_ascii_graphic();
    if bytes.iter().all(printed) { String::from_utf8(bytes).ok() } else { None }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::config::compile;

    const REST: &str = "[listen.wan]\nsip = [\"udp:127.0.0.11:5060\"]\nmedia = \"127.0.0.11:30000-30999\"\n\
        [trunk.acme]\nat = \"sip:127.0.0.31:5060\"\nlisten = \"wan\"\n[group.all]\ntiers = [[\"acme\"]]\n[[route]]\nto = \"all\"\n";

    fn read(traces: &str) -> Result<Option<Traces>, Vec<String>> {
        let env = |name: &str| match name {
            "HEADERS" => Some("Authorization=Bearer%20very-secret, x-team=blue=1".to_owned()),
            "BAD" => Some("host=other".to_owned()),
            _ => None,
        };
        let compiled = compile(&format!("{traces}{REST}"), "edge.toml", &env, None);
        let faults = compiled.faults.iter().map(|fault| format!("{}; {}", fault.what, fault.expected)).collect();
        compiled.settings.map(|settings| settings.traces).ok_or(faults)
    }

    #[test]
    fn a_collector_is_read_and_its_secrets_are_not_printed() {
        assert_eq!(read("").unwrap(), None, "nobody is told unless it is wanted");
        let plain = read("[traces]\nurl = \"http://127.0.0.1:4318/v1/traces\"\n").unwrap().unwrap();
        assert_eq!((plain.sample, plain.service.as_str(), plain.headers.len()), (100, "throughline", 0));
        let traces = read(
            "[traces]\nurl = \"https://otel.example.com/v1/traces\"\nheaders = \"env:HEADERS\"\nsample = \"5%\"\nservice = \"sbc\"\n",
        )
        .unwrap()
        .unwrap();
        let headers: Vec<_> = traces.headers.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(headers, [("authorization", "Bearer very-secret"), ("x-team", "blue=1")]);
        assert_eq!((traces.sample, traces.service.as_str(), traces.address.port), (5, "sbc", 443));
        let shown = format!("{traces:?}");
        assert!(!shown.contains("secret") && !shown.contains("/v1"), "{shown}");
    }

    #[test]
    fn all_faults_are_told_at_once() {
        let faults = read("[traces]\nheaders = \"env:BAD\"\nsample = 5\ngive_up = \"2h\"\nto = \"here\"\n")
            .unwrap_err()
            .join("\n");
        for wanted in ["`url` is missing", "the edge's own to say", "a share from", "too long", "unknown key `to`"] {
            assert!(faults.contains(wanted), "{wanted} in {faults}");
        }
    }

    #[test]
    fn an_address_without_a_path_is_warned_of() {
        let warnings = |url: &str| {
            let compiled = compile(&format!("[traces]\nurl = \"{url}\"\n{REST}"), "edge.toml", &|_| None, None);
            assert!(compiled.settings.is_some());
            compiled.faults.iter().filter(|fault| fault.what.contains("no path")).count()
        };
        assert_eq!(["http://a:4318", "http://a:4318/", "http://a:4318/v1/traces"].map(warnings), [1, 1, 0]);
    }

    #[test]
    fn what_is_no_header_is_refused() {
        for bad in ["x", "=1", "a b=1", "a=", "a=%", "a=%0d%0aevil", "a=%zz", "Content-Length=3", "a=\u{e9}"] {
            assert!(header_list(bad).is_err(), "{bad}");
        }
        let many = (0..=HEADERS_MAX).map(|number| format!("x-{number}=1")).collect::<Vec<_>>().join(",");
        assert!(header_list(&many).is_err());
    }
}
