//! Sides that speak differently: what one says is treated so that the other understands it, and digits pass between packets and
//! signalling.
//!
//! A stream whose sides speak the same has none of this, and its packets pay one look for it. Refuses to know: what the treatment is.

use super::{Component, Counters, Dropped, Forward, PairId, Relay};
use crate::agenda::Task;
use crate::codec::{BuiltIn, Vocoders};
use crate::digit::Digit;
use crate::packet::Packet;
use crate::rtp;
use crate::speech::{Codec, Digits, Speech};
use crate::treatment::{self, Exit, Treated, Treatment, Unsupported};
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use model::{Instant, Span};

/// Events that wait to be asked for.
const EVENTS_MAX: usize = 256;
/// Longest payload that is made: 60 ms of L16 at 16 kHz.
const PAYLOAD_MAX: usize = 1_920;

/// What the relay tells whoever signals for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MediaEvent {
    /// The side it is told with is to hear of a digit by INFO.
    Digit {
        /// Which.
        digit: Digit,
        /// How long it was pressed.
        duration: Span,
    },
}

/// Why a digit is not dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotDialled {
    /// The side is not joined, or it is not known what it understands: send the digit by INFO.
    NotKnown,
    /// Too many digits wait: refuse this one.
    TooMany,
    /// Tones must be made in a codec that is not here.
    Unsupported(Unsupported),
}

/// The codecs there are, and what waits to be told.
pub(super) struct Interworking {
    vocoders: Arc<dyn Vocoders>,
    events: VecDeque<(PairId, MediaEvent)>,
}

impl fmt::Debug for Interworking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Interworking").field("events", &self.events).finish_non_exhaustive()
    }
}

impl Default for Interworking {
    fn default() -> Self {
        Self { vocoders: Arc::new(BuiltIn), events: VecDeque::new() }
    }
}

impl Interworking {
    pub(super) fn vocoders(&self) -> Arc<dyn Vocoders> {
        self.vocoders.clone()
    }
}

/// The way out of a treatment.
struct Out<'a> {
    relay: &'a mut Relay,
    now: Instant,
    speaker: PairId,
    listener: PairId,
    to: Option<SocketAddr>,
}

impl Exit for Out<'_> {
    fn packet(&mut self, header: &rtp::Header, payload: &[u8]) {
        let mut packet = [0; rtp::HEADER + PAYLOAD_MAX];
        let Some(room) = packet.get_mut(..rtp::HEADER + payload.len()) else {
            self.relay.counters.unsent += 1;
            return;
        };
        let (head, rest) = room.split_at_mut(rtp::HEADER);
        if let Some(head) = head.first_chunk_mut() {
            rtp::write(head, header);
        }
        rest.copy_from_slice(payload);
        let Some(to) = self.to else {
            self.relay.counters.no_peer += 1;
            return;
        };
        if let Some(speaker) = self.relay.side(self.speaker) {
            speaker.stand_in(self.now, room);
            speaker.outgo.make(payload.len());
        }
        self.relay.make(self.listener, Component::Rtp, to, room);
    }

    fn digit(&mut self, digit: Digit, duration: Span) {
        self.relay.announce(self.listener, MediaEvent::Digit { digit, duration });
    }

    fn counters(&mut self) -> &mut Counters {
        &mut self.relay.counters
    }
}

impl Relay {
    /// The codecs that sound can be made from and into; until it is said, those that are built in.
    pub fn speak_by(&mut self, vocoders: Arc<dyn Vocoders>) {
        self.interworking.vocoders = vocoders;
    }

    /// Whether sound of this codec can be read here, and made.
    pub fn can_make(&self, codec: Codec) -> bool {
        self.interworking.vocoders.has(codec)
    }

    /// What the two sides of an anchor speak. Whatever differs is made good from now on, in both directions; where nothing differs,
    /// packets pass as they are. Said again after every offer and answer: what has not changed goes on.
    ///
    /// # Errors
    /// One side cannot be made to understand the other; all stays as it was.
    pub fn interwork(
        &mut self,
        first: PairId,
        first_speech: &Speech,
        second_speech: &Speech,
    ) -> Result<(), Unsupported> {
        let Some(second) = self.side(first).map(|side| side.peer) else { return Ok(()) };
        let ways = [(first, first_speech, second_speech), (second, second_speech, first_speech)];
        let mut made = [None, None];
        for (made, (speaker, says, hears)) in made.iter_mut().zip(ways) {
            *made = self.treatment_for(speaker, says, hears, false)?;
        }
        self.outbox.make_room();
        let room = EVENTS_MAX.saturating_sub(self.interworking.events.len());
        self.interworking.events.reserve(room);
        for (made, (speaker, says, _)) in made.into_iter().zip(ways) {
            if let Some(made) = made {
                self.replace(speaker, made);
            }
            if let Some(side) = self.side(speaker) {
                side.speech = Some(Box::new(says.clone()));
            }
        }
        Ok(())
    }

    /// What a side speaks, as it was said last.
    pub fn speech(&self, side: PairId) -> Option<&Speech> {
        self.sides.get(side.index())?.as_ref()?.speech.as_deref()
    }

    /// A digit that came by signalling is told to `to` as it understands digits: as events, as tones, or, when it wants INFO itself, as
    /// a [`MediaEvent`].
    ///
    /// # Errors
    /// It cannot be told.
    pub fn dial(&mut self, now: Instant, to: PairId, digit: Digit, duration: Span) -> Result<(), NotDialled> {
        let Some(listener) = self.side(to) else { return Err(NotDialled::NotKnown) };
        let speaker = listener.peer;
        let hears = listener.speech.as_deref().cloned().ok_or(NotDialled::NotKnown)?;
        let says = self.side(speaker).and_then(|side| side.speech.as_deref().cloned()).ok_or(NotDialled::NotKnown)?;
        if hears.digits == Digits::Info {
            self.counters.digits_from_info += 1;
            self.counters.digits_to_info += 1;
            self.announce(to, MediaEvent::Digit { digit, duration });
            return Ok(());
        }
        // Sides that tell digits alike have nobody between them until one does otherwise.
        if let Some(made) = self.treatment_for(speaker, &says, &hears, true).map_err(NotDialled::Unsupported)? {
            self.replace(speaker, made);
        }
        let dialled = self.treated(now, speaker, |treatment, out| treatment.dial(now, digit, duration, out));
        match dialled {
            Some(Ok(())) => {
                self.counters.digits_from_info += 1;
                Ok(())
            }
            Some(Err(_)) => {
                self.counters.digits_refused += 1;
                Err(NotDialled::TooMany)
            }
            None => Err(NotDialled::NotKnown),
        }
    }

    /// The next thing that signalling should know of, and the side it is to be told to: ask after each packet that was
    /// [`Forward::Made`], after each tick and after [`Relay::dial`].
    pub fn poll_event(&mut self) -> Option<(PairId, MediaEvent)> {
        self.interworking.events.pop_front()
    }

    /// Whether anything waits to be told.
    pub(super) fn has_events(&self) -> bool {
        !self.interworking.events.is_empty()
    }

    /// What waits to be told to a side that has another pair now is told to it there.
    pub(super) fn events_follow(&mut self, old: PairId, new: PairId) {
        for (side, _) in self.interworking.events.iter_mut().filter(|(side, _)| *side == old) {
            *side = new;
        }
    }

    /// A treatment that is to take the place of what a speaker has; none when that will do.
    fn treatment_for(
        &self,
        speaker: PairId,
        says: &Speech,
        hears: &Speech,
        dials: bool,
    ) -> Result<Option<Box<Treatment>>, Unsupported> {
        let side = self.sides.get(speaker.index()).and_then(Option::as_ref);
        let Some(side) = side else { return Ok(None) };
        let present = side.treatment.as_deref();
        let will_do = match present {
            Some(present) => present.is_for(says, hears, dials),
            None => !dials && !treatment::is_needed(says, hears),
        };
        if will_do {
            return Ok(None);
        }
        let source = speaker.0.wrapping_mul(0x9e37_79b9) ^ 0x5bd1_e995;
        let made = Treatment::new(says, hears, dials, source, &*self.interworking.vocoders)?;
        Ok(Some(Box::new(made)))
    }

    /// Puts a treatment in its place, and lets the listener hear what the one before had still to say.
    fn replace(&mut self, speaker: PairId, mut made: Box<Treatment>) {
        let Some(old) = self.side(speaker).and_then(|side| side.treatment.take()) else {
            if let Some(side) = self.side(speaker) {
                if let Some((newest, at)) = side.continuity.newest() {
                    made.follow(&newest, at);
                }
                side.treatment = Some(made);
            }
            return;
        };
        let now = old.last();
        if let Some(mut out) = self.out_of(now, speaker) {
            made.succeed(*old, &mut out);
        }
        let due = made.deadline();
        if let Some(side) = self.side(speaker) {
            side.treatment = Some(made);
        }
        self.remind(speaker, due);
    }

    /// A packet of a side that is spoken for. It was measured before.
    #[cold]
    pub(super) fn treat(
        &mut self,
        now: Instant,
        pair: PairId,
        header: &rtp::Header,
        packet: &mut Packet<'_>,
        to: SocketAddr,
    ) -> Forward {
        let bytes = packet.bytes_mut();
        let sound = bytes.len().saturating_sub(rtp::HEADER);
        if let Some(side) = self.side(pair) {
            side.outgo.keep(sound);
        }
        let treated = self.treated(now, pair, |treatment, out| treatment.take(now, header, bytes, out));
        match treated {
            Some(Treated::Made) => {
                self.counters.treated += 1;
                Forward::Made
            }
            Some(Treated::InPlace) | None => {
                let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
                side.stand_in(now, packet.bytes_mut());
                side.outgo.make(sound);
                let out = side.peer;
                if let Err(verdict) = self.seal(out, packet) {
                    return verdict;
                }
                self.counters.relayed += 1;
                Forward::Send { pair: out, component: Component::Rtp, to }
            }
        }
    }

    /// Digits, and sound for them, that are due by time.
    pub(super) fn tick_treatment(&mut self, now: Instant, at: Instant, pair: PairId) {
        let Some(side) = self.side(pair).filter(|side| side.treatment_due == Some(at)) else { return };
        side.treatment_due = None;
        self.treated(now, pair, |treatment, out| treatment.tick(now, out));
    }

    fn treated<R>(
        &mut self,
        now: Instant,
        speaker: PairId,
        act: impl FnOnce(&mut Treatment, &mut Out<'_>) -> R,
    ) -> Option<R> {
        let mut treatment = self.side(speaker)?.treatment.take()?;
        let result = self.out_of(now, speaker).map(|mut out| act(&mut treatment, &mut out));
        let due = treatment.deadline();
        self.side(speaker)?.treatment = Some(treatment);
        self.remind(speaker, due);
        result
    }

    fn out_of(&mut self, now: Instant, speaker: PairId) -> Option<Out<'_>> {
        let side = self.side(speaker)?;
        let listener = side.peer;
        // What is not to be heard, or may not be changed, is not spoken for either.
        let silent = side.gated || !side.is_clear();
        let to = self.side(listener).and_then(|other| other.latch.send_to()).filter(|_| !silent);
        Some(Out { relay: self, now, speaker, listener, to })
    }

    /// There is one reminder for each side, at most: one that was set for later than is due now says nothing when it comes up.
    fn remind(&mut self, pair: PairId, due: Option<Instant>) {
        let Some(due) = due else { return };
        let Some(side) = self.side(pair) else { return };
        if side.treatment_due.is_none_or(|set| due < set) {
            side.treatment_due = Some(due);
            self.agenda.set(due, pair, Task::Treatment);
        }
    }

    fn announce(&mut self, side: PairId, event: MediaEvent) {
        if self.interworking.events.len() == EVENTS_MAX {
            self.counters.digits_refused += 1;
            return;
        }
        self.interworking.events.push_back((side, event));
    }
}
