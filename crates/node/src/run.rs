//! Starting a node, in the order in which things can fail, and ending it.
//!
//! Configuration, sockets, journal, API, threads: nothing is announced until everything stands. Refuses to know: what any
//! of the parts does.

use crate::access;
use crate::clock::Clock;
use crate::control::{Banner, ControlParts, ControlThread, Ended, ShardLink, StreamLink};
use crate::dns::Dns;
use crate::dtls::Certificate;
use crate::g729::Codecs;
use crate::http::{Answerers, Http};
use crate::lab::{self, Lab};
use crate::listen::{self, Opened};
use crate::load::{self, Loaded};
use crate::net::process::{self, SignalFd};
use crate::net::wake::Waker;
use crate::options::{Fatal, Options};
use crate::posts::Posts;
use crate::ring::{Receiver, Sender, ring};
use crate::shard::{Hop, Links, Manner, Order, Report, ShardThread};
use crate::streams::{self, Listener, Plan, StreamThread, TlsPlan};
use crate::supervisor::Supervisor;
use edge::config::Settings;
use edge::{Control, ControlInput, KeptBindings, ShardConfig, ShardLimits, Snapshot};
use media::Keying;
use media::codec::Vocoders;
use media::dtls::Handshaker;
use media::srtp::Secrets;
use model::{Seq, ShardId};
use std::collections::VecDeque;
use std::io;
use std::net::TcpListener;
use std::num::NonZero;
use std::path::Path;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use store::{Place, Store};
use tokio::sync::{broadcast, watch};

/// Open files that there is room for from the start, a megabyte of it: those of some twenty thousand calls.
const ROOM_FOR_FILES: u64 = 131_072;
/// Shards at most: their number is one byte in every token.
const MOST_SHARDS: usize = 64;
/// Orders to a shard that may wait.
const ORDERS: usize = 4_096;
/// Reports of a shard that may wait: seconds of calls at full rate.
const REPORTS: usize = 16_384;
/// Datagrams from one shard to another that may wait.
const HOPS: usize = 4_096;
/// Messages of a shard for connections that may wait.
const TRANSMITS: usize = 8_192;
/// Orders to the thread of connections that may wait.
const STREAM_ORDERS: usize = 16;
/// Questions to control that may wait.
const ASKS: usize = 64;
/// Answers of name servers that may wait.
const RESOLVED: usize = 1_024;
/// Records that the slowest listener may be behind.
const EVENTS: usize = 4_096;
/// Number of this node in its tokens.
const NODE: u16 = 0;

/// Runs a node until it is told to end. Blocks the calling thread, which becomes the control thread, and must be called
/// before any other thread is started: signals are blocked for all threads that follow.
///
/// # Errors
/// [`Fatal`] says what is wrong and what to do.
pub fn run(options: &Options) -> Result<(), Fatal> {
    let supervisor = Supervisor::new(&options.supervision).map_err(Fatal::Supervisor)?;
    let signals = SignalFd::take(&[libc::SIGTERM, libc::SIGINT, libc::SIGHUP]).map_err(Fatal::System)?;
    prepare_for_files().map_err(Fatal::System)?;
    let Loaded { settings, tls, .. } = loaded(options)?;
    let settings = Arc::new(settings);
    let count = shard_count(options.shards);
    let opened = listen::open(&settings, None, count).map_err(Fatal::Listen)?;
    let listeners = listen::open_streams(&settings).map_err(Fatal::Listen)?;
    let (store, reader) = open_store(&settings)?;
    let first = Seq(reader.last_seq().map_err(Fatal::Store)?.0 + 1);
    let api = settings.api.map(|at| TcpListener::bind(at).map_err(|source| Fatal::Api { at, source })).transpose()?;

    let clock = Clock::start();
    let (key, seed) = secrets().map_err(Fatal::System)?;
    let mut control = Control::new(clock.now(), clock.wall(), settings.clone(), seed, first);
    if settings.registrar.is_some() {
        control.handle(clock.now(), clock.wall(), ControlInput::Restore(kept(&reader, clock.wall())?));
    }
    control.recall_drills(clock.now(), &reader.drills().map_err(Fatal::Store)?);
    let waker = Waker::new().map_err(Fatal::System)?;
    let (asks_in, asks) = ring(ASKS, &waker);
    let (resolved_in, resolved) = ring(RESOLVED, &waker);
    let dns = Dns::start(&settings.dns, resolved_in).map_err(Fatal::System)?;
    let posts = Posts::start(clock, &settings, seed).map_err(Fatal::System)?;
    let (mut links, ends) = link(count, &waker).map_err(Fatal::System)?;
    let streams = if listeners.is_empty() {
        None
    } else {
        Some(start_streams(&mut links, &waker, (&settings, tls), listeners, clock, key).map_err(Fatal::System)?)
    };
    let (stream_link, stream_thread) = streams.unzip();
    let shards =
        shard_threads(options, (key, seed), clock, control.snapshot(), (links, opened)).map_err(Fatal::System)?;
    let lab = if options.config.is_none() { Some(Lab::start().map_err(Fatal::Lab)?) } else { None };
    let banner = banner(&settings, count, lab.is_some());
    let (events, _) = broadcast::channel(EVENTS);
    let (access_told, access_now) = watch::channel(Arc::new(access::of(&settings)));
    let answerers = Answerers { control: asks_in, reader, events: events.clone(), access: access_now, lab };
    let http = api.map(|listener| Http::start(listener, answerers)).transpose().map_err(Fatal::System)?;
    let parts = ControlParts {
        control,
        clock,
        waker: waker.clone(),
        signals,
        shards: ends,
        asks,
        dns,
        resolved,
        store,
        posts,
        events,
        streams: stream_link,
        access: access_told,
        config: options.config.clone(),
        drain_limit: options.drain_limit,
        relief: options.relief,
        log: options.log,
        banner,
        supervisor,
    };
    let control = ControlThread::new(parts).map_err(Fatal::System)?;
    let threads = start_shards(shards, &waker).map_err(Fatal::System)?;
    let ended = control.run();
    drop(http);
    finish(ended, threads, stream_thread)
}

/// As many descriptors as the system lets us have, and room for them while there are no threads yet.
fn prepare_for_files() -> io::Result<()> {
    let files = process::raise_open_files()?;
    tracing::debug!("up to {files} open files");
    if let Err(error) = process::make_room_for_files(files.min(ROOM_FOR_FILES)) {
        tracing::warn!(
            "no room ahead for open files ({error}): audio may stand still for some milliseconds each time their number doubles; a restart \
             tries again"
        );
    }
    Ok(())
}

/// The configuration that is run by, its warnings told.
fn loaded(options: &Options) -> Result<Loaded, Fatal> {
    let loaded = match &options.config {
        Some(path) => load::file(path, None),
        None => load::text("lab", lab::CONFIG, None),
    };
    let loaded = loaded.map_err(Fatal::Config)?;
    (options.log)(loaded.settings.log);
    loaded.warnings.iter().for_each(|warning| tracing::warn!("{warning}"));
    Ok(loaded)
}

/// One for each processor this process may run on, so that a process pinned to one core has one shard.
fn shard_count(asked: Option<usize>) -> u8 {
    let count = asked.or_else(|| std::thread::available_parallelism().ok().map(NonZero::get)).unwrap_or(1);
    count.clamp(1, MOST_SHARDS) as u8
}

fn open_store(settings: &Settings) -> Result<(Store, store::Reader), Fatal> {
    let opened = match &settings.data {
        Some(folder) => Store::open(Place::Folder(Path::new(folder)), store::Limits::DISK),
        None => Store::open(Place::Memory, store::Limits::MEMORY),
    };
    opened.map_err(Fatal::Store)
}

/// What was bound when the edge ended. A row that this version cannot read is one phone that registers anew.
fn kept(reader: &store::Reader, now: model::Wall) -> Result<Vec<KeptBindings>, Fatal> {
    let rows = reader.bindings(now).map_err(Fatal::Store)?;
    let read = |row: store::BindingRow| {
        let bindings = serde_json::from_str(&row.json).ok()?;
        Some(KeptBindings { aor: model::Name::from(row.aor.as_str()), until: row.until, bindings })
    };
    Ok(rows.into_iter().filter_map(read).collect())
}

fn secrets() -> io::Result<(u64, u64)> {
    Ok((process::secret()?, process::secret()?))
}

/// All rings: control to shard and back, and every shard to every other.
fn link(count: u8, control: &Waker) -> io::Result<(Vec<Links>, Vec<ShardLink>)> {
    let count = usize::from(count);
    let wakers = (0..count).map(|_| Waker::new()).collect::<io::Result<Vec<Waker>>>()?;
    let mut hops_in: Vec<Vec<Receiver<Hop>>> = (0..count).map(|_| Vec::new()).collect();
    let mut hops_out: Vec<Vec<Option<Sender<Hop>>>> = (0..count).map(|_| Vec::new()).collect();
    for (from, out) in hops_out.iter_mut().enumerate() {
        for to in 0..count {
            if from == to {
                out.push(None);
                continue;
            }
            let (sender, receiver) = ring(HOPS, &wakers[to]);
            out.push(Some(sender));
            hops_in[to].push(receiver);
        }
    }
    let mut links = Vec::new();
    let mut ends = Vec::new();
    for ((waker, hops_in), hops_out) in wakers.into_iter().zip(hops_in).zip(hops_out) {
        let (order_sender, orders) = ring::<Order>(ORDERS, &waker);
        let (reports, report_receiver) = ring::<Report>(REPORTS, control);
        links.push(Links { waker, orders, reports, hops_in, hops_out, streams: None });
        ends.push(ShardLink {
            orders: order_sender,
            reports: report_receiver,
            owed: None,
            owed_bindings: VecDeque::new(),
            owed_forgiven: VecDeque::new(),
            owed_drain: false,
            owed_close: false,
            ready: false,
            idle: false,
        });
    }
    Ok((links, ends))
}

/// The thread of all connections, with a ring to and from every shard.
fn start_streams(
    shards: &mut [Links],
    control: &Waker,
    (settings, tls): (&Arc<Settings>, TlsPlan),
    listeners: Vec<Listener>,
    clock: Clock,
    key: u64,
) -> io::Result<(StreamLink, JoinHandle<io::Result<()>>)> {
    let waker = Waker::new()?;
    let (orders, orders_out) = ring(STREAM_ORDERS, &waker);
    let (mut wants, mut hops) = (Vec::new(), Vec::new());
    for shard in shards {
        let (to_streams, from_shard) = ring(TRANSMITS, &waker);
        let (to_shard, from_streams) = ring(HOPS, &shard.waker);
        shard.streams = Some(to_streams);
        shard.hops_in.push(from_streams);
        wants.push(from_shard);
        hops.push(to_shard);
    }
    let counters = Arc::new(streams::Counters::default());
    let plan = Plan::new(settings, tls.clone());
    let links = streams::Links { waker, orders: orders_out, wants, hops };
    let thread = StreamThread::new(clock, key, plan, listeners, links, counters.clone())?;
    let farewell = Farewell(control.clone());
    let handle = Builder::new().name("streams".to_owned()).spawn(move || {
        // Dropped after the thread's own rings, whose end is what control looks for.
        let _farewell = farewell;
        thread.run()
    })?;
    Ok((StreamLink { orders, counters, tls, told: settings.clone(), owed: None }, handle))
}

/// Wakes control when the thread ends, however it ends: a shard that is lost must be noticed.
struct Farewell(Waker);

impl Drop for Farewell {
    fn drop(&mut self) {
        self.0.wake();
    }
}

/// The thread of each shard, not yet started.
fn shard_threads(
    options: &Options,
    (key, seed): (u64, u64),
    clock: Clock,
    snapshot: &Arc<Snapshot>,
    (links, opened): (Vec<Links>, Opened),
) -> io::Result<Vec<ShardThread>> {
    let shards = links.len() as u8;
    let codecs = Codecs::find();
    tracing::info!("{codecs}");
    let codecs: Arc<dyn Vocoders> = Arc::new(codecs);
    let certificate: Arc<dyn Handshaker> = Arc::new(Certificate::new(clock).map_err(io::Error::other)?);
    let ends = links.into_iter().zip(opened).enumerate();
    let threads = ends.map(|(index, (links, sockets))| {
        let config = ShardConfig {
            shard: ShardId(index as u8),
            shards,
            node: NODE,
            key,
            seed: seed.wrapping_add(index as u64 + 1),
            limits: ShardLimits::default(),
        };
        let manner =
            Manner { shards, gather: options.gather, first_stock: options.first_stock, relief: options.relief };
        let mut thread = ShardThread::new(config, manner, clock, snapshot.clone(), links, sockets)?;
        let secrets = Secrets::new(process::seed()?);
        thread.entrust(Keying { secrets, handshaker: Some(certificate.clone()) });
        thread.speak_by(codecs.clone());
        Ok(thread)
    });
    threads.collect()
}

fn start_shards(shards: Vec<ShardThread>, control: &Waker) -> io::Result<Vec<JoinHandle<io::Result<()>>>> {
    shards.into_iter().enumerate().map(|(index, thread)| start(index, thread, control)).collect()
}

fn start(index: usize, thread: ShardThread, control: &Waker) -> io::Result<JoinHandle<io::Result<()>>> {
    let farewell = Farewell(control.clone());
    Builder::new().name(format!("shard-{index}")).spawn(move || {
        // Dropped after the thread's own rings, whose end is what control looks for.
        let _farewell = farewell;
        thread.run()
    })
}

fn banner(settings: &Settings, shards: u8, lab: bool) -> Banner {
    let sip = settings.sockets.iter().map(|socket| {
        let transport = socket.transport.to_string().to_ascii_lowercase();
        format!("{transport}:{}", socket.bind)
    });
    let sip: Vec<String> = sip.collect();
    let api = settings.api.map_or_else(|| "off".to_owned(), |at| format!("http://{at}"));
    let what = if lab { "the lab" } else { settings.name.as_str() };
    let shards = if shards == 1 { "1 shard".to_owned() } else { format!("{shards} shards") };
    let ready = format!("{what} is ready: SIP on {}; API on {api}; {shards}", sip.join(", "));
    Banner { ready, next: if lab { crate::lab::next() } else { String::new() } }
}

/// Waits for the shards, and says why the node ended unless it was asked to.
fn finish(
    ended: io::Result<Ended>,
    threads: Vec<JoinHandle<io::Result<()>>>,
    streams: Option<JoinHandle<io::Result<()>>>,
) -> Result<(), Fatal> {
    let ended = ended.map_err(Fatal::System)?;
    for (index, thread) in threads.into_iter().enumerate() {
        match thread.join() {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return Err(Fatal::System(error)),
            Err(_) => return Err(Fatal::ShardLost(index)),
        }
    }
    match streams.map(JoinHandle::join) {
        None | Some(Ok(Ok(()))) => {}
        Some(Ok(Err(error))) => return Err(Fatal::System(error)),
        Some(Err(_)) => return Err(Fatal::StreamsLost),
    }
    match ended {
        Ended::Asked => Ok(()),
        Ended::StreamsLost => Err(Fatal::StreamsLost),
        Ended::ShardLost(shard) => Err(Fatal::ShardLost(shard)),
    }
}

#[cfg(test)]
mod tests;
