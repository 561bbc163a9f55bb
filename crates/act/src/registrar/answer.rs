//! Answers to REGISTER: what holds now, or why nothing was changed (RFC 3261 §10.3 step 8).
//!
//! Refuses to know: how it came to that.

use super::binding::Binding;
use super::rules::RegistrarRules;
use super::wish::{Refusal, Wish};
use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;
use model::Instant;
use sip::{Answer, SentBy};

pub(super) fn ok(
    now: Instant,
    rules: &RegistrarRules,
    sent_by: &SentBy,
    wish: &Wish<'_>,
    bindings: &[Binding],
) -> Answer {
    let mut answer = Answer::new(200);
    for binding in bindings {
        answer.headers.push("Contact", &contact(now, rules, wish, binding));
    }
    // RFC 3327 §5.3: who sent it sees what is kept.
    for value in &wish.path {
        answer.headers.push("Path", value);
    }
    if rules.service_route && !bindings.is_empty() {
        answer.headers.push("Service-Route", format!("<sip:{}{};lr>", sent_by.addr, sent_by.parameters()).as_bytes());
    }
    // RFC 5626 §6: the phone learns that its flow is kept, and how often it must use it.
    if bindings.iter().any(|binding| binding.reg_id.is_some() && &*binding.call_id == wish.call_id) {
        answer.headers.push("Require", b"outbound");
        if let Some(timer) = rules.flow_timer {
            answer.headers.push("Flow-Timer", timer.as_secs().to_string().as_bytes());
        }
    }
    answer
}

fn contact(now: Instant, rules: &RegistrarRules, wish: &Wish<'_>, binding: &Binding) -> Vec<u8> {
    // The binding ends with its last whole second: a phone that comes in time finds it alive.
    let left = binding.expires.since(now).as_secs();
    let mut value = [b"<", &*binding.contact, format!(">;expires={left}").as_bytes()].concat();
    if binding.q < 1_000 {
        value.extend_from_slice(format!(";q=0.{:03}", binding.q).as_bytes());
    }
    if let Some(instance) = &binding.instance {
        value.extend([b";+sip.instance=\"", &**instance, b"\""].concat());
        if let Some(id) = binding.reg_id {
            value.extend_from_slice(format!(";reg-id={id}").as_bytes());
        }
        // RFC 5627 §5.3: only for a phone that asked for it.
        if wish.gruu {
            let gr = gr_of(instance);
            let (aor, realm) = (wish.aor.as_str(), &rules.realm.name);
            value.extend([format!(";pub-gruu=\"sip:{aor}@{realm};gr=").as_bytes(), gr, b"\""].concat());
        }
    }
    value
}

/// The instance without its angle brackets, as a public GRUU names it (RFC 5627 §5.4).
pub(super) fn gr_of(instance: &[u8]) -> &[u8] {
    instance.strip_prefix(b"<").and_then(|rest| rest.strip_suffix(b">")).unwrap_or(instance)
}

pub(super) fn refusal(why: &Refusal<'_>) -> Answer {
    let (code, phrase) = match why {
        Refusal::Malformed(phrase) => (400, Some(*phrase)),
        Refusal::NotYours => (403, None),
        Refusal::TooMany => (403, Some("Too Many Contacts")),
        Refusal::NotHere => (404, None),
        Refusal::Unsupported(_) => (420, None),
        Refusal::TooBrief(_) => (423, None),
        Refusal::NoOutbound => (439, Some("First Hop Lacks Outbound Support")),
        Refusal::OutOfOrder => (500, Some("Request Overtaken By A Later One")),
    };
    let mut answer = Answer::new(code);
    answer.phrase = phrase.map(|phrase| phrase.as_bytes().to_vec());
    match why {
        Refusal::Unsupported(tag) => answer.headers.push("Unsupported", tag),
        Refusal::TooBrief(min) => answer.headers.push("Min-Expires", min.as_secs().to_string().as_bytes()),
        _ => {}
    }
    answer
}

/// Come again after so many seconds.
pub(super) fn later(seconds: u64) -> Answer {
    let mut answer = Answer::new(503);
    answer.headers.push("Retry-After", seconds.to_string().as_bytes());
    answer
}
