//! What `throughline top` knows and where in it the reader is: answers and keys change it, and it says what to ask next.
//!
//! Pure, so that every screen can be had in a test: time is passed in, as what has passed since the command began. Refuses to
//! know: sockets, terminals, how anything looks.

use edge::{DeskView, GroupTraffic};
use model::{Name, Span};

/// Between two questions.
const EVERY: Span = Span::from_secs(1);
/// Trunks asked for at once, as many as the desk shows.
pub(super) const TRUNKS: usize = 50;
/// Lines that PgUp and PgDn move.
const LEAP: usize = 10;

/// What is to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// So many trunks are passed over.
    pub(super) skip: usize,
    /// The trunk whose sentences are read.
    pub(super) why: Option<Name>,
}

/// What was answered at once.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) desk: DeskView,
    pub(super) groups: Vec<GroupTraffic>,
    /// Groups that were not told.
    pub(super) more_groups: usize,
    /// Sentences of the last records, newest first.
    pub(super) timeline: Vec<String>,
    /// Sentences of the trunk that was asked for, newest first.
    pub(super) why: Vec<String>,
}

/// A key, as far as one means anything here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Up,
    Down,
    PageUp,
    PageDown,
    Top,
    Bottom,
    Open,
    Back,
    Help,
    Pause,
    Leave,
}

/// What is on the screen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Page {
    /// Everything in short.
    Edge,
    /// Why one trunk is as it is.
    Why(Name),
    /// The keys and the columns.
    Help,
}

/// Which trunk of a page of them is selected once the page is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Land {
    First,
    Last,
}

/// All of it.
#[derive(Debug)]
pub(super) struct Top {
    pub(super) page: Page,
    pub(super) picture: Option<Picture>,
    /// Sentences of the page `Why`; none until they were told.
    pub(super) why: Option<Vec<String>>,
    /// Why the last question was not answered.
    pub(super) trouble: Option<String>,
    pub(super) selected: usize,
    /// Lines of the page `Why` that are above the screen.
    pub(super) scrolled: u16,
    pub(super) paused: bool,
    pub(super) over: bool,
    /// Trunks before the first of the picture.
    pub(super) before: usize,
    /// The same of the picture that is wanted.
    skip: usize,
    got: Option<Span>,
    land: Option<Land>,
    asked: Option<(Span, Question)>,
    waiting: bool,
}

impl Top {
    pub(super) fn new() -> Self {
        Self {
            page: Page::Edge,
            picture: None,
            why: None,
            trouble: None,
            selected: 0,
            scrolled: 0,
            paused: false,
            over: false,
            before: 0,
            skip: 0,
            got: None,
            land: None,
            asked: None,
            waiting: false,
        }
    }

    /// What to ask now, if anything: one question at a time, the same one once a second and never while paused.
    pub(super) fn question(&mut self, now: Span) -> Option<Question> {
        let why = if let Page::Why(name) = &self.page { Some(name.clone()) } else { None };
        let question = Question { skip: self.skip, why };
        let due = match &self.asked {
            None => true,
            Some((_, asked)) if *asked != question => true,
            Some((at, _)) => !self.paused && now >= *at + EVERY,
        };
        if self.waiting || !due {
            return None;
        }
        self.waiting = true;
        self.asked = Some((now, question.clone()));
        Some(question)
    }

    /// What came of the question. An answer that is no longer asked for is dropped; while paused, only sentences that were
    /// asked for by a key are taken.
    pub(super) fn answer(&mut self, now: Span, asked: &Question, answer: Result<Picture, String>) {
        self.waiting = false;
        let mut picture = match answer {
            Ok(picture) => picture,
            Err(trouble) => {
                self.trouble = Some(trouble);
                self.stay();
                return;
            }
        };
        self.trouble = None;
        if matches!(&self.page, Page::Why(name) if asked.why.as_ref() == Some(name)) {
            self.why = Some(std::mem::take(&mut picture.why));
        }
        if asked.skip != self.skip || (self.paused && self.picture.is_some() && self.land.is_none()) {
            return;
        }
        self.take(now, asked.skip, picture);
    }

    fn take(&mut self, now: Span, before: usize, picture: Picture) {
        let lines = &picture.desk.lines;
        // The order changes under the reader's hand: a selection stays with its trunk, not with its line.
        let name = self.selected_name();
        let same = name.and_then(|name| lines.iter().position(|line| line.name == name));
        self.selected = match self.land.take() {
            Some(Land::First) => 0,
            Some(Land::Last) => lines.len().saturating_sub(1),
            None => same.unwrap_or(self.selected).min(lines.len().saturating_sub(1)),
        };
        if lines.is_empty() {
            // The trunks of this page are gone by a reload.
            self.skip = 0;
        }
        self.picture = Some(picture);
        self.before = before;
        self.got = Some(now);
    }

    /// How old the picture is; none when there is none.
    pub(super) fn age(&self, now: Span) -> Option<Span> {
        self.got.map(|got| Span::from_micros(now.as_micros().saturating_sub(got.as_micros())))
    }

    /// The selected trunk.
    pub(super) fn selected_name(&self) -> Option<Name> {
        let picture = self.picture.as_ref()?;
        picture.desk.lines.get(self.selected).map(|line| line.name.clone())
    }

    /// A key was pressed.
    pub(super) fn key(&mut self, key: Key) {
        match (key, &self.page) {
            (Key::Leave, _) => self.over = true,
            (Key::Pause, _) => self.paused = !self.paused,
            (Key::Help, Page::Help) | (Key::Back, _) | (Key::Open, Page::Why(_) | Page::Help) => {
                self.turn_to(Page::Edge);
            }
            (Key::Help, _) => self.turn_to(Page::Help),
            (Key::Open, Page::Edge) => {
                if let Some(name) = self.selected_name() {
                    self.turn_to(Page::Why(name));
                }
            }
            (key, Page::Edge) => self.select(key),
            (key, Page::Why(_)) => self.scroll(key),
            (_, Page::Help) => {}
        }
    }

    fn turn_to(&mut self, page: Page) {
        self.page = page;
        self.why = None;
        self.scrolled = 0;
    }

    /// Another page of trunks is not waited for any more: it may never come, and keys go on in the one that is there.
    fn stay(&mut self) {
        if self.land.take().is_some() {
            self.skip = self.before;
        }
    }

    fn select(&mut self, key: Key) {
        let (lines, more) = self.picture.as_ref().map_or((0, 0), |it| (it.desk.lines.len(), it.desk.more));
        let last = lines.saturating_sub(1);
        self.stay();
        match key {
            Key::Up if self.selected == 0 && self.skip > 0 => {
                self.skip = self.skip.saturating_sub(TRUNKS);
                self.land = Some(Land::Last);
            }
            Key::Down if self.selected == last && more > 0 => {
                self.skip += TRUNKS;
                self.land = Some(Land::First);
            }
            Key::Up => self.selected = self.selected.saturating_sub(1),
            Key::Down => self.selected = (self.selected + 1).min(last),
            Key::PageUp => self.selected = self.selected.saturating_sub(LEAP),
            Key::PageDown => self.selected = (self.selected + LEAP).min(last),
            Key::Top => self.selected = 0,
            Key::Bottom => self.selected = last,
            _ => {}
        }
    }

    fn scroll(&mut self, key: Key) {
        let leap = LEAP as u16;
        self.scrolled = match key {
            Key::Up => self.scrolled.saturating_sub(1),
            Key::Down => self.scrolled.saturating_add(1),
            Key::PageUp => self.scrolled.saturating_sub(leap),
            Key::PageDown => self.scrolled.saturating_add(leap),
            Key::Top => 0,
            _ => self.scrolled,
        };
    }
}
