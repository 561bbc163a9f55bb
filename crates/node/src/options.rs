//! What a node is started with, and why it may not start.
//!
//! Refuses to know: how options are typed.

use crate::listen::ListenFault;
use crate::load::Refused;
use crate::supervisor::Supervision;
use edge::config::LogForm;
use model::Span;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use store::StoreError;

/// What a node is started with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The configuration file; none starts the lab.
    pub config: Option<PathBuf>,
    /// Shards; none means one for each processor this process may use.
    pub shards: Option<usize>,
    /// How long SIGTERM waits for live calls; none waits until they end.
    pub drain_limit: Option<Span>,
    /// How long media packets may gather when there are many, so that one wake-up serves several; zero relays each as it
    /// comes.
    pub gather: Span,
    /// Media port pairs opened for each listen and shard before the node is ready.
    pub first_stock: u32,
    /// Gives back to the system what the calling thread has freed; called by shards that rest, and by control now and then.
    pub relief: fn(),
    /// Chooses the form of the log's lines, once the configuration is read and whenever it is read again.
    pub log: fn(LogForm),
    /// The service manager that has started it, if one has.
    pub supervision: Supervision,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            config: None,
            shards: None,
            drain_limit: None,
            gather: Span::from_micros(500),
            first_stock: 64,
            relief: || {},
            log: |_| {},
            supervision: Supervision::default(),
        }
    }
}

/// Why a node did not start, or had to end.
#[derive(Debug)]
pub enum Fatal {
    /// The configuration cannot be used.
    Config(Refused),
    /// A SIP socket cannot be had.
    Listen(ListenFault),
    /// The API cannot listen.
    Api {
        /// Where.
        at: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// The journal cannot be opened or read.
    Store(StoreError),
    /// The lab's neighbours cannot start.
    Lab(io::Error),
    /// The service manager that has started us cannot be told.
    Supervisor(io::Error),
    /// The system gives no thread or descriptor.
    System(io::Error),
    /// A shard's thread has ended by itself.
    ShardLost(usize),
    /// The thread of connections has ended by itself.
    StreamsLost,
}

impl std::fmt::Display for Fatal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Config(refused) => f.write_str(refused.text.trim_end()),
            Self::Listen(fault) => fault.fmt(f),
            Self::Api { at, source } => {
                write!(
                    f,
                    "the API cannot listen on {at}: {source}; set another `api` in [edge], or stop who listens there"
                )
            }
            Self::Store(error) => error.fmt(f),
            Self::Lab(error) => {
                write!(f, "the lab cannot start: {error}; another lab may be running on this machine")
            }
            Self::Supervisor(error) => {
                write!(f, "the service manager cannot be told: {error}; look at NOTIFY_SOCKET in the environment")
            }
            Self::System(error) => {
                write!(f, "{error}; look at the limits of processes and open files (`ulimit -a`)")
            }
            Self::ShardLost(shard) => write!(f, "shard {shard} ended by itself; the log above says why"),
            Self::StreamsLost => f.write_str("the thread of connections ended by itself; the log above says why"),
        }
    }
}

impl std::error::Error for Fatal {}
