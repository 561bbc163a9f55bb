//! The terms of a trunk as written, and what is said about each way to get them wrong.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::*;
use crate::config::{Compiled, compile, render};
use model::TrunkId;

const EXAMPLE: &str = include_str!("../../../../../examples/two-carriers.toml");
const ACME: &str = "listen = \"wan\"\n[trunk.globex]";

/// The example with these lines in trunk `acme`, from line 18 on.
fn compiled(lines: &str) -> (Compiled, String) {
    assert!(EXAMPLE.contains(ACME), "{EXAMPLE}");
    let text = EXAMPLE.replacen(ACME, &format!("listen = \"wan\"\n{lines}\n[trunk.globex]"), 1);
    (compile(&text, "edge.toml", &|_| None, None), text)
}

fn terms(lines: &str) -> Interworking {
    let (Compiled { settings, faults }, text) = compiled(lines);
    let settings = settings.unwrap_or_else(|| panic!("{}", render(&faults, &text, "edge.toml")));
    assert!(faults.is_empty(), "{}", render(&faults, &text, "edge.toml"));
    settings.profiles.trunk(TrunkId(1)).unwrap().interworking.clone()
}

fn said(lines: &str) -> Vec<String> {
    let (Compiled { faults, .. }, _) = compiled(lines);
    let tell = |fault: &crate::config::Fault| {
        let fix = fault.fix.as_deref().map(|fix| format!(" | {fix}")).unwrap_or_default();
        format!("{} {}{fix}", fault.severity.word(), fault.what)
    };
    faults.iter().map(tell).collect()
}

#[test]
fn every_key_of_the_terms_reaches_the_trunk() {
    let mut neutral = Interworking::NEUTRAL;
    neutral.identity.host = b"198.51.100.10:5060".to_vec();
    assert_eq!(terms(""), neutral, "but that it is told our own host");
    for wrong in ["", "a b", "x@y", "h:0x1", "a;b", "<a>"] {
        assert!(
            said(&format!("identity = {{ host = \"{wrong}\" }}")).iter().any(|fault| fault.starts_with("error")),
            "{wrong}"
        );
    }
    let terms = terms(
        "headers = { pass = [\"X-*\", \"s\"], strip = \"X-Internal-*\", ignore = [\"X-Route\"], set = { \"X-Edge\" = \"a b\" } }\n\
         numbers = { format = \"national\", country = \"47\", national = \"0\", international = \"011\", shortest = 5, uri = \"tel\", \
         from = [{ prefix = \"9\", least = 5 }], to = { prefix = \"00\", replace = \"+\", most = 20 } }\n\
         identity = { trust = true, from = \"pai\", pai = \"from\", privacy = \"pass\", rpid = \"convert\", fallback = \"+4722334455\", \
         callers = [\"+4722\"], diversion = \"both\", stir = \"drop\", host = \"sip.acme.example:5070\" }\n\
         causes = { reason = \"q850\", answers = { 480 = 486, 503 = 480 } }",
    );
    let pattern = |text: &str| HeaderPattern::new(text).unwrap();
    assert_eq!(terms.headers.pass, Some(vec![pattern("X-*"), pattern("Subject")]));
    assert_eq!((terms.headers.strip, terms.headers.ignore), (vec![pattern("X-Internal-*")], vec![pattern("X-Route")]));
    assert_eq!(terms.headers.set, [SetHeader::new("X-Edge", "a b").unwrap()]);
    let rule = |prefix: &str, replace: &str, least, most| NumberRule {
        prefix: prefix.into(),
        replace: replace.into(),
        least,
        most,
    };
    assert_eq!(
        terms.numbers,
        NumberPolicy {
            form: NumberForm::National,
            country: b"47".to_vec(),
            national: b"0".to_vec(),
            international: b"011".to_vec(),
            shortest: 5,
            uri: UriForm::Tel,
            from: vec![rule("9", "", 5, 40)],
            to: vec![rule("00", "+", 1, 20)],
        }
    );
    assert_eq!(
        terms.identity,
        IdentityPolicy {
            trust: true,
            from: FromForm::Asserted,
            pai: Assertion::From,
            honours_privacy: false,
            rpid: RemoteParty::Convert,
            fallback: b"+4722334455".to_vec(),
            callers: vec![b"+4722".to_vec()],
            diversion: DiversionForm::Both,
            stir: false,
            host: b"sip.acme.example:5070".to_vec(),
        }
    );
    assert_eq!(terms.causes, CausePolicy { reason: ReasonForm::Q850, answers: vec![(480, 486), (503, 480)] });
}

#[test]
fn the_product_is_named_on_every_trunk_or_on_none() {
    let text = EXAMPLE.replacen("[edge]", "[edge]\nproduct = \"Edge\"", 1);
    let settings = compile(&text, "edge.toml", &|_| None, None).settings.unwrap();
    let named =
        (0..3).filter(|id| settings.profiles.trunk(TrunkId(*id)).unwrap().interworking.headers.product == "Edge");
    assert_eq!(named.count(), 3);
    let text = EXAMPLE.replacen("[edge]", "[edge]\nproduct = \"a\\nVia: x\"", 1);
    let faults = compile(&text, "edge.toml", &|_| None, None).faults;
    assert_eq!((faults.len(), faults[0].expected.as_str()), (1, "a text on one line"));
}

#[test]
fn all_faults_of_the_terms_are_told_at_once() {
    let list = said(
        "headers = { strip = [\"Via\", \"i\"], set = { Reason = \"x\", \"X-A\" = \"a\\r\\nb\" } }\n\
         numbers = { format = \"nationl\" }\nidentity = { trust = false, pai = \"from\" }",
    );
    let wanted = [
        "error `Via` belongs to one leg: the edge writes its own on each, and never passes it | remove it",
        "error `i` belongs to one leg: the edge writes its own on each, and never passes it | remove it",
        "error `Reason` is written by rules of its own | use `reason` of `causes`",
        "error `X-A` cannot be sent with the text \"a??b\"",
        "error this is the text \"nationl\" | did you mean `national`?",
        "error a trunk outside the trust domain is told no asserted identity, and `pai` would tell it one | remove `pai`, or say \
         `trust = true`",
    ];
    assert_eq!(list, wanted);
}

#[test]
fn each_fault_of_the_terms_says_what_is_likely_meant() {
    for (lines, wanted) in [
        (
            "headers = { strp = [\"X-A\"] }",
            "error unknown key `strp` in headers of [trunk.NAME] | did you mean `strip`?",
        ),
        ("headers = { pass = [\"a b\"] }", "error the text \"a b\" is no name of a header"),
        ("headers = { set = \"X\" }", "error `set` is the text \"X\""),
        (
            "headers = { set = { Server = \"x\" } }",
            "error `Server` is written by rules of its own | use `product` of [edge]",
        ),
        ("headers = { set = { Contact = \"x\" } }", "error `Contact` belongs to one leg"),
        (
            "numbers = { format = \"national\" }",
            "error national numbers of which country? | add, for example, `country = \"47\"`",
        ),
        ("numbers = { country = \"+47\" }", "error this is the text \"+47\" | leave out the `+`: \"47\""),
        ("numbers = { country = 47 }", "error this is the number 47 | write \"47\", in quotes"),
        ("numbers = { from = [{ prefix = \"x\" }] }", "error the text \"x\" is no number to dial"),
        ("numbers = { from = [{ least = 9, most = 4 }] }", "error no number has 9 characters or more and 4 or fewer"),
        (
            "numbers = { to = [{ prefix = \"0\" }, { prefix = \"00\" }] }",
            "warning no number reaches this rule: an earlier one takes all of them | move it up, or remove it",
        ),
        ("identity = { from = \"fallback\" }", "error `from` needs a number to show | add, for example, `fallback ="),
        ("identity = { callers = [\"+47\"] }", "error `callers` needs a number to show"),
        (
            "identity = { fallback = \"22\" }",
            "error \"22\" is not in E.164 | write \"+22\", if that is its country code",
        ),
        (
            "identity = { fallback = \"+46\", callers = [\"+47\"] }",
            "warning `fallback` is none of the `callers` this trunk lets us show",
        ),
        ("causes = { answers = { 401 = 403 } }", "error `401` is no refusal"),
        ("causes = { answers = { 480 = 302 } }", "error 302 is no refusal"),
        ("causes = { answers = 480 }", "error `answers` is the number 480"),
    ] {
        let list = said(lines);
        assert!(list.len() == 1 && list[0].starts_with(wanted), "{lines}\nwanted {wanted}\n{list:#?}");
    }
    let many = (0..65).map(|n| format!("\"X-{n}\"")).collect::<Vec<_>>().join(", ");
    assert_eq!(said(&format!("headers = {{ strip = [{many}] }}")), ["error 65 are too many"]);
}
