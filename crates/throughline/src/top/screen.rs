//! How `throughline top` looks: one screen from what it knows, for any size of terminal.
//!
//! By the words of the desk, with the same signs, so that nobody learns two. Colour only adds: a state has its sign and its
//! word, the selected line is marked. Refuses to know: where the picture comes from, what a key does.

use super::state::{Page, Picture, Top};
use crate::table::rough;
use edge::{DeskTotals, GroupTraffic, TrunkLine};
use model::{Admin, Health, Mos, Span};
use ratatui::Frame;
use ratatui::layout::{Alignment, Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Paragraph, Row, Table, TableState, Wrap};

/// A picture of this age is said to be old: three questions without an answer.
const OLD: Span = Span::from_secs(3);
/// Alarms shown; how many there are is said.
const ALARMS: usize = 3;
/// Trunks' next steps shown at once.
const NEXT: usize = 4;
/// The narrowest that a trunk's name gets beside the other columns.
const NAME: u16 = 14;
/// Lines for trunks that the rest of the screen leaves, with their head, where the screen is not low.
const ROWS: u16 = 7;

const HELP: &str = "\
↑ ↓ k j       select a trunk, or scroll     PgUp PgDn     ten at once
g G           first, last                   Enter         why it is as it is
Esc           back                          p             pause, and go on
?             this help                     q             leave

CALLS    calls now, of those it may carry
TRAFFIC  its part of all attempts of five minutes
ASR      attempts that were answered
NER      attempts that reached the called side
PDD      mean post-dial delay
MOS      opinion score of what is heard of it, estimated
FOR      how long its health has been so

Trunks in trouble stand first. ▶ is the tier of a group that carries calls now;
the share behind a trunk is its part of the group's attempts of five minutes.";

/// Draws it; what is scrolled too far comes back.
pub(super) fn draw(frame: &mut Frame<'_>, top: &mut Top, now: Span, colour: bool) {
    let mut rest = frame.area();
    let pen = Pen { colour };
    place(frame, &mut rest, head(top, now, pen), 6);
    let foot = Line::styled(" q leave  ? help  p pause  Enter why  ↑↓ select", pen.quiet());
    let [body, last] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(rest);
    frame.render_widget(foot, last);
    let page = top.page.clone();
    match page {
        Page::Help => frame.render_widget(Paragraph::new(HELP).wrap(Wrap { trim: false }), body),
        Page::Why(name) => why(frame, body, top, &format!("Why trunk {name}"), pen),
        Page::Edge => {
            if let Some(picture) = &top.picture {
                edge(frame, body, picture, top.selected, top.before, pen);
            }
        }
    }
}

/// Styles; none is a colour where colours are not wanted.
#[derive(Clone, Copy)]
struct Pen {
    colour: bool,
}

impl Pen {
    fn health(self, line: &TrunkLine) -> Style {
        let colour = match line.health {
            _ if line.admin != Admin::InService => Color::Magenta,
            Health::Up => Color::Green,
            Health::Suspect => Color::Yellow,
            Health::Down => Color::Red,
            Health::Probation => Color::Cyan,
            Health::Unknown => Color::Reset,
        };
        self.paint(colour)
    }

    fn paint(self, colour: Color) -> Style {
        if self.colour { Style::new().fg(colour) } else { Style::new() }
    }

    fn alarm(self) -> Style {
        self.paint(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn title(self) -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn quiet(self) -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }
}

/// Puts lines at the top of what is left, wrapped, but no more of them than `most`.
fn place(frame: &mut Frame<'_>, rest: &mut Rect, lines: Vec<Line<'_>>, most: u16) {
    if lines.is_empty() {
        return;
    }
    let text = Paragraph::new(lines).wrap(Wrap { trim: false });
    let height = u16::try_from(text.line_count(rest.width)).unwrap_or(u16::MAX).min(most);
    let [here, below] = Layout::vertical([Constraint::Length(height), Constraint::Fill(1)]).areas(*rest);
    frame.render_widget(text, here);
    *rest = below;
}

fn head(top: &Top, now: Span, pen: Pen) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    if let Some(picture) = &top.picture {
        let desk = &picture.desk;
        let (calls, trunks) = (desk.calls, counted(&desk.trunks));
        let alarms = match desk.alarms.len() {
            0 => String::new(),
            1 => String::from("  1 alarm"),
            many => format!("  {many} alarms"),
        };
        lines.push(Line::styled(format!("{}  {calls} calls  {trunks}{alarms}  {}", desk.edge, desk.at), pen.title()));
    }
    let age = top.age(now).filter(|age| top.paused || top.trouble.is_some() || *age >= OLD);
    let told = age.map(|age| format!("the picture is {} old", rough(age)));
    let told = match (&top.trouble, told) {
        (Some(trouble), Some(age)) => Some(format!("{age}: {trouble}")),
        (Some(trouble), None) => Some(trouble.clone()),
        (None, Some(age)) if top.paused => Some(format!("paused, {age}; p goes on")),
        (None, Some(age)) => Some(format!("{age}: the edge has not answered since")),
        (None, None) if top.picture.is_none() => Some(String::from("asking the edge …")),
        (None, None) => None,
    };
    lines.extend(told.map(|told| Line::styled(told, pen.alarm())));
    if let Some(picture) = &top.picture {
        let alarms = &picture.desk.alarms;
        lines.extend(alarms.iter().take(ALARMS).map(|alarm| Line::styled(format!("! {alarm}"), pen.alarm())));
    }
    lines
}

/// Trunks by health, those in trouble first.
fn counted(totals: &DeskTotals) -> String {
    let DeskTotals { all, up, suspect, down, probation, unknown, out } = *totals;
    let kinds = [
        (down, "Down"),
        (suspect, "Suspect"),
        (probation, "on Probation"),
        (out, "out"),
        (unknown, "Unknown"),
        (up, "Up"),
    ];
    let kinds = kinds.iter().filter(|(count, _)| *count > 0).map(|(count, kind)| format!("{count} {kind}"));
    format!("{all} trunks: {}", kinds.collect::<Vec<_>>().join(", "))
}

fn edge(frame: &mut Frame<'_>, area: Rect, picture: &Picture, selected: usize, before: usize, pen: Pen) {
    // Where the screen is low, what a glance needs least goes first: the timeline, then groups, then what comes next.
    let rows = u16::try_from(picture.desk.lines.len()).unwrap_or(u16::MAX).saturating_add(2);
    let kept = ROWS.min(area.height / 2).max(area.height / 3);
    let spare = area.height.saturating_sub(rows.min(kept));
    let about = picture.desk.lines.get(selected).map(|line| about(line, pen)).unwrap_or_default();
    let blocks = [about, nexts(picture, selected, pen), groups(picture, pen), timeline(picture, pen)];
    let shares = shared(&blocks.each_ref().map(|lines| height(lines, area.width)), spare);
    let taken: u16 = shares.iter().sum();
    let [table, mut below] =
        Layout::vertical([Constraint::Length(rows.min(area.height - taken)), Constraint::Fill(1)]).areas(area);
    trunks(frame, table, picture, selected, before, pen);
    for (lines, most) in blocks.into_iter().zip(shares) {
        place(frame, &mut below, lines, most);
    }
}

fn height(lines: &[Line<'static>], width: u16) -> u16 {
    let text = Paragraph::new(lines.to_vec()).wrap(Wrap { trim: false });
    u16::try_from(text.line_count(width)).unwrap_or(u16::MAX)
}

/// How high each block is: the earlier ones first, but each that has anything to say is given a title and a line while there is room.
fn shared(wanted: &[u16; 4], mut spare: u16) -> [u16; 4] {
    let mut shares = [0; 4];
    for (share, wanted) in shares.iter_mut().zip(wanted) {
        *share = (*wanted).min(2).min(spare);
        spare -= *share;
    }
    for (share, wanted) in shares.iter_mut().zip(wanted) {
        let more = wanted.saturating_sub(*share).min(spare);
        *share += more;
        spare -= more;
    }
    shares
}

/// A column: its head, its width, how it is written.
type Column = (&'static str, u16, fn(&TrunkLine) -> String);

/// The most telling first; where the terminal is narrow the last ones are left out.
const COLUMNS: [Column; 8] = [
    ("HEALTH", 13, state),
    ("CALLS", 9, |line| line.capacity.map_or(format!("{}", line.calls), |most| format!("{} / {most}", line.calls))),
    ("TRAFFIC", 7, |line| share(line.traffic)),
    ("ASR", 6, |line| share(line.asr)),
    ("NER", 6, |line| share(line.ner)),
    ("PDD", 8, |line| line.pdd.map_or(none(), |pdd| pdd.to_string())),
    ("MOS", 4, |line| line.mos.map_or(none(), |mos: Mos| mos.to_string())),
    ("FOR", 12, |line| rough(line.held)),
];

fn none() -> String {
    String::from("–")
}

fn share(permille: Option<u16>) -> String {
    match permille {
        None => none(),
        Some(whole) if whole % 10 == 0 || whole >= 100 => format!("{} %", (whole + 5) / 10),
        Some(part) => format!("{}.{} %", part / 10, part % 10),
    }
}

/// Health and the operator's word as one.
fn state(line: &TrunkLine) -> String {
    let word = line.health.word();
    match (line.admin, line.health) {
        (Admin::Draining, _) => format!("↓ Draining, {word}"),
        (Admin::OutOfService, _) => format!("■ Out, {word}"),
        (Admin::InService, Health::Up) => format!("✓ {word}"),
        (Admin::InService, Health::Suspect) => format!("? {word}"),
        (Admin::InService, Health::Down) => format!("✕ {word}"),
        (Admin::InService, Health::Probation) => format!("↗ {word}"),
        (Admin::InService, Health::Unknown) => format!("· {word}"),
    }
}

fn trunks(frame: &mut Frame<'_>, area: Rect, picture: &Picture, selected: usize, before: usize, pen: Pen) {
    let mut left = area.width.saturating_sub(NAME + 2);
    let columns: Vec<&Column> = COLUMNS
        .iter()
        .take_while(|(_, width, _)| {
            let fits = left > *width;
            left = left.saturating_sub(width + 1);
            fits
        })
        .collect();
    let widths = std::iter::once(Constraint::Fill(1)).chain(columns.iter().map(|it| Constraint::Length(it.1)));
    // Words stand left, figures right.
    let side = |column: usize| if column == 0 { Alignment::Left } else { Alignment::Right };
    let heads = columns.iter().enumerate().map(|(number, it)| Line::from(it.0).alignment(side(number)));
    let head = Row::new(std::iter::once(Line::from("TRUNK")).chain(heads)).style(pen.title());
    let rows = picture.desk.lines.iter().map(|line| {
        let cells = columns.iter().enumerate().map(|(number, it)| {
            let text = Line::from((it.2)(line)).alignment(side(number));
            if number == 0 { text.style(pen.health(line)) } else { text }
        });
        Row::new(std::iter::once(Line::from(line.name.to_string())).chain(cells))
    });
    let table = Table::new(rows, widths)
        .header(head)
        .column_spacing(1)
        .highlight_symbol("> ")
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let [table_area, last] = Layout::vertical([Constraint::Fill(1), Constraint::Length(1)]).areas(area);
    let told = picture.desk.lines.len();
    if told > 0 {
        frame.render_stateful_widget(table, table_area, &mut TableState::new().with_selected(selected));
    } else {
        frame.render_widget("There is no trunk.", table_area);
    }
    // Silent when all of them are on the screen.
    if usize::from(table_area.height) <= told || before + picture.desk.more > 0 {
        let where_ = format!("  {} of {}", before + selected + 1, before + told + picture.desk.more);
        frame.render_widget(Line::styled(where_, pen.quiet()), last);
    }
}

/// The selected trunk: how it is and why.
fn about(line: &TrunkLine, pen: Pen) -> Vec<Line<'static>> {
    let mut words = vec![format!("for {}", rough(line.held))];
    if line.health == Health::Probation {
        words.push(format!("{} % of its calls", line.share));
    }
    words.extend(line.throttled.map(|left| format!("asked for no calls for {}", rough(left))));
    if line.unregistered {
        words.push(String::from("not registered"));
    }
    let cause =
        line.cause.clone().unwrap_or_else(|| String::from("Nothing has been decided about it since the start."));
    vec![
        Line::styled(format!("{} {} {}", line.name, state(line), words.join(", ")), pen.title()),
        Line::from(format!("  {cause}")),
    ]
}

/// What is about to happen, to the selected trunk first.
fn nexts(picture: &Picture, selected: usize, pen: Pen) -> Vec<Line<'static>> {
    let mut lines: Vec<(usize, &TrunkLine)> = picture.desk.lines.iter().enumerate().collect();
    lines.sort_by_key(|(number, _)| *number != selected);
    let due = lines.into_iter().map(|(_, line)| line).filter(|line| !line.next.is_empty());
    titled("Next", due.take(NEXT).map(|line| format!("  {}: {}", line.name, line.next)).collect(), pen)
}

fn groups(picture: &Picture, pen: Pen) -> Vec<Line<'static>> {
    let forced = |group: &GroupTraffic| group.group.forced.as_ref().map(|forced| format!("    {}", forced.sentence));
    let lines = |group: &GroupTraffic| [Some(format!("  {}", group.sentence)), forced(group), Some(tiers(group))];
    let mut told: Vec<String> = picture.groups.iter().flat_map(lines).flatten().collect();
    if picture.more_groups > 0 {
        told.push(format!("  and {} more groups", picture.more_groups));
    }
    titled("Groups", told, pen)
}

/// The tiers of a group, best first, with the part of its attempts that each member had.
fn tiers(traffic: &GroupTraffic) -> String {
    let mut told = Vec::new();
    for (number, tier) in traffic.group.tiers.iter().enumerate() {
        let attempts = traffic.attempts.get(number).map(Vec::as_slice).unwrap_or_default();
        let members = tier.members.iter().enumerate().map(|(index, member)| {
            let had = attempts.get(index).copied().unwrap_or(0);
            let part = (had * 1000).checked_div(traffic.attempts_all).and_then(|part| u16::try_from(part).ok());
            format!("{} {} {}", member.trunk, member.health.word(), share(part))
        });
        let sign = if traffic.group.active.map(usize::from) == Some(number) { "▶ " } else { "" };
        let more = traffic.more.get(number).filter(|more| **more > 0);
        let more = more.map(|more| format!(", and {more} more")).unwrap_or_default();
        told.push(format!("{sign}tier {}: {}{more}", number + 1, members.collect::<Vec<_>>().join(", ")));
    }
    format!("    {}", told.join("; "))
}

fn timeline(picture: &Picture, pen: Pen) -> Vec<Line<'static>> {
    titled("Timeline", picture.timeline.iter().map(|sentence| format!("  {sentence}")).collect(), pen)
}

/// Nothing at all when there is nothing to say.
fn titled(title: &'static str, told: Vec<String>, pen: Pen) -> Vec<Line<'static>> {
    let title = (!told.is_empty()).then(|| Line::styled(title, pen.title()));
    title.into_iter().chain(told.into_iter().map(Line::from)).collect()
}

fn why(frame: &mut Frame<'_>, area: Rect, top: &mut Top, title: &str, pen: Pen) {
    let told: Vec<String> = match &top.why {
        None => vec![String::from("asking the edge …")],
        Some(sentences) if sentences.is_empty() => vec![String::from("nothing has changed since the journal began")],
        Some(sentences) => sentences.clone(),
    };
    let [head, body] = Layout::vertical([Constraint::Length(1), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Line::styled(title, pen.title()), head);
    let text = Paragraph::new(Text::from_iter(told)).wrap(Wrap { trim: false });
    let beyond = text.line_count(body.width).saturating_sub(usize::from(body.height));
    top.scrolled = top.scrolled.min(u16::try_from(beyond).unwrap_or(u16::MAX));
    frame.render_widget(text.scroll((top.scrolled, 0)), body);
}
