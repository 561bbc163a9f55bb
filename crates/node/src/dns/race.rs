//! One question to all servers at once: the first good answer counts, so a server that is dead, slow or wrong costs nothing.
//!
//! "There is none" is a good answer only when nobody says that there is: one server with an old zone, or one that lies, must not hide a
//! carrier. Refuses to know: sockets, bytes, what the answer is used for.

use super::ledger::{Came, Ledger};
use super::server;
use edge::names::{LookupFault, Question, Reply};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, timeout_at};

/// How long the others may contradict a server that says "there is none".
const DOUBT: Duration = Duration::from_millis(500);
/// Races that are decided and of which late answers are still waited for, to be counted.
const STRAGGLING: usize = 256;

/// Who is asked, and what is remembered of them.
#[derive(Clone, Debug)]
pub(super) struct Field {
    pub(super) servers: Arc<[SocketAddr]>,
    pub(super) limit: Duration,
    pub(super) ledger: Arc<Ledger>,
    pub(super) straggling: Arc<Semaphore>,
}

type Runner = (SocketAddr, Result<Reply, LookupFault>);

impl Field {
    pub(super) fn new(servers: Arc<[SocketAddr]>, limit: Duration, ledger: Arc<Ledger>) -> Self {
        ledger.follow(&servers);
        Self { servers, limit, ledger, straggling: Arc::new(Semaphore::new(STRAGGLING)) }
    }

    /// The answer.
    pub(super) async fn race(self, question: Question) -> Reply {
        let mut runners = JoinSet::new();
        for server in self.servers.iter().copied() {
            self.ledger.asked(server);
            let (question, limit) = (question.clone(), self.limit);
            runners.spawn(async move { (server, server::ask(server, &question, limit).await) });
        }
        let reply = self.first_good(&mut runners).await;
        self.count_the_rest(runners);
        reply
    }

    async fn first_good(&self, runners: &mut JoinSet<Runner>) -> Reply {
        let mut none: Option<(Reply, Instant)> = None;
        let mut fault = LookupFault::NoServer;
        loop {
            let next = match &none {
                None => runners.join_next().await,
                Some((_, until)) => timeout_at(*until, runners.join_next()).await.unwrap_or(None),
            };
            let Some(came) = next else { break };
            match self.count(came, false) {
                Ok(found @ Reply::Found { .. }) => return found,
                Ok(reply) => {
                    let until = none.as_ref().map_or_else(|| Instant::now() + DOUBT, |(_, until)| *until);
                    // Who knows the name knows more than who does not.
                    if none.as_ref().is_none_or(|(known, _)| matches!(known, Reply::NoSuchName { .. })) {
                        none = Some((reply, until));
                    }
                }
                Err(why) => fault = worse(fault, why),
            }
        }
        none.map_or(Reply::Failed { why: fault }, |(reply, _)| reply)
    }

    fn count(&self, came: Result<Runner, JoinError>, late: bool) -> Result<Reply, LookupFault> {
        // A task that ended by itself without an answer is one that could not ask.
        let Ok((server, result)) = came else { return Err(LookupFault::NoServer) };
        self.ledger.came(
            server,
            match (&result, late) {
                (Ok(_), false) => Came::InTime,
                (Ok(_), true) => Came::Late,
                (Err(_), _) => Came::Not,
            },
        );
        result
    }

    /// Those who were slower are heard all the same: how else would anybody know that they are there?
    fn count_the_rest(self, mut runners: JoinSet<Runner>) {
        if runners.is_empty() {
            return;
        }
        // Without room they are dropped, and count as asked alone.
        let Ok(room) = self.straggling.clone().try_acquire_owned() else { return };
        tokio::spawn(async move {
            while let Some(came) = runners.join_next().await {
                let _nobody_waits = self.count(came, true);
            }
            drop(room);
        });
    }
}

/// What is said when nobody has answered: what says most about the servers.
fn worse(a: LookupFault, b: LookupFault) -> LookupFault {
    let weight = |fault| match fault {
        LookupFault::NoServer => 0,
        LookupFault::TimedOut => 1,
        LookupFault::Garbage => 2,
        LookupFault::Refused => 3,
    };
    if weight(b) > weight(a) { b } else { a }
}
