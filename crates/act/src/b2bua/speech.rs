//! Formats from one leg to the other: each side is offered and answered what its own trunk's policy wants of the other side's audio.
//!
//! The offer is kept until nobody can answer it any more, since each attempt of a hunt is offered it anew and answers it anew; what the
//! caller was answered before the call is answered stays what he speaks, whoever answers. Refuses to know: addresses and ports, how a
//! format is chosen, how one is made of another.

use super::call::{Call, Side};
use super::{World, locks};
use alloc::vec::Vec;
use media::sdp::{Exchange, Formats, Line, Making, MediaPolicy, NothingInCommon, Sdp, Settled, offer};
use media::{Digits, Shape, Speech};
use model::TrunkId;
use smallvec::SmallVec;

/// What a call knows of the formats of its audio.
#[derive(Clone, Debug, Default)]
pub(super) struct Terms {
    /// The offer that may be answered, as its writer wrote it.
    open: Option<(Side, Vec<u8>)>,
    /// By position of the media line: numbers of the sound that the caller was told of before the answer.
    told: SmallVec<[SmallVec<[u8; 4]>; 1]>,
    /// By position: packets of this stream are not passed as they are.
    treated: SmallVec<[bool; 2]>,
    /// A candidate was passed over since nothing that its trunk allows could be made of the offer.
    pub(super) unfit: bool,
    /// The last answer could not be joined with its offer: why its writer is let go.
    pub(super) misfit: Option<&'static [u8]>,
}

/// Of a trunk that a reload has taken away.
static NEUTRAL: MediaPolicy = MediaPolicy::NEUTRAL;

/// What a description is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Says {
    Offer,
    Answer,
    /// Something that the other side is not told of.
    Nothing,
}

impl Terms {
    /// What a description of this side is: an answer, when the other side's offer waits for one.
    pub(super) fn what_says(&self, from: Side) -> Says {
        if self.open.as_ref().is_some_and(|(writer, _)| *writer != from) { Says::Answer } else { Says::Offer }
    }

    /// An offer is asked for, or the last one has had its last answer.
    pub(super) fn close(&mut self) {
        self.open = None;
    }
}

impl Call {
    /// A candidate's trunk cannot be offered what the caller offers.
    pub(super) const fn is_unfit(&mut self) {
        self.audio.terms.unfit = true;
    }
}

/// The description of `from` with the formats that the other side is to see; none when they are the writer's own.
pub(super) fn adapted(
    world: &mut World<'_>,
    call: &mut Call,
    (from, attempt): (Side, usize),
    says: Says,
    sdp: &Sdp<'_>,
) -> Result<Option<Vec<u8>>, NothingInCommon> {
    match says {
        Says::Offer => {
            if call.audio.terms.open.as_ref().is_none_or(|(writer, text)| *writer != from || text != sdp.text()) {
                call.audio.terms.open = Some((from, sdp.text().to_vec()));
            }
            let (theirs, ours) = (policy_of(world, call, from, attempt), policy_of(world, call, from.other(), attempt));
            match offered(world, call, (theirs, ours), sdp) {
                // A policy is no reason to refuse who calls for help (RFC 5031).
                Err(NothingInCommon) if call.emergency => Ok(None),
                lines => lines.map(|lines| written(sdp, &lines)),
            }
        }
        Says::Answer => answered(world, call, (from, attempt), sdp),
        Says::Nothing => Ok(None),
    }
}

/// The lines that the other side is offered.
fn offered(
    world: &World<'_>,
    call: &Call,
    (theirs, ours): (&MediaPolicy, &MediaPolicy),
    sdp: &Sdp<'_>,
) -> Result<SmallVec<[Option<Line>; 2]>, NothingInCommon> {
    let mut lines = SmallVec::new();
    for (index, stream) in sdp.streams().iter().enumerate() {
        let formats = if is_live(call, index, stream.port) { Formats::of(sdp, stream) } else { None };
        let line = match formats {
            Some(formats) => {
                let making = Making { codecs: &|codec| world.relay.can_make(codec), clear: is_clear(stream.proto) };
                offer(&formats, theirs, ours, making)?
            }
            None => None,
        };
        lines.push(line);
    }
    Ok(lines)
}

/// The answer as the offerer is to see it.
fn answered(
    world: &mut World<'_>,
    call: &mut Call,
    (from, attempt): (Side, usize),
    sdp: &Sdp<'_>,
) -> Result<Option<Vec<u8>>, NothingInCommon> {
    let Some((writer, text)) = call.audio.terms.open.take() else { return Ok(None) };
    let settled = settle(world, call, (from, attempt), &text, sdp);
    // Before the answer a caller may be answered again, by another branch or another trunk.
    let early = call.callee.is_none() && writer == Side::Caller;
    if early {
        call.audio.terms.open = Some((writer, text));
    }
    let settled = settled?;
    interwork(world, call, from, &settled)?;
    let lines: SmallVec<[Option<Line>; 2]> =
        settled.iter().map(|settled| settled.as_ref().and_then(|settled| settled.line.clone())).collect();
    if early {
        let told = &mut call.audio.terms.told;
        told.resize_with(settled.len().max(told.len()), SmallVec::new);
        for (told, settled) in told.iter_mut().zip(settled) {
            if let Some(settled) = settled.filter(|_| told.is_empty()) {
                *told = settled.numbers;
            }
        }
    }
    Ok(written(sdp, &lines))
}

/// What each stream's answer came to.
fn settle(
    world: &World<'_>,
    call: &Call,
    (from, attempt): (Side, usize),
    offer: &[u8],
    answer: &Sdp<'_>,
) -> Result<SmallVec<[Option<Settled>; 2]>, NothingInCommon> {
    let shown = match (from, &call.callee) {
        (Side::Caller, _) => &call.caller.shown,
        (Side::Callee, Some(leg)) => &leg.shown,
        (Side::Callee, None) => call.attempts.get(attempt).map_or(&call.caller.shown, |attempt| &attempt.shown),
    };
    // A description that cannot be read was passed as it is, and so is its answer.
    // Where security is ended here all but what a side is shown is in the clear.
    let ended = locks::are_ended(world, call, attempt);
    let clear = Sdp::parse(shown).ok().filter(|_| ended).map(|shown| shown.unlocked());
    let shown = clear.as_deref().unwrap_or(shown);
    let (Ok(offer), Ok(shown)) = (Sdp::parse(offer), Sdp::parse(shown)) else { return Ok(SmallVec::new()) };
    let (offerer, answerer) = (policy_of(world, call, from.other(), attempt), policy_of(world, call, from, attempt));
    let mut all = SmallVec::new();
    for (index, stream) in answer.streams().iter().enumerate() {
        let is_its = |sdp: &Sdp<'_>| {
            let other = sdp.streams().get(index).filter(|other| other.port != 0);
            other.is_some_and(|other| Shape::of(other.proto) == Shape::of(stream.proto))
        };
        let live = is_live(call, index, stream.port) && is_its(&offer) && is_its(&shown);
        let of = (formats_at(&offer, index), formats_at(&shown, index), formats_at(answer, index), live);
        let (Some(offer), Some(shown), Some(answer), true) = of else {
            all.push(None);
            continue;
        };
        let early = call.callee.is_none() && from == Side::Callee;
        let before = call.audio.terms.told.get(index).filter(|_| early).map_or(&[][..], |told| told);
        let making = Making { codecs: &|codec| world.relay.can_make(codec), clear: is_clear(stream.proto) };
        let exchange = Exchange { offer: &offer, shown: &shown, answer: &answer, offerer, answerer, making, before };
        all.push(match exchange.settle() {
            // What a peer answers to an offer that passed as it was is between the two of them.
            Err(NothingInCommon) if shown.list == offer.list => None,
            settled => Some(settled?),
        });
    }
    Ok(all)
}

/// The relay does what the two sides of each stream need to understand each other; where they do, packets pass as they are.
fn interwork(
    world: &mut World<'_>,
    call: &mut Call,
    answerer: Side,
    settled: &[Option<Settled>],
) -> Result<(), NothingInCommon> {
    // Of a side whose packets pass as they are, and its INFO too.
    let passes = Speech { formats: SmallVec::new(), digits: Digits::Info, noise: None };
    for (index, (settled, stream)) in settled.iter().zip(&call.audio.streams).enumerate() {
        let Some(stream) = stream else { continue };
        let treated = &mut call.audio.terms.treated;
        treated.resize(treated.len().max(index + 1), false);
        let ends = (stream.caller.0, stream.callee.0);
        let (of_offerer, of_answerer) = if answerer == Side::Callee { ends } else { (ends.1, ends.0) };
        if let Some(settled) = settled {
            // What is measured of packets needs the clocks of their numbers, whether anything is made of them or not.
            world.relay.speaks(of_offerer, &settled.offerer);
            world.relay.speaks(of_answerer, &settled.answerer);
        }
        let wanted = settled.as_ref().filter(|settled| settled.treated);
        if wanted.is_none() && !treated[index] {
            continue;
        }
        let (offerer, answered) = wanted.map_or((&passes, &passes), |settled| (&settled.offerer, &settled.answerer));
        let (caller, callee) = if answerer == Side::Callee { (offerer, answered) } else { (answered, offerer) };
        world.relay.interwork(stream.caller.0, caller, callee).map_err(|_| NothingInCommon)?;
        treated[index] = wanted.is_some();
    }
    Ok(())
}

/// Packets of this kind can be read.
fn is_clear(proto: &[u8]) -> bool {
    Shape::of(proto) == Shape::Rtp
}

fn is_live(call: &Call, index: usize, port: u16) -> bool {
    port != 0 && call.audio.streams.get(index).is_some_and(Option::is_some)
}

fn formats_at<'t>(sdp: &Sdp<'t>, index: usize) -> Option<Formats<'t>> {
    Formats::of(sdp, sdp.streams().get(index)?)
}

fn written(sdp: &Sdp<'_>, lines: &[Option<Line>]) -> Option<Vec<u8>> {
    lines.iter().any(Option::is_some).then(|| sdp.with_lines(lines))
}

/// The policy of a side's trunk; of the callee's while it is tried: of this attempt.
pub(super) fn policy_of<'w>(world: &World<'w>, call: &Call, side: Side, attempt: usize) -> &'w MediaPolicy {
    let callee = || match &call.callee {
        Some(leg) => Some(leg.trunk),
        None => call.attempts.get(attempt).map(|attempt| attempt.target.trunk),
    };
    let trunk: Option<TrunkId> = if side == Side::Caller { Some(call.caller.trunk) } else { callee() };
    trunk.and_then(|trunk| world.profiles.trunk(trunk)).map_or(&NEUTRAL, |trunk| &trunk.media)
}
