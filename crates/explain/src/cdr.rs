//! The CDR: one flat row cut from a call's record, in wall-clock time.
//!
//! Refuses to know: where rows are kept.

use crate::record::CallRecord;
use crate::stream::StreamRecord;
use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;
use model::{CallRef, Mos, Seq, Span, Wall};
use serde::{Deserialize, Serialize};

/// One call as billing and statistics want it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Cdr<'a> {
    /// The call.
    pub call: CallRef,
    /// Call-ID of the caller's leg.
    pub call_id: Cow<'a, str>,
    /// Trunk it came from.
    pub from: Cow<'a, str>,
    /// Calling number as sent.
    pub caller: Cow<'a, str>,
    /// Called number as sent.
    pub called: Cow<'a, str>,
    /// INVITE received.
    pub invited: Wall,
    /// 2xx relayed.
    pub answered: Option<Wall>,
    /// Over.
    pub ended: Wall,
    /// Post-dial delay: INVITE to the first response other than 100 that the caller got, unless that was a refusal.
    pub pdd: Option<Span>,
    /// INVITE to 2xx.
    pub setup: Option<Span>,
    /// 2xx to the end; zero when never answered.
    pub duration: Span,
    /// Status code the caller got. None when the edge ended the call before any answer.
    pub code: Option<u16>,
    /// `refused`, `out_of_retries`, `cancelled`, `bye_caller`, `bye_callee`, `ended`.
    pub ending: Cow<'a, str>,
    /// Attempts on the wire.
    pub attempts: u32,
    /// Trunk that carried it: the one that answered, none when nobody did.
    pub trunk: Option<Cow<'a, str>>,
    /// What was heard of the caller; none when nothing was, or when audio passed elsewhere.
    pub caller_heard: Option<Heard<'a>>,
    /// The same of the callee.
    pub callee_heard: Option<Heard<'a>>,
}

/// One direction of audio, as statistics want it. The rest is in the call's record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Heard<'a> {
    /// Encoding name of its codec, when it is known.
    pub codec: Option<Cow<'a, str>>,
    /// Packets received.
    pub packets: u64,
    /// Packets missing or too late to be played, per thousand.
    pub loss_permille: u16,
    /// Mean jitter.
    pub jitter: Option<Span>,
    /// Mean opinion score, estimated.
    pub mos: Option<Mos>,
}

/// One call with its attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CdrRow {
    /// Number of its record; the next page begins after it.
    pub seq: Seq,
    /// The call.
    #[serde(flatten)]
    pub cdr: Cdr<'static>,
    /// Its attempts on the wire, in order.
    pub tried: Vec<Tried>,
}

/// One attempt of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tried {
    /// Whom.
    pub trunk: String,
    /// Number of the target within the trunk.
    pub target: u8,
    /// Our Call-ID of that leg.
    pub call_id: String,
    /// INVITE sent.
    pub sent: Wall,
    /// INVITE to the first response.
    pub first_reply: Option<Span>,
    /// INVITE to the first response other than 100.
    pub progress: Option<Span>,
    /// INVITE to the end of the attempt.
    pub took: Span,
    /// How it ended: `answered`, `refused`, `no_reply` and so on.
    pub outcome: String,
    /// Status code of the refusal or the redirection.
    pub code: Option<u16>,
}

fn heard(stream: &StreamRecord) -> Heard<'_> {
    Heard {
        codec: stream.codec.as_ref().map(|codec| Cow::Borrowed(codec.as_str())),
        packets: stream.packets,
        loss_permille: stream.loss_permille(),
        jitter: stream.jitter,
        mos: stream.mos,
    }
}

/// Cuts the CDR from the record of a call that was over at `ended`.
pub fn cdr(call: &CallRecord, ended: Wall) -> Cdr<'_> {
    let wall = |at| call.wall(at, ended);
    Cdr {
        call: call.call,
        call_id: Cow::Borrowed(&call.call_id),
        from: Cow::Borrowed(&call.from),
        caller: Cow::Borrowed(&call.caller),
        called: Cow::Borrowed(&call.called),
        invited: wall(call.invited),
        answered: call.answered.map(wall),
        ended,
        pdd: call.progressed.or(call.answered).map(|at| at.since(call.invited)),
        setup: call.answered.map(|at| at.since(call.invited)),
        duration: call.answered.map_or(Span::ZERO, |at| call.ended.since(at)),
        code: call.code(),
        ending: Cow::Borrowed(call.ending.word()),
        attempts: u32::try_from(call.attempts.len()).unwrap_or(u32::MAX),
        trunk: call.carried().map(|attempt| Cow::Borrowed(attempt.trunk.as_str())),
        caller_heard: call.media.as_ref().and_then(|media| media.caller.as_ref()).map(heard),
        callee_heard: call.media.as_ref().and_then(|media| media.callee.as_ref()).map(heard),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Direction, Ending};
    use crate::samples;

    const ENDED: Wall = Wall::from_micros(1_795_521_847_000_000);

    #[test]
    fn an_answered_call_has_all_its_times() {
        let call = samples::call();
        let row = cdr(&call, ENDED);
        assert_eq!((row.pdd, row.setup), (Some(Span::from_millis(1_400)), Some(Span::from_millis(3_100))));
        assert_eq!(row.duration, Span::from_secs(120));
        assert_eq!((row.code, row.attempts, row.trunk.as_deref()), (Some(200), 2, Some("globex")));
        assert_eq!(row.ending, "bye_caller");
        let heard = row.caller_heard.unwrap();
        assert_eq!((heard.codec.as_deref(), heard.loss_permille, heard.packets), (Some("PCMA"), 4, 4_210));
        assert_eq!((heard.mos, row.callee_heard), (Some(Mos::from_hundredths(427)), None));
        assert_eq!(row.answered, Some(Wall::from_micros(ENDED.as_micros() - 120_000_000)));
        assert_eq!(row.invited, Wall::from_micros(ENDED.as_micros() - 123_100_000));
    }

    #[test]
    fn a_call_never_answered_has_no_duration_and_no_carrier() {
        let mut call = samples::call();
        (call.answered, call.progressed) = (None, None);
        call.attempts.truncate(1);
        for (ending, code, word) in [
            (Ending::Refused { code: 503 }, Some(503), "refused"),
            (Ending::OutOfRetries { code: 503 }, Some(503), "out_of_retries"),
            (Ending::Cancelled, Some(487), "cancelled"),
            (Ending::Ended { why: "stopped".into() }, None, "ended"),
            (Ending::Bye { by: Direction::Callee }, None, "bye_callee"),
        ] {
            call.ending = ending;
            let row = cdr(&call, ENDED);
            assert_eq!((row.code, row.ending.as_ref()), (code, word));
            assert_eq!((row.duration, row.pdd, row.setup, row.trunk.as_deref()), (Span::ZERO, None, None, None));
        }
    }
}
