//! Who asks for a test call waits for its end here, while control does other things.
//!
//! Refuses to know: what a test call is made of, what it means.

use super::ControlThread;
use super::answers::by;
use api::{Fault, Kind, Reply, Word};
use edge::{ControlInput, TestCallView};
use sense::NotNow;
use serde_json::{Value, json};

/// Questions that wait at once; more are refused.
const WAITS: usize = 8;

/// Someone who waits.
#[derive(Debug)]
pub(super) struct TestWait {
    ticket: u64,
    trunk: String,
    reply: Reply<Value>,
}

impl ControlThread {
    pub(super) fn ask_test(&mut self, trunk: String, word: Word, reply: Reply<Value>) {
        let id = match self.trunk_id(&trunk) {
            Ok(id) if self.tests.len() < WAITS => id,
            Ok(_) => {
                let fault = Fault::new(Kind::Unavailable, "too many wait for test calls", "ask again in half a minute");
                // Whoever asked may have gone; so in all answers.
                let _gone = reply.send(Err(fault));
                return;
            }
            Err(fault) => {
                let _gone = reply.send(Err(fault));
                return;
            }
        };
        let ticket = self.next_test;
        self.next_test += 1;
        self.tests.push(TestWait { ticket, trunk, reply });
        self.input(ControlInput::TestNow { trunk: id, ticket, by: by(word) });
    }

    pub(super) fn answer_test(&mut self, ticket: u64, answer: Result<Box<TestCallView>, NotNow>) {
        let Some(index) = self.tests.iter().position(|wait| wait.ticket == ticket) else { return };
        let TestWait { trunk, reply, .. } = self.tests.swap_remove(index);
        let _gone = reply.send(match answer {
            Ok(view) => {
                tracing::info!("{}", view.sentence);
                Ok(json!({ "trunk": trunk, "sentences": [view.sentence], "test_call": *view }))
            }
            Err(why) => Err(not_now(&trunk, why)),
        });
    }

    /// Those who have given up waiting: their test call was lost on its way, or takes longer than they have patience.
    pub(super) fn forget_tests(&mut self) {
        self.tests.retain(|wait| !wait.reply.is_closed());
    }
}

fn not_now(trunk: &str, why: NotNow) -> Fault {
    match why {
        NotNow::Unset => {
            let hint = format!("write `test_call = {{ number = \"+4722000000\" }}` into [trunk.{trunk}], and reload");
            Fault::new(Kind::Conflict, format!("trunk `{trunk}` has no test call"), hint)
        }
        NotNow::Busy => {
            let error = format!("a test call to `{trunk}` is under way, or as many as may be at once are");
            Fault::new(Kind::Conflict, error, "ask again in half a minute")
        }
        NotNow::Rest { left } => {
            let error = format!("the last test call to `{trunk}` began only just now");
            Fault::new(Kind::Conflict, error, format!("ask again in {left}"))
        }
    }
}
