//! `throughline top`: the edge on a terminal, once a second.
//!
//! The thin loop around [`state`]: keys in, screens out, the terminal given back however it ends. Refuses to know: what the
//! edge does, how a screen is laid out.

mod keys;
mod poll;
mod screen;
mod state;
#[cfg(test)]
mod tests;

use crate::http::Client;
use crate::say::Failure;
use keys::Keys;
use model::Span;
use poll::Poll;
use ratatui::DefaultTerminal;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use state::Top;
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::RecvTimeoutError;
use std::time::Duration;

const EXAMPLES: &str = "\
Trunks in trouble stand first. Up, Down, j and k select a trunk, Enter opens why it is as it is, p pauses, ? tells the keys and \
the columns, q leaves. No colours where NO_COLOR is set.

Examples:
  throughline top
  throughline top --api 192.0.2.10:8060";

/// Where it is no use.
pub(crate) const NO_TERMINAL: &str =
    "`throughline top` draws on a terminal, and this is none; `throughline trunks` prints trunks for pipes and files";
/// A key is waited for so long; then answers and signals are looked at, and the screen is drawn.
const TICK: Duration = Duration::from_millis(100);
/// Between two pieces of an answer. A picture that is older is said to be.
const PATIENCE: Duration = Duration::from_secs(5);

/// Show trunks, groups and the last decisions on the terminal, once a second
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {}

/// There is somebody to look and to press keys.
pub(crate) fn at_a_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

#[allow(clippy::disallowed_methods, reason = "a wish of whoever looks, and no configuration of the edge")]
fn colour() -> bool {
    std::env::var("NO_COLOR").map_or(true, |value| value.is_empty())
}

pub(crate) fn run(_: &Args, api: Client) -> Result<(), Failure> {
    let poll = Poll::start(api.patient_for(PATIENCE))?;
    let stop = Arc::new(AtomicBool::new(false));
    for signal in [SIGHUP, SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stop)).map_err(|error| broken(&error))?;
    }
    // Gives the terminal back in a panic, too.
    let mut terminal = ratatui::try_init().map_err(|error| broken(&error))?;
    let done = keys::start().and_then(|keys| follow(&mut terminal, &poll, &keys, &stop));
    let restored = ratatui::try_restore().map_err(|error| broken(&error));
    done.and(restored)
}

fn broken(error: &io::Error) -> Failure {
    Failure(format!("the terminal does not work ({error}); `throughline trunks` needs none"))
}

fn no_thread(error: &io::Error) -> Failure {
    Failure(format!("no thread can be started ({error}); is the limit of processes reached?"))
}

#[allow(clippy::disallowed_methods, reason = "what is shown has an age, and this is the loop that passes time in")]
fn follow(terminal: &mut DefaultTerminal, poll: &Poll, keys: &Keys, stop: &AtomicBool) -> Result<(), Failure> {
    let began = std::time::Instant::now();
    let colour = colour();
    let mut top = Top::new();
    while !top.over && !stop.load(Ordering::Relaxed) {
        let now = Span::from_micros(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        if let Some((asked, answer)) = poll.told()? {
            top.answer(now, &asked, answer);
        }
        if let Some(question) = top.question(now) {
            poll.ask(question)?;
        }
        terminal.draw(|frame| screen::draw(frame, &mut top, now, colour)).map_err(|error| broken(&error))?;
        match keys.recv_timeout(TICK) {
            Ok(Ok(key)) => top.key(key),
            Ok(Err(error)) => return Err(broken(&error)),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(broken(&io::ErrorKind::BrokenPipe.into())),
        }
    }
    Ok(())
}
