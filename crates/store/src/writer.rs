//! The queue and the thread between the edge and its journal.
//!
//! Whoever writes never waits: a full queue drops the record and counts it. Refuses to know: rows.

use crate::binding::BindingRow;
use crate::journal::{GROUP, Item, Journal};
use crate::place::{self, Place, StoreError};
use crate::reader::Reader;
use explain::Entry;
use std::fs::File;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// A record waits so long for company at most: one wake-up and one commit per group, whatever the rate.
const GROUP_WAIT: Duration = Duration::from_millis(50);

/// How much the store may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Records waiting to be written. A call's record is about 2 kB.
    pub queue: usize,
    /// Calls kept; the oldest go first.
    pub calls: u64,
    /// Other records kept: decisions, acts, alarms. Apart from calls, so that a busy day does not push out why a trunk fell.
    pub others: u64,
}

impl Limits {
    /// For a folder: 1 000 000 calls (about 2 GB), 1 000 000 others, 16 384 waiting.
    pub const DISK: Self = Self { queue: 16_384, calls: 1_000_000, others: 1_000_000 };
    /// For memory: 10 000 of each (about 20 MB), 4 096 waiting.
    pub const MEMORY: Self = Self { queue: 4_096, calls: 10_000, others: 10_000 };
}

/// What has become of records so far.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Counters {
    /// Written and committed.
    pub written: u64,
    /// Commits.
    pub groups: u64,
    /// Dropped because the queue was full.
    pub dropped: u64,
    /// Refused by the disk.
    pub failed: u64,
}

/// Records that the journal will never hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub count: u64,
    /// Why, in a few words.
    pub why: String,
}

/// The record was not taken: the queue is full or the writer is gone. It has been counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the journal cannot keep up: the record was dropped")]
pub struct Dropped;

enum Work {
    Item(Item),
    Flush(SyncSender<()>),
}

#[derive(Default)]
struct Shared {
    written: AtomicU64,
    groups: AtomicU64,
    dropped: AtomicU64,
    failed: AtomicU64,
    hurry: AtomicBool,
    fault: Mutex<Option<String>>,
}

/// The journal's writing end. Dropping it writes what waits and ends the thread.
pub struct Store {
    queue: Option<SyncSender<Work>>,
    thread: Option<JoinHandle<()>>,
    shared: Arc<Shared>,
    told: AtomicU64,
    _lock: Option<File>,
}

impl Store {
    /// Opens or makes the journal and starts its thread.
    ///
    /// # Errors
    /// [`StoreError`] says what to do: the folder cannot be used, is used by another, holds a damaged or a newer journal.
    pub fn open(place: Place<'_>, limits: Limits) -> Result<(Self, Reader), StoreError> {
        let opened = place::open(place)?;
        let writer = Arc::new(Mutex::new(opened.writer));
        let reader = opened.reader.map_or_else(|| writer.clone(), |reader| Arc::new(Mutex::new(reader)));
        let damaged = |error: rusqlite::Error| place::name_damage(error.into(), &place::file(place));
        let journal = Journal::new(writer, limits).map_err(damaged)?;
        let reader = Reader::new(reader);
        let shared = Arc::new(Shared::default());
        let (queue, work) = sync_channel(limits.queue.max(1));
        let theirs = shared.clone();
        let thread = thread::Builder::new()
            .name("journal".to_owned())
            .spawn(move || run(&work, journal, &theirs))
            .map_err(StoreError::Thread)?;
        let told = AtomicU64::new(0);
        Ok((Self { queue: Some(queue), thread: Some(thread), shared, told, _lock: opened.lock }, reader))
    }

    /// Takes a record to be written within 50 ms. Never waits.
    ///
    /// # Errors
    /// [`Dropped`] when the queue is full; [`Store::lost`] has the words for it.
    pub fn write(&self, entry: Arc<Entry>) -> Result<(), Dropped> {
        self.take(Item::Entry(entry))
    }

    /// Takes what is bound to an address to be written within 50 ms, in the place of what was kept of it. Never waits.
    ///
    /// # Errors
    /// [`Dropped`] when the queue is full; it counts as a record that was lost.
    pub fn keep(&self, binding: BindingRow) -> Result<(), Dropped> {
        self.take(Item::Binding(Box::new(binding)))
    }

    fn take(&self, item: Item) -> Result<(), Dropped> {
        let Some(queue) = &self.queue else { return Err(Dropped) };
        match queue.try_send(Work::Item(item)) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                Err(Dropped)
            }
        }
    }

    /// Waits until everything taken so far is committed (or has failed). For an orderly stop and for tests.
    pub fn flush(&self) {
        let Some(queue) = &self.queue else { return };
        let (done, wait) = sync_channel(1);
        self.hurry();
        if queue.send(Work::Flush(done)).is_ok() {
            self.hurry();
            // Nothing but the end of the thread ends this wait otherwise.
            let _ended = wait.recv();
        }
    }

    /// What has become of records so far.
    pub fn counters(&self) -> Counters {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            written: read(&self.shared.written),
            groups: read(&self.shared.groups),
            dropped: read(&self.shared.dropped),
            failed: read(&self.shared.failed),
        }
    }

    /// What has been lost since the last time this was asked, if anything. To be asked once in a while, so that a slow disk
    /// makes a few alarms and not one per record.
    pub fn lost(&self) -> Option<Lost> {
        let Counters { dropped, failed, .. } = self.counters();
        let lost = dropped + failed;
        let before = self.told.swap(lost, Ordering::Relaxed);
        if lost <= before {
            return None;
        }
        let fault = self.shared.fault.lock().unwrap_or_else(PoisonError::into_inner).take();
        let why = fault.unwrap_or_else(|| "the disk cannot keep up".to_owned());
        Some(Lost { count: lost - before, why })
    }

    fn hurry(&self) {
        self.shared.hurry.store(true, Ordering::Release);
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        self.queue = None;
        self.hurry();
        if let Some(thread) = self.thread.take() {
            // A writer that panicked has nothing more to say.
            let _ended = thread.join();
        }
    }
}

fn run(work: &Receiver<Work>, mut journal: Journal, shared: &Shared) {
    let mut group = Vec::with_capacity(GROUP);
    let mut waiting = Vec::new();
    while let Ok(first) = work.recv() {
        sort(first, &mut group, &mut waiting);
        // Parked rather than blocked on the queue, or each record would be a wake-up. Twice, since the queue may have
        // left a wake-up behind that ends the first at once.
        for _ in 0..2 {
            if waiting.is_empty() && !shared.hurry.load(Ordering::Acquire) {
                thread::park_timeout(GROUP_WAIT / 2);
            }
        }
        while gather(work, &mut group, &mut waiting) {
            commit(&mut journal, &mut group, shared);
        }
        shared.hurry.store(false, Ordering::Release);
        waiting.drain(..).for_each(|done: SyncSender<()>| {
            // Who asked may have gone.
            let _gone = done.try_send(());
        });
    }
}

fn sort(work: Work, group: &mut Vec<Item>, waiting: &mut Vec<SyncSender<()>>) {
    match work {
        Work::Item(item) => group.push(item),
        Work::Flush(done) => waiting.push(done),
    }
}

/// Fills the group from the queue; whether there is anything to commit.
fn gather(work: &Receiver<Work>, group: &mut Vec<Item>, waiting: &mut Vec<SyncSender<()>>) -> bool {
    while group.len() < GROUP {
        match work.try_recv() {
            Ok(more) => sort(more, group, waiting),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    !group.is_empty()
}

fn commit(journal: &mut Journal, group: &mut Vec<Item>, shared: &Shared) {
    let committed = journal.commit(group);
    group.clear();
    shared.written.fetch_add(committed.written, Ordering::Relaxed);
    shared.failed.fetch_add(committed.failed, Ordering::Relaxed);
    shared.groups.fetch_add(1, Ordering::Relaxed);
    if committed.fault.is_some() {
        *shared.fault.lock().unwrap_or_else(PoisonError::into_inner) = committed.fault;
    }
}
