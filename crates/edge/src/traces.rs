//! Traces of calls on their way out: which calls are told, how many a post holds, and what an answer to it means.
//!
//! Refuses to know: what a trace says, HTTP, who tries and when.

mod otlp;

use crate::post::{Post, Tried};
use explain::{CallRecord, Trace};
use model::{Instant, Name, Span};
use std::sync::Arc;

/// Posts that wait. With spans of about a kilobyte they are some sixteen megabytes together.
pub const WAITING: usize = 32;
/// A post is closed when it holds so many spans.
const SPANS: usize = 512;
/// Or when it has been open for so long.
const OPEN: Span = Span::from_secs(5);

/// Whether a call is told when `sample` percent of all are. The same call always gives the same answer, and one that is told at a share is
/// told at every larger one.
pub fn is_told(call: &CallRecord, sample: u8) -> bool {
    /// The random part of a call's reference, and what lies below it.
    const RANDOM: u64 = (1 << 56) - 1;
    let share = ((call.call.0 & RANDOM) * 100) >> 56;
    call.stands_out() || share < u64::from(sample)
}

/// Traces that are gathered for one post.
#[derive(Debug, Default)]
pub struct Batch {
    traces: Vec<Trace>,
    spans: usize,
    since: Option<Instant>,
}

impl Batch {
    /// One more.
    pub fn add(&mut self, now: Instant, trace: Trace) {
        self.spans += trace.spans.len();
        self.since.get_or_insert(now);
        self.traces.push(trace);
    }

    /// How many spans it holds.
    pub const fn spans(&self) -> usize {
        self.spans
    }

    /// When it is closed at the latest; none while it is empty.
    pub fn deadline(&self) -> Option<Instant> {
        let since = self.since?;
        Some(if self.spans >= SPANS { since } else { since + OPEN })
    }

    /// What it holds, as the post of `service` at `edge`, when it is full or old enough. It is empty afterwards.
    pub fn take_due(&mut self, now: Instant, service: &str, edge: &Name) -> Option<Post> {
        if self.deadline()? <= now { self.take(service, edge) } else { None }
    }

    /// The same however little it holds.
    pub fn take(&mut self, service: &str, edge: &Name) -> Option<Post> {
        let Self { traces, spans, .. } = std::mem::take(self);
        if traces.is_empty() {
            return None;
        }
        let body = otlp::request(&traces, service, edge);
        Some(Post { body: Arc::from(body), holds: u32::try_from(spans).unwrap_or(u32::MAX) })
    }
}

/// What a collector's answer says (OTLP 1.x, "OTLP/HTTP Response"): four codes are tried again and no others; one that takes the post may have
/// left out some of it, which is not sent again.
pub fn tried(status: u16, body: &[u8]) -> Tried {
    match status {
        200..=299 => Tried::Taken { except: otlp::rejected(body) },
        429 | 502 | 503 | 504 => Tried::Later,
        _ => Tried::Refused,
    }
}

#[cfg(test)]
mod tests;
