//! Words for what was seen and done about the audio of a live call.
//!
//! Refuses to know: what is to be done.

use alloc::format;
use alloc::string::String;
use decide::{Keyless, Note, Noted, Whose};
use model::Instant;

/// One note of a call that was answered then, and when it was made.
pub fn timed(noted: &Noted, answered: Option<Instant>, caller: &str, callee: &str) -> String {
    let after =
        answered.map_or_else(String::new, |answered| format!("{} after the answer: ", noted.at.since(answered)));
    after + &note(noted, caller, callee)
}

/// One note, the parties by the names of their trunks.
pub fn note(noted: &Noted, caller: &str, callee: &str) -> String {
    let (one, other) = match noted.whose {
        Whose::Caller => (caller, callee),
        Whose::Callee => (callee, caller),
    };
    match noted.what {
        Note::Silent { after, never, other_speaks } => {
            let meanwhile = if other_speaks { format!(" while {other} kept sending") } else { String::new() };
            match never {
                true => format!("nothing was heard of {one} for {after} after the answer{meanwhile}"),
                false => format!("audio of {one} stopped {after} ago{meanwhile}"),
            }
        }
        Note::Deaf { after } => format!("{one} reports that nothing of what it is sent has arrived for {after}"),
        Note::Poor { mos, limit } => {
            format!(
                "audio of {one} is poor: its estimated opinion score is {mos}, and below {limit} it counts against {one}"
            )
        }
        Note::Hears => format!("what {one} is sent arrives again, by its reports"),
        Note::Back { after } => format!("{one} is heard again after {after}"),
        Note::Relatched => format!("audio of {one} may come from another address now"),
        Note::Alive { after } => format!("asked {one}: it answered after {after}"),
        Note::Refused { code } => format!("asked {one}: it does not know the call any more ({code})"),
        Note::NoReply { after } => format!("asked {one}: no reply in {after}"),
        Note::Unreachable => format!("asked {one}: the network refuses"),
        Note::Moved { after } => format!("audio of {one} was moved to another interface within {after}"),
        Note::NotMoved { code: Some(code) } => format!("audio of {one} was not moved to another interface: {code}"),
        Note::NotMoved { code: None } => format!("audio of {one} could not be moved to another interface"),
        Note::NotKeyed { why } => format!("audio of {one} has no keys: {}", keyless(why)),
        // An answer of an attempt that was let go: whose it was, the attempts say.
        Note::NotSecured if noted.whose == Whose::Callee => {
            String::from("an answer was not taken: it is not secured as it was offered")
        }
        Note::NotSecured => format!("audio that {one} offers is not secured as its trunk wants it"),
        Note::Called { call } => format!("{one} was let go and is called again by call {call}; {other} is kept"),
        Note::Reached { after } => format!("the party behind {one} was reached again after {after}"),
        Note::NotReached { code } => format!("the party behind {one} could not be reached again: {code}"),
    }
}

const fn keyless(why: Keyless) -> &'static str {
    match why {
        Keyless::Unfinished => "the handshake is not over",
        Keyless::Failed => "the handshake failed",
        Keyless::Foreign => "its certificate is not the one that its description names",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{CallRef, Mos, Span};

    #[test]
    fn each_step_is_a_sentence_that_names_whom_it_is_about() {
        let at = Instant::ZERO + Span::from_secs(13);
        let ms = Span::from_millis;
        let words = |whose, what| note(&Noted { at, whose, what }, "office", "acme");
        let acme = |what| words(Whose::Callee, what);
        let silent = |never, other_speaks| Note::Silent { after: ms(3_200), never, other_speaks };
        for (told, wanted) in [
            (acme(silent(false, true)), "audio of acme stopped 3.2 s ago while office kept sending"),
            (words(Whose::Caller, silent(false, false)), "audio of office stopped 3.2 s ago"),
            (
                acme(silent(true, true)),
                "nothing was heard of acme for 3.2 s after the answer while office kept sending",
            ),
            (acme(Note::Deaf { after: ms(5_000) }), "acme reports that nothing of what it is sent has arrived for 5 s"),
            (
                acme(Note::Poor { mos: Mos::from_hundredths(268), limit: Mos::from_hundredths(310) }),
                "audio of acme is poor: its estimated opinion score is 2.7, and below 3.1 it counts against acme",
            ),
            (acme(Note::Hears), "what acme is sent arrives again, by its reports"),
            (acme(Note::Back { after: ms(4_000) }), "acme is heard again after 4 s"),
            (acme(Note::Relatched), "audio of acme may come from another address now"),
            (acme(Note::Alive { after: ms(12) }), "asked acme: it answered after 12 ms"),
            (acme(Note::NoReply { after: ms(1_000) }), "asked acme: no reply in 1 s"),
            (acme(Note::Refused { code: 481 }), "asked acme: it does not know the call any more (481)"),
            (acme(Note::Unreachable), "asked acme: the network refuses"),
            (acme(Note::Moved { after: ms(20) }), "audio of acme was moved to another interface within 20 ms"),
            (acme(Note::NotMoved { code: Some(488) }), "audio of acme was not moved to another interface: 488"),
            (acme(Note::NotMoved { code: None }), "audio of acme could not be moved to another interface"),
            (acme(Note::NotKeyed { why: Keyless::Unfinished }), "audio of acme has no keys: the handshake is not over"),
            (acme(Note::NotKeyed { why: Keyless::Failed }), "audio of acme has no keys: the handshake failed"),
            (
                words(Whose::Caller, Note::NotKeyed { why: Keyless::Foreign }),
                "audio of office has no keys: its certificate is not the one that its description names",
            ),
            (acme(Note::NotSecured), "an answer was not taken: it is not secured as it was offered"),
            (words(Whose::Caller, Note::NotSecured), "audio that office offers is not secured as its trunk wants it"),
            (
                acme(Note::Called { call: CallRef(7) }),
                "acme was let go and is called again by call 0000000000000007; office is kept",
            ),
            (acme(Note::Reached { after: ms(2_100) }), "the party behind acme was reached again after 2.1 s"),
            (acme(Note::NotReached { code: 503 }), "the party behind acme could not be reached again: 503"),
        ] {
            assert_eq!(told, wanted);
        }
        let noted = Noted { at, whose: Whose::Callee, what: Note::Relatched };
        let answered = Some(Instant::ZERO + Span::from_secs(10));
        assert!(timed(&noted, answered, "office", "acme").starts_with("3 s after the answer: audio of acme"));
    }
}
