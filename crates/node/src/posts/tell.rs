//! What a receiver is told by one post, and what its answer comes to.
//!
//! Refuses to know: when it is told.

use super::http::{self, Answer, Letter};
use edge::config::{Traces, Webhook};
use edge::post::Tried;
use edge::{traces, webhook};
use model::{Name, Span, Wall};
use serde_json::{Value, json};
use std::fmt;
use std::sync::Arc;
use tokio_rustls::TlsConnector;

/// A collector's answer is some hundred bytes.
const ANSWER_MAX: usize = 16_384;

/// Who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Receiver {
    /// Of alarms.
    Webhook(Name),
    /// Of calls.
    Collector,
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Webhook(name) => write!(f, "webhook {name}"),
            Self::Collector => f.write_str("the collector of traces"),
        }
    }
}

impl Receiver {
    fn tried(&self, answer: &Answer) -> Tried {
        match self {
            Self::Webhook(_) => webhook::tried(answer.status),
            Self::Collector => traces::tried(answer.status, &answer.body),
        }
    }
}

/// An alarm, signed if that is wanted. Of the answer the status says all.
pub(super) fn alarm(plan: &Webhook, body: Arc<str>, wall: Wall) -> Letter {
    let sign = |secret: &String| (String::from("throughline-signature"), webhook::signature(secret, wall, &body));
    let headers = plan.secret.iter().map(sign).collect();
    Letter { address: plan.address.clone(), timeout: plan.timeout, headers, body, reads: 0 }
}

/// Traces.
pub(super) fn traces(plan: &Traces, body: Arc<str>) -> Letter {
    let headers = plan.headers.clone();
    Letter { address: plan.address.clone(), timeout: plan.timeout, headers, body, reads: ANSWER_MAX }
}

/// What has become of one try.
pub(super) struct Outcome {
    pub(super) receiver: Receiver,
    pub(super) tried: Tried,
    /// Status that was answered, or why nothing was.
    pub(super) answer: Result<u16, String>,
}

impl Outcome {
    fn why(&self) -> String {
        match &self.answer {
            Ok(status) => format!("it answers {status}"),
            Err(why) => why.clone(),
        }
    }

    /// Of a test post to `webhook` that `took` so long, for whoever asked for it.
    pub(super) fn verdict(&self, webhook: &Name, took: Span) -> Value {
        let Self { receiver, tried, answer } = self;
        let (has, then) = match tried {
            Tried::Taken { .. } => ("has taken", ""),
            Tried::Refused => ("has not taken", "; an alarm would be dropped"),
            Tried::Later => ("has not taken", "; an alarm would be tried again"),
        };
        let sentence = format!("{receiver} {has} a test post: {} after {took}{then}", self.why());
        json!({
            "webhook": webhook,
            "taken": matches!(tried, Tried::Taken { .. }),
            "code": answer.as_ref().ok(),
            "took": took,
            "sentences": [sentence],
        })
    }

    /// For the log; `known` is what it knows already.
    pub(super) fn log(&self, known: bool) {
        let (Self { receiver, tried, .. }, why) = (self, self.why());
        match tried {
            Tried::Taken { except: 0 } => {}
            Tried::Taken { except } if !known => {
                tracing::warn!("{receiver} leaves out {except} of what it was told; it is not posted again");
            }
            Tried::Refused if !known => tracing::warn!("{receiver} refuses a post: {why}; it is not posted again"),
            Tried::Taken { .. } | Tried::Refused | Tried::Later => {
                tracing::debug!("{receiver} has not taken a post: {why}");
            }
        }
    }
}

/// One try.
pub(super) async fn post(receiver: Receiver, letter: Letter, tls: Option<TlsConnector>) -> Outcome {
    let (tried, answer) = match http::send(&letter, tls).await {
        Ok(answer) => (receiver.tried(&answer), Ok(answer.status)),
        Err(error) => (Tried::Later, Err(error.to_string())),
    };
    Outcome { receiver, tried, answer }
}
