//! Events: every record of the journal as it is written, to whoever listens (server-sent events, HTML Living Standard §9.2).
//!
//! Records come over one bounded ring that never waits for anybody: a client that reads too slowly loses the oldest ones and
//! is told how many by an event `missed`. One that comes back with the number of the last one it saw gets the rest from the
//! journal first. Refuses to know: where records are kept, what they say.

use crate::ask::Ask;
use crate::fault::{Fault, Kind};
use crate::metrics::MetricsSnapshot;
use crate::routes::{self, Params};
use crate::serve::Api;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::sse::{Event, KeepAlive, Sse};
use explain::{Entry, Record};
use futures_core::Stream;
use model::Seq;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::broadcast::error::RecvError;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, broadcast, mpsc};

/// Events made ready for one client ahead of its reading.
const READY: usize = 16;
/// Records asked of the journal at once.
const PAGE: usize = 500;
/// The journal commits within 50 ms; what was on its way there when a client came is in it after this.
const SETTLE: Duration = Duration::from_millis(120);
/// How often the journal is asked again for records that were told of and are not in it yet.
const PATIENCE: u32 = 3;

/// Clients that listen, and what they have missed.
#[derive(Debug)]
pub(crate) struct Listeners {
    room: Arc<Semaphore>,
    most: usize,
    told: AtomicU64,
    missed: AtomicU64,
    refused: AtomicU64,
    unauthorised: AtomicU64,
}

impl Listeners {
    pub(crate) fn new(most: usize) -> Self {
        let zero = || AtomicU64::new(0);
        Self {
            room: Arc::new(Semaphore::new(most)),
            most,
            told: zero(),
            missed: zero(),
            refused: zero(),
            unauthorised: zero(),
        }
    }

    /// Somebody may not do what he asked for.
    pub(crate) fn refuse(&self) {
        self.unauthorised.fetch_add(1, Ordering::Relaxed);
    }

    /// Adds what is counted here.
    pub(crate) fn measure(&self, metrics: &mut MetricsSnapshot) {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let listening = self.most.saturating_sub(self.room.available_permits());
        metrics.gauge("event_clients", "Clients that listen to events.", &[], listening as f64);
        metrics.counter("events_sent", "Events sent, over all clients.", &[], read(&self.told));
        metrics.counter("events_missed", "Records that slow clients missed.", &[], read(&self.missed));
        metrics.counter("api_unauthorised", "Requests of those who may not.", &[], read(&self.unauthorised));
        metrics.counter("event_clients_refused", "Clients refused, since too many listened.", &[], read(&self.refused));
    }
}

/// One record as clients see it, in pages and in events.
pub(crate) fn told(entry: &Entry) -> Value {
    json!({
        "seq": entry.seq,
        "at": entry.wall.to_string(),
        "wall": entry.wall,
        "sentence": explain::sentence(entry),
        "record": entry.record,
    })
}

/// `GET /v1/events`.
pub(crate) async fn stream(
    State(api): State<Api>,
    headers: HeaderMap,
    params: Params,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Fault> {
    let params = routes::parsed(params, &["from", "kind"])?;
    let kinds = kinds(routes::value(&params, "kind"))?;
    let next = first(&headers, &params)?;
    let listeners = api.listeners().clone();
    let Ok(permit) = listeners.room.clone().try_acquire_owned() else {
        listeners.refused.fetch_add(1, Ordering::Relaxed);
        let error = format!("too many listen already (limit {})", listeners.most);
        return Err(Fault::new(Kind::Unavailable, error, "close one of them, or poll GET /v1/journal"));
    };
    // Before the journal is read, so that nothing falls between the two.
    let live = api.ask(api.limits().answer, |reply| Ask::Events { reply }).await?;
    let (out, ready) = mpsc::channel(READY);
    let keep_alive = api.limits().keep_alive;
    let teller = Teller { api, kinds, next, last: None, out, listeners };
    tokio::spawn(teller.run(live));
    Ok(Sse::new(Told { ready, _permit: permit }).keep_alive(KeepAlive::new().interval(keep_alive)))
}

/// Number of the first record wanted; none for those that are written from now on. A client that comes back tells the last
/// one it saw, which is then the better word.
fn first(headers: &HeaderMap, params: &[(String, String)]) -> Result<Option<Seq>, Fault> {
    if let Some(last) = headers.get("last-event-id") {
        let last = last.to_str().ok().and_then(|text| text.trim().parse::<u64>().ok());
        let error = || Fault::new(Kind::Invalid, "`Last-Event-ID` is no number", "as the field `id` of an event was");
        return last.map(|last| Some(Seq(last.saturating_add(1)))).ok_or_else(error);
    }
    match routes::value(params, "from") {
        None => Ok(None),
        Some(_) => routes::number(params, "from", 1).map(|from| Some(Seq(from))),
    }
}

/// Kinds wanted; empty means all.
fn kinds(asked: Option<&str>) -> Result<Vec<&'static str>, Fault> {
    let words = asked.unwrap_or_default().split(',').map(str::trim).filter(|word| !word.is_empty());
    words
        .map(|word| {
            let known = Record::KINDS.into_iter().find(|kind| *kind == word);
            let error = || format!("there is no kind `{}` of records", routes::short(word));
            known.ok_or_else(|| Fault::new(Kind::Invalid, error(), format!("known: {}", Record::KINDS.join(", "))))
        })
        .collect()
}

/// What one client is told, in order.
struct Told {
    ready: mpsc::Receiver<Event>,
    _permit: OwnedSemaphorePermit,
}

impl Stream for Told {
    type Item = Result<Event, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.ready.poll_recv(cx).map(|event| event.map(Ok))
    }
}

/// The client has gone, or the node.
struct Gone;

/// Reads for one client: the journal as far as it wants, then what is written from now on.
struct Teller {
    api: Api,
    kinds: Vec<&'static str>,
    /// Number of the next record; none until the first one has come. Until something was told it is only what the client asked for.
    next: Option<Seq>,
    /// Number of the last record that this connection went past.
    last: Option<Seq>,
    out: mpsc::Sender<Event>,
    listeners: Arc<Listeners>,
}

impl Teller {
    async fn run(mut self, live: broadcast::Receiver<Arc<Entry>>) {
        // Whichever side ends it, it is over.
        let _gone = self.tell_all(live).await;
    }

    async fn tell_all(&mut self, mut live: broadcast::Receiver<Arc<Entry>>) -> Result<(), Gone> {
        if self.next.is_some() {
            tokio::time::sleep(SETTLE).await;
            self.catch_up(None).await?;
        }
        loop {
            let out = self.out.clone();
            let received = tokio::select! {
                received = live.recv() => received,
                // A client may leave while nothing happens.
                () = out.closed() => return Err(Gone),
            };
            match received {
                Ok(entry) => self.live(&entry).await?,
                Err(RecvError::Lagged(count)) => {
                    self.missed(count).await?;
                    // Where the ring goes on is where it goes on.
                    self.next = None;
                }
                Err(RecvError::Closed) => return Err(Gone),
            }
        }
    }

    async fn live(&mut self, entry: &Entry) -> Result<(), Gone> {
        if self.last.is_some_and(|last| entry.seq <= last) {
            // Told from the journal already.
            return Ok(());
        }
        if self.next.is_some_and(|next| entry.seq < next) {
            // The client knows a number that is still to come: the journal has begun anew since, and it hears from here on.
            self.next = None;
        }
        for attempt in 0..PATIENCE {
            if self.next.is_none_or(|next| next == entry.seq) {
                break;
            }
            if attempt > 0 {
                tokio::time::sleep(SETTLE).await;
            }
            self.catch_up(Some(entry.seq)).await?;
        }
        if let Some(next) = self.next.filter(|next| *next < entry.seq) {
            // The journal has lost them.
            self.missed(entry.seq.0 - next.0).await?;
        }
        self.tell(entry).await
    }

    /// Tells from the journal what comes before `until`, or all there is. What it skips it has lost or pruned.
    async fn catch_up(&mut self, until: Option<Seq>) -> Result<(), Gone> {
        while let Some(from) = self.next.filter(|next| until.is_none_or(|until| *next < until)) {
            let wait = self.api.limits().answer;
            let page = self.api.ask(wait, |reply| Ask::Journal { from, limit: PAGE, reply }).await.map_err(|_| Gone)?;
            let wanted = page.iter().filter(|entry| until.is_none_or(|until| entry.seq < until));
            let mut any = false;
            for entry in wanted {
                if let Some(next) = self.next.filter(|next| *next < entry.seq) {
                    self.missed(entry.seq.0 - next.0).await?;
                }
                self.tell(entry).await?;
                any = true;
            }
            if !any {
                break;
            }
        }
        Ok(())
    }

    async fn tell(&mut self, entry: &Entry) -> Result<(), Gone> {
        self.last = Some(entry.seq);
        self.next = Some(Seq(entry.seq.0.saturating_add(1)));
        let kind = entry.record.kind();
        if !self.kinds.is_empty() && !self.kinds.contains(&kind) {
            return Ok(());
        }
        self.listeners.told.fetch_add(1, Ordering::Relaxed);
        // JSON of one line: a line break would end the field.
        let event = Event::default().id(entry.seq.0.to_string()).event(kind).data(told(entry).to_string());
        self.out.send(event).await.map_err(|_| Gone)
    }

    async fn missed(&mut self, count: u64) -> Result<(), Gone> {
        self.listeners.missed.fetch_add(count, Ordering::Relaxed);
        let event = Event::default().event("missed").data(json!({ "missed": count }).to_string());
        self.out.send(event).await.map_err(|_| Gone)
    }
}
