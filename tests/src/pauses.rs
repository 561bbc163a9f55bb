//! Whether the machine stood still: a test in real time that must tell its own fault from the machine's asks here.
//!
//! A thread sleeps for a moment again and again, and is late when nobody could run. Refuses to know: what was disturbed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

const MOMENT: Duration = Duration::from_millis(5);

/// A watch that is kept until it is dropped.
pub struct Pauses {
    done: Arc<AtomicBool>,
    longest_us: Arc<AtomicU64>,
    thread: Option<JoinHandle<()>>,
}

impl Pauses {
    /// Watches from now on.
    #[allow(clippy::disallowed_methods, reason = "real time is what is watched")]
    pub fn watch() -> Self {
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
    pub fn longest(&self) -> Duration {
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
