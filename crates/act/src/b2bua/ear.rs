//! One party of a live call as it was heard last, and what it was asked since.
//!
//! Its clock runs while it may be heard: a hold begins it anew. Refuses to know: calls, trunks, how anybody is asked.

use decide::{Asked, AudioPolicy, Keyless, Party};
use media::Presence;
use model::{Instant, MediaOutcome, Mos, Span};
use sip::ClientKey;

/// One party as it was heard last.
#[derive(Clone, Debug)]
pub(super) struct Ear {
    pub(super) packets: u64,
    pub(super) refused: u64,
    /// It was heard last then, or it should be heard since then.
    pub(super) since: Instant,
    pub(super) expected: bool,
    pub(super) ever: bool,
    /// It has reported then.
    pub(super) reported: Option<Instant>,
    /// It has told what it hears, and that is counted.
    pub(super) tells: bool,
    /// By its reports nothing of what it was sent has arrived for so long; and that is noted.
    pub(super) unheard: Option<Span>,
    pub(super) deaf: bool,
    pub(super) pause: Span,
    pub(super) pauses: bool,
    pub(super) loss: Option<u16>,
    pub(super) mos: Option<Mos>,
    /// That it is poor has been noted.
    pub(super) poor: bool,
    /// Gaps up to this were no pauses of a talker.
    pub(super) ignored: Span,
    /// What was told of it last.
    pub(super) told: Option<MediaOutcome>,
    /// Its silence has been noted.
    pub(super) silent: bool,
    /// That it has no keys, and why, was noted.
    pub(super) keyless: Option<Keyless>,
    pub(super) question: Question,
    pub(super) relatched: bool,
    pub(super) tried: Option<Instant>,
    /// Interfaces its audio was moved to so far.
    pub(super) moves: u8,
}

/// What a peer was asked, and what it said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Question {
    #[default]
    None,
    Sent {
        client: ClientKey,
        at: Instant,
        until: Instant,
    },
    Alive(Instant),
    /// One that comes after all is listened to.
    Dead(Option<ClientKey>),
}

impl Question {
    pub(super) const fn client(self) -> Option<ClientKey> {
        match self {
            Self::Sent { client, .. } | Self::Dead(Some(client)) => Some(client),
            Self::None | Self::Alive(_) | Self::Dead(None) => None,
        }
    }
}

impl Ear {
    pub(super) fn new(now: Instant, presence: &Presence) -> Self {
        Self {
            packets: presence.packets,
            refused: presence.refused,
            since: now,
            expected: presence.expected,
            ever: false,
            reported: None,
            tells: false,
            unheard: None,
            deaf: false,
            pause: Span::ZERO,
            pauses: false,
            loss: None,
            mos: None,
            poor: false,
            ignored: presence.longest_gap,
            told: None,
            silent: false,
            keyless: None,
            question: Question::None,
            relatched: false,
            tried: None,
            moves: 0,
        }
    }

    /// What came since it was looked at last. Says for how long it had not been heard, when it is again after it was missed.
    pub(super) fn hear(&mut self, now: Instant, presence: &Presence) -> Option<Span> {
        let news = presence.packets > self.packets;
        self.packets = presence.packets;
        self.reported = presence.reported.map(|ago| before(now, ago));
        self.unheard = presence.unheard_by_peer;
        if !presence.expected || !self.expected {
            // From here on its silence counts, or not at all.
            (self.expected, self.since) = (presence.expected, now);
            (self.silent, self.relatched, self.tried) = (false, false, None);
            return None;
        }
        if news {
            let heard = before(now, presence.silence.unwrap_or(Span::ZERO));
            let missed = self.silent.then(|| heard.since(self.since));
            if missed.is_some() || !self.ever {
                self.ignored = presence.longest_gap;
            } else if presence.longest_gap > self.ignored {
                self.pause = presence.longest_gap;
            }
            (self.ever, self.since) = (true, heard.max(self.since));
            if missed.is_some() {
                (self.silent, self.relatched, self.tried) = (false, false, None);
            }
            return missed;
        }
        None
    }

    pub(super) fn party(&self, now: Instant, policy: AudioPolicy) -> Party {
        Party {
            policy,
            expected: self.expected,
            ever: self.ever,
            quiet: now.since(self.since),
            pause: self.pause,
            pauses: self.pauses,
            loss: self.loss,
            mos: self.mos,
            poor: matches!(self.told, Some(MediaOutcome::Poor { .. })),
            reported: self.reported.map(|at| now.since(at)),
            unheard: self.unheard,
            asked: match self.question {
                Question::None => Asked::No,
                Question::Sent { until, .. } => Asked::Waiting(until.since(now)),
                Question::Alive(at) => Asked::Alive(now.since(at)),
                Question::Dead(_) => Asked::Dead,
            },
            relatched: self.relatched,
            tried: self.tried.map(|at| now.since(at)),
            interfaces: 0,
            doubted: false,
            may_be_called: false,
        }
    }
}

const fn before(now: Instant, ago: Span) -> Instant {
    Instant::from_micros(now.as_micros().saturating_sub(ago.as_micros()))
}
