//! The relay of media under whatever signalling and the network can do to it, with an independent account of what may pass.
//!
//! A script anchors pairs, changes descriptions, holds, gates, shapes, moves and ends them, and sends any packets from anybody in between. Its
//! account of latching is kept by rules of its own, simpler than the relay's. Refuses to know: who makes the bytes.

use core::net::SocketAddr;
use media::player::Law;
use media::{Component, Counters, Forward, Packet, PairId, Peer, Relay, Shape};
use model::{Instant, Span};

/// Pairs of the table; packets come to one more, which it does not have.
const PAIRS: u8 = 8;
/// Hosts of the parties: what descriptions name.
const HOME: u8 = 4;
/// Hosts that no description names and that never prove themselves: their packets are never numbered one after the other.
const STRANGERS: u8 = 8;
/// Room behind a packet.
const BEHIND: usize = 64;
/// The largest that comes whole.
const LARGEST: usize = 65_507;

/// What a script came to: for tests that want their scripts to lead somewhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Passed {
    /// Packets that came in.
    pub(super) packets: u64,
    /// Of them, those sent on.
    pub(super) sent: u64,
    /// Packets of strangers, all of them refused.
    pub(super) strangers: u64,
    /// Packets that the relay made.
    pub(super) made: u64,
}

/// Any script of signalling and packets: nothing panics, every packet is counted exactly once and by the verdict it got, what leaves goes
/// to hosts that were named or have been heard, and a stranger is never relayed.
///
/// # Panics
/// When a property does not hold; that is what a fuzzer looks for.
pub fn relay(script: &[u8]) {
    run(script);
}

/// Takes a script byte by byte; it ends in zeros.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    fn pair(&mut self) -> PairId {
        PairId(u32::from(self.byte() % (PAIRS + 1)))
    }

    fn bytes(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }
}

/// Of either family, and on few ports, so that they meet.
fn address(host: u8, port: u8) -> SocketAddr {
    let port = 4_000 + u16::from(port % 4);
    if host.is_multiple_of(2) {
        SocketAddr::from(([192, 0, 2, host], port))
    } else {
        SocketAddr::from(([0x2001, 0xdb8, 0, 0, 0, 0, 0, u16::from(host)], port))
    }
}

fn is_stranger(from: SocketAddr) -> bool {
    (HOME..HOME + STRANGERS).any(|host| address(host, 0).ip() == from.ip())
}

pub(super) fn run(script: &[u8]) -> Passed {
    let mut story =
        Story { relay: Relay::new(usize::from(PAIRS)), now: Instant::ZERO, passed: Passed::default(), strange: 0 };
    let mut script = Script(script);
    while !script.0.is_empty() {
        let step = script.byte();
        match step % 4 {
            0 => story.signal(step / 4, &mut script),
            _ => story.packet(step / 4, &mut script),
        }
    }
    let joined = (0..u32::from(PAIRS)).filter(|pair| story.relay.presence(story.now, PairId(*pair)).is_some()).count();
    assert_eq!(story.relay.joined(), joined);
    for pair in 0..u32::from(PAIRS) {
        story.relay.release(PairId(pair));
    }
    assert_eq!(story.relay.joined(), 0, "what was joined can be ended");
    story.passed
}

struct Story {
    relay: Relay,
    now: Instant,
    passed: Passed,
    /// Number of the last packet of a stranger: the next one skips one.
    strange: u16,
}

impl Story {
    /// What signalling does: whatever it answers, it must leave a table that works.
    fn signal(&mut self, kind: u8, script: &mut Script<'_>) {
        let (pair, value) = (script.pair(), script.byte());
        let on = value.is_multiple_of(2);
        match kind % 12 {
            0 | 1 => drop(self.relay.join(pair, PairId(u32::from(value % (PAIRS + 1))))),
            2 | 3 => {
                let rtcp = (value & 0x40 != 0).then(|| address(script.byte() % HOME, value >> 4));
                let peer = Peer { rtp: address(value % HOME, value >> 2), rtcp, mux: value & 0x80 != 0 };
                self.relay.expect(pair, &peer);
            }
            4 => self.relay.hold(pair, on),
            5 => self.relay.gate(pair, on),
            6 => self.relay.shape(pair, [Shape::Rtp, Shape::Srtp, Shape::Opaque][usize::from(value % 3)]),
            7 => drop(self.relay.repoint(pair, PairId(u32::from(value % (PAIRS + 1))))),
            8 if on => drop(self.relay.keep(pair)),
            8 => self.relay.let_go(pair),
            9 if on => drop(self.relay.comfort(self.now, pair, &Law::A.format(), None)),
            9 => self.relay.end_comfort(pair),
            10 if on => self.relay.relatch(pair),
            10 => self.relay.pause(pair),
            _ if value < 16 => {
                self.relay.release(pair);
            }
            _ => self.pass(Span::from_millis(u64::from(value) * 4)),
        }
    }

    /// Time passes; what is due is done.
    fn pass(&mut self, time: Span) {
        self.now += time;
        if self.relay.deadline().is_some_and(|due| due <= self.now) {
            self.relay.tick(self.now);
        }
        assert!(self.relay.deadline().is_none_or(|due| due > self.now), "what is due is done");
        self.take_made();
    }

    fn take_made(&mut self) -> u64 {
        let mut made = 0;
        while let Some(packet) = self.relay.poll_made() {
            assert!(!is_stranger(packet.to), "nothing is made for a stranger: {}", packet.to);
            assert!(packet.packet.len() <= LARGEST);
            made += 1;
        }
        self.passed.made += made;
        made
    }

    /// One packet of anybody to anywhere.
    fn packet(&mut self, kind: u8, script: &mut Script<'_>) {
        let (pair, who, shape) = (script.pair(), script.byte(), script.byte());
        let component = if kind.is_multiple_of(5) { Component::Rtcp } else { Component::Rtp };
        let from = address(who % (HOME + STRANGERS), who >> 4);
        self.now += Span::from_millis(u64::from(kind % 3) * 10);
        let mut room = self.content(shape, from, script);
        let length = room.len();
        room.resize(length + BEHIND, 0xee);
        let kept = self.kept(pair);
        let before = *self.relay.counters();
        let mut packet = Packet::new(&mut room, length);
        let verdict = self.relay.forward(self.now, pair, component, from, &mut packet);
        let after = *self.relay.counters();
        assert!(packet.bytes().len() <= LARGEST, "what leaves is a datagram");
        self.passed.packets += 1;
        assert_eq!(counted(&after) - counted(&before), 1, "{verdict:?} is counted once: {before:?}, {after:?}");
        let made = self.take_made();
        match verdict {
            Forward::Send { pair: by, to, .. } => {
                self.passed.sent += 1;
                assert!(by != pair && by.0 < u32::from(PAIRS), "it leaves by another pair: {by:?}");
                assert!(!is_stranger(to), "nobody is sent to a stranger: {to}");
                assert!(!is_stranger(from), "no stranger is relayed: {from}");
                assert!(self.relay.presence(self.now, by).is_some(), "that pair is joined: {by:?}");
            }
            Forward::Made => assert!(!is_stranger(from), "nothing is made of a stranger's packet: {from}"),
            Forward::Local => assert!(kept, "only a kept pair listens itself"),
            Forward::Drop(_) => assert_eq!(made, 0, "nothing is made of what is dropped"),
        }
        self.passed.strangers += u64::from(is_stranger(from) && !matches!(verdict, Forward::Local));
    }

    /// Whether a pair is joined to none and ours: told by trying to keep it again.
    fn kept(&mut self, pair: PairId) -> bool {
        let joined = self.relay.presence(self.now, pair).is_some();
        if joined || pair.0 >= u32::from(PAIRS) {
            return false;
        }
        match self.relay.keep(pair) {
            Ok(()) => {
                self.relay.let_go(pair);
                false
            }
            Err(_) => true,
        }
    }

    /// What is in it: RTP, RTCP, anything, nothing, or more than anybody expects. A stranger never sends two that follow each other.
    fn content(&mut self, shape: u8, from: SocketAddr, script: &mut Script<'_>) -> Vec<u8> {
        let free = script.bytes(usize::from(shape >> 3)).to_vec();
        let mut bytes = match shape % 8 {
            0 => free,
            1 => vec![free.first().copied().unwrap_or(0x80); LARGEST],
            2 => [&[0x80, 200, 0, 6][..], &free].concat(),
            3 => [&[0x81, 201, 0, 7, 0, 0, 0, 1][..], &free].concat(),
            // Headers of RTP with the first of the free bytes as numbers, so that streams go on, jump and wrap.
            _ => {
                let number = |at: usize| free.get(at).copied().unwrap_or(0);
                let (sequence, source) = (0xfff0_u16.wrapping_add(u16::from(number(0))), number(1) % 3);
                let mut packet = vec![0x80, if shape % 8 == 7 { number(2) } else { 8 }];
                packet.extend(sequence.to_be_bytes());
                packet.extend((u32::from(sequence) * 160).wrapping_add(u32::from(number(3)) << 24).to_be_bytes());
                packet.extend([0, 0, 0, source]);
                packet.extend(free);
                packet.resize(172, 0xd5);
                packet
            }
        };
        if is_stranger(from) && bytes.len() >= 4 {
            self.strange = self.strange.wrapping_add(2);
            bytes[2..4].copy_from_slice(&self.strange.to_be_bytes());
        }
        bytes
    }
}

/// Packets that came in, by what became of them; what the relay makes of its own is apart.
fn counted(counters: &Counters) -> u64 {
    let came = |name: &str| name.starts_with("dropped_") || ["relayed", "relayed_rtcp", "local"].contains(&name);
    counters.iter().filter(|(name, _)| came(name)).map(|(_, count)| count).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::Rng;

    /// Two pairs joined, and both sides described.
    const ANCHORED: [u8; 9] = [0, 0, 1, 8, 0, 0, 8, 1, 1];

    fn mutant(rng: &mut Rng) -> Vec<u8> {
        let mut script = ANCHORED.to_vec();
        for _ in 0..rng.below(60) {
            // Mostly packets of the two sides, with now and then a stranger or a word of signalling.
            let side = rng.below(2) as u8;
            let step = [1, 2, 3, 5, 6, 0][rng.below(6) as usize] + 4 * rng.below(60) as u8;
            let who = if rng.below(3) == 0 || step.is_multiple_of(4) { rng.next_u64() as u8 } else { side };
            script.extend([step, if rng.below(8) == 0 { rng.next_u64() as u8 } else { side }, who]);
            if step.is_multiple_of(4) {
                continue;
            }
            let free = rng.below(24) as u8;
            script.push(free << 3 | rng.below(8) as u8);
            script.extend((0..free).map(|_| rng.next_u64() as u8 % 40));
        }
        script
    }

    #[test]
    fn no_script_breaks_the_relay() {
        let mut all = Passed::default();
        for seed in 0..4_000 {
            let passed = run(&mutant(&mut Rng::new(seed)));
            all.packets += passed.packets;
            all.sent += passed.sent;
            all.strangers += passed.strangers;
            all.made += passed.made;
        }
        assert!(all.packets > 30_000 && all.sent > all.packets / 10, "scripts lead somewhere: {all:?}");
        assert!(all.strangers > 3_000 && all.made > 50, "{all:?}");
    }

    #[test]
    fn the_account_finds_a_stranger_who_is_sent_to() {
        let named = address(HOME, 0);
        assert!(is_stranger(named) && !is_stranger(address(HOME - 1, 3)));
    }
}
