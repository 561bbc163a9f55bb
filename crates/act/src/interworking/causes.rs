//! Why a call was refused or ended, as the reader understands it: Reason (RFC 3326), causes of Q.850, other codes for codes.
//!
//! Refuses to know: whose fault it was.

use super::Crossing;
use alloc::format;
use alloc::vec::Vec;
use sip::{HeaderLines, Message, Method};

/// What becomes of Reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReasonForm {
    /// It passes.
    Pass,
    /// It passes, and a refusal or BYE without a cause of Q.850 gets one.
    Q850,
    /// It is dropped.
    Strip,
}

/// How a trunk is told causes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CausePolicy {
    /// Reason.
    pub reason: ReasonForm,
    /// Refusals it hears as others: what we would answer, what it is answered.
    pub answers: Vec<(u16, u16)>,
}

impl CausePolicy {
    /// As they come.
    pub const NEUTRAL: Self = Self { reason: ReasonForm::Pass, answers: Vec::new() };

    /// The code this trunk is answered.
    pub(crate) fn answer(&self, code: u16) -> u16 {
        self.answers.iter().find(|(from, _)| *from == code).map_or(code, |(_, to)| *to)
    }

    /// The cause of a refusal that nobody else has given one.
    pub(crate) fn push_cause(&self, code: u16, out: &mut HeaderLines) {
        if let Some(cause) = q850_of(code).filter(|_| self.reason == ReasonForm::Q850) {
            out.push("Reason", format!("Q.850;cause={cause}").as_bytes());
        }
    }
}

/// Adds the cause that a message lacks.
pub(super) fn push(message: &Message, crossing: &Crossing<'_>, out: &mut HeaderLines) {
    let causes = &crossing.to.causes;
    if causes.reason != ReasonForm::Q850 || message.q850().is_some() {
        return;
    }
    match message.status() {
        Some(code) => causes.push_cause(code, out),
        // A call that someone hangs up is cleared normally.
        None if message.method() == Method::Bye => out.push("Reason", b"Q.850;cause=16"),
        None => {}
    }
}

/// The cause of a refusal (RFC 3398 §8.2.6.1); what the table leaves open is interworking (127).
const fn q850_of(code: u16) -> Option<u8> {
    Some(match code {
        0..=399 => return None,
        404 | 485 | 604 => 1,
        486 | 600 => 17,
        480 => 18,
        401 | 402 | 403 | 407 | 603 => 21,
        410 => 22,
        482 | 483 => 25,
        484 => 28,
        502 => 38,
        400 | 481 | 500 | 503 => 41,
        405 => 63,
        406 | 415 | 501 => 79,
        408 | 504 => 102,
        // The caller has gone: nothing is wrong.
        487 => 16,
        _ => 127,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_have_the_causes_of_rfc_3398_8_2_6_1() {
        for (code, cause) in [(404, 1), (486, 17), (480, 18), (603, 21), (484, 28), (503, 41), (504, 102), (488, 127)] {
            assert_eq!(q850_of(code), Some(cause), "{code}");
        }
        assert_eq!((q850_of(200), q850_of(183)), (None, None));
    }
}
