//! A seeded network: every datagram is delayed, some are lost, repeated or overtaken.
//!
//! Order is by time, then by number, so that a run repeats exactly. Refuses to know: what a datagram says.

use core::net::SocketAddr;
use model::{Instant, Rng, Span};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// How bad the network is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weather {
    /// Datagrams lost, per thousand.
    pub loss: u16,
    /// Datagrams delivered twice, per thousand.
    pub duplicate: u16,
    /// Shortest delay.
    pub delay: Span,
    /// Longest addition to it; what makes datagrams overtake each other.
    pub jitter: Span,
}

impl Weather {
    /// Nothing lost, half a millisecond away.
    pub const CALM: Self = Self { loss: 0, duplicate: 0, delay: Span::from_micros(500), jitter: Span::ZERO };

    /// Weather of a seed: from calm to a tenth lost.
    pub fn draw(rng: &mut Rng) -> Self {
        Self {
            loss: [0, 0, 10, 50, 100][rng.below(5) as usize],
            duplicate: [0, 0, 20, 100][rng.below(4) as usize],
            delay: Span::from_micros(200 + rng.below(20_000)),
            jitter: Span::from_micros(rng.below(40_000)),
        }
    }
}

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// Sender.
    pub from: SocketAddr,
    /// Receiver.
    pub to: SocketAddr,
    /// What it says.
    pub bytes: Vec<u8>,
}

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// A datagram at its receiver.
    Datagram(Datagram),
    /// Word, at the sender, that nobody listens where it went (ICMP port unreachable).
    Refused(Datagram),
}

#[derive(Debug, PartialEq, Eq)]
struct OnItsWay {
    at: Instant,
    number: u64,
    arrival: Arrival,
}

impl Ord for OnItsWay {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        (self.at, self.number).cmp(&(other.at, other.number))
    }
}

impl PartialOrd for OnItsWay {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

/// The network.
#[derive(Debug)]
pub struct Network {
    weather: Weather,
    rng: Rng,
    next: u64,
    queue: BinaryHeap<Reverse<OnItsWay>>,
}

impl Network {
    /// An empty one.
    pub fn new(weather: Weather, seed: u64) -> Self {
        Self { weather, rng: Rng::new(seed), next: 0, queue: BinaryHeap::new() }
    }

    /// The weather changes.
    pub fn set(&mut self, weather: Weather) {
        self.weather = weather;
    }

    /// Sends a datagram: it will arrive once, twice or never.
    pub fn send(&mut self, now: Instant, datagram: Datagram) {
        let copies = if self.rng.below(1_000) < u64::from(self.weather.duplicate) { 2 } else { 1 };
        for _ in 0..copies {
            if self.rng.below(1_000) >= u64::from(self.weather.loss) {
                let at = self.arrival_time(now);
                self.push(at, Arrival::Datagram(datagram.clone()));
            }
        }
    }

    /// Tells the sender that nobody listens. ICMP is lost as other packets are.
    pub fn refuse(&mut self, now: Instant, datagram: Datagram) {
        if self.rng.below(1_000) >= u64::from(self.weather.loss) {
            let at = self.arrival_time(now);
            self.push(at, Arrival::Refused(datagram));
        }
    }

    /// The connection between two addresses dies: what is on its way there is lost.
    #[cfg(test)]
    pub(crate) fn cut(&mut self, one: SocketAddr, other: SocketAddr) {
        self.queue.retain(|Reverse(next)| {
            let (Arrival::Datagram(datagram) | Arrival::Refused(datagram)) = &next.arrival;
            ![(one, other), (other, one)].contains(&(datagram.from, datagram.to))
        });
    }

    /// When the next one arrives.
    pub fn deadline(&self) -> Option<Instant> {
        self.queue.peek().map(|Reverse(next)| next.at)
    }

    /// What has arrived by `now`, in order.
    pub fn arrive(&mut self, now: Instant) -> Option<Arrival> {
        if self.deadline()? > now {
            return None;
        }
        self.queue.pop().map(|Reverse(next)| next.arrival)
    }

    fn arrival_time(&mut self, now: Instant) -> Instant {
        now + self.weather.delay + Span::from_micros(self.rng.below(self.weather.jitter.as_micros().saturating_add(1)))
    }

    fn push(&mut self, at: Instant, arrival: Arrival) {
        self.queue.push(Reverse(OnItsWay { at, number: self.next, arrival }));
        self.next += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(n: u8) -> Datagram {
        let at = "10.0.0.1:5060".parse().unwrap();
        Datagram { from: at, to: at, bytes: vec![n] }
    }

    fn arrivals(weather: Weather, seed: u64) -> Vec<u8> {
        let mut network = Network::new(weather, seed);
        for n in 0..200 {
            network.send(Instant::from_micros(u64::from(n) * 1_000), datagram(n));
        }
        let mut seen = Vec::new();
        while let Some(Arrival::Datagram(datagram)) = network.arrive(Instant::FAR) {
            seen.push(datagram.bytes[0]);
        }
        seen
    }

    #[test]
    fn calm_delivers_all_in_order() {
        assert_eq!(arrivals(Weather::CALM, 1), (0..200).collect::<Vec<u8>>());
    }

    #[test]
    fn a_storm_loses_repeats_and_reorders_and_is_repeatable() {
        let storm = Weather { loss: 100, duplicate: 100, delay: Span::from_millis(1), jitter: Span::from_millis(40) };
        let seen = arrivals(storm, 7);
        assert_eq!(seen, arrivals(storm, 7));
        assert!((0..200).any(|n| !seen.contains(&n)), "some lost");
        assert!((0..200).any(|n| seen.iter().filter(|m| **m == n).count() == 2), "some repeated");
        assert!(seen.windows(2).any(|pair| pair[0] > pair[1]), "some overtaken");
    }
}
