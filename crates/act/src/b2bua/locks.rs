//! Security of audio that the edge ends: each side has its own keys, and between the two a description is in the clear.
//!
//! It is ended where the trunk of either side says how its audio is secured. What a side says of keys is read and taken out before
//! anything else is made of its description, and what it is shown of keys is put in last. What we have told a side stands in what it
//! was shown, so that each attempt has its own keys and an offer that is refused takes its own with it. Refuses to know: suites, packets.

use super::call::{Call, Side};
use super::connectivity::{Reached, is_browser};
use super::speech::{Says, policy_of};
use super::{World, connectivity};
use alloc::boxed::Box;
use alloc::vec::Vec;
use media::dtls::{self, Fingerprint, Role, Setup};
use media::sdp::{Lock, Reach, Sdp, Srtp, Stream};
use media::srtp::{Security, Suite, sdes};
use media::{PairId, Shape};
use smallvec::SmallVec;

/// What a side is offered, one line each.
const SUITES: [Suite; 3] = [Suite::AeadAes256Gcm, Suite::AeadAes128Gcm, Suite::AesCm128HmacSha1_80];
/// The protocol of what is offered with keys in the description (RFC 4568 §5).
const SDES: &[u8] = b"RTP/SAVP";
/// The same of what browsers are offered (RFC 8829 §5.1.2).
const BROWSERS: &[u8] = b"UDP/TLS/RTP/SAVPF";

/// What a call knows of the security that is ended for it.
#[derive(Clone, Debug, Default)]
pub(super) struct Locks {
    /// The offer that may be answered: its writer, and what it says of each stream.
    offered: Option<(Side, SmallVec<[Offered; 2]>)>,
    /// It was ended for a description of this call.
    pub(super) used: bool,
}

/// How an offer secures a stream.
#[derive(Clone, Debug)]
struct Offered {
    proto: Vec<u8>,
    mux: bool,
    keys: Keys,
    reached: Reached,
}

/// What a side is shown besides the other side's description, by position of the stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Locked {
    /// Its security; none is a stream that stays as it is.
    pub(super) locks: SmallVec<[Option<Lock>; 2]>,
    /// How it is reached.
    pub(super) reach: SmallVec<[Reach; 2]>,
}

/// What a side is to be secured by.
#[derive(Clone, Copy, Debug)]
struct Wanted {
    srtp: Srtp,
    /// It can do nothing but DTLS, and needs ICE, whatever its trunk says.
    browser: bool,
}

impl Wanted {
    fn of(world: &World<'_>, call: &Call, side: Side, attempt: usize) -> Self {
        let srtp = policy_of(world, call, side, attempt).srtp;
        Self { srtp, browser: is_browser(world, call, side, attempt) }
    }
}

#[derive(Clone, Debug)]
enum Keys {
    Clear,
    Sdes(sdes::Line),
    Dtls(Fingerprint, Setup),
}

/// A side does not give the security that its trunk wants, or none can be given to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotSecured;

/// Security ends here for what is said in this call, or in this attempt of it.
pub(super) fn are_ended(world: &World<'_>, call: &Call, attempt: usize) -> bool {
    [Side::Caller, Side::Callee].into_iter().any(|side| {
        let wanted = Wanted::of(world, call, side, attempt);
        wanted.srtp != Srtp::Pass || wanted.browser
    })
}

/// The description of `from` in the clear. What it says of keys is kept while it may be answered, or, of an answer, secures its side.
pub(super) fn unlock(
    world: &mut World<'_>,
    call: &mut Call,
    (from, attempt): (Side, usize),
    says: Says,
    sdp: &Sdp<'_>,
) -> Result<Vec<u8>, NotSecured> {
    if !call.audio.anchored || world.relay.keying().is_none() {
        return Err(NotSecured);
    }
    call.audio.locks.used = true;
    if says == Says::Offer {
        let wanted = Wanted::of(world, call, from, attempt);
        let wanted = if is_stand_in(call, from) { None } else { Some(wanted) };
        let all = sdp.streams().iter().map(|stream| offered(sdp, stream, wanted, call.emergency));
        let all = all.collect::<Result<SmallVec<[Offered; 2]>, NotSecured>>()?;
        if call.answered.is_none() {
            // Until it is answered nothing leaves to it in the clear.
            for (index, offered) in all.iter().enumerate() {
                if let (false, Some(pair)) = (matches!(offered.keys, Keys::Clear), pair(call, from, index)) {
                    world.relay.secure(pair, Some(Box::new(Security::pending())));
                }
            }
        }
        call.audio.locks.offered = Some((from, all));
    } else {
        let shown = shown(call, from, attempt).to_vec();
        let shown = Sdp::parse(&shown).map_err(|_| NotSecured)?;
        for (index, stream) in sdp.streams().iter().enumerate().filter(|(_, stream)| is_rtp(stream)) {
            let told = shown.streams().get(index).filter(|told| is_rtp(told));
            let (Some(told), Some(pair)) = (told, pair(call, from, index)) else { continue };
            answered(world, pair, (&shown, told), (sdp, stream))?;
        }
    }
    Ok(sdp.unlocked())
}

/// The security that the other side of `from` is shown, by position of the stream; what it answers by secures it.
pub(super) fn lock(
    world: &mut World<'_>,
    call: &Call,
    (from, attempt): (Side, usize),
    says: Says,
    sdp: &Sdp<'_>,
) -> Result<Locked, NotSecured> {
    let towards = from.other();
    let before = Sdp::parse(shown(call, towards, attempt)).ok();
    let mut locked = Locked::default();
    for (index, stream) in sdp.streams().iter().enumerate() {
        let before = before.as_ref().and_then(|sdp| Some((sdp, sdp.streams().get(index).filter(|told| is_rtp(told))?)));
        let pair = pair(call, towards, index);
        let (lock, reach) = match (says, pair) {
            (Says::Nothing, _) | (_, None) => Default::default(),
            _ if Shape::of(stream.proto) == Shape::Opaque => Default::default(),
            (Says::Offer, Some(pair)) => {
                // The pair of an attempt beside another one is not joined yet: its keys are new each time.
                let own = call.callee.is_some() || towards == Side::Caller || attempt == call.front;
                let wanted = Wanted::of(world, call, towards, attempt);
                let goes_on = own && world.relay.is_secured(pair);
                let reach = connectivity::offer(world, wanted.browser, before);
                (offer(world, wanted, before, goes_on)?, reach)
            }
            (Says::Answer, Some(pair)) => {
                let offered = call.audio.locks.offered.as_ref().filter(|(writer, _)| *writer == towards);
                let offered = offered.and_then(|(_, all)| all.get(index)).cloned();
                let live = stream.port != 0;
                match offered {
                    Some(offered) => {
                        let key = key_of(world, call, (towards, attempt), (pair, index));
                        let reach = connectivity::answer(world, pair, &offered.reached, live);
                        (Some(answer(world, pair, &offered, key, live)?), reach)
                    }
                    None => Default::default(),
                }
            }
        };
        locked.locks.push(lock);
        locked.reach.push(reach);
    }
    Ok(locked)
}

/// Another peer is at the callee's side from now on: nothing of the one before is believed, or told again.
pub(super) fn start_over(world: &mut World<'_>, call: &Call, attempt: usize) {
    if !call.audio.locks.used {
        return;
    }
    let shown = Sdp::parse(shown(call, Side::Callee, attempt)).ok();
    for (index, stream) in call.audio.streams.iter().enumerate() {
        let Some(stream) = stream else { continue };
        world.relay.secure(stream.callee.0, None);
        let told = shown.as_ref().and_then(|sdp| sdp.streams().get(index));
        let ice = shown.as_ref().zip(told).and_then(|(sdp, told)| sdp.credentials(told));
        connectivity::start_over(world, stream.callee.0, ice);
        if are_ended(world, call, attempt) {
            if told.is_some_and(|told| Shape::of(told.proto) == Shape::Srtp) {
                world.relay.secure(stream.callee.0, Some(Box::new(Security::pending())));
            }
        } else {
            // What these two agree on is none of ours.
            world.relay.secure(stream.caller.0, None);
            world.relay.ice(stream.caller.0, None);
        }
    }
}

/// The INVITE is one that we have written for a party whose own description is still to come.
fn is_stand_in(call: &Call, from: Side) -> bool {
    from == Side::Caller && call.server.is_none() && call.answered.is_none()
}

fn is_rtp(stream: &Stream<'_>) -> bool {
    stream.port != 0 && Shape::of(stream.proto) != Shape::Opaque
}

fn is_secured(stream: &Stream<'_>) -> bool {
    Shape::of(stream.proto) == Shape::Srtp
}

fn pair(call: &Call, side: Side, index: usize) -> Option<PairId> {
    let stream = call.audio.streams.get(index).copied().flatten()?;
    Some(if side == Side::Caller { stream.caller.0 } else { stream.callee.0 })
}

/// What a side was shown last; of an attempt while the callee has no leg.
fn shown(call: &Call, side: Side, attempt: usize) -> &[u8] {
    match (call.leg(side), call.attempts.get(attempt)) {
        (Some(leg), _) => &leg.shown,
        (None, Some(attempt)) => &attempt.shown,
        (None, None) => &[],
    }
}

/// What an offer says of a stream, when it is what its trunk wants; `None` wants nothing.
fn offered(sdp: &Sdp<'_>, stream: &Stream<'_>, wanted: Option<Wanted>, emergency: bool) -> Result<Offered, NotSecured> {
    let reached = Reached::of(sdp, stream);
    let found = |keys| Ok(Offered { proto: stream.proto.to_vec(), mux: stream.rtcp_mux, keys, reached });
    let (Some(wanted), true) = (wanted, is_rtp(stream)) else { return found(Keys::Clear) };
    let by_handshake = stream.proto.to_ascii_uppercase().starts_with(b"UDP/TLS/");
    let by_line = || sdes::choose(sdp.values(stream, "crypto")).ok().map(Keys::Sdes);
    let keys = match wanted.srtp {
        Srtp::Pass | Srtp::Off if !is_secured(stream) => Some(Keys::Clear),
        // A browser's offer is no matter of policy: it could make no other.
        _ if wanted.browser && by_handshake => dtls_of(sdp, stream),
        Srtp::Off => None,
        Srtp::Dtls => dtls_of(sdp, stream),
        Srtp::Sdes => by_line().filter(|_| !by_handshake),
        Srtp::Pass if by_handshake => dtls_of(sdp, stream),
        Srtp::Pass => by_line(),
    };
    match keys {
        Some(keys) => found(keys),
        // A policy is no reason to refuse who calls for help (RFC 5031).
        None if emergency && !is_secured(stream) => found(Keys::Clear),
        None => Err(NotSecured),
    }
}

fn dtls_of(sdp: &Sdp<'_>, stream: &Stream<'_>) -> Option<Keys> {
    let fingerprint = sdp.values(stream, "fingerprint").into_iter().find_map(|value| Fingerprint::parse(value).ok())?;
    // RFC 4145 §4: who says nothing begins.
    let setup = sdp.values(stream, "setup").first().map_or(Some(Setup::Active), |value| Setup::parse(value))?;
    Some(Keys::Dtls(fingerprint, setup))
}

/// What a stream is offered: what it has, while that goes on, else what its trunk wants.
fn offer(
    world: &mut World<'_>,
    wanted: Wanted,
    before: Option<(&Sdp<'_>, &Stream<'_>)>,
    goes_on: bool,
) -> Result<Option<Lock>, NotSecured> {
    let keying = world.relay.keying().ok_or(NotSecured)?;
    let told = before.map(|(sdp, stream)| (stream, sdp.values(stream, "crypto"), sdp.values(stream, "fingerprint")));
    let had = match &told {
        Some((_, _, fingerprints)) if !fingerprints.is_empty() => Srtp::Dtls,
        Some((_, crypto, _)) if !crypto.is_empty() => Srtp::Sdes,
        _ => Srtp::Off,
    };
    let (wanted, own) = match wanted {
        // What it has spoken it goes on with; and it can be told nothing else when it is called.
        Wanted { browser: true, .. } if told.is_some() => (had, dtls::PROTOCOL.as_bytes()),
        Wanted { browser: true, .. } => (Srtp::Dtls, BROWSERS),
        Wanted { srtp: Srtp::Pass, .. } => (had, dtls::PROTOCOL.as_bytes()),
        Wanted { srtp, .. } => (srtp, dtls::PROTOCOL.as_bytes()),
    };
    // The protocol that it has answered or offered by stays.
    let proto = |own: &[u8]| told.as_ref().filter(|_| had == wanted).map_or(own, |(stream, ..)| stream.proto).to_vec();
    Ok(match wanted {
        Srtp::Pass | Srtp::Off => None,
        Srtp::Sdes => {
            let again =
                told.as_ref().filter(|_| goes_on).and_then(|(_, crypto, _)| sdes::Offer::told(crypto.iter().copied()));
            let offer = again.unwrap_or_else(|| sdes::Offer::new(&SUITES, &mut keying.secrets));
            let mut lines = Vec::new();
            for line in offer.lines() {
                line.push(&mut lines);
                lines.extend_from_slice(b"\r\n");
            }
            Some(Lock { proto: proto(SDES), lines, mux: None })
        }
        Srtp::Dtls => {
            let handshaker = keying.handshaker.as_ref().ok_or(NotSecured)?;
            let lines = dtls::lines(&handshaker.fingerprint(), Setup::Actpass).into_bytes();
            // Keys of two ports take two handshakes (RFC 5764 §4.1): one is what we offer.
            Some(Lock { proto: proto(own), lines, mux: Some(true) })
        }
    })
}

/// A side has answered what it was told of a stream.
fn answered(
    world: &mut World<'_>,
    pair: PairId,
    (shown, told): (&Sdp<'_>, &Stream<'_>),
    (sdp, stream): (&Sdp<'_>, &Stream<'_>),
) -> Result<(), NotSecured> {
    connectivity::answered(world, pair, shown.credentials(told), sdp.credentials(stream).as_ref());
    let crypto = shown.values(told, "crypto");
    if !shown.values(told, "fingerprint").is_empty() {
        let Some(Keys::Dtls(fingerprint, setup)) = dtls_of(sdp, stream) else { return Err(NotSecured) };
        // What was told may have been an answer of ours: a role that was taken stays (RFC 8842 §5.5).
        let kept = world.relay.shakes_with(pair).filter(|(known, _)| *known == fingerprint).map(|(_, role)| role);
        let role = setup.role_of_other().or(kept).ok_or(NotSecured)?;
        return shake(world, pair, (fingerprint, role), told.rtcp_mux && stream.rtcp_mux);
    }
    let security = match (sdes::Offer::told(crypto), sdp.values(stream, "crypto").first()) {
        (Some(ours), Some(theirs)) => Some(Box::new(ours.answered(theirs).map_err(|_| NotSecured)?)),
        (Some(_), None) => return Err(NotSecured),
        (None, _) if is_secured(stream) => return Err(NotSecured),
        (None, _) => None,
    };
    world.relay.secure(pair, security);
    Ok(())
}

/// The key that a side is spoken to by: another one would be a change without need, and the same one elsewhere none at all.
fn key_of(
    world: &World<'_>,
    call: &Call,
    (side, attempt): (Side, usize),
    (pair, index): (PairId, usize),
) -> Option<sdes::Offer> {
    let of = |text: &[u8]| {
        let sdp = Sdp::parse(text).ok()?;
        sdes::Offer::told(sdp.values(sdp.streams().get(index)?, "crypto"))
    };
    let faces = call.faces.iter().filter(|_| side == Side::Caller).map(super::early::Face::shown);
    core::iter::once(shown(call, side, attempt)).chain(faces).find_map(of).filter(|_| world.relay.is_secured(pair))
}

/// What a side is answered for a stream; its keys are those of the answer from now on.
fn answer(
    world: &mut World<'_>,
    pair: PairId,
    offered: &Offered,
    kept: Option<sdes::Offer>,
    live: bool,
) -> Result<Lock, NotSecured> {
    let clear = Lock { proto: offered.proto.clone(), lines: Vec::new(), mux: (!offered.mux).then_some(false) };
    if !live {
        return Ok(clear);
    }
    match &offered.keys {
        Keys::Clear => {
            world.relay.secure(pair, None);
            Ok(clear)
        }
        Keys::Sdes(theirs) => {
            let keying = world.relay.keying().ok_or(NotSecured)?;
            let kept = kept.as_ref().and_then(|kept| kept.key(theirs.key.suite()));
            let (line, security) = sdes::answer(theirs, kept, &mut keying.secrets);
            world.relay.secure(pair, Some(Box::new(security)));
            let mut lines = Vec::new();
            line.push(&mut lines);
            lines.extend_from_slice(b"\r\n");
            Ok(Lock { lines, ..clear })
        }
        Keys::Dtls(fingerprint, setup) => {
            let kept = world.relay.shakes_with(pair).filter(|(known, _)| known == fingerprint).map(|(_, role)| role);
            let ours = setup.answer(kept);
            shake(world, pair, (*fingerprint, ours.role().ok_or(NotSecured)?), offered.mux)?;
            let handshaker = world.relay.keying().and_then(|keying| keying.handshaker.as_ref()).ok_or(NotSecured)?;
            let lines = dtls::lines(&handshaker.fingerprint(), ours).into_bytes();
            Ok(Lock { lines, mux: Some(offered.mux), ..clear })
        }
    }
}

/// A handshake with this peer, unless there was one or is one; and one for its reports, where those are not on the port of its RTP.
fn shake(world: &mut World<'_>, pair: PairId, peer: (Fingerprint, Role), mux: bool) -> Result<(), NotSecured> {
    let handshaker = world.relay.keying().and_then(|keying| keying.handshaker.clone()).ok_or(NotSecured)?;
    if world.relay.shakes_with(pair) != Some(peer) {
        let machine = handshaker.begin(world.now, peer.1);
        world.relay.shake(world.now, pair, peer, machine).map_err(|_| NotSecured)?;
    }
    if !mux && !world.relay.shakes_reports(pair) {
        let machine = handshaker.begin(world.now, peer.1);
        // Without room for it the call is heard, and its reports are not.
        let _refused = world.relay.shake_reports(world.now, pair, machine);
    }
    Ok(())
}
