//! Sides whose keys come out of a handshake: its packets are handed to it, what it answers leaves by the outbox, and what comes of it
//! secures the side.
//!
//! The keys are believed when the peer's certificate has the fingerprint that its description says, and not before. So many are made at once
//! and so long each, no more: who begins one and never ends it costs little. Refuses to know: what a handshake is made of.

use super::{Dropped, Forward, PairId, Relay};
use crate::agenda::Task;
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
/// How soon it is seen to again while the peer has not been found by ICE.
const UNCHECKED: Span = Span::from_millis(20);
/// What it may want in one turn: a flight has few packets.
const STEPS_MAX: usize = 64;
/// Longest packet of one.
const ROOM: usize = 2_048;

/// There are too many handshakes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooMany;

/// A handshake of one side.
#[derive(Debug)]
pub(crate) struct Shaking {
    machine: Box<dyn Handshake>,
    expected: Fingerprint,
    role: Role,
    /// When it is given up, or let go after its end.
    ends: Instant,
    /// When it is seen to next.
    due: Instant,
    certified: bool,
    done: bool,
    /// Where its last packet came from.
    from: Option<SocketAddr>,
}

impl Shaking {
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
        let sides = &self.sides;
        self.unfinished.retain(|pair| {
            let own = sides.get(pair.index()).and_then(Option::as_ref);
            *pair != side && own.and_then(|own| own.shaking.as_ref()).is_some_and(|shaking| !shaking.done)
        });
        if self.unfinished.len() >= AT_ONCE {
            self.counters.handshakes_refused += 1;
            return Err(TooMany);
        }
        self.unfinished.push(side);
        self.outbox.make_room();
        let Some(own) = self.side(side) else { return Ok(()) };
        own.unshaken = Some(Unshaken::Unfinished);
        own.security.get_or_insert_with(|| Box::new(Security::pending()));
        own.shaking = Some(Box::new(Shaking {
            machine,
            expected,
            role,
            ends: now + TIME,
            due: now,
            certified: false,
            done: false,
            from: None,
        }));
        self.agenda.set(now, side, Task::Handshake);
        Ok(())
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
    pub(super) fn handshake(&mut self, now: Instant, pair: PairId, from: SocketAddr, packet: &Packet<'_>) -> Forward {
        let Some(side) = self.side(pair) else { return self.drop(Dropped::NoAnchor) };
        if !side.latch.may_be_at(from) {
            side.counters.refused += 1;
            return self.drop(Dropped::ThirdParty);
        }
        let Some(mut shaking) = side.shaking.take() else { return self.drop(Dropped::NotRtp) };
        self.counters.handshakes += 1;
        shaking.from = Some(from);
        let taken = shaking.machine.take(now, packet.bytes());
        self.turn(now, pair, shaking, taken.map_err(|_| Undone::Failed));
        Forward::Made
    }

    /// It is time to send again, or to give up.
    pub(super) fn shake_on(&mut self, now: Instant, at: Instant, pair: PairId) {
        let Some(side) = self.side(pair) else { return };
        let Some(mut shaking) = side.shaking.take_if(|shaking| shaking.due == at) else { return };
        if now >= shaking.ends {
            if !shaking.done {
                side.unshaken = Some(Unshaken::Failed);
                self.counters.handshakes_failed += 1;
            }
            return;
        }
        let ticked = shaking.machine.tick(now);
        self.turn(now, pair, shaking, ticked.map_err(|_| Undone::Failed));
    }

    fn turn(&mut self, now: Instant, pair: PairId, mut shaking: Box<Shaking>, taken: Result<(), Undone>) {
        match taken.and_then(|()| self.steps(now, pair, &mut shaking)) {
            Ok(due) => {
                shaking.due = due.unwrap_or(shaking.ends).clamp(now + Span::from_millis(1), shaking.ends);
                self.agenda.set(shaking.due, pair, Task::Handshake);
                if let Some(side) = self.side(pair) {
                    side.shaking = Some(shaking);
                }
            }
            Err(_) if shaking.done => {}
            Err(why) => self.give_up(pair, &why),
        }
    }

    fn give_up(&mut self, pair: PairId, why: &Undone) {
        let unshaken = match why {
            Undone::Failed => {
                self.counters.handshakes_failed += 1;
                Unshaken::Failed
            }
            Undone::Certificate => {
                self.counters.handshakes_foreign += 1;
                Unshaken::Foreign
            }
        };
        if let Some(side) = self.side(pair) {
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
                    if let Some(to) = shaking.from.or_else(|| side.latch.send_to()) {
                        self.give(pair, to, packet);
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
                    if let Some(at) = shaking.from {
                        side.latch.prove(now, at);
                    }
                    side.shaken_with = Some((shaking.expected, shaking.role));
                    side.unshaken = None;
                    (shaking.done, shaking.ends) = (true, now + TIME);
                    self.secure(pair, Some(Box::new(security)));
                }
                Step::Wait(at) => return Ok(at),
            }
        }
        Err(Undone::Failed)
    }
}
