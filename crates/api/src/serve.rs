//! The server: routes, limits, and the end.

use crate::access::Access;
use crate::ask::{Ask, Reply};
use crate::connection::{Answering, Gate};
use crate::events::Listeners;
use crate::fault::{Fault, Kind};
use crate::routes;
use std::future::{Future, IntoFuture};
use std::io;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

/// How much the API takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once; others wait.
    pub connections: usize,
    /// For a whole request head to come, for an answer to be taken in, and between requests.
    pub idle: Duration,
    /// For the node to answer.
    pub answer: Duration,
    /// For the node to answer a question of the lab, which may place a whole call.
    pub extra: Duration,
    /// For a test call to end: its deadline and its audio, both at their most, and some.
    pub test_call: Duration,
    /// For a test post to end: its `timeout` at its most, and some.
    pub test_post: Duration,
    /// After the stop, for answers under way.
    pub stop: Duration,
    /// Bytes of a request's body: the longest says why an operator acts.
    pub body: u64,
    /// Clients that listen to events at once; they hold connections, so it is well below their number.
    pub listeners: usize,
    /// A silent stream of events says so often that it is alive; shorter than `idle`, or it would be taken for dead.
    pub keep_alive: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 64,
            idle: Duration::from_secs(20),
            answer: Duration::from_secs(5),
            extra: Duration::from_secs(30),
            test_call: Duration::from_secs(60),
            test_post: Duration::from_secs(65),
            stop: Duration::from_secs(2),
            body: 4_096,
            listeners: 16,
            keep_alive: Duration::from_secs(15),
        }
    }
}

/// The API: the way to the node, and limits.
#[derive(Clone, Debug)]
pub struct Api {
    asks: mpsc::Sender<Ask>,
    limits: Limits,
    listeners: Arc<Listeners>,
    access: watch::Receiver<Arc<Access>>,
}

impl Api {
    /// Asks over this queue for whom `access` lets in, as it is at that moment.
    pub fn new(asks: mpsc::Sender<Ask>, access: watch::Receiver<Arc<Access>>, limits: Limits) -> Self {
        Self { asks, limits, listeners: Arc::new(Listeners::new(limits.listeners)), access }
    }

    /// Who may what now.
    pub(crate) fn access(&self) -> Arc<Access> {
        self.access.borrow().clone()
    }

    pub(crate) const fn listeners(&self) -> &Arc<Listeners> {
        &self.listeners
    }

    pub(crate) const fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Asks and waits for the answer, but not for room in the queue.
    pub(crate) async fn ask<T>(&self, wait: Duration, ask: impl FnOnce(Reply<T>) -> Ask) -> Result<T, Fault> {
        let (reply, answer) = oneshot::channel();
        self.asks.try_send(ask(reply)).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => {
                Fault::new(Kind::Unavailable, "too many questions at once", "ask again in a second")
            }
            mpsc::error::TrySendError::Closed(_) => {
                Fault::new(Kind::Unavailable, "the edge is stopping", "start it again")
            }
        })?;
        match tokio::time::timeout(wait, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => {
                Err(Fault::new(Kind::Unavailable, "the edge is too busy or stopping", "ask again in a second"))
            }
            Err(_) => {
                let error = format!("no answer from the edge within {} ms", wait.as_millis());
                Err(Fault::new(Kind::Unavailable, error, "look at /healthz and the log"))
            }
        }
    }

    /// Serves until `stop` ends, then lets answers under way come to their end for a moment.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(
        self,
        listener: std::net::TcpListener,
        stop: impl Future<Output = ()> + Send + 'static,
    ) -> io::Result<()> {
        listener.set_nonblocking(true)?;
        let limits = self.limits;
        let gate = Gate::new(TcpListener::from_std(listener)?, limits.connections, limits.idle);
        let service = routes::router(self).into_make_service_with_connect_info::<Answering>();
        let (tell, told) = oneshot::channel::<()>();
        let wind_up = async {
            // Whichever way it ends, it is the stop.
            let _told = told.await;
        };
        let server = axum::serve(gate, service).with_graceful_shutdown(wind_up).into_future();
        let stopped = async {
            stop.await;
            // The server may have gone already.
            let _gone = tell.send(());
            tokio::time::sleep(limits.stop).await;
        };
        tokio::select! {
            ended = server => ended,
            () = stopped => Ok(()),
        }
    }
}
