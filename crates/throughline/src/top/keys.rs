//! Keys of `throughline top`, read on a thread of their own.
//!
//! The reader of crossterm turns round and round without end once its terminal has hung up, as when an ssh connection is lost.
//! Here it does so beside the loop, which is told of the hang-up by SIGHUP or by the next screen it cannot draw, and ends the
//! process. Refuses to know: what a key changes.

use super::state::Key;
use crate::say::Failure;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use std::io;
use std::sync::mpsc::{Receiver, sync_channel};

/// Keys that wait for the loop; more wait in the terminal.
const WAITING: usize = 16;

/// Keys as they are pressed, or why there are no more.
pub(super) type Keys = Receiver<io::Result<Key>>;

/// Starts the thread. It ends with the process.
pub(super) fn start() -> Result<Keys, Failure> {
    let (tell, keys) = sync_channel(WAITING);
    let work = move || {
        loop {
            let pressed = match event::read() {
                Ok(Event::Key(pressed)) if pressed.kind != KeyEventKind::Release => meaning(pressed).map(Ok),
                Ok(_) => None,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => None,
                Err(error) => Some(Err(error)),
            };
            let Some(pressed) = pressed else { continue };
            let last = pressed.is_err();
            if tell.send(pressed).is_err() || last {
                return;
            }
        }
    };
    std::thread::Builder::new().name(String::from("top-keys")).spawn(work).map_err(|error| super::no_thread(&error))?;
    Ok(keys)
}

/// What a key means, if anything. Raw mode leaves Ctrl-C to us.
pub(super) fn meaning(pressed: KeyEvent) -> Option<Key> {
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
