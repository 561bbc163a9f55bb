//! Whether the machine stood still: a test in real time must tell the edge's fault from the machine's.
//!
//! A thread sleeps for a moment again and again, and is late when nobody could run. Refuses to know: what was disturbed.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(5);

/// A machine that stood still for so long may have made anybody look late.
const STILL: Duration = Duration::from_millis(40);

/// Runs a test whose figures are those of a machine that runs. It fails when it fails, unless the machine stood still meanwhile: then it is
/// run again, twice at most. It must begin by entering a namespace, so that each run has one of its own.
pub fn steadily(test: impl Fn()) {
    for runs_left in (0..3).rev() {
        let pauses = Pauses::watch();
        // What it has started is ended by its drops.
        let Err(failure) = catch_unwind(AssertUnwindSafe(&test)) else { return };
        let longest = pauses.longest();
        if runs_left == 0 || longest < STILL {
            resume_unwind(failure);
        }
        eprintln!("the machine stood still for {longest:?} meanwhile: once more");
    }
}

/// A watch that is kept until it is dropped.
struct Pauses {
    done: Arc<AtomicBool>,
    longest_us: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Pauses {
    /// Watches from now on.
    #[allow(clippy::disallowed_methods, reason = "real time is what is watched")]
    fn watch() -> Self {
        let (done, longest_us) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let (ends, longest) = (done.clone(), longest_us.clone());
        let watch = move || {
            while !ends.load(Ordering::Relaxed) {
                let before = Instant::now();
                std::thread::sleep(MOMENT);
                let late = before.elapsed().saturating_sub(MOMENT).as_micros();
                longest.fetch_max(u64::try_from(late).unwrap_or(u64::MAX), Ordering::Relaxed);
            }
        };
        let thread = Builder::new().name("pauses".to_owned()).spawn(watch).expect("a thread");
        Self { done, longest_us, thread: Some(thread) }
    }

    /// The longest time so far for which this thread should have run and did not.
    fn longest(&self) -> Duration {
        Duration::from_micros(self.longest_us.load(Ordering::Relaxed))
    }
}

impl Drop for Pauses {
    fn drop(&mut self) {
        self.done.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // It has nothing to say.
            let _ended = thread.join();
        }
    }
}
