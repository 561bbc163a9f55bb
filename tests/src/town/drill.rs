//! The drill: a whole town registers at the built edge, the edge is killed and started anew, and then the town has a power cut; calls go on
//! beside all of it. What is measured is printed; what is counted is given back.
//!
//! Refuses to know: how fast any of it ought to be.

use super::{CallsSeen, Plan, Seen, Town, users};
use crate::edge::Edge;
use crate::{let_pass, wait_until};
use model::Span;
use std::time::Duration;

/// How large it is.
#[derive(Clone, Copy, Debug)]
pub struct Drill {
    /// Who lives there.
    pub town: Plan,
    /// REGISTERs a second that the edge serves.
    pub rate: u32,
    /// Calls a second beside it.
    pub calls: u64,
    /// All phones come within this.
    pub within: Span,
    /// How long is looked at what goes on when nothing happens.
    pub rest: Duration,
    /// The longest that any of it may take before it is given up.
    pub limit: Duration,
}

/// Calls of a drill, by when they were placed.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// While the town came for the first time.
    pub arriving: CallsSeen,
    /// While nothing happened; those that were up when the edge was killed are lost.
    pub resting: CallsSeen,
    /// From the kill until the edge was ready.
    pub away: CallsSeen,
    /// After that.
    pub back: CallsSeen,
    /// While the town came back from its power cut.
    pub avalanche: CallsSeen,
    /// All that was counted.
    pub seen: Seen,
}

/// With fewer REGISTERs than these it is calls and probes that cost.
const FEW: u64 = 500;
const CONFIG: &str = r#"
[edge]
data = "DATA"
[listen.lan]
sip = ["udp:127.0.0.10:5060", "tcp:127.0.0.10:5060"]
media = "127.0.0.10:20000-21999"
[listen.wan]
sip = ["udp:127.0.0.11:5060"]
media = "127.0.0.11:30000-31999"
[trunk.acme]
at = "sip:127.0.0.31:5060"
listen = "wan"
[trunk.phones]
at = "registered"
listen = "lan"
[group.phones]
tiers = [["phones"]]
alone = true
[group.carriers]
tiers = [["acme"]]
alone = true
[[route]]
from = ["acme"]
to = "phones"
[[route]]
from = ["phones"]
prefixes = ["2"]
to = "phones"
[[route]]
from = ["phones"]
to = "carriers"
[registrar]
listen = "lan"
realm = "example.net"
users = "users.csv"
rate = RATE
[registrar.expires]
default = "EXPIRESs"
max = "EXPIRESs"
"#;

/// A drill under way.
struct Run {
    drill: Drill,
    edge: Edge,
    town: Town,
    /// Memory of an edge that nobody has registered at.
    empty_kb: u64,
}

/// What a stretch of time has cost and brought.
struct Stretch {
    cpu: Duration,
    seen: Seen,
}

/// Runs it, in the network namespace of the caller.
pub fn run(drill: Drill) -> Outcome {
    let folder = std::env::temp_dir().join(format!("throughline-town-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder for the edge");
    std::fs::write(folder.join("users.csv"), users(drill.town.phones)).expect("users");
    let config = CONFIG.replace("RATE", &drill.rate.to_string());
    let edge = Edge::start_in(folder, &config.replace("EXPIRES", &drill.town.expires_s.to_string()));
    let Plan { phones, by_tcp, expires_s, .. } = drill.town;
    println!(
        "{phones} phones, {by_tcp} of them by TCP, registered for {expires_s} s; rate {}/s; {} calls a second beside",
        drill.rate, drill.calls
    );
    let town = Town::start(drill.town);
    let empty_kb = edge.pss_kb();
    let mut run = Run { drill, edge, town, empty_kb };
    run.arrive();
    run.town.begin_phase();
    run.rest("nothing happens");
    let lost = run.crash();
    run.come_back();
    run.town.begin_phase();
    run.avalanche();
    run.rest("nothing more happens");
    run.hang_up();
    run.finish(lost)
}

impl Run {
    fn stretch(&self) -> Stretch {
        Stretch { cpu: self.edge.cpu(), seen: self.town.seen() }
    }

    fn arrive(&mut self) {
        println!("\nall come within {}, to an edge that knows none of them", self.drill.within);
        let before = self.stretch();
        self.town.power_cut(self.drill.within);
        self.town.call(self.drill.calls);
        self.all_are_registered();
        self.tell(&before);
        self.tell_memory("with all of them registered");
    }

    /// What it costs to keep them.
    fn rest(&self, what: &str) {
        println!("\n{what} for {:?}", self.drill.rest);
        let before = self.stretch();
        let_pass(self.drill.rest);
        self.tell(&before);
        self.tell_memory("at rest");
    }

    /// Kills the edge and starts it at once; how many registrations were lost by it.
    fn crash(&mut self) -> usize {
        println!("\nthe edge is killed, and started anew at once");
        let registered = self.town.seen().registered;
        self.edge.crash();
        let killed = self.town.seen().now;
        self.town.begin_phase();
        self.edge.again();
        let ready = self.town.seen().now;
        self.town.begin_phase();
        row("ready again after", format!("{}", ready.since(killed)));
        wait_until("a call to a phone works again", self.drill.limit, || {
            self.town.seen().calls.last().is_some_and(|calls| calls.first_answer.is_some())
        });
        let seen = self.town.seen();
        let first = seen.calls.iter().rev().take(2).filter_map(|calls| calls.first_answer).min();
        row("first call put through after", format!("{}", first.unwrap_or_default().since(killed)));
        registered.saturating_sub(seen.registered)
    }

    /// Phones do not know that the edge was away: those with a connection come again, the others renew as ever.
    fn come_back(&mut self) {
        let before = Stretch { cpu: Duration::ZERO, seen: self.town.seen() };
        let least = self.town.seen().now + Span::from_micros(self.drill.rest.as_micros() as u64);
        self.all_are_registered();
        wait_until("a while has passed", self.drill.limit, || self.town.seen().now >= least);
        println!("\nsince it is back");
        self.tell(&before);
        self.tell_memory("after the restart");
    }

    fn avalanche(&mut self) {
        println!("\na power cut: all phones come again within {}", self.drill.within);
        let before = self.stretch();
        self.town.power_cut(self.drill.within);
        self.all_are_registered();
        self.tell(&before);
        self.tell_memory("afterwards");
    }

    fn all_are_registered(&self) {
        let all = self.drill.town.phones;
        let mut last = Seen::default();
        wait_until("all are registered", self.drill.limit, || {
            last = self.town.seen();
            last.registered == all
        });
    }

    /// No more calls, and those that there are come to their end.
    fn hang_up(&self) {
        self.town.call(0);
        wait_until("no call is left", self.drill.limit, || self.town.seen().calling == 0);
    }

    fn tell(&self, before: &Stretch) {
        let Stretch { cpu, seen } = self.stretch();
        let (cpu, was) = (cpu.saturating_sub(before.cpu), &before.seen);
        let took = seen.now.since(was.now);
        let accepted = seen.accepted - was.accepted;
        let asked = (seen.sent - was.sent) - (seen.repeats - was.repeats);
        let seconds = took.as_micros() as f64 / 1e6;
        row("took", format!("{took}"));
        row("REGISTERs sent, and repeats of them", format!("{asked} and {}", seen.repeats - was.repeats));
        row("accepted", format!("{accepted}, {:.0} a second", accepted as f64 / seconds));
        let (challenged, stale) = (seen.challenged - was.challenged, seen.stale - was.stale);
        row("challenged, for want of an answer and for its age", format!("{challenged} and {stale}"));
        row("told to come again", format!("{}", seen.put_off - was.put_off));
        row("served in the busiest second", format!("{}", busiest(&seen, was)));
        let (cpu, each) = (cpu.as_secs_f64(), cpu.as_secs_f64() * 1e6 / (asked.max(1) as f64));
        let each = if asked >= FEW { format!(", {each:.0} us a REGISTER") } else { String::new() };
        row(
            "CPU of the edge, its calls included",
            format!("{cpu:.2} s, {:.1} % of a core{each}", cpu * 100.0 / seconds),
        );
    }

    fn tell_memory(&self, when: &str) {
        let (now, empty, phones) = (self.edge.pss_kb(), self.empty_kb, self.drill.town.phones as u64);
        let each = now.saturating_sub(empty) * 1_024 / phones;
        row(&format!("memory {when}"), format!("{now} kB, {empty} kB with none: {each} bytes a phone"));
        row("store on the disk", format!("{} kB", self.edge.store_bytes() / 1_024));
    }

    fn finish(self, lost: usize) -> Outcome {
        let seen = self.town.seen();
        println!("\ncalls, by when they were placed");
        for (calls, when) in seen.calls.iter().zip(["arrival", "rest", "edge away", "edge back", "power cut"]) {
            let CallsSeen { placed, answered, ended, lost, .. } = calls;
            row(when, format!("{placed} placed, {answered} answered, {ended} ended well, lost (by code) {lost:?}"));
        }
        row("registrations lost with the edge, of connections", format!("{lost}"));
        row("refused, connections broken", format!("{}, {}", seen.refused, seen.broken));
        let mut calls = seen.calls.iter().cloned();
        let mut next = || calls.next().unwrap_or_default();
        let (arriving, resting, away, back, avalanche) = (next(), next(), next(), next(), next());
        Outcome { arriving, resting, away, back, avalanche, seen }
    }
}

/// The most that was served in one second since then.
fn busiest(seen: &Seen, was: &Seen) -> u64 {
    // The second in which it began was shared.
    let from = if was.served.is_empty() { 0 } else { was.now.since(model::Instant::ZERO).as_secs() as usize + 1 };
    seen.served.iter().skip(from).max().copied().unwrap_or(0)
}

fn row(what: &str, value: String) {
    println!("  {what:<50} {value}");
}
