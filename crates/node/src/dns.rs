//! Lookups: questions of control to the name servers, on a thread that may wait.
//!
//! A thread of its own beside the API's, which is not there in every configuration. The messages are a library's; sockets and the race between
//! servers are ours, since the resolvers there are ask one server after another and believe the first "no such name". Nothing is
//! cached here: how long an answer holds is decided where its age is known. Refuses to know: SIP, trunks, what a question is for.

mod ledger;
mod message;
mod race;
mod server;
mod system;

use crate::ring::Sender;
use edge::names::{DnsSettings, LookupFault, Question, Reply};
use ledger::Ledger;
use race::Field;
use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinError, JoinSet};

/// Questions asked at one time; others wait for their turn.
const IN_FLIGHT: usize = 256;
/// Questions that wait, on their way to the thread and there.
const WAITING: usize = 16_384;
/// How soon an answer is offered again to a control that had no room for it.
const AGAIN: Duration = Duration::from_millis(10);

/// What came of a question.
pub(crate) type Answer = (Question, Reply);

/// The running lookups. Dropping it ends them.
#[derive(Debug)]
pub(crate) struct Dns {
    /// None once it is ending.
    questions: Option<mpsc::Sender<Question>>,
    settings: watch::Sender<DnsSettings>,
    thread: Option<JoinHandle<()>>,
    ledger: Arc<Ledger>,
    lost: u64,
}

impl Dns {
    /// Asks as `settings` say, and answers to `answers`.
    ///
    /// # Errors
    /// When no thread or no runtime can be had.
    pub(crate) fn start(settings: &DnsSettings, answers: Sender<Answer>) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (questions, asked) = mpsc::channel(WAITING);
        let (settings, followed) = watch::channel(settings.clone());
        let ledger = Arc::new(Ledger::default());
        let desk = Desk::new(followed, answers, ledger.clone());
        let thread = Builder::new().name("dns".to_owned()).spawn(move || {
            runtime.block_on(desk.serve(asked));
            // What is still being asked is nobody's question any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { questions: Some(questions), settings, thread: Some(thread), ledger, lost: 0 })
    }

    /// Asks a question, at once. One that finds no room is counted; whoever asked hears nothing and asks again.
    pub(crate) fn ask(&mut self, question: Question) {
        let taken = self.questions.as_ref().is_some_and(|questions| questions.try_send(question).is_ok());
        self.lost += u64::from(!taken);
    }

    /// Asks by these settings from now on. The system's own servers are read anew.
    pub(crate) fn follow(&self, settings: &DnsSettings) {
        self.settings.send_replace(settings.clone());
    }

    /// What is counted.
    pub(crate) fn measure(&self, metrics: &mut api::MetricsSnapshot) {
        self.ledger.measure(metrics);
        metrics.counter("dns_lost", "Questions that found no room among those that wait.", &[], self.lost);
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.questions = None;
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _panicked = thread.join();
        }
    }
}

/// Who is asked: those of the settings, or the system's own.
pub(crate) fn servers(settings: &DnsSettings) -> Vec<SocketAddr> {
    if settings.servers.is_empty() { system::servers() } else { settings.servers.clone() }
}

/// What the thread works on.
struct Desk {
    settings: watch::Receiver<DnsSettings>,
    answers: Sender<Answer>,
    field: Field,
    /// Waiting or being asked: a question is asked once, however often it comes.
    open: BTreeSet<Question>,
    waiting: VecDeque<Question>,
    races: JoinSet<Answer>,
}

impl Desk {
    fn new(mut settings: watch::Receiver<DnsSettings>, answers: Sender<Answer>, ledger: Arc<Ledger>) -> Self {
        let field = field(&settings.borrow_and_update(), ledger);
        Self { settings, answers, field, open: BTreeSet::new(), waiting: VecDeque::new(), races: JoinSet::new() }
    }

    async fn serve(mut self, mut questions: mpsc::Receiver<Question>) {
        loop {
            tokio::select! {
                question = questions.recv(), if self.waiting.len() < WAITING => match question {
                    Some(question) => self.take(question),
                    None => return,
                },
                Some(raced) = self.races.join_next() => self.finish(raced, &questions).await,
                Ok(()) = self.settings.changed() => {
                    let settings = self.settings.borrow_and_update().clone();
                    self.field = field(&settings, self.field.ledger.clone());
                }
            }
            self.begin();
        }
    }

    fn take(&mut self, question: Question) {
        if self.open.insert(question.clone()) {
            self.waiting.push_back(question);
        }
    }

    fn begin(&mut self) {
        while self.races.len() < IN_FLIGHT
            && let Some(question) = self.waiting.pop_front()
        {
            let field = self.field.clone();
            self.races.spawn(async move {
                // One that ended by itself has asked nobody to the end.
                let raced = tokio::spawn(field.race(question.clone())).await;
                (question, raced.unwrap_or(Reply::Failed { why: LookupFault::NoServer }))
            });
        }
    }

    async fn finish(&mut self, raced: Result<Answer, JoinError>, questions: &mpsc::Receiver<Question>) {
        // Nothing in it can end by itself: see `begin`.
        let Ok((question, reply)) = raced else { return };
        self.open.remove(&question);
        while !self.answers.has_room() && !questions.is_closed() {
            tokio::time::sleep(AGAIN).await;
        }
        // There is room, or nobody who listens.
        let _taken = self.answers.send((question, reply));
    }
}

/// Whom to ask by these settings.
fn field(settings: &DnsSettings, ledger: Arc<Ledger>) -> Field {
    Field::new(servers(settings).into(), Duration::from_micros(settings.timeout.as_micros()), ledger)
}

#[cfg(test)]
mod tests;
