//! Asks the edge what `throughline top` shows, on a thread of its own, so that an edge that is slow or gone never holds a key up.
//!
//! It asks what the desk asks: one page of trunks, one of groups, the last records. One question at a time is under way.
//! Refuses to know: when to ask, what is shown.

use super::state::{Picture, Question, TRUNKS};
use crate::ask;
use crate::http::{Client, encode};
use crate::say::Failure;
use edge::{DeskView, GroupTraffic};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, sync_channel};

/// Groups asked for at once, as many as the desk shows.
const GROUPS: usize = 20;
/// Records told at once.
const RECORDS: usize = 20;
/// Sentences of one trunk, as many as the desk shows.
const SENTENCES: usize = 20;

type Told = (Question, Result<Picture, String>);

/// The thread, from outside.
pub(super) struct Poll {
    questions: SyncSender<Question>,
    answers: Receiver<Told>,
}

impl Poll {
    /// Starts it. It ends with whoever holds it, or with the process when an answer still lacks.
    pub(super) fn start(api: Client) -> Result<Self, Failure> {
        let (questions, asked) = sync_channel::<Question>(1);
        let (tell, answers) = sync_channel::<Told>(1);
        let work = move || {
            for question in asked {
                let answer = look(&api, &question).map_err(|failure| failure.0);
                if tell.send((question, answer)).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new()
            .name(String::from("top-poll"))
            .spawn(work)
            .map_err(|error| super::no_thread(&error))?;
        Ok(Self { questions, answers })
    }

    /// Asks; the answer is had by `told`.
    pub(super) fn ask(&self, question: Question) -> Result<(), Failure> {
        self.questions.try_send(question).map_err(|_| ended())
    }

    /// An answer, if there is one by now.
    pub(super) fn told(&self) -> Result<Option<Told>, Failure> {
        match self.answers.try_recv() {
            Ok(told) => Ok(Some(told)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(ended()),
        }
    }
}

fn ended() -> Failure {
    Failure(String::from("the thread that asks the edge has ended; start `throughline top` again"))
}

fn look(api: &Client, question: &Question) -> Result<Picture, Failure> {
    let desk: DeskView =
        shaped(ask::get(api, &format!("/v1/desk?order=worst&skip={}&limit={TRUNKS}", question.skip))?)?;
    let mut flows = ask::get(api, &format!("/v1/desk/groups?limit={GROUPS}"))?;
    let more_groups = flows.get("more").and_then(Value::as_u64).and_then(|more| usize::try_from(more).ok());
    let groups: Vec<GroupTraffic> = shaped(flows.get_mut("groups").map(Value::take).unwrap_or_default())?;
    let records = ask::get(api, &format!("/v1/timeline?limit={RECORDS}"))?;
    let why = match &question.why {
        None => Vec::new(),
        Some(name) => {
            let path = format!("/v1/why/trunk/{}?limit={SENTENCES}", encode(name));
            sentences(&ask::get(api, &path)?).into_iter().rev().collect()
        }
    };
    Ok(Picture { desk, groups, more_groups: more_groups.unwrap_or(0), timeline: timeline(&records), why })
}

fn shaped<T: DeserializeOwned>(answer: Value) -> Result<T, Failure> {
    serde_json::from_value(answer)
        .map_err(|error| Failure(format!("the edge is of another version ({error}); use the same one")))
}

fn sentences(answer: &Value) -> Vec<String> {
    let list = answer.get("sentences").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Records of the timeline, newest first, each by its sentence.
fn timeline(answer: &Value) -> Vec<String> {
    let list = answer.get("entries").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    list.iter().filter_map(|entry| entry.get("sentence")?.as_str()).map(str::to_owned).collect()
}
