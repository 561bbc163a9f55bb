//! Digits between signalling and packets: an INFO with a digit is dialled where the far side is told of digits otherwise, and what the
//! relay has heard for a side that wants INFO is sent as one.
//!
//! A side is sent one INFO at a time, for digits that overtake each other are another number. Refuses to know: events, tones, codecs.

use super::call::{Call, Side};
use super::challenge::Again;
use super::{B2bua, World, headers};
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use media::dtmf::info::{self, Kind, Press};
use media::{Digits, MediaEvent, NotDialled, PairId};
use sip::{ClientKey, Failure, Message, Method, ServerKey};

/// Digits that wait for the INFO before them.
const WAITING_MAX: usize = 32;

/// A digit on its way to a leg, and those that wait for it.
#[derive(Clone, Debug)]
pub(super) struct Tells {
    again: Again,
    /// Our tag of the leg's dialog.
    tag: Vec<u8>,
    waiting: VecDeque<Press>,
}

impl Call {
    fn side_at(&self, pair: PairId) -> Option<Side> {
        [Side::Caller, Side::Callee].into_iter().find(|side| self.pair_of(*side) == Some(pair))
    }
}

/// How a side tells and is told of digits; none while nobody has said.
pub(super) fn digits(world: &World<'_>, call: &Call, side: Side) -> Option<Digits> {
    world.relay.speech(call.pair_of(side)?).map(|speech| speech.digits)
}

impl B2bua {
    /// INFO: a digit is dialled here where the far side wants no INFO for it; all else is the far side's business.
    pub(super) fn info(
        &mut self,
        world: &mut World<'_>,
        slot: usize,
        side: Side,
        server: ServerKey,
        message: &Message,
    ) {
        match self.dial(world, slot, side, message) {
            Some(Ok(())) => {
                self.counters.digits_dialled += 1;
                world.refuse(server, 200);
            }
            Some(Err(NotDialled::TooMany)) => world.refuse_for_now(server, 500),
            Some(Err(NotDialled::NotKnown | NotDialled::Unsupported(_))) | None => {
                self.relay_request(world, slot, side, server, message);
            }
        }
    }

    /// None when it is no digit, or the far side wants it as it is.
    fn dial(
        &self,
        world: &mut World<'_>,
        slot: usize,
        from: Side,
        message: &Message,
    ) -> Option<Result<(), NotDialled>> {
        Kind::of(message.content_type()?)?;
        let call = self.calls.get(slot).filter(|call| call.callee.is_some())?;
        let towards = from.other();
        // Who tells of digits as the other side does tells him by packets, and so does whoever has events: an INFO is the same digit once more.
        match (digits(world, call, from)?, digits(world, call, towards)?) {
            (_, Digits::Info) | (Digits::Events { .. }, _) | (Digits::Inband, Digits::Inband) => return None,
            (Digits::Info | Digits::Inband, _) => {}
        }
        let press = info::read(message.body()).ok()?;
        Some(world.relay.dial(world.now, call.pair_of(towards)?, press.digit, press.duration))
    }

    /// The relay has something to tell about the side at `pair`.
    pub fn media(&mut self, world: &mut World<'_>, pair: PairId, event: MediaEvent) {
        let MediaEvent::Digit { digit, duration } = event;
        // A digit is rare, and a call has few pairs: nobody keeps a table for it.
        let found = self.calls.iter().find_map(|(slot, call)| Some((slot, call.side_at(pair)?)));
        let Some((slot, side)) = found else {
            self.counters.digits_untold += 1;
            return;
        };
        let press = Press { digit, duration };
        let Some(tag) = self.calls.get(slot).and_then(|call| call.leg(side)).map(|leg| &leg.dialog.local_tag) else {
            self.counters.digits_untold += 1;
            return;
        };
        match self.tells.values_mut().find(|tells| tells.tag == *tag) {
            Some(tells) if tells.waiting.len() < WAITING_MAX => tells.waiting.push_back(press),
            Some(_) => self.counters.digits_untold += 1,
            None => self.send_digit(world, slot, side, press, VecDeque::new()),
        }
    }

    fn send_digit(&mut self, world: &mut World<'_>, slot: usize, side: Side, press: Press, waiting: VecDeque<Press>) {
        let lost = 1 + waiting.len() as u64;
        let sent =
            self.calls.get_mut(slot).and_then(|call| call.leg_mut(side)).filter(|leg| !leg.gone).and_then(|leg| {
                let sent_by = world.endpoint.sent_by(leg.flow.socket)?;
                let mut draft = leg.dialog.request(Method::Info);
                headers::push_contact(&mut draft.headers, &sent_by);
                draft.headers.push("Content-Type", Kind::Relay.content_type().as_bytes());
                draft.body = info::write(Kind::Relay, press);
                let mut again = Again::new(Some(leg.trunk), draft, leg.way(), world.timers_of(leg.trunk));
                let client = again.send(world)?;
                Some((client, Tells { again, tag: leg.dialog.local_tag.clone(), waiting }))
            });
        match sent {
            Some((client, tells)) => {
                self.counters.digits_told += 1;
                self.tells.insert(client, tells);
            }
            None => self.counters.digits_untold += lost,
        }
    }

    /// An answer to a digit of ours; false when it is to something else.
    pub(super) fn digit_response(&mut self, world: &mut World<'_>, client: ClientKey, message: &Message) -> bool {
        let code = message.status().unwrap_or(0);
        if !self.tells.contains_key(&client) {
            return false;
        }
        if code < 200 {
            return true;
        }
        let Some(mut tells) = self.tells.remove(&client) else { return false };
        let place = self.by_tag.get(&tells.tag).copied();
        let leg = place.and_then(|(slot, side)| self.calls.get_mut(slot)?.leg_mut(side));
        if let Some(fresh) = leg.and_then(|leg| tells.again.answer(world, &mut leg.dialog, message)) {
            self.tells.insert(fresh, tells);
            return true;
        }
        if code >= 300 {
            self.counters.digits_untold += 1;
        }
        if let Some((slot, _)) = place.filter(|_| matches!(code, 408 | 481)) {
            // RFC 3261 §12.2.1.2, RFC 5057 §5.1: the dialog is gone on the far side, and the call with it.
            self.counters.digits_untold += tells.waiting.len() as u64;
            self.end_both(world, slot, "the far side no longer knows the call");
            return true;
        }
        self.next_digit(world, tells);
        true
    }

    /// No answer came to a digit of ours. Others may get through; whoever says nothing at all is found out by what asks for it.
    pub(super) fn digit_failed(&mut self, world: &mut World<'_>, client: ClientKey, _why: Failure) {
        let Some(tells) = self.tells.remove(&client) else { return };
        self.counters.digits_untold += 1;
        self.next_digit(world, tells);
    }

    fn next_digit(&mut self, world: &mut World<'_>, mut tells: Tells) {
        let Some(press) = tells.waiting.pop_front() else { return };
        match self.by_tag.get(&tells.tag).copied() {
            Some((slot, side)) => self.send_digit(world, slot, side, press, tells.waiting),
            None => self.counters.digits_untold += 1 + tells.waiting.len() as u64,
        }
    }
}
