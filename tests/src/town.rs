//! A town of phones on real sockets, a hundred thousand if need be: they register, renew, come back from a power cut, and call.
//!
//! Each phone has a port of its own at the address of its house, so that the edge sees as many flows as there are phones; some keep a
//! connection of TCP instead. Beside them a carrier calls and is called. One thread turns all of it. Refuses to know: what is done to the edge,
//! and what is expected of it.

mod calls;
pub mod drill;
mod phone;
mod wires;

use crate::wait_until;
use calls::{ABROAD, Calls, Moves, Party, Side};
use model::{Instant, Rng, Span};
use node::clock::Clock;
use phone::{Answer, Phone, Step};
use sip::Message;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use wires::{Place, Wires};

pub use calls::CallsSeen;

/// Where phones find the edge.
pub const LAN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 10), 5_060);
/// Where the carrier finds it.
pub const WAN: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 11), 5_060);
/// The carrier.
pub const CARRIER: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(127, 0, 0, 31), 5_060);
/// Phones behind each address.
const HOUSE: usize = 500;
/// The first of their ports.
const FIRST_PORT: u16 = 10_000;
/// The first of their addresses.
const FIRST_HOUSE: Ipv4Addr = Ipv4Addr::new(127, 20, 0, 0);
/// How often it is told what is seen.
const TOLD_MS: u64 = 50;
/// Who is not sure to be registered for so long is not called.
const SURE: Span = Span::from_secs(5);
/// Turns that are taken before all are listened to again.
const TURNS: u32 = 64;
/// Who has registered is known to one shard, and some milliseconds later to all.
const KNOWN: Span = Span::from_millis(500);
/// Each is told of a thousand sockets.
const LOOKS: u32 = 8;
/// Phones that are tried until one is found that can call or be called.
const TRIES: u32 = 64;

/// Who lives there.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Phones.
    pub phones: usize,
    /// Of these, by a connection.
    pub by_tcp: usize,
    /// Seconds that they wish to be registered for.
    pub expires_s: u32,
    /// How long a phone waits that was refused, heard nothing or lost its connection: half of it at least.
    pub recovery: Span,
}

/// What it is told.
#[derive(Clone, Copy, Debug)]
enum Order {
    /// All phones are switched off, and on again within this.
    PowerCut(Span),
    /// So many calls a second from now on.
    Calls(u64),
    /// What is counted of calls is counted anew.
    Phase,
    End,
}

/// What it has seen.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Phones that are registered, and have been since they were last switched on.
    pub registered: usize,
    /// Times that all were switched off.
    pub power_cuts: u32,
    /// REGISTERs sent, repeats among them.
    pub sent: u64,
    /// Repeats.
    pub repeats: u64,
    /// Accepted.
    pub accepted: u64,
    /// Challenged, because they answered no challenge.
    pub challenged: u64,
    /// Challenged, because the nonce was too old.
    pub stale: u64,
    /// Told to come again.
    pub put_off: u64,
    /// Refused in any other way.
    pub refused: u64,
    /// Connections that broke.
    pub broken: u64,
    /// REGISTERs served, accepted or challenged, in each second of the town.
    pub served: Vec<u64>,
    /// Calls by phase.
    pub calls: Vec<CallsSeen>,
    /// Calls under way.
    pub calling: usize,
    /// The town's time.
    pub now: Instant,
}

/// A town that lives until it is dropped.
pub struct Town {
    orders: Sender<Order>,
    seen: Arc<Mutex<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl Town {
    /// Builds it; nobody says anything yet.
    pub fn start(plan: Plan) -> Self {
        let (orders, orders_out) = channel();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let shown = seen.clone();
        let mut life = Life::new(plan);
        let thread = Builder::new().name("town".to_owned()).spawn(move || life.run(&orders_out, &shown));
        Self { orders, seen, thread: Some(thread.expect("a thread")) }
    }

    /// Switches all phones off, and on again within this.
    pub fn power_cut(&self, within: Span) {
        let before = self.seen().power_cuts;
        self.order(Order::PowerCut(within));
        wait_until("the power is cut", Duration::from_secs(60), || self.seen().power_cuts > before);
    }

    /// So many calls a second.
    pub fn call(&self, a_second: u64) {
        self.order(Order::Calls(a_second));
    }

    /// What is counted of calls placed from now on is counted by itself.
    pub fn begin_phase(&self) {
        let before = self.seen().calls.len();
        self.order(Order::Phase);
        wait_until("the phase has begun", Duration::from_secs(60), || self.seen().calls.len() > before);
    }

    /// What is seen.
    pub fn seen(&self) -> Seen {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn order(&self, order: Order) {
        self.orders.send(order).expect("the town lives");
    }
}

impl Drop for Town {
    fn drop(&mut self) {
        // It may have ended by a fault of its own, which is told below.
        let _ended = self.orders.send(Order::End);
        if let Some(thread) = self.thread.take() {
            let ended = thread.join();
            assert!(ended.is_ok() || std::thread::panicking(), "the town has ended by itself");
        }
    }
}

/// Its users, as the edge reads them.
pub fn users(phones: usize) -> String {
    let mut text = String::new();
    for number in 0..phones {
        // Nothing refuses what is written into a String.
        let _written = writeln!(text, "{},password,{}", phone::user(number), phone::secret(number));
    }
    text
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Turn {
    Phone(usize, u32),
    Call(u64, u32),
    Place,
}

/// Everything of its thread.
struct Life {
    clock: Clock,
    rng: Rng,
    wires: Wires,
    phones: Vec<Phone>,
    due: BinaryHeap<Reverse<(Instant, Turn)>>,
    calls: Calls,
    calls_a_second: u64,
    seen: Seen,
    heard: Vec<(Place, Vec<u8>)>,
}

impl Life {
    fn new(plan: Plan) -> Self {
        let every = plan.phones.checked_div(plan.by_tcp).unwrap_or(usize::MAX);
        let of = |number| Phone::new(number, home(number), number % every == 1, plan.expires_s, plan.recovery);
        let ports = FIRST_PORT..FIRST_PORT + HOUSE as u16;
        Self {
            clock: Clock::start(),
            rng: Rng::new(7),
            wires: Wires::open(ports, LAN, (CARRIER, WAN)).expect("sockets for all of them"),
            phones: (0..plan.phones).map(of).collect(),
            due: BinaryHeap::new(),
            calls: Calls::new(),
            calls_a_second: 0,
            seen: Seen::default(),
            heard: Vec::new(),
        }
    }

    fn run(&mut self, orders: &Receiver<Order>, shown: &Mutex<Seen>) {
        let mut told = Instant::ZERO;
        loop {
            let now = self.clock.now();
            for order in orders.try_iter() {
                if matches!(order, Order::End) {
                    return;
                }
                self.obey(now, order);
                told = Instant::ZERO;
            }
            self.take_turns(now);
            if now.since(told).as_millis() >= TOLD_MS {
                told = now;
                self.look(now);
                *shown.lock().unwrap_or_else(PoisonError::into_inner) = self.seen.clone();
            }
            let patience = self.due.peek().map_or(TOLD_MS, |Reverse((at, _))| at.since(now).as_millis());
            self.listen_for(patience.min(TOLD_MS) as i32);
        }
    }

    fn listen_for(&mut self, patience_ms: i32) {
        for token in self.wires.wait(patience_ms) {
            self.listen(token);
        }
    }

    fn obey(&mut self, now: Instant, order: Order) {
        match order {
            Order::PowerCut(within) => {
                self.seen.power_cuts += 1;
                for number in 0..self.phones.len() {
                    self.phones[number].reboot();
                    let at = now + Span::from_micros(self.rng.below(within.as_micros().max(1)));
                    self.follow(number, Step { says: None, next: Some(at) });
                }
            }
            Order::Calls(a_second) => {
                if self.calls_a_second == 0 && a_second > 0 {
                    self.due.push(Reverse((now, Turn::Place)));
                }
                self.calls_a_second = a_second;
            }
            Order::Phase => {
                // A connection that has died by now belongs to what was before.
                for _ in 0..LOOKS {
                    self.listen_for(0);
                }
                self.calls.begin_phase();
            }
            Order::End => {}
        }
    }

    fn look(&mut self, now: Instant) {
        self.seen.registered = self.phones.iter().filter(|phone| phone.fresh && phone.is_registered(now)).count();
        self.seen.calls = self.calls.seen.clone();
        self.seen.calling = self.calls.len();
        self.seen.now = now;
    }

    /// Not all of a power cut at once: the carrier must be heard meanwhile.
    fn take_turns(&mut self, now: Instant) {
        for _ in 0..TURNS {
            let Some(Reverse((_, turn))) = self.due.peek().copied().filter(|Reverse((at, _))| *at <= now) else {
                break;
            };
            self.due.pop();
            match turn {
                Turn::Phone(number, turn) if self.phones[number].turn == turn => self.phone_turns(now, number),
                Turn::Phone(..) => {}
                Turn::Call(number, turn) => {
                    let moves = self.calls.turn(now, number, turn);
                    self.make(moves);
                }
                Turn::Place => self.place(now),
            }
        }
    }

    fn phone_turns(&mut self, now: Instant, number: usize) {
        let Phone { at, by_tcp, .. } = self.phones[number];
        if by_tcp && !self.wires.is_connected(number) && self.wires.connect(number, *at.ip()).is_err() {
            return self.cut_off(now, number);
        }
        let repeats = self.phones[number].repeats();
        let step = self.phones[number].turn(now, &mut self.rng);
        self.seen.repeats += u64::from(repeats && step.says.is_some());
        self.follow(number, step);
    }

    fn follow(&mut self, number: usize, step: Step) {
        if let Some(at) = step.next {
            self.phones[number].turn += 1;
            self.due.push(Reverse((at, Turn::Phone(number, self.phones[number].turn))));
        }
        if let Some(bytes) = step.says {
            self.seen.sent += 1;
            if !self.say(Party::Phone(number), &bytes) {
                self.cut_off(self.clock.now(), number);
            }
        }
    }

    fn cut_off(&mut self, now: Instant, number: usize) {
        self.seen.broken += u64::from(self.wires.close(number));
        self.calls.hears_no_more(number);
        let step = self.phones[number].cut_off(now, &mut self.rng);
        self.follow(number, step);
    }

    /// Whatever has arrived at one socket.
    fn listen(&mut self, token: usize) {
        let mut heard = std::mem::take(&mut self.heard);
        let ended = self.wires.read(token, &mut heard);
        let now = self.clock.now();
        for (place, bytes) in heard.drain(..) {
            let party = match place {
                Place::Carrier => Some(Party::Carrier),
                Place::Connection(number) => Some(Party::Phone(number)),
                Place::Home(at) => at_home(at).filter(|number| *number < self.phones.len()).map(Party::Phone),
            };
            if let (Some(party), Ok(message)) = (party, Message::parse(bytes)) {
                self.hear(now, party, &message);
            }
        }
        self.heard = heard;
        if let Some(number) = ended {
            self.cut_off(now, number);
        }
    }

    fn hear(&mut self, now: Instant, party: Party, message: &Message) {
        if message.is_request() {
            let at = match party {
                Party::Phone(number) => self.phones[number].at,
                Party::Carrier => CARRIER,
            };
            if let Some(bytes) = self.calls.request(party, at, message) {
                // What a connection that has died does not take is lost; it is told of when it is read.
                let _taken = self.say(party, &bytes);
            }
            return;
        }
        match party {
            Party::Phone(number) if message.call_id().ends_with(b"@phone") => self.registered(now, number, message),
            _ => {
                let moves = self.calls.response(now, message);
                self.make(moves);
            }
        }
    }

    fn registered(&mut self, now: Instant, number: usize, message: &Message) {
        let (answer, step) = self.phones[number].hear(now, &mut self.rng, message);
        let count = match answer {
            Answer::Accepted => &mut self.seen.accepted,
            Answer::Challenged => &mut self.seen.challenged,
            Answer::Stale => &mut self.seen.stale,
            Answer::PutOff => &mut self.seen.put_off,
            Answer::Refused => &mut self.seen.refused,
            Answer::Late => return,
        };
        *count += 1;
        if matches!(answer, Answer::Accepted | Answer::Challenged | Answer::Stale) {
            let second = now.since(Instant::ZERO).as_secs() as usize;
            let length = self.seen.served.len().max(second + 1);
            self.seen.served.resize(length, 0);
            self.seen.served[second] += 1;
        }
        self.follow(number, step);
    }

    /// One call: phone to phone, phone to carrier, carrier to phone, in turn.
    fn place(&mut self, now: Instant) {
        if self.calls_a_second == 0 {
            return;
        }
        self.due.push(Reverse((now + Span::from_micros(1_000_000 / self.calls_a_second), Turn::Place)));
        let number = self.calls.next_number();
        let Some(one) = self.somebody(now, None) else { return };
        let abroad = |user| Side { party: Party::Carrier, user, at: CARRIER, edge: WAN, by_tcp: false };
        let (from, to) = match number % 3 {
            0 => (self.side(one), abroad(format!("{ABROAD}{number}"))),
            1 => (abroad(format!("{ABROAD}{number}")), self.side(one)),
            _ => match self.somebody(now, Some(one)) {
                Some(other) => (self.side(one), self.side(other)),
                None => return,
            },
        };
        let moves = self.calls.place(now, from, to);
        self.make(moves);
    }

    fn side(&self, number: usize) -> Side {
        let Phone { at, by_tcp, .. } = self.phones[number];
        Side { party: Party::Phone(number), user: phone::user(number), at, edge: LAN, by_tcp }
    }

    /// A phone that is registered and in no call.
    fn somebody(&mut self, now: Instant, but: Option<usize>) -> Option<usize> {
        (0..TRIES).find_map(|_| {
            let number = self.rng.below(self.phones.len() as u64) as usize;
            let free = Some(number) != but && !self.calls.is_busy(number);
            let phone = &self.phones[number];
            (free && phone.is_registered(now + SURE) && phone.since + KNOWN <= now).then_some(number)
        })
    }

    fn make(&mut self, moves: Moves) {
        for (party, bytes) in moves.says {
            // As above.
            let _taken = self.say(party, &bytes);
        }
        if let Some((at, number, turn)) = moves.next {
            self.due.push(Reverse((at, Turn::Call(number, turn))));
        }
    }

    /// False when the connection that it ought to go by has died.
    fn say(&mut self, party: Party, bytes: &[u8]) -> bool {
        let place = match party {
            Party::Carrier => Place::Carrier,
            Party::Phone(number) if self.phones[number].by_tcp => Place::Connection(number),
            Party::Phone(number) => Place::Home(self.phones[number].at),
        };
        self.wires.say(place, bytes)
    }
}

/// Where a phone is.
fn home(number: usize) -> SocketAddrV4 {
    let house = FIRST_HOUSE.to_bits() + 1 + (number / HOUSE) as u32;
    SocketAddrV4::new(Ipv4Addr::from_bits(house), FIRST_PORT + (number % HOUSE) as u16)
}

/// Which phone is there.
fn at_home(at: SocketAddrV4) -> Option<usize> {
    let house = at.ip().to_bits().checked_sub(FIRST_HOUSE.to_bits() + 1)? as usize;
    Some(house * HOUSE + usize::from(at.port().checked_sub(FIRST_PORT)?))
}
