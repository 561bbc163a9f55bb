//! Posts: the thread that tells others by HTTP — alarms to webhooks, traces of calls to a collector — so that no receiver, however slow, holds
//! up control.
//!
//! What is tried when is `edge::post`'s. Alarms and calls come by ways of their own, so that a rush of calls leaves no alarm without room.
//! Refuses to know: which alarm is due, what a trace says.

mod http;
mod tell;

use crate::clock::Clock;
use api::{Fault, Kind, Reply};
use edge::config::{Settings, Traces, Webhook};
use edge::post::{Counts, Line, Post, Tried};
use edge::traces::Batch;
use edge::webhook::Writer;
use edge::{traces, webhook};
use explain::{Entry, Record};
use model::{Instant, Name, Span};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tell::{Outcome, Receiver};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Alarms on their way to the thread.
const ALARMS: usize = 1_024;
/// Calls on their way to the thread: more than a second of a large edge.
const CALLS: usize = 4_096;
/// Calls that are taken between two looks at what else is due.
const AT_ONCE: usize = 64;
/// Test posts at once.
const TESTS: usize = 4;
/// Threads that look up names of receivers; a system that does not answer holds one of them.
const RESOLVERS: usize = 8;
/// How long what waits may still be posted when the edge ends.
const FAREWELL: Span = Span::from_secs(2);

/// Why what waits is dropped then.
const ENDS: &str = "the edge ends";

/// What the thread is told.
#[derive(Debug)]
enum Told {
    Alarm(Arc<Entry>),
    /// A test post to this webhook, the record of it, and who waits for what comes of it.
    Test(Name, Arc<Entry>, Reply<Value>),
    Settings(Arc<Settings>),
}

/// A call that is over, and the settings that know where its targets are.
type Call = (Arc<Entry>, Arc<Settings>);

/// What has become of posts so far.
#[derive(Debug, Default)]
struct Ledger {
    /// Alarms, by webhook.
    webhooks: BTreeMap<Name, Counts>,
    /// Of the collector, when there is one.
    traces: Option<Traced>,
}

/// What has become of calls and of their spans.
#[derive(Clone, Copy, Debug, Default)]
struct Traced {
    told: u64,
    sampled_out: u64,
    spans: Counts,
}

/// The running thread. Dropping it posts what is due, for a moment, and ends it.
#[derive(Debug)]
pub(crate) struct Posts {
    /// None once it is ending.
    told: Option<mpsc::Sender<Told>>,
    /// None once it is ending.
    calls: Option<mpsc::Sender<Call>>,
    thread: Option<JoinHandle<()>>,
    ledger: Arc<Mutex<Ledger>>,
    /// Alarms that found no room.
    lost: u64,
    /// Calls that found no room.
    calls_lost: u64,
    /// Somebody collects traces.
    traced: bool,
    /// Settings that found no room.
    owed: Option<Arc<Settings>>,
}

impl Posts {
    /// Posts as `settings` say.
    ///
    /// # Errors
    /// When no thread or no runtime can be had.
    pub(crate) fn start(clock: Clock, settings: &Arc<Settings>, seed: u64) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(RESOLVERS).build()?;
        let ((told_in, told), (calls_in, calls)) = (mpsc::channel(ALARMS), mpsc::channel(CALLS));
        let ledger = Arc::<Mutex<Ledger>>::default();
        let mut desk = Desk::new(clock, ledger.clone(), seed);
        desk.follow(settings);
        let thread = Builder::new().name("posts".to_owned()).spawn(move || {
            runtime.block_on(desk.serve(told, calls));
            // A look-up that is still under way is nobody's any more.
            runtime.shutdown_background();
        })?;
        Ok(Self {
            told: Some(told_in),
            calls: Some(calls_in),
            thread: Some(thread),
            ledger,
            lost: 0,
            calls_lost: 0,
            traced: settings.traces.is_some(),
            owed: None,
        })
    }

    /// A record, which is told to whoever wants it. Never waits; what finds no room is counted.
    pub(crate) fn tell(&mut self, entry: &Arc<Entry>, settings: &Arc<Settings>) {
        match &entry.record {
            Record::Alarm(_) => {
                self.pay();
                if !self.send(Told::Alarm(entry.clone())) {
                    self.lost += 1;
                }
            }
            Record::Call(_) if self.traced => {
                let call = (entry.clone(), settings.clone());
                if self.calls.as_ref().is_none_or(|calls| calls.try_send(call).is_err()) {
                    self.calls_lost += 1;
                }
            }
            _ => {}
        }
    }

    /// A test post, of whose record this is. Who waits is told by silence when there is no room for it.
    pub(crate) fn test(&mut self, webhook: Name, entry: Arc<Entry>, reply: Reply<Value>) {
        self.pay();
        let _silence = self.send(Told::Test(webhook, entry, reply));
    }

    /// Posts by these settings from now on.
    pub(crate) fn follow(&mut self, settings: &Arc<Settings>) {
        self.traced = settings.traces.is_some();
        self.owed = Some(settings.clone());
        self.pay();
    }

    fn pay(&mut self) {
        if let Some(settings) = self.owed.take()
            && !self.send(Told::Settings(settings.clone()))
        {
            self.owed = Some(settings);
        }
    }

    fn send(&self, told: Told) -> bool {
        self.told.as_ref().is_some_and(|sender| sender.try_send(told).is_ok())
    }

    /// What is counted.
    pub(crate) fn measure(&self, metrics: &mut api::MetricsSnapshot) {
        let ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, counts) in &ledger.webhooks {
            for (what, count) in named(counts) {
                let labels = [("webhook", name.to_string()), ("what", what.to_owned())];
                metrics.counter(
                    "webhook_posts",
                    "Alarms posted: taken, to be tried again, or dropped (too many waited, nobody took it in time, refused).",
                    &labels,
                    count,
                );
            }
        }
        metrics.counter("webhook_lost", "Alarms that found no room on their way to the webhooks.", &[], self.lost);
        let Some(traced) = &ledger.traces else { return };
        for (what, count) in named(&traced.spans) {
            metrics.counter(
                "trace_spans",
                "Spans posted: taken, to be tried again, or dropped (too many posts waited, nobody took it in time, refused).",
                &[("what", what.to_owned())],
                count,
            );
        }
        let calls = [("told", traced.told), ("sampled_out", traced.sampled_out), ("lost", self.calls_lost)];
        for (what, count) in calls {
            metrics.counter(
                "trace_calls",
                "Calls that ended: told as a trace, left out by `sample`, or lost, since they found no room on their way.",
                &[("what", what.to_owned())],
                count,
            );
        }
    }
}

fn named(counts: &Counts) -> [(&'static str, u64); 5] {
    [
        ("taken", counts.taken),
        ("again", counts.again),
        ("dropped_full", counts.full),
        ("dropped_late", counts.late),
        ("dropped_refused", counts.refused),
    ]
}

impl Drop for Posts {
    fn drop(&mut self) {
        (self.told, self.calls) = (None, None);
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _panicked = thread.join();
        }
    }
}

/// One webhook: its plan, and what waits.
struct Hook {
    plan: Arc<Webhook>,
    line: Line,
}

/// The collector of traces: its plan, what is gathered for the next post, and what waits.
struct Collector {
    plan: Arc<Traces>,
    batch: Batch,
    line: Line,
    told: u64,
    sampled_out: u64,
    /// Its last answer was a complaint, and the log has it.
    complains: bool,
}

impl Collector {
    /// What is gathered joins what waits when that is due, or anyway.
    fn close(&mut self, now: Instant, edge: &Name, anyway: bool) {
        let service = &self.plan.service;
        let post = if anyway { self.batch.take(service, edge) } else { self.batch.take_due(now, service, edge) };
        if let Some(post) = post {
            self.line.push(now, post);
        }
    }
}

/// What the thread works on.
struct Desk {
    clock: Clock,
    edge: Name,
    hooks: BTreeMap<Name, Hook>,
    writer: Writer,
    collector: Option<Collector>,
    tries: JoinSet<Outcome>,
    /// Test posts: beside what waits in line, which they neither hold up nor wait for.
    tests: JoinSet<()>,
    ledger: Arc<Mutex<Ledger>>,
    seed: u64,
    tls: Option<TlsConnector>,
}

impl Desk {
    fn new(clock: Clock, ledger: Arc<Mutex<Ledger>>, seed: u64) -> Self {
        Self {
            clock,
            edge: Name::from(""),
            hooks: BTreeMap::new(),
            writer: Writer::default(),
            collector: None,
            tries: JoinSet::new(),
            tests: JoinSet::new(),
            ledger,
            seed,
            tls: None,
        }
    }

    /// A receiver that stays keeps what waits; what waits for one that is gone is nobody's any more.
    fn follow(&mut self, settings: &Settings) {
        self.edge = settings.name.clone();
        let webhooks = settings.webhooks.iter().map(|plan| &plan.address);
        let secure = webhooks.chain(settings.traces.iter().map(|plan| &plan.address)).any(|address| address.secure);
        if secure && self.tls.is_none() {
            self.tls = http::connector();
        }
        let mut before = std::mem::take(&mut self.hooks);
        for plan in &settings.webhooks {
            let line = before.remove(&plan.name).map(|hook| hook.line);
            let line = line.unwrap_or_else(|| self.line(webhook::WAITING));
            self.hooks.insert(plan.name.clone(), Hook { plan: Arc::new(plan.clone()), line });
        }
        let gone = match (self.collector.take(), &settings.traces) {
            (gone, None) => gone,
            (before, Some(plan)) => {
                let plan = Arc::new(plan.clone());
                self.collector = Some(match before {
                    Some(before) => Collector { plan, ..before },
                    None => {
                        let (line, batch) = (self.line(traces::WAITING), Batch::default());
                        Collector { plan, batch, line, told: 0, sampled_out: 0, complains: false }
                    }
                });
                None
            }
        };
        // Their counters go with them, so the log is what tells.
        dropped(&before, gone.as_ref(), "it is configured no more");
        self.note();
    }

    fn line(&mut self, room: usize) -> Line {
        self.seed = self.seed.wrapping_add(1);
        Line::new(self.seed, room)
    }

    fn take(&mut self, told: Told) {
        let entry = match told {
            Told::Settings(settings) => return self.follow(&settings),
            Told::Test(webhook, entry, reply) => return self.test(&webhook, &entry, reply),
            Told::Alarm(entry) => entry,
        };
        let Some((alarm, body)) = self.writer.body(&self.edge, &entry) else { return };
        let (now, body) = (self.clock.now(), Arc::<str>::from(body));
        for hook in self.hooks.values_mut().filter(|hook| hook.plan.wants(&alarm.what)) {
            hook.line.push(now, Post { body: body.clone(), holds: 1 });
        }
    }

    fn test(&mut self, webhook: &Name, entry: &Entry, reply: Reply<Value>) {
        while self.tests.try_join_next().is_some() {}
        let answer = match self.hooks.get(webhook) {
            None => Err(Fault::no_webhook(webhook)),
            Some(_) if self.tests.len() >= TESTS => {
                Err(Fault::new(Kind::Unavailable, "too many wait for test posts", "ask again in a minute"))
            }
            Some(hook) => {
                let (clock, tls) = (self.clock, self.tls.clone());
                let letter = tell::alarm(&hook.plan, webhook::test_body(&self.edge, entry).into(), clock.wall());
                let webhook = webhook.clone();
                self.tests.spawn(async move {
                    let began = clock.now();
                    let outcome = tell::post(Receiver::Webhook(webhook.clone()), letter, tls).await;
                    // Whoever asked may have gone; so below.
                    let _gone = reply.send(Ok(outcome.verdict(&webhook, clock.now().since(began))));
                });
                return;
            }
        };
        let _gone = reply.send(answer);
    }

    fn take_call(&mut self, (entry, settings): &Call) {
        let now = self.clock.now();
        let (Some(collector), Record::Call(call)) = (&mut self.collector, &entry.record) else { return };
        if !traces::is_told(call, collector.plan.sample) {
            collector.sampled_out += 1;
            return;
        }
        let address = |target: model::TargetId| Some(settings.profiles.trunk(target.trunk)?.target(target.index)?.addr);
        collector.told += 1;
        collector.batch.add(now, explain::trace(call, entry.wall, address));
        collector.close(now, &self.edge, false);
    }

    async fn serve(mut self, mut told: mpsc::Receiver<Told>, mut calls: mpsc::Receiver<Call>) {
        let (mut ends, mut some) = (None, Vec::with_capacity(AT_ONCE));
        loop {
            self.begin(ends.is_some());
            let now = self.clock.now();
            if ends.is_some_and(|at| (self.is_idle() && calls.is_empty()) || at <= now) {
                return dropped(&self.hooks, self.collector.as_ref(), ENDS);
            }
            let due = self.deadline().into_iter().chain(ends).min();
            tokio::select! {
                one = told.recv(), if ends.is_none() => match one {
                    Some(one) => self.take(one),
                    None => ends = Some(now + FAREWELL),
                },
                // None when there will be no more.
                1.. = calls.recv_many(&mut some, AT_ONCE) => some.drain(..).for_each(|call| self.take_call(&call)),
                Some(tried) = self.tries.join_next() => self.finish(tried.ok(), ends.is_some()),
                () = until(now, due), if due.is_some() => {}
            }
        }
    }

    fn is_idle(&self) -> bool {
        let waits = self.collector.as_ref().is_some_and(|collector| collector.line.waiting() > 0);
        self.tries.is_empty() && !waits && self.hooks.values().all(|hook| hook.line.waiting() == 0)
    }

    fn deadline(&self) -> Option<Instant> {
        let collector = self.collector.iter();
        let of_collector =
            collector.flat_map(|collector| [collector.line.deadline(), collector.batch.deadline()]).flatten();
        self.hooks.values().filter_map(|hook| hook.line.deadline()).chain(of_collector).min()
    }

    /// Tries what is due; once the edge ends, what is gathered is due.
    fn begin(&mut self, ending: bool) {
        let (now, wall) = (self.clock.now(), self.clock.wall());
        for (name, hook) in &mut self.hooks {
            if let Some(body) = hook.line.poll(now) {
                let letter = tell::alarm(&hook.plan, body, wall);
                self.tries.spawn(tell::post(Receiver::Webhook(name.clone()), letter, self.tls.clone()));
            }
        }
        if let Some(collector) = &mut self.collector {
            collector.close(now, &self.edge, ending);
            if let Some(body) = collector.line.poll(now) {
                let letter = tell::traces(&collector.plan, body);
                self.tries.spawn(tell::post(Receiver::Collector, letter, self.tls.clone()));
            }
        }
        self.note();
    }

    fn finish(&mut self, outcome: Option<Outcome>, ending: bool) {
        let Some(outcome) = outcome else { return };
        let (line, give_up, known) = match &outcome.receiver {
            Receiver::Webhook(name) => {
                let Some(hook) = self.hooks.get_mut(name) else { return };
                (&mut hook.line, hook.plan.give_up, false)
            }
            Receiver::Collector => {
                let Some(collector) = &mut self.collector else { return };
                let complains = matches!(outcome.tried, Tried::Refused | Tried::Taken { except: 1.. });
                let known = std::mem::replace(&mut collector.complains, complains);
                (&mut collector.line, collector.plan.give_up, known)
            }
        };
        outcome.log(known);
        let before = line.counts().late;
        line.tried(self.clock.now(), give_up, outcome.tried);
        let late = line.counts().late - before;
        if ending && late > 0 {
            // Nobody will read the counter any more.
            say_dropped(&outcome.receiver, late, ENDS);
        }
    }

    fn note(&self) {
        let webhooks = self.hooks.iter().map(|(name, hook)| (name.clone(), hook.line.counts())).collect();
        let traces = self.collector.as_ref().map(|Collector { line, told, sampled_out, .. }| Traced {
            told: *told,
            sampled_out: *sampled_out,
            spans: line.counts(),
        });
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = Ledger { webhooks, traces };
    }
}

/// Says what is dropped with these receivers.
fn dropped(hooks: &BTreeMap<Name, Hook>, collector: Option<&Collector>, why: &str) {
    for (name, hook) in hooks.iter().filter(|(_, hook)| hook.line.waiting() > 0) {
        say_dropped(&Receiver::Webhook(name.clone()), hook.line.held(), why);
    }
    let spans = collector.map_or(0, |collector| collector.line.held() + collector.batch.spans() as u64);
    if spans > 0 {
        say_dropped(&Receiver::Collector, spans, why);
    }
}

fn say_dropped(receiver: &Receiver, count: u64, why: &str) {
    let what = match receiver {
        Receiver::Webhook(_) => "of its posts",
        Receiver::Collector => "spans",
    };
    tracing::warn!("{receiver} has not taken {count} {what}, which are dropped: {why}");
}

async fn until(now: Instant, due: Option<Instant>) {
    let wait = due.map_or(Span::ZERO, |due| due.since(now));
    // Timers of the runtime have milliseconds; one more, so that what is due is due afterwards.
    tokio::time::sleep(Duration::from_micros(wait.as_micros()) + Duration::from_millis(1)).await;
}

#[cfg(test)]
mod tests;
