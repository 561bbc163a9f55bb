//! Words for what was heard of one side.

use crate::stream::StreamRecord;
use alloc::format;
use alloc::string::String;
use model::Span;

/// Level at which speech is too soft to be followed easily.
const SOFT_DBOV: i8 = -45;
/// Beyond these shares silence and clipping are told.
const QUIET_PERMILLE: u16 = 900;
const CLIPPED_PERMILLE: u16 = 10;
/// A clock so far off empties or fills a jitter buffer within a call.
const SKEW_PPM: u32 = 100;

/// `heard of acme: 4,210 packets of PCMA, 0.4 % lost, jitter 3 ms, MOS 4.3 estimated, longest gap 40 ms`. `gap` is the longest time
/// between two packets.
pub fn heard(of: &str, stream: Option<&StreamRecord>, gap: Span) -> String {
    let Some(stream) = stream else { return format!("heard of {of}: nothing ever") };
    let packets = if stream.packets == 1 { "packet" } else { "packets" };
    let mut words = format!("heard of {of}: {} {packets}", grouped(stream.packets));
    if let Some(codec) = &stream.codec {
        words += &format!(" of {codec}");
    }
    if stream.noise_only {
        words += ", comfort noise alone";
    }
    words += &match stream.loss_permille() {
        0 if stream.missing == 0 && stream.late == 0 => String::from(", none lost"),
        0 => String::from(", less than 0.1 % lost"),
        permille => format!(", {}.{} % lost", permille / 10, permille % 10),
    };
    if stream.bursts > 0 {
        words += &format!(" ({})", counted(stream.bursts, "burst", "bursts"));
    }
    if let Some(jitter) = stream.jitter {
        words += &format!(", jitter {}", rounded(jitter));
    }
    if let Some(mos) = stream.mos {
        words += &format!(", MOS {mos} estimated");
    }
    words += &format!(", longest gap {}", rounded(gap));
    words + &oddities(stream)
}

/// What is told only when it is so.
fn oddities(stream: &StreamRecord) -> String {
    let mut words = String::new();
    let quiet = stream.quiet_permille.filter(|quiet| *quiet >= QUIET_PERMILLE);
    if let Some(quiet) = quiet {
        words += &format!(", {} % of it silence", quiet / 10);
    } else if let Some(level) = stream.level.filter(|level| *level <= SOFT_DBOV) {
        words += &format!(", soft at {level} dBov");
    }
    if let Some(clipped) = stream.clipped_permille.filter(|clipped| *clipped >= CLIPPED_PERMILLE) {
        words += &format!(", {} % of it clipped", clipped.div_ceil(10));
    }
    for (count, one, many) in [
        (u64::from(stream.source_changes), "change of its source", "changes of its source"),
        (u64::from(stream.restarts), "restart of its source", "restarts of its source"),
        (u64::from(stream.timestamp_jumps), "jump of its timestamps", "jumps of its timestamps"),
    ] {
        if count > 0 {
            words += &format!(", {}", counted(count, one, many));
        }
    }
    if let Some(skew) = stream.skew_ppm.filter(|skew| skew.unsigned_abs() >= SKEW_PPM) {
        let how = if skew > 0 { "fast" } else { "slow" };
        words += &format!(", its clock {} millionths {how}", skew.unsigned_abs());
    }
    if let Some(away) = stream.round_trip {
        words += &format!(", {} away and back", rounded(away));
    }
    if let Some(told) = stream.told_loss_permille.filter(|told| *told > 0) {
        words += &format!(", itself missing {}.{} % of what it was sent", told / 10, told % 10);
    }
    if let Some(told) = &stream.told {
        if told.discarded_permille > 0 {
            words +=
                &format!(", itself throwing away {}.{} %", told.discarded_permille / 10, told.discarded_permille % 10);
        }
        if let Some(mos) = told.mos {
            words += &format!(", itself hearing MOS {mos}");
        }
    }
    if let Some(first) = stream.first.filter(|first| *first >= Span::from_secs(1)) {
        words += &format!(", first heard {} after the answer", rounded(first));
    }
    words
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

/// Whole milliseconds: what is below is the machine's own.
fn rounded(span: Span) -> Span {
    Span::from_millis(span.as_micros().saturating_add(500) / 1_000)
}

/// With a comma between thousands.
fn grouped(count: u64) -> String {
    let digits = format!("{count}");
    let mut words = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.char_indices() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            words.push(',');
        }
        words.push(digit);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;
    use crate::stream::ToldSound;
    use model::Mos;

    #[test]
    fn a_direction_is_told_in_one_line() {
        let gap = Span::from_micros(40_120);
        let stream = samples::stream();
        assert_eq!(
            heard("acme", Some(&stream), gap),
            "heard of acme: 4,210 packets of PCMA, 0.4 % lost (2 bursts), jitter 3 ms, MOS 4.3 estimated, \
             longest gap 40 ms"
        );
        assert_eq!(heard("acme", None, Span::ZERO), "heard of acme: nothing ever");
        let odd = StreamRecord {
            packets: 1_234_567,
            missing: 1,
            late: 0,
            bursts: 0,
            expected: 1_234_568,
            codec: None,
            jitter: None,
            mos: Some(Mos::WORST),
            quiet_permille: Some(990),
            clipped_permille: Some(12),
            source_changes: 1,
            timestamp_jumps: 3,
            skew_ppm: Some(-150),
            round_trip: Some(Span::from_millis(80)),
            told_loss_permille: Some(12),
            told: Some(ToldSound { discarded_permille: 47, mos: Some(Mos::from_tenths(38)), ..ToldSound::default() }),
            first: Some(Span::from_millis(1_500)),
            ..stream.clone()
        };
        assert_eq!(
            heard("globex", Some(&odd), gap),
            "heard of globex: 1,234,567 packets, less than 0.1 % lost, MOS 1.0 estimated, longest gap 40 ms, 99 % of it \
             silence, 2 % of it clipped, 1 change of its source, 3 jumps of its timestamps, its clock 150 millionths \
             slow, 80 ms away and back, itself missing 1.2 % of what it was sent, itself throwing away 4.7 %, itself hearing MOS 3.8, first heard 1.5 s after the answer"
        );
        let noise =
            StreamRecord { packets: 1, noise_only: true, missing: 0, late: 0, bursts: 0, level: Some(-50), ..stream };
        let told = heard("globex", Some(&noise), gap);
        assert!(told.starts_with("heard of globex: 1 packet of PCMA, comfort noise alone, none lost"), "{told}");
        assert!(told.ends_with("soft at -50 dBov"), "{told}");
    }
}
