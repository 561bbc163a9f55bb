//! The control thread: signals and ended calls in, epochs and probes out; operator, clock and journal in one place.
//!
//! It is not on the path of any call, so it may read a file or open sockets at a reload. Refuses to know: how a trunk is
//! judged, which `edge::Control` decides; HTTP.

mod answers;
mod capture;
mod drill;
mod dry_run;
mod journal_line;
mod links;
mod meaning;
mod metrics;
mod tally;
mod test_call;

use crate::access;
use crate::clock::{Clock, wait_ms};
use crate::dns::{self, Dns};
use crate::listen;
use crate::load::{self, Loaded};
use crate::looks::Looks;
use crate::net::epoll::{Epoll, Trigger};
use crate::net::process::SignalFd;
use crate::net::wake::Waker;
use crate::posts::Posts;
use crate::ring::Receiver;
use crate::shard::{Order, Report};
use crate::streams;
use crate::supervisor::Supervisor;
use api::{Access, Ask, Fault, Kind};
use edge::config::LogForm;
use edge::{Bound, Control, ControlInput, ControlOutput, KeptBindings, ReloadFault};
use explain::Entry;
pub(crate) use links::{ShardLink, StreamLink};
use model::{Instant, Name, ShardId, Span};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use store::{Lost, Store};
use tally::Tally;
use test_call::TestWait;
use tokio::sync::{broadcast, watch};

/// Items taken from each ring in one turn.
const TAKEN_PER_TURN: usize = 1_024;
/// Questions open at once.
const QUESTIONS: usize = 64;
/// How often lost records are asked about.
const ROUND: Span = Span::from_secs(1);
/// How soon an update that found a full ring is tried again.
const AGAIN: Span = Span::from_millis(20);
/// How long control rests after it has looked at its rings: a busy shard then wakes it so often and not with each signal.
/// What comes first is taken at once.
const REST: Span = Span::from_millis(5);
/// How often memory that others have used is given back; a rush of records leaves much of it.
const RELIEF_EVERY: Span = Span::from_secs(60);
/// How long BYEs may go unanswered when all calls are ended.
const CLOSE_LIMIT: Span = Span::from_secs(5);
/// Changes of phones that a shard may be behind.
const OWED_BINDINGS: usize = 65_536;
/// Sources that a shard may still have to forgive; beyond it an operator is told to come again.
const OWED_FORGIVEN: usize = 64;
/// Token of the waker.
const WAKE: u64 = 0;
/// Token of the signals.
const SIGNALS: u64 = 1;

/// Why the control thread ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// All calls are over, or it was told twice.
    Asked,
    /// A shard's thread ended by itself.
    ShardLost(usize),
    /// The thread of connections ended by itself.
    StreamsLost,
}

/// What control begins with.
pub(crate) struct ControlParts {
    pub(crate) control: Control,
    pub(crate) clock: Clock,
    pub(crate) waker: Waker,
    pub(crate) signals: SignalFd,
    pub(crate) shards: Vec<ShardLink>,
    pub(crate) asks: Receiver<Ask>,
    pub(crate) dns: Dns,
    pub(crate) resolved: Receiver<dns::Answer>,
    pub(crate) store: Store,
    pub(crate) posts: Posts,
    pub(crate) streams: Option<StreamLink>,
    pub(crate) events: broadcast::Sender<Arc<Entry>>,
    pub(crate) access: watch::Sender<Arc<Access>>,
    pub(crate) config: Option<PathBuf>,
    pub(crate) drain_limit: Option<Span>,
    /// Gives memory back to the system.
    pub(crate) relief: fn(),
    /// Chooses the form of the log's lines.
    pub(crate) log: fn(LogForm),
    pub(crate) banner: Banner,
    pub(crate) supervisor: Supervisor,
}

/// Everything of the control thread.
pub(crate) struct ControlThread {
    control: Control,
    clock: Clock,
    now: Instant,
    epoll: Epoll,
    waker: Waker,
    signals: SignalFd,
    shards: Vec<ShardLink>,
    /// Changes of phones that a shard was not told of.
    bindings_missed: u64,
    asks: Receiver<Ask>,
    dns: Dns,
    /// What it found.
    resolved: Receiver<dns::Answer>,
    looks: Looks<Ask>,
    /// Questions that wait for a test call, by ticket.
    tests: Vec<TestWait>,
    next_test: u64,
    /// What control has said to what was asked of a drill.
    drilled: Option<Result<(), edge::drill::DrillRefused>>,
    store: Store,
    posts: Posts,
    log: fn(LogForm),
    streams: Option<StreamLink>,
    events: broadcast::Sender<Arc<Entry>>,
    tally: Tally,
    access: watch::Sender<Arc<Access>>,
    config: Option<PathBuf>,
    drain_limit: Option<Span>,
    /// Printed once all shards are ready.
    banner: Option<Banner>,
    ports: (usize, u64),
    draining: Option<Instant>,
    /// Since when calls are being ended.
    closing: Option<Instant>,
    round: Instant,
    relief: fn(),
    relieved: Instant,
    more: bool,
    /// Until then nobody calls, and the rings are not looked at.
    rest: Option<Instant>,
    /// What was written since an operator's act began, when one is under way; calls and shadows are left out.
    said: Option<Vec<Arc<Entry>>>,
    /// The service manager, told what happens.
    supervisor: Supervisor,
    /// What it was told when all stood.
    standing: String,
}

impl ControlThread {
    /// Takes the parts and hands out what waits already: the first probes and entries, and what was bound before a restart. So a shard that
    /// is started afterwards finds its phones in its ring before it reads what they have sent.
    ///
    /// # Errors
    /// When the kernel gives no descriptors.
    pub(crate) fn new(parts: ControlParts) -> io::Result<Self> {
        let epoll = Epoll::new(4)?;
        epoll.add(&parts.waker, WAKE, Trigger::Edge)?;
        epoll.add(&parts.signals, SIGNALS, Trigger::Level)?;
        let mut thread = Self {
            now: parts.clock.now(),
            control: parts.control,
            clock: parts.clock,
            epoll,
            waker: parts.waker,
            signals: parts.signals,
            shards: parts.shards,
            bindings_missed: 0,
            asks: parts.asks,
            dns: parts.dns,
            resolved: parts.resolved,
            looks: Looks::new(QUESTIONS),
            tests: Vec::new(),
            next_test: 1,
            drilled: None,
            store: parts.store,
            posts: parts.posts,
            log: parts.log,
            streams: parts.streams,
            events: parts.events,
            tally: Tally::default(),
            access: parts.access,
            config: parts.config,
            drain_limit: parts.drain_limit,
            banner: Some(parts.banner),
            ports: (0, 0),
            draining: None,
            closing: None,
            round: Instant::ZERO,
            relief: parts.relief,
            relieved: Instant::ZERO,
            more: false,
            rest: None,
            said: None,
            supervisor: parts.supervisor,
            standing: String::new(),
        };
        thread.drain();
        Ok(thread)
    }

    /// Turns until all is over; then the shards are told to end and the journal is written out.
    ///
    /// # Errors
    /// When waiting itself fails.
    pub(crate) fn run(mut self) -> io::Result<Ended> {
        let ended = loop {
            if let Some(ended) = self.turn()? {
                break ended;
            }
        };
        for shard in &mut self.shards {
            // A shard that is gone needs no word.
            let _gone = shard.orders.send(Order::End);
        }
        if let Some(streams) = &mut self.streams {
            // As above.
            let _gone = streams.orders.send(streams::Order::End);
        }
        self.drain();
        self.store.flush();
        Ok(ended)
    }

    fn turn(&mut self) -> io::Result<Option<Ended>> {
        let ready = self.epoll.wait(self.patience())?;
        self.now = self.clock.now();
        let more = std::mem::take(&mut self.more);
        let mut woken = false;
        let mut ended = None;
        for index in 0..ready {
            match self.epoll.event(index).0 {
                WAKE => woken = true,
                _ => ended = self.take_signals(),
            }
        }
        let rested = self.rest.take_if(|until| *until <= self.now).is_some();
        if rested {
            // From here on writers call again; what they wrote while control rested is taken below.
            self.waker.awake();
        }
        if (woken && self.rest.is_none()) || rested || more {
            ended = ended.or_else(|| self.take_reports());
            self.take_asks();
            self.take_resolved();
        }
        if woken && self.rest.is_none() {
            self.rest = Some(self.now + REST);
        }
        if self.control.deadline().is_some_and(|at| at <= self.now) {
            self.input(ControlInput::Tick);
        }
        self.pay();
        if let Some(reply) = self.supervisor.question(self.now) {
            self.look(Ask::Health { reply });
        }
        while let Some((ask, seen)) = self.looks.done(self.now) {
            self.answer(ask, &seen);
        }
        self.supervisor.look_after();
        self.look_after();
        Ok(ended.or_else(|| self.drained()))
    }

    fn patience(&self) -> i32 {
        if self.more {
            return 0;
        }
        let owed = self.shards.iter().any(ShardLink::is_owed)
            || self.streams.as_ref().is_some_and(|streams| streams.owed.is_some());
        let owed = owed.then(|| self.now + AGAIN);
        let drained = self.draining.zip(self.drain_limit).map(|(since, limit)| since + limit);
        let limit = self.closing.map(|since| since + CLOSE_LIMIT).or(drained);
        let due = [
            self.control.deadline(),
            self.looks.deadline(),
            owed,
            limit,
            self.rest,
            self.supervisor.deadline(),
            Some(self.round + ROUND),
        ];
        wait_ms(self.now, due.into_iter().flatten().min())
    }

    fn input(&mut self, input: ControlInput) {
        self.control.handle(self.now, self.clock.wall(), input);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.control.poll() {
            match output {
                ControlOutput::Update(snapshot) => {
                    if let Some(streams) = &mut self.streams {
                        let is_new = !Arc::ptr_eq(&streams.told, &snapshot.settings);
                        streams.owed = is_new.then(|| snapshot.settings.clone());
                    }
                    for shard in &mut self.shards {
                        shard.owed = Some(snapshot.clone());
                    }
                    self.pay();
                }
                ControlOutput::Probe(order) => {
                    // Every shard has a descriptor of the socket that calls use; a target always gets the same one, so
                    // that its late answers meet the order they belong to.
                    let shard = order.target.trunk.index() % self.shards.len().max(1);
                    if let Some(shard) = self.shards.get_mut(shard) {
                        // A shard too busy to be told is silence at the probe's deadline; the ring counts it.
                        let _counted = shard.orders.send(Order::Probe(order));
                    }
                }
                ControlOutput::TestCall(order) => {
                    let shard = order.target.trunk.index() % self.shards.len().max(1);
                    if let Some(shard) = self.shards.get_mut(shard) {
                        // One that is not told says nothing about its target; its watchdog ends it.
                        let _counted = shard.orders.send(Order::TestCall(order));
                    }
                }
                ControlOutput::Drill(answer) => self.drilled = Some(answer),
                ControlOutput::Lookup(question) => self.dns.ask(question),
                ControlOutput::Tested { ticket, answer } => self.answer_test(ticket, answer),
                ControlOutput::Bindings { except, bound } => self.tell_bindings(except, &bound),
                ControlOutput::Forgive(whom) => {
                    self.shards.iter_mut().for_each(|shard| shard.owed_forgiven.push_back(whom));
                    self.pay();
                }
                ControlOutput::Keep(kept) => self.keep(&kept),
                ControlOutput::Entry(entry) => self.write(entry),
            }
        }
    }

    /// For every shard but the one that knows. One that is too far behind misses some, which the phones' renewals make good.
    fn tell_bindings(&mut self, except: Option<ShardId>, bound: &Arc<[Bound]>) {
        let knows = |index: usize| except.is_some_and(|shard| shard.index() == index);
        for (_, shard) in self.shards.iter_mut().enumerate().filter(|(index, _)| !knows(*index)) {
            if shard.owed_bindings.len() >= OWED_BINDINGS {
                shard.owed_bindings.pop_front();
                self.bindings_missed += 1;
            }
            shard.owed_bindings.push_back(bound.clone());
        }
        self.pay();
    }

    /// What cannot be kept is counted by the store as records are.
    fn keep(&self, kept: &KeptBindings) {
        let json = if kept.bindings.is_empty() { None } else { serde_json::to_string(&kept.bindings).ok() };
        let (aor, told, json) = (kept.aor.to_string(), self.clock.wall(), json.unwrap_or_default());
        let row = store::BindingRow { aor, told, until: kept.until, json };
        let _counted = self.store.keep(row);
    }

    /// Into the journal, to whoever listens, and what concerns an operator into the log. Calls, and what a second policy
    /// would have decided, are not for the log.
    fn write(&mut self, entry: Arc<Entry>) {
        self.tally.entry(&entry);
        self.posts.tell(&entry, &self.control.snapshot().settings);
        if self.events.receiver_count() > 0 {
            // A ring: the slowest listener loses, control never waits. Whoever listened may have gone by now.
            let _nobody = self.events.send(entry.clone());
        }
        if !matches!(entry.record, explain::Record::Call(_) | explain::Record::Shadow { .. }) {
            let sentence = explain::sentence(&entry);
            journal_line::log(&entry, &sentence);
            if let Some(said) = &mut self.said {
                said.push(entry.clone());
            }
        }
        // Dropped records are counted by the store, which has the words for it.
        let _counted = self.store.write(entry);
    }

    /// Gives every shard the newest epoch it has not got; older ones it missed do not matter any more.
    fn pay(&mut self) {
        // Before the shards, so that it knows whom to trust when the first of them sends there.
        if let Some(streams) = &mut self.streams {
            streams.pay();
        }
        for shard in &mut self.shards {
            shard.pay();
        }
    }

    fn take_reports(&mut self) -> Option<Ended> {
        for index in 0..self.shards.len() {
            for taken in 0.. {
                let Some(report) = self.shards[index].reports.next() else { break };
                self.take_report(index, report);
                if taken == TAKEN_PER_TURN {
                    self.more = true;
                    break;
                }
            }
            if self.shards[index].reports.ended() {
                return Some(Ended::ShardLost(index));
            }
        }
        self.streams.as_ref().is_some_and(|streams| streams.orders.ended()).then_some(Ended::StreamsLost)
    }

    fn take_resolved(&mut self) {
        while let Some((question, reply)) = self.resolved.next() {
            self.input(ControlInput::Resolved { question, reply });
        }
    }

    fn take_report(&mut self, shard: usize, report: Report) {
        match report {
            Report::Signal(signal) => {
                self.tally.signal(&self.control.snapshot().settings.names, &signal);
                self.input(ControlInput::Signal(signal));
            }
            Report::Ended(record) => self.input(ControlInput::Ended(record)),
            Report::ServiceRoute(route) => self.input(ControlInput::ServiceRoute(route)),
            Report::Bound(bound) => {
                let shard = ShardId(u8::try_from(shard).unwrap_or(u8::MAX));
                self.input(ControlInput::Bound { shard, bound });
            }
            Report::Tested(tested) => self.input(ControlInput::Tested(tested)),
            Report::Notice(notice) => self.input(ControlInput::Notice(notice)),
            Report::View { ticket, view, calls } => self.looks.answer(ticket, *view, calls),
            Report::Captured { ticket, said } => self.looks.captured(ticket, said),
            Report::Ready { pairs, refused } => {
                self.shards[shard].ready = true;
                self.ports = (self.ports.0 + pairs, self.ports.1 + refused);
                self.tell_ready();
            }
            Report::Idle => self.shards[shard].idle = true,
        }
    }

    fn tell_ready(&mut self) {
        if !self.shards.iter().all(|shard| shard.ready) {
            return;
        }
        if let Some(banner) = self.banner.take() {
            let (pairs, refused) = self.ports;
            self.supervisor.ready(&banner.ready);
            self.standing.clone_from(&banner.ready);
            say(&format!("{}; {pairs} media port pairs open{}", banner.ready, banner.next));
            if refused > 0 {
                tracing::warn!("{refused} media ports belong to other programs or could not be opened; see /metrics");
            }
        }
    }

    /// First SIGTERM or SIGINT: drain. Second: end all calls by BYE, then end. Third: end at once. SIGHUP: read the configuration again.
    fn take_signals(&mut self) -> Option<Ended> {
        while let Some(signal) = self.signals.next() {
            if signal == libc::SIGHUP {
                if let Err(fault) = self.reload() {
                    tracing::warn!("SIGHUP: {}; {}", fault.error, fault.hint);
                }
            } else if self.closing.is_some() {
                return Some(Ended::Asked);
            } else if self.draining.is_some() {
                self.close();
            } else {
                self.stop();
            }
        }
        None
    }

    fn stop(&mut self) {
        self.draining = Some(self.now);
        self.supervisor.stopping();
        self.input(ControlInput::Stop);
        for shard in &mut self.shards {
            shard.owed_drain = true;
        }
        self.pay();
    }

    /// Ends what calls there are; the edge ends when their BYEs are answered, or have had their time.
    fn close(&mut self) {
        self.closing = Some(self.now);
        for shard in &mut self.shards {
            shard.owed_close = true;
        }
        self.pay();
    }

    fn drained(&mut self) -> Option<Ended> {
        let since = self.draining?;
        let late = self.drain_limit.is_some_and(|limit| self.now.since(since) >= limit);
        if late && self.closing.is_none() {
            self.close();
        }
        let over = self.closing.is_some_and(|since| self.now.since(since) >= CLOSE_LIMIT);
        (over || self.shards.iter().all(|shard| shard.idle)).then_some(Ended::Asked)
    }

    /// Reads the file again, and the service manager knows when that is over.
    fn reload(&mut self) -> Result<u32, Fault> {
        // An edge that starts or drains is not ready again afterwards.
        let stands = self.banner.is_none() && self.draining.is_none();
        if stands {
            self.supervisor.reloading();
        }
        let done = self.read_again();
        if stands {
            self.supervisor.ready(&self.standing);
        }
        done
    }

    /// Every shard gets new sockets before the configuration that names them.
    fn read_again(&mut self) -> Result<u32, Fault> {
        let Some(path) = self.config.clone() else {
            return Err(Fault::new(Kind::Conflict, "the lab has no configuration file", "start with one to reload it"));
        };
        let before = self.control.snapshot().settings.clone();
        let (settings, tls) = match load::file(&path, Some(&before)) {
            Ok(Loaded { settings, warnings, tls }) => {
                warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
                (Arc::new(settings), tls)
            }
            Err(refused) => return Err(self.refuse(refused.faults, &refused.first, &refused.text)),
        };
        let opened = match listen::open(&settings, Some(&before), self.shards.len() as u8) {
            Ok(opened) => opened,
            Err(fault) => {
                let text = fault.to_string();
                return Err(self.refuse(1, &text, &text));
            }
        };
        for (shard, sockets) in self.shards.iter_mut().zip(opened) {
            if !sockets.is_empty() && shard.orders.send(Order::Sockets(sockets)).is_err() {
                return Err(self.refuse(
                    1,
                    "a shard is too busy to be told",
                    "a shard is too busy to be told; try again",
                ));
            }
        }
        if let Some(streams) = &mut self.streams {
            streams.tls = tls;
        }
        let fingerprint = settings.fingerprint;
        // Nobody listens when there is no API.
        let _off = self.access.send(Arc::new(access::of(&settings)));
        self.dns.follow(&settings.dns);
        self.posts.follow(&settings);
        (self.log)(settings.log);
        self.input(ControlInput::Reload(Ok(settings)));
        Ok(fingerprint)
    }

    fn refuse(&mut self, faults: u32, first: &str, text: &str) -> Fault {
        tracing::error!("the configuration was not taken, and nothing has changed:\n{text}");
        self.input(ControlInput::Reload(Err(ReloadFault { faults, first: Name::from(first) })));
        Fault::new(Kind::Invalid, first, "nothing has changed; `throughline check FILE` shows every fault")
    }

    fn look_after(&mut self) {
        if self.now.since(self.round) < ROUND {
            return;
        }
        self.round = self.now;
        if self.now.since(self.relieved) >= RELIEF_EVERY {
            self.relieved = self.now;
            (self.relief)();
        }
        self.forget_tests();
        if let Some(Lost { count, why }) = self.store.lost() {
            tracing::error!("{count} records were lost to the journal: {why}");
            self.input(ControlInput::Lost { count, why });
        }
    }
}

/// What is said once everything listens.
#[derive(Debug)]
pub(crate) struct Banner {
    /// What listens where.
    pub(crate) ready: String,
    /// What to try now, in lines of their own; empty for an edge in earnest.
    pub(crate) next: String,
}

fn say(line: &str) {
    use std::io::Write;
    // A closed standard output is no reason not to serve.
    let _closed = writeln!(std::io::stdout(), "{line}");
}
