//! What each side of an anchored audio line is offered and answered, by the policies of both (RFC 3264 §5, §6).
//!
//! An offer passes as far as the trunk it goes to allows it, and gets what is missing if it can be made here; an answer passes when what it
//! chose is in the offer, and else the best format of the offerer is answered, for the relay to make one of the other. Where no policy
//! wants anything, nothing is touched. Refuses to know: who is caller, addresses, SIP.

use super::formats::{Described, Formats};
use super::locks::Srtp;
use super::make::{Line, Written};
use crate::speech::{Codec, Digits, Format, Speech};
use alloc::vec::Vec;
use smallvec::SmallVec;

/// Whether sound may be decoded and encoded again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Transcode {
    /// When both sides have no encoding in common, or none that everybody knows.
    #[default]
    WhenNeeded,
    /// What the other side has not is offered all the same.
    Always,
    /// Encodings pass, or are left out.
    Never,
}

/// How a trunk tells and is told of digits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DigitsBy {
    /// As its descriptions say, else as the other side does.
    #[default]
    Auto,
    /// Telephone-events (RFC 4733).
    Events,
    /// INFO requests.
    Info,
    /// Tones in the sound.
    Inband,
}

/// What a trunk is offered, and believed.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct MediaPolicy {
    /// Encodings by name; empty is all of them. Their order is that of what we add.
    pub allow: Vec<&'static str>,
    /// These come first, in this order.
    pub prefer: Vec<&'static str>,
    /// Encodings it is never shown.
    pub strip: Vec<&'static str>,
    /// Encodings without which it is not called.
    pub require: Vec<&'static str>,
    /// Whether sound may be made anew for it.
    pub transcode: Transcode,
    /// Milliseconds in each packet it is to send and get.
    pub ptime: Option<u8>,
    /// How it tells of digits.
    pub digits: DigitsBy,
    /// How its audio is secured.
    pub srtp: Srtp,
    /// It is asked for extended reports (RFC 3611 §5.1).
    pub rtcp_xr: bool,
}

impl MediaPolicy {
    /// Everything passes, and what everybody knows is added where it is missing.
    pub const NEUTRAL: Self = Self {
        allow: Vec::new(),
        prefer: Vec::new(),
        strip: Vec::new(),
        require: Vec::new(),
        transcode: Transcode::WhenNeeded,
        ptime: None,
        digits: DigitsBy::Auto,
        srtp: Srtp::Pass,
        rtcp_xr: false,
    };

    fn admits(&self, name: &[u8]) -> bool {
        (self.allow.is_empty() || holds(&self.allow, name)) && !holds(&self.strip, name)
    }

    fn rank(&self, name: &[u8]) -> usize {
        let place = self.prefer.iter().position(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        place.unwrap_or(self.prefer.len())
    }

    /// Telephone-events may be shown to it.
    const fn takes_events(&self) -> bool {
        matches!(self.digits, DigitsBy::Auto | DigitsBy::Events)
    }
}

fn holds(names: &[&str], name: &[u8]) -> bool {
    names.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

/// What may be made of this line's packets.
#[derive(Clone, Copy)]
pub struct Making<'m> {
    /// Encodings that can be decoded and made here.
    pub codecs: &'m dyn Fn(Codec) -> bool,
    /// The packets can be read: nothing is made of what both ends have locked.
    pub clear: bool,
}

impl Making<'_> {
    fn can(&self, codec: Option<Codec>) -> bool {
        self.clear && codec.is_some_and(self.codecs)
    }
}

/// Both sides have no encoding in common, and none can be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NothingInCommon;

/// What is added for a trunk that allows everything.
const EVERYBODYS: [&str; 2] = ["PCMA", "PCMU"];

/// The line that `to` is offered for what one of `from` offers; none is the writer's own.
///
/// # Errors
/// Nothing that `to` allows is in the offer or can be made of it, or something that it requires is not.
pub fn offer(
    theirs: &Formats<'_>,
    from: &MediaPolicy,
    to: &MediaPolicy,
    making: Making<'_>,
) -> Result<Option<Line>, NothingInCommon> {
    let sounds = || theirs.list.iter().filter(|format| format.is_sound());
    if sounds().next().is_none() {
        return Ok(None);
    }
    let admitted = |format: &&Described<'_>| from.admits(format.name) && to.admits(format.name);
    let mut kept: SmallVec<[Described<'_>; 8]> = sounds().filter(admitted).copied().collect();
    kept.sort_by_key(|format| to.rank(format.name));
    let transcodes = from.transcode != Transcode::Never && to.transcode != Transcode::Never;
    let readable = sounds().any(|format| from.admits(format.name) && making.can(format.codec()));
    let added = if transcodes && readable { missing(&kept, to, making) } else { SmallVec::new() };
    let has = |name: &&str| {
        added.iter().any(|codec| codec.name().eq_ignore_ascii_case(name))
            || kept.iter().any(|format| format.name.eq_ignore_ascii_case(name.as_bytes()))
    };
    if !to.require.iter().all(has) || kept.is_empty() && added.is_empty() {
        return Err(NothingInCommon);
    }
    let mut numbers = Numbers::of(theirs);
    let mut formats = Formatted::new(to);
    kept.iter().for_each(|format| formats.sound(format.name, format.clock, Written::Kept(format.payload_type)));
    for codec in added {
        let clock = codec.clock().unwrap_or(L16_CLOCK);
        if let Some(payload_type) = numbers.free(codec.fixed_payload_type().or((codec == Codec::Opus).then_some(111))) {
            formats.sound(codec.name().as_bytes(), clock, Written::Made { codec, payload_type, clock });
        }
    }
    formats.order();
    formats.beside(theirs, to, making, &mut numbers);
    let ptime = to.ptime.filter(|ptime| theirs.ptime != Some(*ptime)).map(|ptime| within(theirs, ptime));
    Ok(line(theirs, formats.list, ptime))
}

/// Clock of L16 that we make.
const L16_CLOCK: u32 = 16_000;

fn within(theirs: &Formats<'_>, ptime: u8) -> u8 {
    theirs.maxptime.map_or(ptime, |most| ptime.min(most))
}

/// None when it says what the writer's own line says.
fn line(theirs: &Formats<'_>, formats: SmallVec<[Written; 8]>, ptime: Option<u8>) -> Option<Line> {
    let own = theirs.list.iter().map(|format| Written::Kept(format.payload_type));
    (ptime.is_some() || !own.eq(formats.iter().copied())).then_some(Line { formats, ptime })
}

/// The encodings that are to be offered besides those of the writer.
fn missing(kept: &[Described<'_>], to: &MediaPolicy, making: Making<'_>) -> SmallVec<[Codec; 6]> {
    let everybodys = kept.iter().any(|format| holds(&EVERYBODYS, format.name));
    let own = if to.allow.is_empty() { &EVERYBODYS[..] } else { &to.allow };
    let wanted = if to.transcode == Transcode::Always || !everybodys { own } else { &[] };
    let mut added = SmallVec::new();
    for name in wanted.iter().chain(&to.require) {
        let codec = Codec::of(name.as_bytes()).filter(|codec| making.can(Some(*codec)) && to.admits(name.as_bytes()));
        let known = kept.iter().any(|format| format.name.eq_ignore_ascii_case(name.as_bytes()));
        added.extend(codec.filter(|codec| !known && !added.contains(codec)));
    }
    added
}

/// The formats of a line while they are put together.
struct Formatted<'p> {
    to: &'p MediaPolicy,
    ranks: SmallVec<[(usize, u32, Written); 8]>,
    list: SmallVec<[Written; 8]>,
}

impl<'p> Formatted<'p> {
    fn new(to: &'p MediaPolicy) -> Self {
        Self { to, ranks: SmallVec::new(), list: SmallVec::new() }
    }

    fn sound(&mut self, name: &[u8], clock: u32, written: Written) {
        self.ranks.push((self.to.rank(name), clock, written));
    }

    fn order(&mut self) {
        self.ranks.sort_by_key(|(rank, ..)| *rank);
        self.list = self.ranks.iter().map(|(.., written)| *written).collect();
    }

    fn has_clock(&self, clock: u32) -> bool {
        self.ranks.iter().any(|(_, known, _)| *known == clock)
    }

    /// What goes beside the sound: events for its clocks, comfort noise, wrappings of what is still there. In its writer's order when
    /// nothing else has changed.
    fn beside(&mut self, theirs: &Formats<'_>, to: &MediaPolicy, making: Making<'_>, numbers: &mut Numbers) {
        let mut writers: SmallVec<[Written; 8]> = SmallVec::new();
        let is_left = |list: &[Written], number: u8| list.contains(&Written::Kept(number));
        let lone = |format: &Described<'_>| {
            !theirs.list.iter().any(|other| other.is_event() && self.has_clock(other.clock) && other != format)
        };
        for format in &theirs.list {
            let stays = match format {
                event if event.is_event() => to.takes_events() && (self.has_clock(event.clock) || lone(event)),
                noise if noise.is_noise() => self.has_clock(noise.clock),
                wrapping if wrapping.is_beside() => wraps(wrapping.fmtp).all(|number| is_left(&self.list, number)),
                sound => is_left(&self.list, sound.payload_type),
            };
            if stays {
                writers.push(Written::Kept(format.payload_type));
            }
        }
        let sounds = writers.iter().filter(|written| self.list.contains(written)).copied();
        let in_place = sounds.eq(self.list.iter().copied());
        let rest: SmallVec<[Written; 8]> =
            writers.iter().filter(|written| !self.list.contains(written)).copied().collect();
        let adds = self.list.iter().any(|written| matches!(written, Written::Made { .. }));
        let tells = theirs.list.iter().any(Described::is_event);
        if in_place {
            self.list = writers;
        } else {
            self.list.extend(rest);
        }
        // RFC 4733 §2.5.1.2: events have the clock of the sound they interrupt.
        if to.takes_events() && making.clear && (to.digits == DigitsBy::Events && !tells || tells && adds) {
            let first = self.ranks.first().map(|(_, clock, _)| *clock).into_iter();
            let made = self.ranks.iter().filter(|(.., written)| matches!(written, Written::Made { .. }));
            let clocks: SmallVec<[u32; 4]> = first.chain(made.map(|(_, clock, _)| *clock)).collect();
            for clock in clocks {
                self.add_events(theirs, clock, numbers);
            }
        }
    }

    fn add_events(&mut self, theirs: &Formats<'_>, clock: u32, numbers: &mut Numbers) {
        let has = |known: u32| known == clock;
        let theirs = theirs.list.iter().any(|format| format.is_event() && has(format.clock));
        let ours = self.list.iter().any(|written| matches!(written, Written::Events { clock, .. } if has(*clock)));
        if !theirs
            && !ours
            && let Some(payload_type) = numbers.free(Some(101))
        {
            self.list.push(Written::Events { payload_type, clock });
        }
    }
}

/// The numbers that a wrapping format names: `97/97` (RFC 2198 §5).
fn wraps(fmtp: &[u8]) -> impl Iterator<Item = u8> {
    let named = fmtp.split(|byte| matches!(byte, b'/' | b' '));
    named.filter_map(|number| core::str::from_utf8(number).ok()?.parse().ok())
}

/// Numbers that a description has given away.
struct Numbers(u128);

impl Numbers {
    fn of(theirs: &Formats<'_>) -> Self {
        Self(theirs.list.iter().fold(0, |taken, format| taken | 1 << (format.payload_type & 127)))
    }

    /// One that is free: this, or a dynamic one (RFC 3551 §3).
    fn free(&mut self, wished: Option<u8>) -> Option<u8> {
        let number = wished.into_iter().chain(96..128).find(|number| self.0 & 1 << (number & 127) == 0)?;
        self.0 |= 1 << (number & 127);
        Some(number)
    }
}

/// What an answer came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The answer's line as the offerer is to see it; none is the answerer's own.
    pub line: Option<Line>,
    /// Numbers of the sound that the offerer is answered, as it writes them.
    pub numbers: SmallVec<[u8; 4]>,
    /// What the offerer speaks.
    pub offerer: Speech,
    /// What the answerer speaks.
    pub answerer: Speech,
    /// Packets cannot pass as they are.
    pub treated: bool,
}

/// An exchange of offer and answer that is looked at for both sides.
#[derive(Clone, Copy)]
pub struct Exchange<'e> {
    /// The offer as its writer wrote it.
    pub offer: &'e Formats<'e>,
    /// The same as the answerer was shown it.
    pub shown: &'e Formats<'e>,
    /// What came of it.
    pub answer: &'e Formats<'e>,
    /// Policy of the offerer's trunk.
    pub offerer: &'e MediaPolicy,
    /// Policy of the answerer's trunk.
    pub answerer: &'e MediaPolicy,
    /// What may be made of the packets.
    pub making: Making<'e>,
    /// Numbers of the sound the offerer was answered before, which should not change; empty when nothing was.
    pub before: &'e [u8],
}

impl<'e> Exchange<'e> {
    /// What it comes to.
    ///
    /// # Errors
    /// What was answered is not in the offer, and cannot be made into anything that is.
    pub fn settle(&self) -> Result<Settled, NothingInCommon> {
        let Some(spoken) = self.answer.list.iter().find(|format| format.is_sound()) else {
            // An answer without sound means nothing but itself.
            let known = self.answer.list.iter().all(|format| self.offer.meant_by(format).is_some());
            return if known { Ok(self.untouched()) } else { Err(NothingInCommon) };
        };
        let transcodes = self.offerer.transcode != Transcode::Never && self.answerer.transcode != Transcode::Never;
        let can_make = transcodes && self.making.can(spoken.codec());
        let shared = self.shared();
        let goes_on = self.before.first().is_none_or(|lead| shared.iter().any(|format| format.payload_type == *lead));
        // What is heard already goes on if it can; if it cannot, a change is better than no call.
        let made = if can_make && (shared.is_empty() || !goes_on) { self.ours() } else { None };
        let ours = made.unwrap_or(shared);
        if ours.is_empty() { Err(NothingInCommon) } else { Ok(self.settled(&ours, spoken, can_make)) }
    }

    /// The answer as it came.
    fn untouched(&self) -> Settled {
        let nothing = || Speech { formats: SmallVec::new(), digits: Digits::Inband, noise: None };
        Settled { line: None, numbers: SmallVec::new(), offerer: nothing(), answerer: nothing(), treated: false }
    }

    fn is_meant(&self, ours: &Described<'_>, theirs: &Described<'_>) -> bool {
        self.offer.meant_by(theirs) == Some(ours)
    }

    /// Sound of the answer that is in the offer, as the offerer has it.
    fn shared(&self) -> Sounds<'e> {
        let mut shared = Sounds::new();
        for format in self.answer.list.iter().filter(|format| format.is_sound()) {
            let own = self.offer.meant_by(format).filter(|own| self.offerer.admits(own.name) && !shared.contains(own));
            shared.extend(own.copied());
        }
        shared
    }

    /// What the offerer is answered when it cannot be what the answerer says: what it was answered before, else the best that can be made.
    fn ours(&self) -> Option<Sounds<'e>> {
        let is_made = |format: &&Described<'_>| {
            format.is_sound() && self.offerer.admits(format.name) && self.making.can(format.codec())
        };
        let before = self.before.iter().filter_map(|number| self.offer.by_number(*number)).filter(is_made).copied();
        let before: Sounds<'e> = before.collect();
        if !before.is_empty() {
            return Some(before);
        }
        let best = self.offer.list.iter().filter(is_made).min_by_key(|format| self.offerer.rank(format.name))?;
        Some(core::iter::once(*best).collect())
    }

    fn settled(&self, ours: &[Described<'e>], spoken: &Described<'e>, can_make: bool) -> Settled {
        let sounds = || self.answer.list.iter().filter(|format| format.is_sound());
        let is_ours = |format: &Described<'_>| ours.iter().any(|own| self.is_meant(own, format));
        let first = ours.first().copied().unwrap_or(*spoken);
        let foreign = can_make && sounds().any(|format| !is_ours(format) && self.making.can(format.codec()));
        let (told, heard) = self.digits(&first, spoken, can_make);
        let digits = way(told) != way(heard);
        let (mut our_ms, mut their_ms) = (self.offer.packet_ms(), self.answer.packet_ms());
        let sized = self.offerer.ptime.or(self.answerer.ptime).is_some();
        our_ms = self.offerer.ptime.map_or(our_ms, |ptime| within(self.offer, ptime));
        their_ms = self.answerer.ptime.map_or(their_ms, |ptime| within(self.answer, ptime));
        let resized = sized && can_make && our_ms != their_ms;
        if !sized && is_ours(spoken) {
            // Packets that need no other treatment keep their length.
            our_ms = their_ms;
        }
        let treated = foreign || digits || resized;
        let mut formats = known(ours.iter(), our_ms);
        if !treated {
            // Packets that pass have the numbers of the answer (RFC 3264 §6.1, §7).
            let theirs = known(sounds(), our_ms);
            formats.extend(
                theirs.into_iter().filter(|format| !ours.iter().any(|own| own.payload_type == format.payload_type)),
            );
        }
        let offerer = Speech { formats, digits: told, noise: self.offer.noise() };
        let mut formats = known(sounds(), their_ms);
        // RFC 3264 §6.1: it may send by the number of the offer, and want to be sent another.
        for format in sounds().filter_map(|format| self.shown.meant_by(format)?.format(their_ms)) {
            if !formats.contains(&format) {
                formats.push(format);
            }
        }
        let answerer = Speech { formats, digits: heard, noise: self.answer.noise() };
        let line = self.line(ours, treated, told);
        let numbers = ours.iter().map(|own| own.payload_type).collect();
        Settled { line, numbers, offerer, answerer, treated }
    }

    /// How the offerer tells of digits from now on, and how the answerer does.
    fn digits(&self, first: &Described<'_>, spoken: &Described<'_>, can_make: bool) -> (Digits, Digits) {
        let theirs = self.answer.events(spoken.clock);
        // Sound that passes is interrupted by events that pass; what is made has events of its own clock.
        let clock = match theirs {
            Some(Digits::Events { clock, .. }) if self.is_meant(first, spoken) => clock,
            _ => first.clock,
        };
        let ours = self.offer.events(clock);
        let by = |policy: DigitsBy, events: Option<Digits>, both: bool| match policy {
            DigitsBy::Info => Some(Digits::Info),
            DigitsBy::Inband => Some(Digits::Inband),
            DigitsBy::Events => Some(events.unwrap_or(Digits::Inband)),
            DigitsBy::Auto => events.filter(|_| both),
        };
        // The offerer's events are of use when the answerer has some too, or is to be told otherwise.
        let wanted = theirs.is_some() || !self.answerer.takes_events();
        let heard = by(self.answerer.digits, theirs, true);
        let told = by(self.offerer.digits, ours, wanted);
        // Who says nothing does as the other side; tones are what is left.
        let like = |other: Option<Digits>| other.filter(|other| *other == Digits::Info).unwrap_or(Digits::Inband);
        let (told, heard) = (told.unwrap_or_else(|| like(heard)), heard.unwrap_or_else(|| like(told)));
        // Tones must be found in the sound, and put there.
        let tones = told == Digits::Inband || heard == Digits::Inband;
        let able = self.making.clear && (!tones || can_make && self.making.can(first.codec()));
        if able || way(told) == way(heard) {
            return (told, heard);
        }
        let same = |theirs: &Digits| match *theirs {
            Digits::Events { clock, .. } => self.offer.events(clock).filter(|ours| way(*ours) == way(*theirs)),
            Digits::Info | Digits::Inband => None,
        };
        let both = theirs.and_then(|theirs| Some((same(&theirs)?, theirs)));
        both.unwrap_or((Digits::Inband, Digits::Inband))
    }

    /// The answer's line for the offerer: by its own numbers when packets are treated, else as the answerer writes them.
    fn line(&self, ours: &[Described<'e>], treated: bool, told: Digits) -> Option<Line> {
        let mut formats: SmallVec<[Written; 8]> = SmallVec::new();
        let events = match told {
            Digits::Events { payload_type, .. } => self.offer.by_number(payload_type),
            Digits::Info | Digits::Inband => None,
        };
        for own in ours.iter().filter(|own| self.answer.meant_by(own).is_none()) {
            let (payload_type, clock) = (own.payload_type, own.clock);
            formats.extend(own.codec().map(|codec| Written::Made { codec, payload_type, clock }));
        }
        for format in &self.answer.list {
            let Some(own) = self.offer.meant_by(format) else { continue };
            let stays = match format {
                event if event.is_event() => events.is_some_and(|events| !treated || events == own),
                noise if noise.is_noise() => true,
                wrapping if wrapping.is_beside() => !treated,
                _ => ours.contains(own),
            };
            let (from, to) = (format.payload_type, if treated { own.payload_type } else { format.payload_type });
            if stays && !formats.iter().any(|written| written.payload_type() == to) {
                formats.push(if from == to { Written::Kept(from) } else { Written::Renumbered { from, to } });
            }
        }
        if let (true, Some(events)) = (treated, events)
            && !formats.iter().any(|written| written.payload_type() == events.payload_type)
        {
            formats.push(Written::Events { payload_type: events.payload_type, clock: events.clock });
        }
        let ptime =
            self.offerer.ptime.filter(|ptime| self.answer.ptime != Some(*ptime)).map(|ptime| within(self.offer, ptime));
        line(self.answer, formats, ptime)
    }
}

/// Sound of a line.
type Sounds<'e> = SmallVec<[Described<'e>; 8]>;

/// What must be the same on both sides for digits to pass as they are.
const fn way(digits: Digits) -> (u8, u32) {
    match digits {
        Digits::Events { clock, .. } => (0, clock),
        Digits::Info => (1, 0),
        Digits::Inband => (2, 0),
    }
}

/// Those whose packets could be read; none of them when the first could not, for that is the one in use.
fn known<'f, 'a: 'f>(formats: impl Iterator<Item = &'f Described<'a>>, packet_ms: u8) -> SmallVec<[Format; 4]> {
    let mut all = formats.map(|format| format.format(packet_ms)).peekable();
    if all.peek().is_none_or(Option::is_none) {
        return SmallVec::new();
    }
    all.flatten().collect()
}
