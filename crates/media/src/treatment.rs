//! What is done with what one side says so that the other side understands it: one direction of an anchored stream.
//!
//! There is one only between sides that differ. Payload types are renumbered, sound is made into another codec's, and digits are told
//! the way the listener wants them, each once. All it needs is made when the sides are known. Refuses to know: addresses, sockets.

mod dialler;
mod numbers;
mod path;
mod plan;

use crate::codec::{Encoded, Vocoders};
use crate::digit::Digit;
use crate::dtmf::Told;
use crate::dtmf::telephone_event::{LENGTH, Receiver, Sender};
use crate::relay::Counters;
use crate::rtp;
use crate::speech::{Digits, Speech};
use dialler::Dialler;
use model::{Instant, Span};
use numbers::Numbers;
pub use plan::Unsupported;
use plan::{Kind, Plan};
use smallvec::SmallVec;

/// While tones are dialled, sound is seen to this often.
const SEE_TO: Span = Span::from_millis(20);

/// Where what is made goes.
pub(crate) trait Exit {
    /// A packet to the listener.
    fn packet(&mut self, header: &rtp::Header, payload: &[u8]);
    /// A digit that the listener is told of by signalling.
    fn digit(&mut self, digit: Digit, duration: Span);
    /// What is counted.
    fn counters(&mut self) -> &mut Counters;
}

/// What has become of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Treated {
    /// It goes on, changed in its place.
    InPlace,
    /// Others were made of it, or none.
    Made,
}

/// How the listener is told of digits.
#[derive(Debug)]
enum Way {
    Events { sender: Sender, payload_type: u8, clock: u32, timestamp: u32 },
    Tones(Dialler),
    Info,
}

/// One direction.
#[derive(Debug)]
pub(crate) struct Treatment {
    speaker: Speech,
    listener: Speech,
    plan: Plan,
    numbers: Numbers,
    /// Hears the speaker's events, when they are told otherwise.
    receiver: Option<Receiver>,
    way: Way,
    /// The path that sound came through last.
    current: usize,
    /// When sound is seen to, while tones are dialled.
    see_to: Instant,
    last: Instant,
}

/// What is told within one packet.
type Words = SmallVec<[Told; 8]>;

/// Whether two sides understand each other without any of this.
pub(crate) fn is_needed(speaker: &Speech, listener: &Speech) -> bool {
    !plan::is_one(speaker, listener)
}

impl Treatment {
    /// For what `speaker` says to `listener`, and for digits that are dialled to him though both tell them alike, when it `dials`.
    /// `source` names the stream until the speaker is heard.
    pub(crate) fn new(
        speaker: &Speech,
        listener: &Speech,
        dials: bool,
        source: u32,
        vocoders: &dyn Vocoders,
    ) -> Result<Self, Unsupported> {
        let plan = Plan::new(speaker, listener, dials, vocoders)?;
        let receiver = match speaker.digits {
            Digits::Events { clock, .. } => Some(Receiver::new(clock)),
            Digits::Info | Digits::Inband => None,
        };
        let way = match listener.digits {
            Digits::Events { payload_type, clock } => {
                let packet_ms = listener.formats.first().map_or(20, |format| format.packet_ms);
                Way::Events { sender: Sender::new(clock, packet_ms), payload_type, clock, timestamp: 0 }
            }
            Digits::Inband => Way::Tones(Dialler::new(plan.paths.first().map_or(8_000, |path| path.rate()))),
            Digits::Info => Way::Info,
        };
        Ok(Self {
            speaker: speaker.clone(),
            listener: listener.clone(),
            plan,
            numbers: Numbers::new(source),
            receiver,
            way,
            current: 0,
            see_to: Instant::ZERO,
            last: Instant::ZERO,
        })
    }

    /// Whether it was made for these, and can dial when it must.
    pub(crate) fn is_for(&self, speaker: &Speech, listener: &Speech, dials: bool) -> bool {
        let can_dial = !matches!(self.way, Way::Tones(_)) || !self.plan.paths.is_empty();
        self.speaker == *speaker && self.listener == *listener && (can_dial || !dials)
    }

    /// The speaker was heard before, without it: this was its newest packet, and when it came.
    pub(crate) fn follow(&mut self, newest: &rtp::Header, at: Instant) {
        let clock = self.speaker.formats.first().map_or(0, |format| format.clock);
        self.numbers.follow(newest, at, clock);
        self.last = at;
    }

    /// The clock of the sound that its listener was given last.
    pub(crate) fn clock(&self) -> Option<u32> {
        self.numbers.clock()
    }

    /// When it did anything last.
    pub(crate) const fn last(&self) -> Instant {
        self.last
    }

    /// It takes the place of another: the stream that the listener hears goes on, and so do digits that are being told.
    pub(crate) fn succeed(&mut self, mut old: Self, exit: &mut dyn Exit) {
        let now = old.last;
        self.last = now;
        let mut words = Words::new();
        if old.speaker.digits == self.speaker.digits {
            core::mem::swap(&mut self.receiver, &mut old.receiver);
        } else if let Some(receiver) = &mut old.receiver {
            receiver.finish(&mut |word| words.push(word));
        }
        for path in &mut old.plan.paths {
            path.finish(&mut |word| words.push(word));
        }
        old.tell(now, words, exit);
        if old.listener.digits == self.listener.digits {
            core::mem::swap(&mut self.way, &mut old.way);
            self.see_to = now;
        } else {
            old.say_all(exit);
        }
        self.numbers = old.numbers;
    }

    /// A packet of the speaker's.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        header: &rtp::Header,
        packet: &mut [u8],
        exit: &mut dyn Exit,
    ) -> Treated {
        self.last = now;
        if self.numbers.hear(now, header) {
            self.plan.paths.iter_mut().for_each(|path| path.base = None);
        }
        let mut words = Words::new();
        match self.plan.kind(header.payload_type) {
            Kind::Pass { payload_type, clock } => {
                let passed = self.numbers.pass(now, header, clock);
                rewrite(packet, payload_type, &passed);
                return Treated::InPlace;
            }
            Kind::Sound(path) => {
                let path = usize::from(path);
                if path != core::mem::replace(&mut self.current, path)
                    && let Some(path) = self.plan.paths.get_mut(path)
                {
                    path.base = None;
                }
                self.numbers.take_out(header);
                self.sound(now, header, sound_of(packet), &mut words, exit);
            }
            Kind::Event => {
                self.numbers.take_out(header);
                let payload = sound_of(packet);
                if let Some(receiver) = &mut self.receiver
                    && receiver.take(now, header, payload, &mut |word| words.push(word)).is_err()
                {
                    exit.counters().digits_refused += 1;
                }
                // That it came is no loss of sound.
                self.sound(now, header, payload, &mut words, exit);
            }
            Kind::Refuse => {
                self.numbers.take_out(header);
                exit.counters().not_understood += 1;
            }
        }
        self.tell(now, words, exit);
        // An event is no longer than the tones that it is made of.
        if let Way::Events { sender, .. } = &mut self.way
            && let Some(so_far) = self.plan.paths.get(self.current).and_then(|path| path.so_far())
        {
            sender.goes_on(so_far);
        }
        self.say(now, exit);
        Treated::Made
    }

    /// A digit that came by signalling.
    ///
    /// # Errors
    /// Too many wait.
    pub(crate) fn dial(
        &mut self,
        now: Instant,
        digit: Digit,
        duration: Span,
        exit: &mut dyn Exit,
    ) -> Result<(), TooMany> {
        self.last = now;
        match &mut self.way {
            Way::Events { sender, .. } => sender.press(now, digit, duration).map_err(|_| TooMany)?,
            Way::Tones(dialler) => {
                if !dialler.is_playing() {
                    self.see_to = now + SEE_TO;
                }
                dialler.press(digit, duration).map_err(|_| TooMany)?;
            }
            Way::Info => exit.digit(digit, duration),
        }
        self.count_out(exit);
        self.say(now, exit);
        Ok(())
    }

    /// When something is due though no packet comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let heard = self.receiver.as_ref().and_then(Receiver::deadline);
        let said = match &self.way {
            Way::Events { sender, .. } => sender.deadline(),
            Way::Tones(dialler) => dialler.is_playing().then_some(self.see_to),
            Way::Info => None,
        };
        let paused = self.plan.paths.iter().filter_map(|path| path.deadline());
        heard.into_iter().chain(said).chain(paused).min()
    }

    /// Does what is due.
    pub(crate) fn tick(&mut self, now: Instant, exit: &mut dyn Exit) {
        self.last = now;
        let mut words = Words::new();
        if let Some(receiver) = &mut self.receiver {
            receiver.tick(now, &mut |word| words.push(word));
        }
        for path in &mut self.plan.paths {
            path.tick(now, &mut |word| words.push(word));
        }
        self.tell(now, words, exit);
        self.say(now, exit);
        let Self { plan, numbers, way: Way::Tones(dialler), current, see_to, .. } = self else { return };
        if !dialler.is_playing() || *see_to > now {
            return;
        }
        *see_to = now + SEE_TO;
        let Some(path) = plan.paths.get_mut(*current) else { return };
        let (mut base, clock) = (path.base, path.clock());
        path.fill(now, dialler, &mut |encoded| put(now, numbers, &mut base, clock, None, encoded, exit));
        path.base = base;
    }

    fn sound(&mut self, now: Instant, header: &rtp::Header, payload: &[u8], words: &mut Words, exit: &mut dyn Exit) {
        let Some(path) = self.plan.paths.get_mut(self.current) else { return };
        let numbers = &mut self.numbers;
        let (mut base, clock, concealed) = (path.base, path.clock(), path.concealed());
        let dialler = match &mut self.way {
            Way::Tones(dialler) => Some(dialler),
            Way::Events { .. } | Way::Info => None,
        };
        path.take(now, header, payload, dialler, &mut |word| words.push(word), &mut |encoded| {
            put(now, numbers, &mut base, clock, Some(header.timestamp), encoded, exit);
        });
        path.base = base;
        exit.counters().concealed += path.concealed() - concealed;
    }

    fn tell(&mut self, now: Instant, words: Words, exit: &mut dyn Exit) {
        for word in words {
            let taken = match (&mut self.way, word) {
                (Way::Events { sender, .. }, Told::Began { digit }) => sender.begin(now, digit).is_ok(),
                (Way::Events { sender, .. }, Told::Ended { duration, .. }) => {
                    sender.end(duration);
                    true
                }
                (Way::Tones(dialler), Told::Began { digit }) => {
                    if !dialler.is_playing() {
                        self.see_to = now + SEE_TO;
                    }
                    dialler.begin(digit).is_ok()
                }
                (Way::Tones(dialler), Told::Ended { duration, .. }) => {
                    dialler.end(duration);
                    true
                }
                (Way::Info, Told::Began { .. }) => true,
                (Way::Info, Told::Ended { digit, duration }) => {
                    exit.digit(digit, duration);
                    true
                }
            };
            let counters = exit.counters();
            match word {
                Told::Began { .. } if !taken => counters.digits_refused += 1,
                Told::Began { .. } => {
                    match self.speaker.digits {
                        Digits::Events { .. } => counters.digits_from_events += 1,
                        Digits::Inband | Digits::Info => counters.digits_from_tones += 1,
                    }
                    self.count_out(exit);
                }
                Told::Ended { .. } => {}
            }
        }
    }

    fn count_out(&self, exit: &mut dyn Exit) {
        let counters = exit.counters();
        match self.way {
            Way::Events { .. } => counters.digits_to_events += 1,
            Way::Tones(_) => counters.digits_to_tones += 1,
            Way::Info => counters.digits_to_info += 1,
        }
    }

    /// All events that wait, at once: whoever is told otherwise from now on has heard them all.
    fn say_all(&mut self, exit: &mut dyn Exit) {
        loop {
            let Way::Events { sender, .. } = &mut self.way else { return };
            sender.end(Span::ZERO);
            let Some(due) = sender.deadline() else { return };
            self.say(due, exit);
        }
    }

    /// Events that are due.
    fn say(&mut self, now: Instant, exit: &mut dyn Exit) {
        let Self { numbers, way: Way::Events { sender, payload_type, clock, timestamp }, .. } = self else { return };
        while let Some(event) = sender.poll(now) {
            if event.marker {
                *timestamp = numbers.time(now, *clock);
            }
            let at = timestamp.wrapping_add(event.offset);
            let header = numbers.put_in(now, *payload_type, event.marker, at, None);
            let payload: &[u8; LENGTH] = &event.payload;
            exit.packet(&header, payload);
        }
    }
}

/// Too many digits wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooMany;

/// A packet of a path goes out. `began` is the time of the speaker's packet, for a stream that begins with it.
fn put(
    now: Instant,
    numbers: &mut Numbers,
    base: &mut Option<u32>,
    clock: u32,
    began: Option<u32>,
    encoded: Encoded<'_>,
    exit: &mut dyn Exit,
) {
    let base = *base.get_or_insert_with(|| {
        let begins = began.filter(|_| !numbers.has_sounded()).unwrap_or_else(|| numbers.time(now, clock));
        begins.wrapping_sub(encoded.timestamp)
    });
    let timestamp = base.wrapping_add(encoded.timestamp);
    let header = numbers.put_in(now, encoded.payload_type, encoded.marker, timestamp, Some(clock));
    exit.counters().transcoded += 1;
    exit.packet(&header, encoded.payload);
}

/// Writes what may have changed; contributors and extensions stay.
fn rewrite(packet: &mut [u8], payload_type: u8, header: &rtp::Header) {
    if let Some(head) = packet.first_chunk_mut::<{ rtp::HEADER }>() {
        head[1] = head[1] & 0x80 | payload_type & 0x7f;
        head[2..4].copy_from_slice(&header.sequence.to_be_bytes());
        head[4..8].copy_from_slice(&header.timestamp.to_be_bytes());
    }
}

/// What a packet carries, without its padding (RFC 3550 §5.1).
fn sound_of(packet: &[u8]) -> &[u8] {
    let payload = rtp::payload(packet).unwrap_or_default();
    let padded = packet.first().is_some_and(|first| first & 0x20 != 0);
    let padding = payload.last().filter(|_| padded).map_or(0, |last| usize::from(*last));
    payload.get(..payload.len().saturating_sub(padding)).unwrap_or_default()
}
