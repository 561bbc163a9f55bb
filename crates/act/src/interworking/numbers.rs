//! Numbers as one trunk writes them, read into E.164 with a `+`, and written again as another trunk wants them.
//!
//! Inside the edge a number that is known to be global begins with `+` (RFC 3966 §5.1.4); what is not, an extension or a short code, stays
//! as it came. Refuses to know: headers, routes, which numbers are for help.

use crate::profile::bare_number;
use alloc::borrow::Cow;
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Digits of a number at most, its `+` included: E.164 has 15, and carriers' prefixes before them are short.
const NUMBER_MAX: usize = 40;
type Number = SmallVec<[u8; NUMBER_MAX]>;

/// How a trunk writes global numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberForm {
    /// As they come.
    Pass,
    /// `+4722334455`.
    PlusE164,
    /// `4722334455`.
    E164,
    /// `22334455` at home, `0046…` abroad.
    National,
    /// `004722334455`.
    International,
}

/// The URI around a number (RFC 3261 §19.1.1, RFC 3966).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UriForm {
    /// `sip:…@host`.
    Sip,
    /// `sip:…@host;user=phone`.
    Phone,
    /// `tel:…`, with a phone-context when it is not global.
    Tel,
}

/// A beginning, and what stands in its place. The first rule that fits is the only one applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberRule {
    /// What a number begins with.
    pub prefix: Vec<u8>,
    /// What it begins with afterwards.
    pub replace: Vec<u8>,
    /// Only numbers of so many characters at least.
    pub least: u8,
    /// And at most.
    pub most: u8,
}

/// How one trunk writes numbers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NumberPolicy {
    /// Its form.
    pub form: NumberForm,
    /// Country code of its national numbers; empty when none is known.
    pub country: Vec<u8>,
    /// What it writes before national numbers: `0` in most countries, nothing in some.
    pub national: Vec<u8>,
    /// What it writes before foreign ones.
    pub international: Vec<u8>,
    /// A national number has so many digits at least; fewer are an extension or a short code.
    pub shortest: u8,
    /// Form of the URIs it is sent.
    pub uri: UriForm,
    /// For numbers from it, before they are read.
    pub from: Vec<NumberRule>,
    /// For numbers to it, after they are written.
    pub to: Vec<NumberRule>,
}

impl NumberPolicy {
    /// As they come.
    pub const NEUTRAL: Self = Self {
        form: NumberForm::Pass,
        country: Vec::new(),
        national: Vec::new(),
        international: Vec::new(),
        shortest: 7,
        uri: UriForm::Sip,
        from: Vec::new(),
        to: Vec::new(),
    };

    pub(super) fn is_neutral(&self) -> bool {
        self.form == NumberForm::Pass && self.uri == UriForm::Sip && self.from.is_empty() && self.to.is_empty()
    }

    /// A user part of this trunk's, its number global when it can be told to be so.
    pub(crate) fn read<'u>(&self, user: &'u [u8]) -> Cow<'u, [u8]> {
        if self.form == NumberForm::Pass && self.from.is_empty() {
            return Cow::Borrowed(user);
        }
        changed(user, |number| self.global(ruled(&self.from, number), context(user)))
    }

    /// A user part as this trunk writes it.
    pub(crate) fn write<'u>(&self, user: &'u [u8]) -> Cow<'u, [u8]> {
        if self.form == NumberForm::Pass && self.to.is_empty() {
            return Cow::Borrowed(user);
        }
        changed(user, |number| ruled(&self.to, self.formed(number)))
    }

    fn global(&self, number: Number, context: &[u8]) -> Number {
        if self.form == NumberForm::Pass || number.starts_with(b"+") {
            return number;
        }
        // RFC 3966 §5.1.5: a global context is what the local number lacks.
        if context.starts_with(b"+") {
            return joined(context, &number);
        }
        if let Some(rest) = after(&number, &self.international).filter(|rest| self.is_long(rest)) {
            return joined(b"+", rest);
        }
        if self.form == NumberForm::E164 && self.is_long(&number) {
            return joined(b"+", &number);
        }
        let home = number.strip_prefix(self.national.as_slice()).filter(|rest| self.is_long(rest));
        match home.filter(|_| !self.country.is_empty()) {
            Some(rest) => joined(&[b"+", self.country.as_slice()].concat(), rest),
            None => number,
        }
    }

    fn formed(&self, number: Number) -> Number {
        let Some(digits) = number.strip_prefix(b"+") else { return number };
        match self.form {
            NumberForm::Pass | NumberForm::PlusE164 => number,
            NumberForm::E164 => Number::from_slice(digits),
            NumberForm::International => joined(&self.international, digits),
            NumberForm::National => match after(digits, &self.country) {
                Some(rest) => joined(&self.national, rest),
                None => joined(&self.international, digits),
            },
        }
    }

    const fn is_long(&self, digits: &[u8]) -> bool {
        digits.len() >= self.shortest as usize
    }

    /// Host and parameters of a SIP URI with this user, or a tel URI.
    pub(crate) fn push_uri(&self, out: &mut Vec<u8>, user: &[u8], host: &[u8]) {
        let phone = self.uri != UriForm::Sip && digits(bare_number(user)).is_some();
        let global = user.starts_with(b"+");
        if phone && self.uri == UriForm::Tel && (global || !self.country.is_empty()) {
            out.extend_from_slice(b"tel:");
            out.extend_from_slice(user);
            if !global {
                // RFC 3966 §5.1.5: a local number must say where it is local.
                out.extend_from_slice(b";phone-context=+");
                out.extend_from_slice(&self.country);
            }
            return;
        }
        out.extend_from_slice(b"sip:");
        if !user.is_empty() {
            out.extend_from_slice(user);
            out.push(b'@');
        }
        out.extend_from_slice(host);
        if phone {
            out.extend_from_slice(b";user=phone");
        }
    }
}

fn ruled(rules: &[NumberRule], number: Number) -> Number {
    let fits = |rule: &&NumberRule| {
        (usize::from(rule.least)..=usize::from(rule.most)).contains(&number.len()) && number.starts_with(&rule.prefix)
    };
    match rules.iter().find(fits) {
        Some(rule) => joined(&rule.replace, &number[rule.prefix.len()..]),
        None => number,
    }
}

fn joined(start: &[u8], rest: &[u8]) -> Number {
    let mut out = Number::from_slice(start);
    out.extend_from_slice(rest);
    out
}

/// What follows a prefix that is not empty.
fn after<'n>(number: &'n [u8], prefix: &[u8]) -> Option<&'n [u8]> {
    number.strip_prefix(prefix).filter(|_| !prefix.is_empty())
}

/// The user part with its number changed and its other parameters kept. Names, and what would become no number, stay as they came.
fn changed(user: &[u8], change: impl FnOnce(Number) -> Number) -> Cow<'_, [u8]> {
    let old = bare_number(user);
    let Some(new) = digits(old).map(change) else { return Cow::Borrowed(user) };
    if *new == *old || !(1..=NUMBER_MAX).contains(&new.len()) {
        return Cow::Borrowed(user);
    }
    let mut out = new.to_vec();
    for parameter in user[old.len()..].split(|byte| *byte == b';').skip(1) {
        if !is_context(parameter) {
            out.push(b';');
            out.extend_from_slice(parameter);
        }
    }
    Cow::Owned(out)
}

fn is_context(parameter: &[u8]) -> bool {
    parameter.get(..14).is_some_and(|name| name.eq_ignore_ascii_case(b"phone-context="))
}

/// The phone-context in a user part (RFC 3966 §5.1.5).
fn context(user: &[u8]) -> &[u8] {
    let found = user.split(|byte| *byte == b';').skip(1).find(|parameter| is_context(parameter));
    found.map(|parameter| &parameter[14..]).filter(|context| digits(context).is_some()).unwrap_or_default()
}

/// A number without its visual separators (RFC 3966 §5.1.1); none when this is a name.
fn digits(text: &[u8]) -> Option<Number> {
    let (plus, rest) = text.strip_prefix(b"+").map_or((&text[..0], text), |rest| (&text[..1], rest));
    if rest.is_empty() || text.len() > NUMBER_MAX {
        return None;
    }
    let mut out = Number::from_slice(plus);
    for &byte in rest {
        match byte {
            b'0'..=b'9' | b'*' | b'#' => out.push(byte),
            b'-' | b'.' | b'(' | b')' => {}
            _ => return None,
        }
    }
    (out.len() > plus.len()).then_some(out)
}

/// Digits alone, for comparing what was signed (RFC 8224 §8.3).
pub(super) fn canonical(user: &[u8]) -> Number {
    let number = digits(bare_number(user)).unwrap_or_default();
    number.strip_prefix(b"+").map_or_else(|| number.clone(), Number::from_slice)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::string::{String, ToString};

    fn policy(form: NumberForm, country: &str, national: &str) -> NumberPolicy {
        NumberPolicy {
            form,
            country: country.as_bytes().to_vec(),
            national: national.as_bytes().to_vec(),
            international: b"00".to_vec(),
            ..NumberPolicy::NEUTRAL
        }
    }

    fn text(user: Cow<'_, [u8]>) -> String {
        String::from_utf8(user.into_owned()).unwrap()
    }

    #[test]
    fn a_number_is_read_into_e164_from_each_form() {
        let norway = policy(NumberForm::National, "47", "");
        let germany = policy(NumberForm::National, "49", "0");
        let bare = policy(NumberForm::E164, "47", "");
        for (policy, written, read) in [
            (&norway, "22334455", "+4722334455"),
            (&norway, "004622334455", "+4622334455"),
            (&norway, "+4722334455", "+4722334455"),
            (&norway, "201", "201"),
            (&norway, "ann", "ann"),
            (&germany, "03012345678", "+493012345678"),
            (&germany, "3012345678", "+493012345678"),
            (&bare, "4722334455", "+4722334455"),
            (&bare, "004722334455", "+4722334455"),
            (&norway, "+47-22.33(44)55", "+4722334455"),
            (&norway, "334455;phone-context=+4722", "+4722334455"),
            (&norway, "22334455;rn=+4799;npdi", "+4722334455;rn=+4799;npdi"),
        ] {
            let expected = if written == "3012345678" { "3012345678" } else { read };
            assert_eq!(text(policy.read(written.as_bytes())), expected, "{written}");
        }
    }

    #[test]
    fn a_number_is_written_in_each_form() {
        for (form, home, abroad) in [
            (NumberForm::PlusE164, "+4722334455", "+4622334455"),
            (NumberForm::E164, "4722334455", "4622334455"),
            (NumberForm::International, "004722334455", "004622334455"),
            (NumberForm::National, "022334455", "004622334455"),
            (NumberForm::Pass, "+4722334455", "+4622334455"),
        ] {
            let policy = policy(form, "47", "0");
            assert_eq!(text(policy.write(b"+4722334455")), home, "{form:?}");
            assert_eq!(text(policy.write(b"+4622334455")), abroad, "{form:?}");
            assert_eq!(text(policy.write(b"1881")), "1881", "{form:?}");
        }
    }

    #[test]
    fn the_first_rule_that_fits_is_the_only_one() {
        let rule = |prefix: &str, replace: &str, least, most| NumberRule {
            prefix: prefix.into(),
            replace: replace.into(),
            least,
            most,
        };
        let policy = NumberPolicy {
            from: std::vec![rule("9", "", 4, 40), rule("", "+4721", 2, 2), rule("0", "x", 1, 40)],
            ..NumberPolicy::NEUTRAL
        };
        for (written, read) in [("92233", "2233"), ("911", "911"), ("17", "+472117"), ("bob", "bob")] {
            assert_eq!(text(policy.read(written.as_bytes())), read, "{written}");
        }
    }

    #[test]
    fn uris_say_whose_number_it_is_rfc_3966_5_1_5() {
        let uri = |form, user: &str| {
            let mut out = Vec::new();
            NumberPolicy { uri: form, ..policy(NumberForm::National, "47", "") }.push_uri(
                &mut out,
                user.as_bytes(),
                b"h:5060",
            );
            String::from_utf8(out).unwrap()
        };
        assert_eq!(uri(UriForm::Sip, "22334455"), "sip:22334455@h:5060");
        assert_eq!(uri(UriForm::Phone, "22334455"), "sip:22334455@h:5060;user=phone");
        assert_eq!(uri(UriForm::Phone, "ann"), "sip:ann@h:5060");
        assert_eq!(uri(UriForm::Tel, "+4722334455"), "tel:+4722334455");
        assert_eq!(uri(UriForm::Tel, "22334455"), "tel:22334455;phone-context=+47");
        assert_eq!(uri(UriForm::Tel, ""), "sip:h:5060");
    }

    fn forms() -> impl Strategy<Value = NumberForm> {
        prop_oneof![
            Just(NumberForm::PlusE164),
            Just(NumberForm::E164),
            Just(NumberForm::National),
            Just(NumberForm::International)
        ]
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(form in forms(), country in "[1-9][0-9]{0,2}", rest in "[1-9]{8,12}", trunk in "0?") {
            let policy = policy(form, &country, &trunk);
            let number = ["+", &rest].concat();
            let home = ["+", &country, &rest].concat();
            for number in [number, home] {
                // A number that begins with the country code by chance may be too short to be told from an extension. None begins
                // with a zero after its country code, or it could not be told from a foreign one.
                let written = policy.write(number.as_bytes()).into_owned();
                prop_assume!(!(form == NumberForm::National && number[1..].starts_with(&country) && number.len() < country.len() + 8));
                prop_assert_eq!(text(policy.read(&written)), number);
            }
        }

        #[test]
        fn nothing_makes_it_panic_or_grow(user in "\\PC{0,60}|[-+0-9;=().*#]{0,60}", prefix in "[+0-9]{0,4}", replace in "[+0-9]{0,32}", form in forms()) {
            let rule = NumberRule { prefix: prefix.into(), replace: replace.into(), least: 0, most: 40 };
            let policy = NumberPolicy { from: std::vec![rule.clone()], to: std::vec![rule], ..policy(form, "47", "0") };
            for changed in [policy.read(user.as_bytes()), policy.write(user.as_bytes())] {
                prop_assert!(changed.len() <= user.len() + NUMBER_MAX, "{}", changed.len().to_string());
                prop_assert!(changed.is_empty() == user.is_empty());
            }
        }
    }
}
