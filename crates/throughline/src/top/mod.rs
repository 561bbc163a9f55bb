//! `throughline top`: the edge on a terminal, once a second.
//!
//! The thin loop around [`state`]: keys in, screens out, the terminal given back however it ends. Refuses to know: what the
//! edge does, how a screen is laid out.

mod poll;
mod screen;
mod state;
#[cfg(test)]
mod tests;

use crate::http::Client;
use crate::say::Failure;
use model::Span;
use poll::Poll;
use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use state::{Key, Top};
use std::io::{self, IsTerminal as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const EXAMPLES: &str = "\
Trunks in trouble stand first. Up, Down, j and k select a trunk, Enter opens why it is as it is, p pauses, ? tells the keys and \
the columns, q leaves. No colours where NO_COLOR is set.

Examples:
  throughline top
  throughline top --api 192.0.2.10:8060";

/// Where it is no use.
pub(crate) const NO_TERMINAL: &str =
    "`throughline top` draws on a terminal, and this is none; `throughline trunks` prints the same for pipes and files";
/// A key is waited for so long; then answers and signals are looked at.
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
    let done = follow(&mut terminal, &poll, &stop);
    let restored = ratatui::try_restore().map_err(|error| broken(&error));
    done.and(restored)
}

fn broken(error: &io::Error) -> Failure {
    Failure(format!("the terminal does not work ({error}); `throughline trunks` needs none"))
}

#[allow(clippy::disallowed_methods, reason = "what is shown has an age, and this is the loop that passes time in")]
fn follow(terminal: &mut DefaultTerminal, poll: &Poll, stop: &AtomicBool) -> Result<(), Failure> {
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
        match next_key() {
            Ok(Some(key)) => top.key(key),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(broken(&error)),
        }
    }
    Ok(())
}

fn next_key() -> io::Result<Option<Key>> {
    if !event::poll(TICK)? {
        return Ok(None);
    }
    match event::read()? {
        Event::Key(pressed) if pressed.kind != KeyEventKind::Release => Ok(meaning(pressed)),
        _ => Ok(None),
    }
}

/// What a key means, if anything. Raw mode leaves Ctrl-C to us.
fn meaning(pressed: KeyEvent) -> Option<Key> {
    let control = pressed.modifiers.contains(KeyModifiers::CONTROL);
    match pressed.code {
        KeyCode::Char('c') if control => Some(Key::Leave),
        _ if control => None,
        KeyCode::Char('q') => Some(Key::Leave),
        KeyCode::Up | KeyCode::Char('k') => Some(Key::Up),
        KeyCode::Down | KeyCode::Char('j') => Some(Key::Down),
        KeyCode::PageUp => Some(Key::PageUp),
        KeyCode::PageDown => Some(Key::PageDown),
        KeyCode::Home | KeyCode::Char('g') => Some(Key::Top),
        KeyCode::End | KeyCode::Char('G') => Some(Key::Bottom),
        KeyCode::Enter => Some(Key::Open),
        KeyCode::Esc | KeyCode::Backspace => Some(Key::Back),
        KeyCode::Char('?') => Some(Key::Help),
        KeyCode::Char('p') => Some(Key::Pause),
        _ => None,
    }
}
