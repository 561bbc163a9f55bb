//! Why a call went as it did, and why a trunk is as it is: sentences in order of time.
//!
//! Refuses to know: where records come from.

use crate::counterfactual;
use crate::record::{Act, CallRecord, Entry, Operator, Record};
use crate::words::{self, call as call_words};
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use model::Wall;

/// One sentence for the plan, one per attempt, one for each thing seen or done about its audio, one for the end; and when somebody was not tried, one that says when they
/// would have been. `ended` is when the call was over. Numbers are shown in full: who asks why about a call by its
/// reference works on that call.
pub fn why_call(call: &CallRecord, ended: Wall) -> Vec<String> {
    let mut sentences = Vec::with_capacity(call.attempts.len() + 5);
    sentences.push(call_words::opening(call));
    let attempts = (1usize..).zip(&call.attempts);
    sentences.extend(attempts.map(|(number, attempt)| call_words::attempt(number, attempt)));
    sentences.extend(call_words::noted(call));
    sentences.push(call_words::end(call));
    sentences.extend(call_words::heard(call));
    sentences.extend(counterfactual::otherwise(call, ended));
    sentences
}

/// One sentence per entry that is about this trunk, in the order given. Starts and reloads are told as well, since
/// they explain why a trunk is Unknown again; what a second policy would have decided only when `shadow` is asked for.
pub fn why_trunk<'e>(entries: impl IntoIterator<Item = &'e Entry>, name: &str, shadow: bool) -> Vec<String> {
    entries.into_iter().filter(|entry| concerns(&entry.record, name, shadow)).map(words::sentence).collect()
}

/// What is told of a trunk that is configured and on record nowhere.
pub fn nothing_yet(name: &str) -> String {
    format!("trunk {name}: nothing has been decided about it yet; its first probe or call tells more")
}

fn concerns(record: &Record, name: &str, shadow: bool) -> bool {
    match record {
        Record::Decision { who, .. } => who.trunk.as_str() == name,
        Record::Shadow { who, .. } => shadow && who.trunk.as_str() == name,
        Record::Operator(Operator { act: Act::DrillEnd { trunks, .. }, .. }) => {
            trunks.iter().any(|trunk| trunk.as_str() == name)
        }
        Record::Operator(act) => act.trunk.as_ref().is_some_and(|trunk| trunk.as_str() == name),
        Record::Located(located) => located.trunk.as_str() == name,
        Record::Configured { names, .. } => names.trunks.iter().any(|trunk| trunk.as_str() == name),
        Record::Call(_) | Record::Alarm(_) | Record::Unreadable { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn a_hunt_is_told_in_order() {
        assert_eq!(
            why_call(&samples::call(), samples::WALL),
            [
                "call 00000000deadbeef from office: +4790123456 calls +4722334455; group carriers by route 1 at epoch 17: \
                 acme (Suspect), then globex; left out: initech is Down for 40 s, umbrella is draining",
                "attempt 1 to acme: no reply in 1 s",
                "attempt 2 to globex: first reply after 20 ms, progress after 300 ms, answered after 2 s",
                "rang after 1.4 s, answered after 3.1 s, talked 2 min, ended by the caller; audio: 6000 packets from the \
                 caller, 5990 from the callee, 3 refused, longest gaps 40 ms and 60 ms",
                "heard of office: 4,210 packets of PCMA, 0.4 % lost (2 bursts), jitter 3 ms, MOS 4.3 estimated, \
                 longest gap 40 ms",
                "heard of globex: nothing ever",
                "otherwise: initech would have been tried first, at 12:02:04.012, had it not been Down since 12:01:24.012; \
                 umbrella could have been tried first, at 12:02:04.012, had the operator not been draining it",
            ]
        );
    }

    #[test]
    fn a_trunk_is_told_by_its_own_entries() {
        let drain = |trunk: &str| {
            Record::Operator(Operator {
                trunk: Some(trunk.into()),
                act: Act::Drain,
                via: "api".into(),
                who: String::new(),
                why: String::new(),
            })
        };
        let records = [samples::configured(true), drain("acme"), drain("globex"), Record::Call(samples::call().into())];
        let entries = records.map(samples::entry);
        let sentences = why_trunk(&entries, "acme", false);
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences[0].starts_with("the edge started"), "{sentences:?}");
        assert!(sentences[1].contains("trunk acme"), "{sentences:?}");
        let Record::Decision { who, decision } = samples::decided(samples::decision(
            decide::Change::Share { from: 5, to: 25 },
            decide::Cause::EarnedByCalls { count: 5 },
        )) else {
            unreachable!("a decision")
        };
        let shadow = [samples::entry(Record::Shadow { who, decision })];
        assert_eq!(why_trunk(&shadow, "acme", false), [""; 0]);
        assert!(why_trunk(&shadow, "acme", true)[0].starts_with("in shadow: trunk acme share 5 % → 25 %"));
        assert_eq!(why_trunk(&entries, "nobody", true), [""; 0]);
    }
}
