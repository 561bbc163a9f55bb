//! `register` of `[trunk.NAME]`: our own registration at a trunk.

use super::fault::Faults;
use super::reader::{At, Reader};
use super::schema::{Section, is, needed, other};
use super::value;
use act::Registration;
use model::Span;

pub(super) static REGISTER: Section = Section {
    title: "register of [trunk.NAME]",
    example: "[trunk.acme.register]",
    about: "Our registration at a trunk that finds us by one. It is renewed in good time, tried again for ever, and a trunk where it does \
            not hold is in doubt. The password is that of `auth`.",
    keys: &[
        needed("user", "text", "\"u1001\"", "User of our address there, as the carrier has given it."),
        other("domain", "text", "the target's own address", "\"acme.example\"", "Domain of our address there."),
        other(
            "contact_user",
            "text",
            "`user`",
            "\"+4722334455\"",
            "User of our Contact: what calls to us are addressed to.",
        ),
        is("expires", "time", "\"600s\"", "How long it is wanted to last. The registrar has the last word."),
        is("gin", "true or false", "false", "It is for all numbers of the trunk at once (RFC 6140)."),
        is("retry", "time", "\"2s\"", "Pause after all targets have failed; doubled with each further round."),
        is(
            "retry_max",
            "time",
            "\"60s\"",
            "The longest pause: so soon after its recovery a carrier is found again at the latest.",
        ),
        is(
            "unregister",
            "true or false",
            "true",
            "It is taken back when the edge drains. A node that another one stands in for keeps it.",
        ),
    ],
};

pub(super) fn read(trunk: &Reader<'_, '_>, faults: &mut Faults<'_>) -> Option<At<Registration>> {
    let node = trunk.get("register")?;
    let reader = Reader::open(node, &node.span(), &REGISTER, faults)?;
    let second = Span::from_secs(1);
    let name = |node: &super::reader::Node<'_>, faults: &mut Faults<'_>| {
        value::text(node, faults).filter(|t| is_plain(t, node, faults))
    };
    let user = reader.need("user", faults, name).unwrap_or_default();
    let domain = reader.read("domain", faults, name);
    let contact_user = reader.read("contact_user", faults, name).unwrap_or_else(|| user.clone());
    let (expires, retry, retry_max) = (second.times(600), second.times(2), second.times(60));
    let mut plan = Registration { user, domain, contact_user, expires, gin: false, retry, retry_max, unregister: true };
    reader.set("expires", &mut plan.expires, faults, value::span(second.times(10), second.times(86_400)));
    reader.set("gin", &mut plan.gin, faults, value::flag);
    reader.set("retry", &mut plan.retry, faults, value::span(Span::from_millis(500), second.times(3_600)));
    reader.set("retry_max", &mut plan.retry_max, faults, value::span(second, second.times(3_600)));
    reader.set("unregister", &mut plan.unregister, faults, value::flag);
    if plan.retry > plan.retry_max {
        let what = format!("the first pause ({}) is longer than the longest ({})", plan.retry, plan.retry_max);
        faults.error(&reader.place("retry"), what, "at most `retry_max`", None);
    }
    Some(At { value: plan, at: reader.at.clone() })
}

/// What stands in a URI must not end it.
fn is_plain(text: &str, node: &super::reader::Node<'_>, faults: &mut Faults<'_>) -> bool {
    let plain = |c: char| c.is_ascii_graphic() && !matches!(c, '<' | '>' | '"' | '@' | ';' | '?' | '\\');
    let good = !text.is_empty() && text.chars().all(plain);
    if !good {
        faults.error(
            &node.span(),
            "this cannot stand in an address",
            "letters and digits, without blanks and brackets",
            None,
        );
    }
    good
}
