//! Words for test calls: what was expected, what came, what was heard in which direction, and what proves it.

use crate::words::outcome::fault;
use alloc::format;
use alloc::string::String;
use model::{Span, TestCallResult};

/// What came of a test call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Told {
    /// In one word.
    pub result: TestCallResult,
    /// INVITE to ringback.
    pub ringback: Option<Span>,
    /// INVITE to answer.
    pub answer: Option<Span>,
    /// The final response.
    pub code: Option<u16>,
    /// What was heard, if it listened.
    pub heard: Option<Heard>,
}

/// What was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heard {
    /// Audio of the target, our echo included.
    pub loud: Span,
    /// Of it, our own tone.
    pub echo: Span,
    /// Share of our packets that the target reports as lost, in percent.
    pub reported_loss: Option<u8>,
}

/// The test call as one sentence, without a full stop.
pub fn sentence(trunk: &str, told: &Told) -> String {
    let word = if matches!(told.result, TestCallResult::Good { .. }) { "good" } else { "bad" };
    let rang = told.ringback.map(|after| format!("ringback after {after}, ")).unwrap_or_default();
    let answered = told.answer.map(|after| format!("answered after {after}")).unwrap_or_default();
    let end = match told.result {
        TestCallResult::Good { answer: Some(_), .. } => match &told.heard {
            Some(heard) => format!("{answered}, {}", both(heard, true, true)),
            None => format!("{answered}, as expected"),
        },
        TestCallResult::Good { answer: None, .. } => {
            format!("refused with {}, as expected", told.code.unwrap_or_default())
        }
        TestCallResult::Refused { code: code @ 200..=299 } => {
            format!("answered with {code}, and a refusal was expected")
        }
        TestCallResult::Refused { code } => format!("refused with {code}"),
        TestCallResult::NoReply { after } if told.ringback.is_some() => format!("no answer in {after}"),
        TestCallResult::NoReply { after } => format!("no final response in {after}"),
        TestCallResult::NoTone { from_target, to_target } => match &told.heard {
            Some(heard) => format!("{answered}, {}", both(heard, from_target, to_target)),
            None => format!("{answered}, but nothing was heard"),
        },
        TestCallResult::Unreachable { fault: by } => format!("unreachable: {}", fault(by)),
    };
    format!("test call to {trunk} is {word}: {rang}{end}")
}

/// A test call that says nothing about its trunk.
pub fn void(trunk: &str, why: &str) -> String {
    format!("test call to {trunk} says nothing: {why}")
}

fn both(heard: &Heard, from_target: bool, to_target: bool) -> String {
    let theirs = if from_target {
        format!("audio heard from it for {}", heard.loud)
    } else {
        String::from("no tone heard from it")
    };
    let join = if from_target == to_target { "and" } else { "but" };
    let ours = match (to_target, heard.reported_loss) {
        (true, _) if heard.echo > Span::ZERO => format!("our tone came back for {}", heard.echo),
        (true, Some(loss)) => format!("it reports {loss}% of our packets as lost, so ours is heard there"),
        (true, None) => String::from("ours is heard there"),
        (false, Some(loss)) => format!("it reports {loss}% of our packets as lost"),
        (false, None) if from_target => String::from(
            "nothing proves that ours is heard there: it did not come back, and no RTCP report tells of it",
        ),
        (false, None) => String::from("ours did not come back"),
    };
    format!("{theirs}, {join} {ours}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Span {
        Span::from_millis(ms)
    }

    fn told(result: TestCallResult, heard: Option<(u64, u64, Option<u8>)>) -> String {
        let heard = heard.map(|(loud, echo, reported_loss)| Heard { loud: ms(loud), echo: ms(echo), reported_loss });
        let answer = heard.map(|_| ms(204));
        let code = Some(if heard.is_some() { 200 } else { 404 });
        sentence("acme", &Told { result, ringback: Some(ms(21)), answer, code, heard })
    }

    #[test]
    fn each_end_says_what_was_heard_and_what_proves_it() {
        let good = TestCallResult::Good { ringback: Some(ms(21)), answer: Some(ms(204)) };
        let no_tone = |from_target, to_target| TestCallResult::NoTone { from_target, to_target };
        let all = [
            told(good, Some((1_500, 500, None))),
            told(good, Some((600, 0, Some(0)))),
            told(TestCallResult::Good { ringback: None, answer: None }, None),
            told(no_tone(false, false), Some((0, 0, None))),
            told(no_tone(true, false), Some((3_000, 0, None))),
            told(no_tone(true, false), Some((3_000, 0, Some(40)))),
            told(no_tone(false, true), Some((0, 0, Some(2)))),
            told(TestCallResult::Refused { code: 503 }, None),
            told(TestCallResult::Refused { code: 200 }, None),
            told(TestCallResult::NoReply { after: ms(20_000) }, None),
        ];
        let expected = [
            "good: ringback after 21 ms, answered after 204 ms, audio heard from it for 1.5 s, and our tone came back for 500 ms",
            "good: ringback after 21 ms, answered after 204 ms, audio heard from it for 600 ms, and it reports 0% of our packets as lost, so ours is heard there",
            "good: ringback after 21 ms, refused with 404, as expected",
            "bad: ringback after 21 ms, answered after 204 ms, no tone heard from it, and ours did not come back",
            "bad: ringback after 21 ms, answered after 204 ms, audio heard from it for 3 s, but nothing proves that ours is heard there: it did not come back, and no RTCP report tells of it",
            "bad: ringback after 21 ms, answered after 204 ms, audio heard from it for 3 s, but it reports 40% of our packets as lost",
            "bad: ringback after 21 ms, answered after 204 ms, no tone heard from it, but it reports 2% of our packets as lost, so ours is heard there",
            "bad: ringback after 21 ms, refused with 503",
            "bad: ringback after 21 ms, answered with 200, and a refusal was expected",
            "bad: ringback after 21 ms, no answer in 20 s",
        ];
        for (said, expected) in all.iter().zip(expected) {
            assert_eq!(*said, format!("test call to acme is {expected}"));
        }
        let why = "no media port is free";
        assert_eq!(void("acme", why), "test call to acme says nothing: no media port is free");
    }
}
