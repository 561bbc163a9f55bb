//! The API's thread: a small runtime that serves HTTP and sends each question to whoever can answer it.
//!
//! The journal and the lab answer here, on threads that may wait; everything else goes to control by ring. Refuses to
//! know: routes, what is in an answer.

use crate::lab::Lab;
use crate::ring::Sender;
use api::{Access, Api, Ask, Fault, Kind, Limits, Reply};
use explain::{Entry, Record};
use model::Wall;
use serde_json::json;
use std::io;
use std::net::TcpListener;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use store::{Reader, StoreError};
use tokio::sync::{broadcast, mpsc, oneshot, watch};

/// Questions that wait for this thread.
const BACKLOG: usize = 64;
/// Threads for what may wait: the journal, the lab.
const WAITERS: usize = 4;

/// The running API. Dropping it ends it.
#[derive(Debug)]
pub(crate) struct Http {
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Who can answer.
pub(crate) struct Answerers {
    /// The ring to control.
    pub(crate) control: Sender<Ask>,
    /// The journal.
    pub(crate) reader: Reader,
    /// Every record as control writes it.
    pub(crate) events: broadcast::Sender<Arc<Entry>>,
    /// Who may ask what.
    pub(crate) access: watch::Receiver<Arc<Access>>,
    /// The lab, when this is one.
    pub(crate) lab: Option<Mutex<Lab>>,
}

impl Http {
    /// Serves on `listener`.
    ///
    /// # Errors
    /// When no thread or no runtime can be had.
    pub(crate) fn start(listener: TcpListener, answerers: Answerers) -> io::Result<Self> {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().max_blocking_threads(WAITERS).build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = Builder::new().name("http".to_owned()).spawn(move || {
            let (asks, questions) = mpsc::channel(BACKLOG);
            let api = Api::new(asks, answerers.access.clone(), Limits::default());
            let until = async {
                // Dropped or sent, it is the stop.
                let _stopped = stopped.await;
            };
            runtime.block_on(async {
                tokio::select! {
                    served = api.serve(listener, until) => {
                        if let Err(error) = served {
                            tracing::error!("the API has ended: {error}");
                        }
                    }
                    () = forward(questions, answerers) => {}
                }
            });
            // An answer of the lab that is still under way is nobody's any more.
            runtime.shutdown_background();
        })?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Http {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // The thread may have ended already.
            let _gone = stop.send(());
        }
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _panicked = thread.join();
        }
    }
}

async fn forward(mut questions: mpsc::Receiver<Ask>, answerers: Answerers) {
    let Answerers { mut control, reader, events, lab, access: _ } = answerers;
    let lab = lab.map(Arc::new);
    while let Some(ask) = questions.recv().await {
        let Some(ask) = of_journal(&reader, ask) else { continue };
        match ask {
            Ask::WhyTrunk { trunk, limit, shadow, reply } => match told(&reader, &trunk, limit, shadow).await {
                // Control knows whether there is such a trunk, of which nothing is on record yet.
                Ok(sentences) if sentences.is_empty() => {
                    pass(&mut control, Ask::WhyTrunk { trunk, limit, shadow, reply })
                }
                answer => {
                    let _gone = reply.send(answer);
                }
            },
            Ask::Events { reply } => {
                let _gone = reply.send(Ok(events.subscribe()));
            }
            Ask::Extra { what, params, reply } => match lab.clone() {
                None => {
                    let _gone = reply.send(Err(Fault::no_lab()));
                }
                Some(lab) => wait_for(reply, move || {
                    let lab = lab.lock().unwrap_or_else(PoisonError::into_inner);
                    let hint = "the lab knows `call` and `fail`";
                    lab.ask(&what, &params).map_err(|error| Fault::new(Kind::Invalid, error, hint))
                }),
            },
            Ask::Call { call, reply } => match recorded(&reader, call).await {
                Ok(Some((record, _))) => {
                    let value = serde_json::to_value(&*record);
                    let _gone = reply.send(value.map_err(|error| unwritable(&error)));
                }
                Ok(None) => pass(&mut control, Ask::Call { call, reply }),
                Err(fault) => {
                    let _gone = reply.send(Err(fault));
                }
            },
            Ask::WhyCall { call, reply } => match recorded(&reader, call).await {
                Ok(Some((record, ended))) => {
                    let _gone = reply.send(Ok(explain::why_call(&record, ended)));
                }
                Ok(None) => pass(&mut control, Ask::WhyCall { call, reply }),
                Err(fault) => {
                    let _gone = reply.send(Err(fault));
                }
            },
            Ask::Pcap { call, reply, .. } => match recorded(&reader, call).await {
                Ok(known) => {
                    let call_ids = known.map(|(record, _)| call_ids(*record)).unwrap_or_default();
                    pass(&mut control, Ask::Pcap { call, call_ids, reply });
                }
                Err(fault) => {
                    let _gone = reply.send(Err(fault));
                }
            },
            ask => pass(&mut control, ask),
        }
    }
}

/// Call-IDs of a call's legs.
fn call_ids(record: explain::CallRecord) -> Vec<String> {
    let attempts = record.attempts.into_iter().map(|attempt| attempt.call_id);
    std::iter::once(record.call_id).chain(attempts).collect()
}

/// Answers what the journal alone knows; gives back what it does not.
fn of_journal(reader: &Reader, ask: Ask) -> Option<Ask> {
    let reader = reader.clone();
    match ask {
        Ask::Journal { from, limit, reply } => {
            wait_for(reply, move || reader.entries(from, limit as u64).map_err(unreadable));
        }
        Ask::Decisions { group, trunks, limit, reply } => {
            let found = move || reader.group_entries(&group, trunks.iter().map(String::as_str), limit as u64);
            wait_for(reply, move || found().map_err(unreadable));
        }
        Ask::Timeline { trunk, before, limit, reply } => {
            wait_for(reply, move || reader.timeline(trunk.as_deref(), limit as u64, before).map_err(unreadable));
        }
        Ask::Cdrs { from, since, limit, reply } => {
            wait_for(reply, move || {
                let rows = reader.cdrs(from, since, limit as u64).map_err(unreadable)?;
                serde_json::to_value(rows).map_err(|error| unwritable(&error))
            });
        }
        Ask::Ended { before, limit, reply } => {
            wait_for(reply, move || {
                let rows = reader.calls(limit as u64, before).map_err(unreadable)?;
                Ok(rows.into_iter().map(|row| json!({ "seq": row.seq, "cdr": row.cdr })).collect())
            });
        }
        other => return Some(other),
    }
    None
}

/// To control; a full ring drops the question, which tells whoever asked to come again.
fn pass(control: &mut Sender<Ask>, ask: Ask) {
    let _dropped = control.send(ask);
}

/// Answers from a thread that may wait.
fn wait_for<T: Send + 'static>(reply: Reply<T>, answer: impl FnOnce() -> Result<T, Fault> + Send + 'static) {
    tokio::task::spawn_blocking(move || {
        // Whoever asked may have gone.
        let _gone = reply.send(answer());
    });
}

/// The record of a call that is over and when it ended, if there is one.
async fn recorded(reader: &Reader, call: model::CallRef) -> Result<Option<(Box<explain::CallRecord>, Wall)>, Fault> {
    let reader = reader.clone();
    let entry = read(move || reader.call(call)).await?;
    Ok(entry.and_then(|entry| match entry.record {
        Record::Call(record) => Some((record, entry.wall)),
        _ => None,
    }))
}

/// What the journal tells of a trunk: nothing when it has no record of it.
async fn told(reader: &Reader, trunk: &str, limit: usize, shadow: bool) -> Result<Vec<String>, Fault> {
    let (reader, trunk) = (reader.clone(), trunk.to_owned());
    read(move || reader.why_trunk(&trunk, limit as u64, shadow)).await
}

/// Reads the journal on a thread that may wait.
async fn read<T: Send + 'static>(from: impl FnOnce() -> Result<T, StoreError> + Send + 'static) -> Result<T, Fault> {
    let read = tokio::task::spawn_blocking(from).await;
    read.map_err(|_| Fault::new(Kind::Failed, "the journal could not be read", "look at the log"))?.map_err(unreadable)
}

fn unreadable(error: StoreError) -> Fault {
    Fault::new(Kind::Failed, error.to_string(), "look at the disk of `data`")
}

fn unwritable(error: &serde_json::Error) -> Fault {
    Fault::new(Kind::Failed, format!("the record cannot be written: {error}"), "look at the log")
}

#[cfg(test)]
mod tests;
