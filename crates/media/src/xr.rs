//! Extended reports (RFC 3611): who asks for them, and the two blocks that tell how a call sounds: statistics summary, VoIP metrics.
//!
//! What the edge cannot know it leaves out as the RFC provides for: it plays nothing, so that it has no noise level and no echo. Other
//! blocks pass and are not read. Refuses to know: when a report is due, how anything was measured.

use alloc::vec::Vec;

/// Packet type of an extended report.
pub const EXTENDED: u8 = 207;
/// Block types (RFC 3611 §4.5 to §4.7, and those that name a source in the same place: §4.1 to §4.3).
const LOSS_RLE: u8 = 1;
const RECEIPT_TIMES: u8 = 3;
const DLRR: u8 = 5;
const SUMMARY: u8 = 6;
const METRICS: u8 = 7;
/// Words of either block behind its header.
const SUMMARY_WORDS: u16 = 9;
const METRICS_WORDS: u16 = 8;
/// Losses and duplicates are counted in this block; its jitter and its hops are not.
const LOSS_AND_DUPLICATES: u8 = 0b1100_0000;
/// A level, rating or score that is not known (RFC 3611 §4.7.4, §4.7.5).
const UNKNOWN: u8 = 127;

/// The blocks that a side asks for in its description: `a=rtcp-xr` (RFC 3611 §5.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Asked {
    /// Statistics summary, with losses or duplicates in it.
    pub summary: bool,
    /// VoIP metrics.
    pub metrics: bool,
}

impl Asked {
    /// By the value of the attribute, behind its colon.
    pub fn of(value: &[u8]) -> Self {
        let mut asked = Self::default();
        for word in value.split(|byte| *byte == b' ') {
            let (name, flags) = match word.iter().position(|byte| *byte == b'=') {
                Some(at) => (&word[..at], Some(&word[at + 1..])),
                None => (word, None),
            };
            let counts = |flags: &[u8]| flags.split(|byte| *byte == b',').any(|flag| matches!(flag, b"loss" | b"dup"));
            match name {
                // Without flags all of them are asked for.
                b"stat-summary" => asked.summary = flags.is_none_or(counts),
                b"voip-metrics" => asked.metrics = true,
                _ => {}
            }
        }
        asked
    }

    /// Nothing is asked for.
    pub const fn is_empty(self) -> bool {
        !self.summary && !self.metrics
    }
}

/// What came within an interval (RFC 3611 §4.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Summary {
    /// The source.
    pub ssrc: u32,
    /// First sequence number of the interval.
    pub begin: u16,
    /// One more than the last.
    pub end: u16,
    /// Lost in it.
    pub lost: u32,
    /// Duplicates in it.
    pub duplicates: u32,
}

/// How a stream sounds (RFC 3611 §4.7). Shares are in 256ths, spans in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Metrics {
    /// The source.
    pub ssrc: u32,
    /// Lost since the start.
    pub loss: u8,
    /// Thrown away for being early or late.
    pub discarded: u8,
    /// Lost or thrown away of what is inside bursts.
    pub burst_density: u8,
    /// And of what is outside.
    pub gap_density: u8,
    /// Mean length of a burst.
    pub burst: u16,
    /// Mean length of a gap.
    pub gap: u16,
    /// There and back between the two RTP interfaces; zero when it is not known.
    pub round_trip: u16,
    /// Inside the end that reports.
    pub end_delay: u16,
    /// Received in a row that end a burst.
    pub gmin: u8,
    /// Rating R; none when it is not known.
    pub rating: Option<u8>,
    /// Opinion score of listening, in tenths; none when it is not known.
    pub listening: Option<u8>,
    /// Opinion score of a conversation, in tenths; none when it is not known.
    pub conversation: Option<u8>,
    /// Buffer that takes out jitter.
    pub buffer: u16,
}

/// Appends an extended report of the blocks there are; nothing when there are none.
pub fn push(out: &mut Vec<u8>, ssrc: u32, summary: Option<&Summary>, metrics: Option<&Metrics>) {
    let words = |present: bool, words: u16| if present { words + 1 } else { 0 };
    let blocks = words(summary.is_some(), SUMMARY_WORDS) + words(metrics.is_some(), METRICS_WORDS);
    if blocks == 0 {
        return;
    }
    out.extend_from_slice(&[0x80, EXTENDED]);
    out.extend_from_slice(&(1 + blocks).to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
    if let Some(summary) = summary {
        push_summary(out, summary);
    }
    if let Some(metrics) = metrics {
        push_metrics(out, metrics);
    }
}

fn push_block(out: &mut Vec<u8>, kind: u8, specific: u8, words: u16, ssrc: u32) {
    out.extend_from_slice(&[kind, specific]);
    out.extend_from_slice(&words.to_be_bytes());
    out.extend_from_slice(&ssrc.to_be_bytes());
}

fn push_summary(out: &mut Vec<u8>, summary: &Summary) {
    push_block(out, SUMMARY, LOSS_AND_DUPLICATES, SUMMARY_WORDS, summary.ssrc);
    out.extend_from_slice(&summary.begin.to_be_bytes());
    out.extend_from_slice(&summary.end.to_be_bytes());
    out.extend_from_slice(&summary.lost.to_be_bytes());
    out.extend_from_slice(&summary.duplicates.to_be_bytes());
    // Least, greatest and mean jitter and its deviation, and the same of hops: the flags say that there are none.
    out.extend_from_slice(&[0; 20]);
}

fn push_metrics(out: &mut Vec<u8>, metrics: &Metrics) {
    push_block(out, METRICS, 0, METRICS_WORDS, metrics.ssrc);
    out.extend_from_slice(&[metrics.loss, metrics.discarded, metrics.burst_density, metrics.gap_density]);
    for span in [metrics.burst, metrics.gap, metrics.round_trip, metrics.end_delay] {
        out.extend_from_slice(&span.to_be_bytes());
    }
    // Level of the signal, of noise, and of the echo.
    out.extend_from_slice(&[UNKNOWN, UNKNOWN, UNKNOWN, metrics.gmin]);
    let known = |value: Option<u8>| value.unwrap_or(UNKNOWN);
    out.extend_from_slice(&[known(metrics.rating), UNKNOWN, known(metrics.listening), known(metrics.conversation)]);
    // How losses are concealed and how the buffer adapts is for the one who plays: unspecified, unknown (§4.7.6).
    out.extend_from_slice(&[0, 0]);
    for span in [metrics.buffer; 3] {
        out.extend_from_slice(&span.to_be_bytes());
    }
}

/// Blocks of an extended report's body, which begins with the SSRC of its sender: type and contents from the block's header on. Ends
/// early when one ends beyond the bytes.
fn blocks(body: &[u8]) -> impl Iterator<Item = (u8, &[u8])> {
    let mut rest = body.get(4..).unwrap_or_default();
    core::iter::from_fn(move || {
        let [kind, _, high, low] = *rest.first_chunk()?;
        let length = 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        let block = rest.get(..length)?;
        rest = &rest[length..];
        Some((kind, block))
    })
}

/// What an extended report says of how this source sounds. Blocks of another length than theirs are not believed.
pub fn metrics_of(body: &[u8], ssrc: u32) -> Option<Metrics> {
    let length = 4 + 4 * usize::from(METRICS_WORDS);
    let whole = |(kind, block): &(u8, &[u8])| *kind == METRICS && block.len() == length && word(block, 4) == Some(ssrc);
    let (_, block) = blocks(body).filter(whole).last()?;
    let half = |at: usize| u16::from_be_bytes([block[at], block[at + 1]]);
    let known = |at: usize, most: u8| Some(block[at]).filter(|value| *value <= most);
    Some(Metrics {
        ssrc,
        loss: block[8],
        discarded: block[9],
        burst_density: block[10],
        gap_density: block[11],
        burst: half(12),
        gap: half(14),
        round_trip: half(16),
        end_delay: half(18),
        gmin: block[23],
        rating: known(24, 100),
        listening: known(26, 50).filter(|score| *score >= 10),
        conversation: known(27, 50).filter(|score| *score >= 10),
        buffer: half(30),
    })
}

/// Gives the source that a report is about the name it was sent by, in every block that names one; `number` is taken off the sequence
/// numbers of blocks that have them.
pub(crate) fn rename(body: &mut [u8], known: u32, sent: u32, number: u16) {
    let mut at = 4;
    while let Some([kind, _, high, low]) = body.get(at..).and_then(|rest| rest.first_chunk::<4>()).copied() {
        let end = at + 4 + 4 * usize::from(u16::from_be_bytes([high, low]));
        let Some(block) = body.get_mut(at..end) else { return };
        match kind {
            DLRR => block[4..].chunks_exact_mut(12).for_each(|part| name(part, 0, known, sent)),
            METRICS => name(block, 4, known, sent),
            LOSS_RLE..=RECEIPT_TIMES | SUMMARY if word(block, 4) == Some(known) => {
                name(block, 4, known, sent);
                for numbered in block.get_mut(8..12).into_iter().flat_map(|two| two.chunks_exact_mut(2)) {
                    let value = u16::from_be_bytes([numbered[0], numbered[1]]).wrapping_sub(number);
                    numbered.copy_from_slice(&value.to_be_bytes());
                }
            }
            _ => {}
        }
        at = end;
    }
}

fn name(block: &mut [u8], at: usize, known: u32, sent: u32) {
    if word(block, at) == Some(known)
        && let Some(place) = block.get_mut(at..at + 4)
    {
        place.copy_from_slice(&sent.to_be_bytes());
    }
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|word| u32::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rtcp;
    use proptest::prelude::*;

    const METRICS_OF_SEVEN: Metrics = Metrics {
        ssrc: 7,
        loss: 13,
        discarded: 2,
        burst_density: 128,
        gap_density: 1,
        burst: 120,
        gap: 9_000,
        round_trip: 85,
        end_delay: 0,
        gmin: 16,
        rating: Some(78),
        listening: Some(40),
        conversation: Some(39),
        buffer: 24,
    };

    /// Written out by the figures of RFC 3611 §2, §4.6 and §4.7.
    const BY_HAND: [u8; 84] = [
        0x80, 207, 0, 20, 0, 0, 0, 5, // header, and who reports
        6, 0xc0, 0, 9, 0, 0, 0, 7, 0x01, 0x00, 0x01, 0xfa, 0, 0, 0, 11, 0, 0, 0, 3, // summary
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // no jitter, no hops
        7, 0, 0, 8, 0, 0, 0, 7, 13, 2, 128, 1, 0, 120, 0x23, 0x28, 0, 85, 0, 0, // metrics
        127, 127, 127, 16, 78, 127, 40, 39, 0, 0, 0, 24, 0, 24, 0, 24,
    ];

    fn by_hand() -> Vec<u8> {
        let summary = Summary { ssrc: 7, begin: 0x100, end: 0x1fa, lost: 11, duplicates: 3 };
        let mut out = Vec::new();
        push(&mut out, 5, Some(&summary), Some(&METRICS_OF_SEVEN));
        out
    }

    #[test]
    fn what_is_written_is_as_the_rfc_draws_it_and_is_read_3611_4() {
        assert_eq!(by_hand(), BY_HAND);
        let part = rtcp::parts(&BY_HAND).next().unwrap();
        assert_eq!((part.kind, part.ssrc()), (EXTENDED, Some(5)));
        assert_eq!(metrics_of(part.body, 7), Some(METRICS_OF_SEVEN));
        assert_eq!(metrics_of(part.body, 8), None, "of another stream");
        let mut nothing = Vec::new();
        push(&mut nothing, 5, None, None);
        assert_eq!(nothing, []);
        let unknown = Metrics { rating: None, listening: None, conversation: None, ..METRICS_OF_SEVEN };
        push(&mut nothing, 5, None, Some(&unknown));
        assert_eq!(metrics_of(&nothing[4..], 7), Some(unknown), "127 is not known");
    }

    #[test]
    fn a_description_says_which_blocks_it_wants_3611_5_1() {
        let asked = |value: &str| Asked::of(value.as_bytes());
        let (summary, metrics) = (Asked { summary: true, metrics: false }, Asked { summary: false, metrics: true });
        assert_eq!(asked("voip-metrics"), metrics);
        assert_eq!(
            asked("rcvr-rtt=all:10 stat-summary=loss,dup,jitt,TTL voip-metrics"),
            Asked { summary: true, ..metrics }
        );
        assert_eq!((asked("stat-summary"), asked("stat-summary=dup")), (summary, summary));
        assert!(asked("stat-summary=jitt,TTL").is_empty(), "it would hold nothing");
        assert!(asked("pkt-loss-rle=40 voip-metricsx").is_empty() && asked("").is_empty());
    }

    #[test]
    fn a_report_follows_a_renamed_source_in_every_block_that_names_it() {
        let mut body = by_hand()[4..].to_vec();
        // Two receivers that are answered with their times (§4.5).
        body.extend([5, 0, 0, 6, 0, 0, 0, 7, 1, 2, 3, 4, 0, 0, 0, 9, 0, 0, 0, 8, 1, 2, 3, 4, 0, 0, 0, 9]);
        let before = body.clone();
        rename(&mut body, 8, 70, 1);
        assert_eq!(body[body.len() - 12..][..4], [0, 0, 0, 70]);
        rename(&mut body, 7, 70, 0x100);
        assert_eq!(metrics_of(&body, 70), Some(Metrics { ssrc: 70, ..METRICS_OF_SEVEN }));
        assert_eq!((&body[8..12], &body[12..16]), (&[0, 0, 0, 70][..], &[0, 0, 0, 0xfa][..]), "summary");
        assert_eq!(body[body.len() - 24..][..4], [0, 0, 0, 70], "receipts");
        assert_eq!((body.len(), &body[..8]), (before.len(), &before[..8]));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut body in prop::collection::vec(any::<u8>(), 0..160), kind in 0u8..9, words in 0u16..40) {
            if let Some(head) = body.get_mut(4..8) {
                head[0] = kind;
                head[2..].copy_from_slice(&words.to_be_bytes());
            }
            let _ = (metrics_of(&body, 0), Asked::of(&body));
            let length = body.len();
            rename(&mut body, 0, 1, 2);
            prop_assert_eq!(body.len(), length);
        }
    }
}
