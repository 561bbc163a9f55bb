//! The service manager that has started the edge: it is told when the edge is ready, reloads, drains, and that its threads still answer.
//!
//! A datagram of a few words to the socket it names (sd_notify(3)), so that `systemctl` shows what is true and a hung edge is started anew. The
//! sign of life is sent only when every shard has answered within a moment, as `/healthz` asks it. Refuses to know: signals, who the manager is.

use api::{Health, Reply};
use model::{Instant, Span};
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;
use tokio::sync::oneshot;

/// Signs of life within the time in which the manager wants one: a busy moment costs none of them the edge's life.
const SIGNS: u64 = 4;
/// How long a full socket of the manager's may hold up control.
const PATIENCE: Duration = Duration::from_millis(100);

/// Where the service manager listens, as it says in the environment; nowhere when there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supervision {
    /// `NOTIFY_SOCKET`: a path, or a name that begins with `@`.
    pub socket: Option<String>,
    /// Within what time it wants a sign of life.
    pub watchdog: Option<Span>,
}

impl Supervision {
    /// Reads the environment by `lookup`. A watchdog that is meant for another process is none of ours.
    pub fn of(lookup: &dyn Fn(&str) -> Option<String>, process: u32) -> Self {
        let ours = lookup("WATCHDOG_PID").is_none_or(|pid| pid == process.to_string());
        let every = lookup("WATCHDOG_USEC").and_then(|text| text.parse::<u64>().ok());
        Self {
            socket: lookup("NOTIFY_SOCKET").filter(|path| !path.is_empty()),
            watchdog: every.filter(|every| *every > 0 && ours).map(Span::from_micros),
        }
    }
}

/// The manager, told what happens; without one, nobody is.
#[derive(Debug, Default)]
pub(crate) struct Supervisor {
    socket: Option<UnixDatagram>,
    /// What it could not be told: tried again, since a manager that misses a word waits for it.
    owed: Option<String>,
    watchdog: Option<Watchdog>,
}

#[derive(Debug)]
struct Watchdog {
    every: Span,
    next: Instant,
    /// Whether all threads answer, once that is known.
    asked: Option<oneshot::Receiver<Result<Health, api::Fault>>>,
}

impl Supervisor {
    /// # Errors
    /// When the socket it was given cannot be had: a manager that waits for a word would end the edge later, and say less.
    pub(crate) fn new(supervision: &Supervision) -> io::Result<Self> {
        let Some(name) = &supervision.socket else { return Ok(Self::default()) };
        let socket = UnixDatagram::unbound()?;
        match name.strip_prefix('@') {
            Some(name) => socket.connect_addr(&SocketAddr::from_abstract_name(name)?)?,
            None => socket.connect(name)?,
        }
        socket.set_write_timeout(Some(PATIENCE))?;
        let watchdog = |every: Span| Watchdog {
            every: Span::from_micros(every.as_micros() / SIGNS),
            next: Instant::ZERO,
            asked: None,
        };
        Ok(Self { socket: Some(socket), owed: None, watchdog: supervision.watchdog.map(watchdog) })
    }

    /// All stands, or stands again.
    pub(crate) fn ready(&mut self, status: &str) {
        self.tell(format!("READY=1\nSTATUS={}", one_line(status)));
    }

    /// The configuration is read again; `ready` follows. The time of day that newer managers want is that of their own clock.
    pub(crate) fn reloading(&mut self) {
        self.tell(format!("RELOADING=1\nSTATUS=reading the configuration\nMONOTONIC_USEC={}", monotonic_us()));
    }

    /// No new calls from here on.
    pub(crate) fn stopping(&mut self) {
        self.tell("STOPPING=1\nSTATUS=draining: live calls are served to their end, new ones get 503".to_owned());
    }

    /// A question whether all threads answer, when it is time for one: put it to them.
    pub(crate) fn question(&mut self, now: Instant) -> Option<Reply<Health>> {
        let watchdog = self.watchdog.as_mut().filter(|watchdog| watchdog.next <= now)?;
        watchdog.next = now + watchdog.every;
        let (reply, answer) = oneshot::channel();
        // One that is still open is given up: its answer would be late.
        watchdog.asked = Some(answer);
        Some(reply)
    }

    /// Passes on what has been found, and what it could not be told before.
    pub(crate) fn look_after(&mut self) {
        if let Some(owed) = self.owed.take() {
            self.tell(owed);
        }
        let Some(watchdog) = &mut self.watchdog else { return };
        let Some(answer) = watchdog.asked.as_mut().map(oneshot::Receiver::try_recv) else { return };
        match answer {
            Err(oneshot::error::TryRecvError::Empty) => {}
            Ok(Ok(Health { silent: None, .. })) => {
                watchdog.asked = None;
                // A later one says the same.
                let _missed = self.send("WATCHDOG=1");
            }
            Ok(Ok(Health { silent: Some(silent), .. })) => {
                watchdog.asked = None;
                tracing::error!("{silent}: the service manager gets no sign of life, and will start the edge anew");
            }
            Ok(Err(_)) | Err(oneshot::error::TryRecvError::Closed) => watchdog.asked = None,
        }
    }

    /// When `question` has one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.watchdog.as_ref().map(|watchdog| watchdog.next)
    }

    fn tell(&mut self, words: String) {
        if let Err(error) = self.send(&words) {
            tracing::warn!("the service manager cannot be told `{}`: {error}; trying again", words.replace('\n', " "));
            self.owed = Some(words);
        }
    }

    fn send(&self, words: &str) -> io::Result<()> {
        self.socket.as_ref().map_or(Ok(()), |socket| socket.send(words.as_bytes()).map(|_| ()))
    }
}

/// A status ends with its line.
fn one_line(text: &str) -> String {
    text.replace(['\n', '\r'], " ")
}

/// The clock by which a manager tells this reload from an earlier one.
fn monotonic_us() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a live timespec. This clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
}

#[cfg(test)]
mod tests;
