//! Webhooks: the thread that posts alarms by HTTP, so that no receiver, however slow, holds up control.
//!
//! HTTP is hyper's, TLS is rustls'; what is tried when is `edge::webhook`'s. Each post has a connection of its own: alarms are rare,
//! and a kept connection is one more thing that can be dead. Refuses to know: which alarm is due.

use crate::clock::Clock;
use edge::config::{Settings, Webhook};
use edge::webhook::{Counts, Line, Tried, Writer, signature};
use explain::Entry;
use http_body_util::Full;
use hyper::Request;
use hyper::body::Bytes;
use hyper_util::rt::TokioIo;
use model::{Instant, Name, Span, Wall};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

/// Alarms on their way to the thread.
const BACKLOG: usize = 1_024;
/// Threads that look up names of receivers; a system that does not answer holds one of them.
const RESOLVERS: usize = 8;
/// How long what waits may still be posted when the edge ends.
const FAREWELL: Span = Span::from_secs(2);

/// What the thread is told.
#[derive(Debug)]
enum Told {
    Alarm(Arc<Entry>),
    Settings(Arc<Settings>),
}

/// Posts by what became of them, by webhook.
type Ledger = Mutex<BTreeMap<Name, Counts>>;

/// The running webhooks. Dropping it posts what is due, for a moment, and ends them.
#[derive(Debug)]
pub(crate) struct Webhooks {
    /// None once it is ending.
    told: Option<mpsc::Sender<Told>>,
    thread: Option<JoinHandle<()>>,
    ledger: Arc<Ledger>,
    lost: u64,
    /// Settings that found no room.
    owed: Option<Arc<Settings>>,
}

impl Webhooks {
    /// Posts as `settings` say.
    ///
    /// # Errors
    /// When no thread or no runtime can be had.
    pub(crate) fn start(clock: Clock, settings: &Arc<Settings>, seed: u64) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(RESOLVERS).build()?;
        let (sender, told) = mpsc::channel(BACKLOG);
        let ledger = Arc::new(Ledger::default());
        let mut desk = Desk::new(clock, ledger.clone(), seed);
        desk.follow(settings);
        let thread = Builder::new().name("webhooks".to_owned()).spawn(move || {
            runtime.block_on(desk.serve(told));
            // A look-up that is still under way is nobody's any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { told: Some(sender), thread: Some(thread), ledger, lost: 0, owed: None })
    }

    /// An alarm, which is posted to whoever wants it. Never waits; one that finds no room is counted.
    pub(crate) fn tell(&mut self, entry: &Arc<Entry>) {
        self.pay();
        if !self.send(Told::Alarm(entry.clone())) {
            self.lost += 1;
        }
    }

    /// Posts by these settings from now on.
    pub(crate) fn follow(&mut self, settings: &Arc<Settings>) {
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
        for (name, counts) in &*ledger {
            let what = [
                ("taken", counts.taken),
                ("again", counts.again),
                ("dropped_full", counts.full),
                ("dropped_late", counts.late),
                ("dropped_refused", counts.refused),
            ];
            for (what, count) in what {
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
    }
}

impl Drop for Webhooks {
    fn drop(&mut self) {
        self.told = None;
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

/// What the thread works on.
struct Desk {
    clock: Clock,
    edge: Name,
    hooks: BTreeMap<Name, Hook>,
    writer: Writer,
    tries: JoinSet<(Name, Tried)>,
    ledger: Arc<Ledger>,
    seed: u64,
    tls: Option<TlsConnector>,
}

impl Desk {
    fn new(clock: Clock, ledger: Arc<Ledger>, seed: u64) -> Self {
        let (hooks, writer, tries) = (BTreeMap::new(), Writer::default(), JoinSet::new());
        Self { clock, edge: Name::from(""), hooks, writer, tries, ledger, seed, tls: None }
    }

    /// A webhook that stays keeps what waits; what waits for one that is gone is nobody's any more.
    fn follow(&mut self, settings: &Settings) {
        self.edge = settings.name.clone();
        let mut before = std::mem::take(&mut self.hooks);
        for plan in &settings.webhooks {
            if plan.address.secure && self.tls.is_none() {
                self.tls = connector();
            }
            self.seed = self.seed.wrapping_add(1);
            let line = before.remove(&plan.name).map_or_else(|| Line::new(self.seed), |hook| hook.line);
            self.hooks.insert(plan.name.clone(), Hook { plan: Arc::new(plan.clone()), line });
        }
        // Their counters go with them, so the log is what tells.
        lost(&before, "it is configured no more");
        self.note();
    }

    fn take(&mut self, told: Told) {
        let entry = match told {
            Told::Settings(settings) => return self.follow(&settings),
            Told::Alarm(entry) => entry,
        };
        let Some((alarm, body)) = self.writer.body(&self.edge, &entry) else { return };
        let (now, body) = (self.clock.now(), Arc::<str>::from(body));
        for hook in self.hooks.values_mut().filter(|hook| hook.plan.wants(&alarm.what)) {
            hook.line.push(now, body.clone());
        }
    }

    async fn serve(mut self, mut told: mpsc::Receiver<Told>) {
        let mut ends = None;
        loop {
            self.begin();
            let idle = self.tries.is_empty() && self.hooks.values().all(|hook| hook.line.waiting() == 0);
            let now = self.clock.now();
            if ends.is_some_and(|at| idle || at <= now) {
                return lost(&self.hooks, "the edge ends");
            }
            let due = self.hooks.values().filter_map(|hook| hook.line.deadline()).chain(ends).min();
            tokio::select! {
                one = told.recv(), if ends.is_none() => match one {
                    Some(one) => self.take(one),
                    None => ends = Some(now + FAREWELL),
                },
                Some(tried) = self.tries.join_next() => self.finish(tried.ok()),
                () = until(now, due), if due.is_some() => {}
            }
        }
    }

    fn begin(&mut self) {
        let now = self.clock.now();
        for (name, hook) in &mut self.hooks {
            if let Some(body) = hook.line.poll(now) {
                let (name, plan, wall) = (name.clone(), hook.plan.clone(), self.clock.wall());
                let tls = self.tls.clone();
                self.tries.spawn(async move { (name, post(&plan, tls, body, wall).await) });
            }
        }
    }

    fn finish(&mut self, tried: Option<(Name, Tried)>) {
        let Some((name, tried)) = tried else { return };
        if let Some(hook) = self.hooks.get_mut(&name) {
            hook.line.tried(self.clock.now(), &hook.plan, tried);
        }
        self.note();
    }

    fn note(&self) {
        let counts = self.hooks.iter().map(|(name, hook)| (name.clone(), hook.line.counts())).collect();
        *self.ledger.lock().unwrap_or_else(PoisonError::into_inner) = counts;
    }
}

/// Says what is dropped with these webhooks.
fn lost(hooks: &BTreeMap<Name, Hook>, why: &str) {
    for (name, hook) in hooks.iter().filter(|(_, hook)| hook.line.waiting() > 0) {
        tracing::warn!("webhook {name} has not taken {} of its posts, which are dropped: {why}", hook.line.waiting());
    }
}

async fn until(now: Instant, due: Option<Instant>) {
    let wait = due.map_or(Span::ZERO, |due| due.since(now));
    // Timers of the runtime have milliseconds; one more, so that what is due is due afterwards.
    tokio::time::sleep(Duration::from_micros(wait.as_micros()) + Duration::from_millis(1)).await;
}

/// None when TLS cannot be had; then nothing is posted by https.
fn connector() -> Option<TlsConnector> {
    let mut roots = RootCertStore::empty();
    let (known, _odd) = roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if known == 0 {
        tracing::warn!("this machine trusts nobody, so no webhook by https is believed: install its certificates");
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().ok()?;
    let config = config.with_root_certificates(roots).with_no_client_auth();
    Some(TlsConnector::from(Arc::new(config)))
}

/// One try, within its time.
async fn post(plan: &Webhook, tls: Option<TlsConnector>, body: Arc<str>, wall: Wall) -> Tried {
    let limit = Duration::from_micros(plan.timeout.as_micros());
    let name = &plan.name;
    let why = match tokio::time::timeout(limit, exchange(plan, tls, body, wall)).await {
        Ok(Ok(status)) => match Tried::of_status(status) {
            Tried::Taken => return Tried::Taken,
            Tried::Refused => {
                tracing::warn!("webhook {name} refuses an alarm with {status}; it is not posted again");
                return Tried::Refused;
            }
            Tried::Later => format!("it answers {status}"),
        },
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("no answer in {}", plan.timeout),
    };
    tracing::debug!("webhook {name} has not taken an alarm: {why}");
    Tried::Later
}

async fn exchange(plan: &Webhook, tls: Option<TlsConnector>, body: Arc<str>, wall: Wall) -> io::Result<u16> {
    let address = &plan.address;
    let stream = TcpStream::connect((address.host.as_str(), address.port)).await?;
    let request = request(plan, &body, wall).map_err(io::Error::other)?;
    match tls.filter(|_| address.secure) {
        None if address.secure => Err(io::Error::other("there is no TLS on this machine")),
        None => answer(stream, request).await,
        Some(tls) => {
            let host = ServerName::try_from(address.host.clone()).map_err(io::Error::other)?;
            answer(tls.connect(host, stream).await?, request).await
        }
    }
}

fn request(plan: &Webhook, body: &Arc<str>, wall: Wall) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut request = Request::post(plan.address.path.as_str())
        .header("host", plan.address.authority.as_str())
        .header("content-type", "application/json")
        .header("connection", "close")
        .header("user-agent", "throughline");
    if let Some(secret) = &plan.secret {
        request = request.header("throughline-signature", signature(secret, wall, body));
    }
    request.body(Full::new(Bytes::copy_from_slice(body.as_bytes())))
}

/// The status says all; what else is answered is not read.
async fn answer<S>(stream: S, request: Request<Full<Bytes>>) -> io::Result<u16>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let answered = sender.send_request(request);
    tokio::pin!(answered);
    let answer = tokio::select! {
        answer = &mut answered => answer,
        // A receiver that answers and hangs up at once ends the connection first; what it said is there all the same.
        _ended = connection => answered.await,
    };
    Ok(answer.map_err(io::Error::other)?.status().as_u16())
}

#[cfg(test)]
mod tests;
