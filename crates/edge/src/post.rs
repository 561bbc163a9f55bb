//! Posts on their way out by HTTP: which one is tried when, and what became of each.
//!
//! One [`Line`] for each receiver: in order, one at a time, so that of two posts the first is never taken last. It is a state machine
//! that sees neither socket nor clock. Refuses to know: what a post says, HTTP, who tries.

use model::{Instant, Rng, Span};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rest after the first try that failed; doubles with each further one.
const REST_FIRST: Span = Span::from_secs(1);
/// Longest rest.
const REST_MOST: Span = Span::from_secs(60);

/// What is posted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Post {
    /// The body.
    pub body: Arc<str>,
    /// How many of what is counted it holds.
    pub holds: u32,
}

/// What became of a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tried {
    /// It was taken.
    Taken {
        /// So many of the things it holds were not.
        except: u32,
    },
    /// Not now: no answer, a server's fault, or a receiver that has too much to do.
    Later,
    /// The receiver does not want it, and would not the next time.
    Refused,
}

/// What posts hold, counted by what became of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken by the receiver.
    pub taken: u64,
    /// Tries that will be repeated.
    pub again: u64,
    /// Dropped: too many waited.
    pub full: u64,
    /// Dropped: nobody took it for too long.
    pub late: u64,
    /// Dropped: the receiver does not want it.
    pub refused: u64,
}

/// One receiver's posts, in order.
#[derive(Debug)]
pub struct Line {
    waiting: VecDeque<Waiting>,
    /// So many wait at most.
    room: usize,
    /// The first one is being tried.
    trying: bool,
    counts: Counts,
    rng: Rng,
}

#[derive(Debug)]
struct Waiting {
    post: Post,
    /// When it was to be told.
    since: Instant,
    /// When it is tried next.
    due: Instant,
    tries: u32,
}

impl Line {
    /// An empty one in which `room` posts may wait, two at least. Lines with other seeds rest for other times.
    pub const fn new(seed: u64, room: usize) -> Self {
        Self {
            waiting: VecDeque::new(),
            room,
            trying: false,
            counts: Counts { taken: 0, again: 0, full: 0, late: 0, refused: 0 },
            rng: Rng::new(seed),
        }
    }

    /// One more. When too many wait, the oldest that is not being tried makes room.
    pub fn push(&mut self, now: Instant, post: Post) {
        if self.waiting.len() >= self.room.max(2)
            && let Some(oldest) = self.waiting.remove(usize::from(self.trying))
        {
            self.counts.full += u64::from(oldest.post.holds);
        }
        self.waiting.push_back(Waiting { post, since: now, due: now, tries: 0 });
    }

    /// What is to be tried now; what became of it must be told by [`Line::tried`] before there is another one.
    pub fn poll(&mut self, now: Instant) -> Option<Arc<str>> {
        let first = self.waiting.front().filter(|first| !self.trying && first.due <= now)?;
        self.trying = true;
        Some(first.post.body.clone())
    }

    /// What became of the one that was tried. It is tried again until `give_up` has passed since it was pushed.
    pub fn tried(&mut self, now: Instant, give_up: Span, tried: Tried) {
        if !std::mem::take(&mut self.trying) {
            return;
        }
        let rest = self.rest();
        let Some(first) = self.waiting.front_mut() else { return };
        let late = now.since(first.since) + rest > give_up;
        let holds = u64::from(first.post.holds);
        match tried {
            Tried::Later if !late => {
                first.tries = first.tries.saturating_add(1);
                first.due = now + rest;
                self.counts.again += holds;
                return;
            }
            Tried::Taken { except } => {
                let refused = u64::from(except).min(holds);
                self.counts.taken += holds - refused;
                self.counts.refused += refused;
            }
            Tried::Later => self.counts.late += holds,
            Tried::Refused => self.counts.refused += holds,
        }
        self.waiting.pop_front();
    }

    /// When there is something to try; none while one is being tried, or nothing waits.
    pub fn deadline(&self) -> Option<Instant> {
        self.waiting.front().filter(|_| !self.trying).map(|first| first.due)
    }

    /// How many posts wait, the one that is being tried among them.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }

    /// What they hold together.
    pub fn held(&self) -> u64 {
        self.waiting.iter().map(|waiting| u64::from(waiting.post.holds)).sum()
    }

    /// What became of posts so far.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// Doubling, and between half of it and all of it, so that several edges do not come at the same moment.
    fn rest(&mut self) -> Span {
        let tries = self.waiting.front().map_or(0, |first| first.tries.min(16));
        let whole = REST_FIRST.times(1 << tries).min(REST_MOST).as_micros();
        Span::from_micros(whole / 2 + self.rng.below(whole / 2 + 1))
    }
}

#[cfg(test)]
mod tests;
