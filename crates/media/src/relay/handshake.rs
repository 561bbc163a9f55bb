//! Sides whose keys come out of a handshake: its packets are handed to it, what it answers leaves by the outbox, and what comes of it
//! secures the side.
//!
//! The keys are believed when the peer's certificate has the fingerprint that its description says, and not before. So many are made at once
//! and so long each, no more: who begins one and never ends it costs little. Where reports have a port of their own they have a handshake of
//! their own, with the same peer in the same role (RFC 5764 §4.1). Refuses to know: what a handshake is made of.

use super::{Component, Dropped, Forward, PairId, Relay};
use crate::agenda::Task;
use crate::anchor::Side;
use crate::dtls::{Fingerprint, Handshake, Role, Step};
use crate::packet::Packet;
use crate::srtp::Security;
use alloc::boxed::Box;
use core::net::SocketAddr;
use model::{Instant, Span};

/// Handshakes that are not over, on one shard.
const AT_ONCE: usize = 64;
/// How long one may take, and how long it is kept afterwards: the peer may not have heard its end and ask again.
const TIME: Span = Span::from_secs(30);
/// How long one that is begun anew is waited for: a peer that wants one answers at once. While there is no room for it, it is tried again so soon.
const ANEW: Span = Span::from_secs(5);
const AGAIN: Span = Span::from_millis(100);
/// How soon it is seen to again while the peer has not been found by ICE.
const UNCHECKED: Span = Span::from_millis(20);
/// What it may want in one turn: a flight has few packets.
const STEPS_MAX: usize = 64;
/// Longest packet of one.
const ROOM: usize = 2_048;
/// The record of a handshake's packets, the message that begins one, and what is before it (RFC 6347 §4.1, §4.3.2).
const HANDSHAKE: u8 = 22;
const CLIENT_HELLO: u8 = 1;
const RECORD_HEAD: usize = 13;

/// There are too many handshakes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// A handshake of one side.
#[derive(Debug)]
pub(crate) struct Shaking {
    /// By this port.
    component: Component,
    machine: Box<dyn Handshake>,
    expected: Fingerprint,
    role: Role,
    /// When it is given up, or let go after its end.
    ends: Instant,
    /// When it is seen to next.
    due: Instant,
    certified: bool,
    done: bool,
    /// There are keys already, which hold until it is over and if it comes to nothing.
    anew: bool,
    /// Where its last packet came from.
    from: Option<SocketAddr>,
}

impl Shaking {
    fn new(
        now: Instant,
        component: Component,
        (expected, role): (Fingerprint, Role),
        machine: Box<dyn Handshake>,
    ) -> Self {
        Self {
            component,
            machine,
            expected,
            role,
            ends: now + TIME,
            due: now,
            certified: false,
            done: false,
            anew: false,
            from: None,
        }
    }

    fn anew(self) -> Box<Self> {
        Box::new(Self { anew: true, ends: self.due + ANEW, ..self })
    }

    pub(super) const fn due(&self) -> Instant {
        self.due
    }
}

/// Why a handshake came to nothing.
enum Undone {
    Failed,
    Certificate,
}

/// Why a side whose keys come out of a handshake has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unshaken {
    /// It is not over.
    Unfinished,
    /// It failed, or was not over in time.
    Failed,
    /// The peer's certificate is not the one that its description names.
    Foreign,
}

impl Relay {
    /// The keys of `side` come out of this handshake, and are believed when the peer's certificate has this fingerprint. Keys that it has
    /// are used until then.
    ///
    /// # Errors
    /// There are too many at once; the side is as it was.
    pub fn shake(
        &mut self,
        now: Instant,
        side: PairId,
        (expected, role): (Fingerprint, Role),
        machine: Box<dyn Handshake>,
    ) -> Result<(), TooMany> {
        self.admit_one(side, Component::Rtp)?;
        let Some(own) = self.side(side) else { return Ok(()) };
        own.unshaken = Some(Unshaken::Unfinished);
        own.security.get_or_insert_with(|| Box::new(Security::pending()));
        (own.report_shaking, own.report_security) = (None, None);
        own.shaking = Some(Box::new(Shaking::new(now, Component::Rtp, (expected, role), machine)));
        self.agenda.set(now, side, Task::Handshake);
        Ok(())
    }

    /// Reports of `side` have a port of their own, and keys of their own out of this handshake: with whom and as whom its other keys come.
    ///
    /// # Errors
    /// There are too many at once: no reports are had of it, nor sent to it.
    pub fn shake_reports(&mut self, now: Instant, side: PairId, machine: Box<dyn Handshake>) -> Result<(), TooMany> {
        let Some(peer) = self.shakes_with(side) else { return Ok(()) };
        self.admit_one(side, Component::Rtcp)?;
        if let Some(own) = self.side(side) {
            own.report_shaking = Some(Box::new(Shaking::new(now, Component::Rtcp, peer, machine)));
            self.agenda.set(now, side, Task::Handshake);
        }
        Ok(())
    }

    /// The keys of reports of `side` come out of a handshake already, or will.
    pub fn shakes_reports(&self, side: PairId) -> bool {
        let own = self.sides.get(side.index()).and_then(Option::as_ref);
        own.is_some_and(|own| own.report_shaking.is_some() || own.report_security.is_some())
    }

    /// Takes room for one more, where there is some.
    fn admit_one(&mut self, side: PairId, component: Component) -> Result<(), TooMany> {
        if !self.has_room(side, component) {
            self.counters.handshakes_refused += 1;
            return Err(TooMany);
        }
        self.take_room(side, component);
        Ok(())
    }

    fn take_room(&mut self, side: PairId, component: Component) {
        self.unfinished.push((side, component));
        self.outbox.make_room();
    }

    /// There is room for one more, in the place of the one that was under way by the same port.
    fn has_room(&mut self, side: PairId, component: Component) -> bool {
        let sides = &self.sides;
        self.unfinished.retain(|(pair, of)| {
            let own = sides.get(pair.index()).and_then(Option::as_ref);
            (*pair, *of) != (side, component)
                && own.and_then(|own| own.shaking_by(*of)).is_some_and(|shaking| !shaking.done)
        });
        self.unfinished.len() < AT_ONCE
    }

    /// The keys of `side` come out of a handshake with this peer already, or will, in this role: what is told again changes nothing (RFC 8842
    /// §5).
    pub fn shakes_with(&self, side: PairId) -> Option<(Fingerprint, Role)> {
        let side = self.sides.get(side.index())?.as_ref()?;
        let running = side.shaking.as_ref().filter(|shaking| !shaking.done);
        running.map(|shaking| (shaking.expected, shaking.role)).or(side.shaken_with)
    }

    /// Why `side` has no keys, when they are to come out of a handshake.
    pub fn unshaken(&self, side: PairId) -> Option<Unshaken> {
        let own = self.sides.get(side.index())?.as_ref()?;
        own.unshaken.filter(|_| !self.is_secured(side))
    }

    /// A packet of a handshake. It proves nothing yet; what is not from where the side may be is not looked at.
    #[cold]
    pub(super) fn handshake(
        &mut self,
        now: Instant,
        (pair, component): (PairId, Component),
        from: SocketAddr,
        packet: &Packet<'_>,
    ) -> Forward {
        let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
        if !side.latch.may_be_at(from) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        let running = side.shaking_at(component).take();
        let Some(mut shaking) = running.or_else(|| self.begun_anew(now, (pair, component), packet)) else {
            return self.drop(Dropped::NotRtp);
        };
        self.counters.handshakes += 1;
        shaking.from = Some(from);
        let taken = shaking.machine.take(now, packet.bytes());
        self.turn(now, pair, shaking, taken.map_err(|_| Undone::Failed));
        Forward::Made
    }

    /// `side` is met at another port of ours from now on. Its peer goes on with the keys it has, since nothing that its description says of
    /// them has changed (RFC 8842 §3.2), or takes another port for another handshake (RFC 5763 §6.6), and nothing tells which. So it is begun
    /// where we begin, and answered where the peer does. Who does ICE knows changes of ports and keeps its keys (RFC 8842 §3.3).
    /// Many may move at once: what there is no room for is tried again.
    pub fn shake_anew(&mut self, now: Instant, side: PairId) {
        self.shake_anew_from(now, side, Component::Rtp);
    }

    fn shake_anew_from(&mut self, now: Instant, side: PairId, first: Component) {
        let Some(handshaker) = self.keying.as_ref().and_then(|keying| keying.handshaker.clone()) else { return };
        for component in [Component::Rtp, Component::Rtcp].into_iter().skip_while(|component| *component != first) {
            let Some(own) = self.side(side).filter(|own| own.ice.is_none()) else { return };
            let Some(peer) = own.shaken_with.filter(|_| own.has_keys_at(component)) else { continue };
            // The place of one that is over is free for another.
            own.shaking_at(component).take_if(|shaking| shaking.done);
            own.may_begin_anew = peer.1 == Role::Server;
            if own.may_begin_anew || own.shaking_at(component).is_some() {
                continue;
            }
            if !self.has_room(side, component) {
                return self.try_anew_again(now + AGAIN, side, component);
            }
            self.take_room(side, component);
            let shaking = Shaking::new(now, component, peer, handshaker.begin(now, Role::Client)).anew();
            if let Some(own) = self.side(side) {
                *own.shaking_at(component) = Some(shaking);
                self.agenda.set(now, side, Task::Handshake);
            }
        }
    }

    fn try_anew_again(&mut self, at: Instant, side: PairId, component: Component) {
        if let Some(own) = self.side(side) {
            own.anew_at = Some((at, component));
            self.agenda.set(at, side, Task::Handshake);
        }
    }

    /// What a peer has begun that may.
    fn begun_anew(
        &mut self,
        now: Instant,
        (pair, component): (PairId, Component),
        packet: &Packet<'_>,
    ) -> Option<Box<Shaking>> {
        let begins =
            packet.bytes().first() == Some(&HANDSHAKE) && packet.bytes().get(RECORD_HEAD) == Some(&CLIENT_HELLO);
        let side = self.side(pair).filter(|side| begins && side.may_begin_anew)?;
        let peer = side.shaken_with.filter(|_| side.has_keys_at(component))?;
        let handshaker = self.keying.as_ref()?.handshaker.clone()?;
        self.admit_one(pair, component).ok()?;
        Some(Shaking::new(now, component, peer, handshaker.begin(now, Role::Server)).anew())
    }

    /// It is time to send again, or to give up.
    pub(super) fn shake_on(&mut self, now: Instant, at: Instant, pair: PairId) {
        if let Some((_, first)) = self.side(pair).and_then(|side| side.anew_at.take_if(|(due, _)| *due == at)) {
            self.shake_anew_from(now, pair, first);
        }
        for component in [Component::Rtp, Component::Rtcp] {
            let Some(side) = self.side(pair) else { return };
            let Some(mut shaking) = side.shaking_at(component).take_if(|shaking| shaking.due == at) else { continue };
            if now < shaking.ends {
                let ticked = shaking.machine.tick(now);
                self.turn(now, pair, shaking, ticked.map_err(|_| Undone::Failed));
            } else if !shaking.done {
                self.give_up(pair, &shaking, &Undone::Failed);
            }
        }
    }

    fn turn(&mut self, now: Instant, pair: PairId, mut shaking: Box<Shaking>, taken: Result<(), Undone>) {
        match taken.and_then(|()| self.steps(now, pair, &mut shaking)) {
            Ok(due) => {
                shaking.due = due.unwrap_or(shaking.ends).clamp(now + Span::from_millis(1), shaking.ends);
                self.agenda.set(shaking.due, pair, Task::Handshake);
                let component = shaking.component;
                if let Some(side) = self.side(pair) {
                    *side.shaking_at(component) = Some(shaking);
                }
            }
            Err(_) if shaking.done => {}
            Err(why) => self.give_up(pair, &shaking, &why),
        }
    }

    fn give_up(&mut self, pair: PairId, shaking: &Shaking, why: &Undone) {
        let unshaken = match (why, shaking.component) {
            (Undone::Failed, _) if shaking.anew => return,
            (Undone::Certificate, _) => {
                self.counters.handshakes_foreign += 1;
                Unshaken::Foreign
            }
            (Undone::Failed, Component::Rtp) => {
                self.counters.handshakes_failed += 1;
                Unshaken::Failed
            }
            (Undone::Failed, Component::Rtcp) => {
                self.counters.report_handshakes_failed += 1;
                Unshaken::Failed
            }
        };
        if let (Component::Rtp, Some(side)) = (shaking.component, self.side(pair)) {
            side.unshaken = Some(unshaken);
        }
    }

    fn steps(&mut self, now: Instant, pair: PairId, shaking: &mut Shaking) -> Result<Option<Instant>, Undone> {
        let mut room = [0; ROOM];
        for _ in 0..STEPS_MAX {
            let Some(side) = self.side(pair) else { return Ok(None) };
            // A peer that checks is sent nothing before it has said where it is.
            if side.ice.is_some() && !side.latch.is_latched() {
                return Ok(Some(now + UNCHECKED));
            }
            match shaking.machine.poll(&mut room) {
                Step::Send(packet) => {
                    if let Some(to) = shaking.from.or_else(|| side.listens_at(shaking.component)) {
                        self.give(pair, shaking.component, to, packet);
                    }
                }
                Step::Certificate(certificate) => {
                    shaking.certified = shaking.expected.is_of(certificate);
                    if !shaking.certified {
                        return Err(Undone::Certificate);
                    }
                }
                Step::Keys(keys) => {
                    let security = keys.security(shaking.role).filter(|_| shaking.certified).ok_or(Undone::Failed)?;
                    (shaking.done, shaking.ends) = (true, now + TIME);
                    match shaking.component {
                        Component::Rtp => self.shaken(now, pair, shaking, security),
                        Component::Rtcp => {
                            side.rtcp_heard = shaking.from.or(side.rtcp_heard);
                            side.report_security = Some(Box::new(security));
                        }
                    }
                }
                Step::Wait(at) => return Ok(at),
            }
        }
        Err(Undone::Failed)
    }

    fn shaken(&mut self, now: Instant, pair: PairId, shaking: &Shaking, security: Security) {
        let Some(side) = self.side(pair) else { return };
        if let Some(at) = shaking.from {
            side.latch.prove(now, at);
        }
        side.shaken_with = Some((shaking.expected, shaking.role));
        side.unshaken = None;
        self.key(pair, Some(Box::new(security)));
    }
}

impl Side {
    fn shaking_by(&self, component: Component) -> Option<&Shaking> {
        match component {
            Component::Rtp => self.shaking.as_deref(),
            Component::Rtcp => self.report_shaking.as_deref(),
        }
    }

    const fn shaking_at(&mut self, component: Component) -> &mut Option<Box<Shaking>> {
        match component {
            Component::Rtp => &mut self.shaking,
            Component::Rtcp => &mut self.report_shaking,
        }
    }

    fn listens_at(&self, component: Component) -> Option<SocketAddr> {
        match component {
            Component::Rtp => self.latch.send_to(),
            Component::Rtcp => self.rtcp_to(),
        }
    }

    fn has_keys_at(&self, component: Component) -> bool {
        component == Component::Rtp || self.report_security.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dtls::{Failed, Handshaker, Keys};
    use crate::keying::Keying;
    use crate::relay::Peer;
    use crate::srtp::{Secrets, Suite};
    use alloc::sync::Arc;
    use core::sync::atomic::{AtomicUsize, Ordering};

    /// Gives so many steps, then waits.
    #[derive(Debug)]
    struct Machine(core::ops::Range<u8>);

    impl Handshake for Machine {
        fn take(&mut self, _: Instant, _: &[u8]) -> Result<(), Failed> {
            Ok(())
        }

        fn tick(&mut self, _: Instant) -> Result<(), Failed> {
            Ok(())
        }

        fn poll<'a>(&mut self, _: &'a mut [u8]) -> Step<'a> {
            match self.0.next() {
                Some(0) => Step::Certificate(b"peer"),
                Some(_) => Step::Keys(Keys { suite: Suite::AesCm128HmacSha1_80, material: &[7; 60] }),
                None => Step::Wait(None),
            }
        }
    }

    /// Begins handshakes that never end.
    #[derive(Debug, Default)]
    struct Begun(AtomicUsize);

    impl Handshaker for Begun {
        fn fingerprint(&self) -> Fingerprint {
            Fingerprint::of(b"ours")
        }

        fn begin(&self, _: Instant, _: Role) -> Box<dyn Handshake> {
            self.0.fetch_add(1, Ordering::Relaxed);
            Box::new(Machine(0..0))
        }
    }

    #[test]
    fn of_many_that_move_at_once_each_is_begun_anew_as_soon_as_there_is_room() {
        const MOVED: u32 = 100;
        let at = |ms| Instant::ZERO + Span::from_secs(100) + Span::from_millis(ms);
        let mut relay = Relay::new(4 * MOVED as usize);
        let begun = Arc::new(Begun::default());
        relay.entrust(Keying { secrets: Secrets::new([7; 32]), handshaker: Some(begun.clone()) });
        for call in 0..MOVED {
            let (stays, moves) = (PairId(2 * call), PairId(2 * call + 1));
            relay.join(stays, moves).unwrap();
            relay.expect(moves, &Peer { rtp: SocketAddr::from(([192, 0, 2, 1], 4_000)), rtcp: None, mux: true });
            relay.shake(at(0), moves, (Fingerprint::of(b"peer"), Role::Client), Box::new(Machine(0..2))).unwrap();
            relay.tick(at(0));
            assert!(relay.is_secured(moves));
        }
        for call in 0..MOVED {
            let (stays, fresh) = (PairId(2 * call), PairId(2 * MOVED + call));
            relay.repoint(stays, fresh).unwrap();
            relay.shake_anew(at(1_000), fresh);
        }
        assert_eq!(begun.0.load(Ordering::Relaxed), AT_ONCE);
        for ms in 1_000..8_000 {
            relay.tick(at(ms));
        }
        assert_eq!(begun.0.load(Ordering::Relaxed), MOVED as usize);
        let counters = relay.counters();
        assert_eq!((counters.handshakes_failed, counters.handshakes_refused), (0, 0), "they have keys");
        assert!((0..MOVED).all(|call| relay.is_secured(PairId(2 * MOVED + call))));
    }
}
