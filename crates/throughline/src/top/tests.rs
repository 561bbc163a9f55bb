//! Screens of `throughline top`, whole and by content, without a terminal.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use super::keys::meaning;
use super::screen::draw;
use super::state::{Key, Page, Picture, Question, TRUNKS, Top};
use super::{Client, Poll};
use edge::{DeskTotals, DeskView, GroupTraffic, TrunkLine};
use explain::{GroupView, MemberView, TierView};
use model::{Admin, Epoch, Health, Mos, Name, Seq, Span, Wall};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::Color;

const SECOND: Span = Span::from_secs(1);

fn line(name: &str, health: Health) -> TrunkLine {
    TrunkLine {
        name: Name::from(name),
        health,
        admin: Admin::InService,
        share: 100,
        held: Span::from_secs(75),
        calls: 7,
        capacity: Some(30),
        throttled: None,
        attempts: 100,
        traffic: Some(667),
        asr: Some(612),
        ner: Some(985),
        pdd: Some(Span::from_millis(1_200)),
        mos: Some(Mos::from_hundredths(430)),
        cause: Some(format!("trunk {name} is so for a reason")),
        next: String::new(),
        unregistered: false,
        probed: true,
        test_call: true,
    }
}

fn member(trunk: &str, health: Health) -> MemberView {
    MemberView {
        trunk: Name::from(trunk),
        weight: 1,
        health,
        admin: Admin::InService,
        share: 100,
        held: SECOND,
        throttled: None,
        takes: true,
        next: String::new(),
    }
}

fn picture(lines: Vec<TrunkLine>, more: usize) -> Picture {
    let down = lines.iter().filter(|line| line.health == Health::Down).count();
    let all = lines.len() + more;
    Picture {
        desk: DeskView {
            edge: Name::from("oslo-1"),
            at: Wall::from_micros(1_795_738_866_531_092),
            seq: Seq(4),
            epoch: Epoch(3),
            calls: 14,
            trunks: DeskTotals { all, up: all - down, down, ..DeskTotals::default() },
            alarms: Vec::new(),
            lines,
            more,
        },
        groups: Vec::new(),
        more_groups: 0,
        timeline: Vec::new(),
        why: Vec::new(),
    }
}

/// Acme is down, globex stands in.
fn night() -> Picture {
    let mut acme = line("acme", Health::Down);
    acme.next = String::from("Probation after 3 good probes in a row");
    let carriers = GroupTraffic {
        group: GroupView {
            name: Name::from("carriers"),
            active: Some(1),
            forced: None,
            failback: String::new(),
            tiers: vec![
                TierView { members: vec![member("acme", Health::Down)] },
                TierView { members: vec![member("globex", Health::Up)] },
            ],
        },
        sentence: String::from("group carriers: tier 2 (globex) carries calls"),
        attempts: vec![vec![1], vec![2]],
        attempts_all: 3,
        more: vec![0, 0],
    };
    let mut picture = picture(vec![acme, line("globex", Health::Up)], 0);
    picture.desk.alarms = vec![String::from("trunk acme is Down")];
    picture.groups = vec![carriers];
    picture.timeline = vec![String::from("trunk acme Up → Down: 3 probes failed"), String::from("the edge started")];
    picture
}

fn told(top: &mut Top, now: Span, picture: Picture) {
    let question = top.question(now).expect("it is time to ask");
    top.answer(now, &question, Ok(picture));
}

fn showing(picture: Picture) -> Top {
    let mut top = Top::new();
    told(&mut top, Span::ZERO, picture);
    top
}

fn terminal(top: &mut Top, now: Span, size: (u16, u16), colour: bool) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
    terminal.draw(|frame| draw(frame, top, now, colour)).unwrap();
    terminal
}

/// The lines of a screen, without the blanks at their ends.
fn screen(top: &mut Top, now: Span, size: (u16, u16)) -> Vec<String> {
    let terminal = terminal(top, now, size, false);
    let buffer = terminal.backend().buffer();
    let width = usize::from(size.0);
    let lines = buffer.content().chunks(width);
    lines.map(|cells| cells.iter().map(|cell| cell.symbol()).collect::<String>().trim_end().to_owned()).collect()
}

#[test]
fn a_bad_night_on_eighty_columns() {
    let mut top = showing(night());
    let shown = screen(&mut top, Span::ZERO, (80, 24));
    assert_eq!(
        shown,
        [
            "oslo-1  14 calls  2 trunks: 1 Down, 1 Up  1 alarm  2026-11-27T00:21:06.531Z",
            "! trunk acme is Down",
            "  TRUNK              HEALTH            CALLS TRAFFIC    ASR    NER      PDD  MOS",
            "> acme               ✕ Down           7 / 30    67 %   61 %   99 %    1.2 s  4.3",
            "  globex             ✓ Up             7 / 30    67 %   61 %   99 %    1.2 s  4.3",
            "",
            "acme ✕ Down for 1 min 15 s",
            "  trunk acme is so for a reason",
            "Next",
            "  acme: Probation after 3 good probes in a row",
            "Groups",
            "  group carriers: tier 2 (globex) carries calls",
            "    tier 1: acme Down 33 %; ▶ tier 2: globex Up 67 %",
            "Timeline",
            "  trunk acme Up → Down: 3 probes failed",
            "  the edge started",
            "",
            "",
            "",
            "",
            "",
            "",
            "",
            " q leave  ? help  p pause  Enter why  ↑↓ select",
        ]
    );
}

#[test]
fn a_wide_terminal_has_all_columns_and_a_narrow_one_the_most_telling() {
    let mut top = showing(night());
    let wide = screen(&mut top, Span::ZERO, (120, 40));
    assert!(wide[2].ends_with("MOS          FOR"), "{}", wide[2]);
    assert!(wide[3].ends_with("4.3   1 min 15 s"), "{}", wide[3]);
    assert_eq!((wide.len(), wide[13].as_str()), (40, "Timeline"));
    let narrow = screen(&mut top, Span::ZERO, (40, 24));
    let head = narrow.iter().position(|line| line.contains("TRUNK")).unwrap();
    assert_eq!(narrow[head].split_whitespace().collect::<Vec<_>>(), ["TRUNK", "HEALTH", "CALLS"]);
    assert_eq!(narrow[head + 1], "> acme           ✕ Down           7 / 30");
    // What is longer than the terminal is wide goes on in the next line.
    assert!(narrow.join(" ").contains("tier 2 (globex) carries calls"), "{narrow:#?}");
}

#[test]
fn no_size_of_terminal_is_too_small() {
    for size in [(1, 1), (3, 2), (12, 5), (40, 7), (200, 3)] {
        for page in [Page::Edge, Page::Help, Page::Why(Name::from("acme"))] {
            let mut top = showing(night());
            top.page = page;
            assert_eq!(screen(&mut top, Span::ZERO, size).len(), usize::from(size.1));
        }
    }
    let mut top = showing(night());
    let low = screen(&mut top, Span::ZERO, (80, 10));
    assert!(
        low.iter().any(|line| line.starts_with("> acme")) && low.iter().any(|line| line.contains("for a reason")),
        "{low:#?}"
    );
}

#[test]
fn a_forced_tier_is_told_under_its_group() {
    let mut forced = night();
    let sentence = String::from("operator ann forces tier 2 for another 29 min");
    let (who, why, left) = (String::from("ann"), String::new(), Span::from_secs(1_740));
    forced.groups[0].group.forced = Some(explain::ForcedView { tier: 1, left, who, why, sentence });
    let shown = screen(&mut showing(forced), Span::ZERO, (100, 40));
    let group = shown.iter().position(|line| line == "  group carriers: tier 2 (globex) carries calls").unwrap();
    assert_eq!(shown[group + 1], "    operator ann forces tier 2 for another 29 min");
}

#[test]
fn the_selected_trunk_is_in_sight_and_stays_selected_when_the_order_changes() {
    let lines = |prefix: &str| -> Vec<TrunkLine> {
        (0..TRUNKS).map(|number| line(&format!("{prefix}-{number:03}"), Health::Up)).collect()
    };
    let mut top = showing(picture(lines("a"), 450));
    for _ in 0..30 {
        top.key(Key::Down);
    }
    let shown = screen(&mut top, Span::ZERO, (80, 24));
    assert!(shown.iter().any(|line| line.starts_with("> a-030")), "{shown:#?}");
    assert!(shown.contains(&String::from("  31 of 500")), "{shown:#?}");
    let mut turned = lines("a");
    turned.reverse();
    told(&mut top, SECOND, picture(turned, 450));
    assert_eq!(top.selected_name(), Some(Name::from("a-030")));
    assert_eq!(top.selected, 19);
}

#[test]
fn a_night_on_which_everything_fails_leaves_room_for_trunks_and_tells_the_selected_one_first() {
    let lines = (0..TRUNKS).map(|number| {
        let mut line = line(&format!("t-{number:03}"), Health::Down);
        line.next = format!("step of {number}");
        line
    });
    let mut night = picture(lines.collect(), 0);
    night.desk.alarms = (0..9).map(|number| format!("alarm {number} {}", "of many words ".repeat(20))).collect();
    let mut top = showing(night);
    top.key(Key::PageDown);
    let shown = screen(&mut top, Span::ZERO, (80, 24));
    assert!(shown[0].contains("50 Down  9 alarms"), "{shown:#?}");
    let trunks = shown.iter().filter(|line| line.contains("7 / 30")).count();
    assert!(trunks >= 5, "{trunks} trunks: {shown:#?}");
    assert!(shown.iter().any(|line| line.starts_with("> t-010")), "{shown:#?}");
    let next = shown.iter().position(|line| line == "Next").unwrap();
    assert_eq!(shown[next + 1], "  t-010: step of 10");
}

#[test]
fn five_hundred_trunks_come_by_the_page_as_the_desk_has_them() {
    let page = |from: usize, more| {
        picture((from..from + TRUNKS).map(|number| line(&format!("t-{number:03}"), Health::Up)).collect(), more)
    };
    let mut top = showing(page(0, 450));
    top.key(Key::Bottom);
    top.key(Key::Down);
    let next = top.question(Span::from_millis(1)).expect("another page is asked for at once");
    assert_eq!(next, Question { skip: TRUNKS, why: None });
    top.answer(SECOND, &next, Ok(page(TRUNKS, 400)));
    assert_eq!((top.selected, top.selected_name()), (0, Some(Name::from("t-050"))));
    top.key(Key::Up);
    told(&mut top, SECOND, page(0, 450));
    assert_eq!(top.selected_name(), Some(Name::from("t-049")));
    // A page that does not come holds no key up, and is not shown when it comes late.
    top.key(Key::Down);
    let late = top.question(SECOND).unwrap();
    top.key(Key::Up);
    assert_eq!(top.selected_name(), Some(Name::from("t-048")));
    top.answer(SECOND, &late, Ok(page(TRUNKS, 400)));
    assert_eq!(top.selected_name(), Some(Name::from("t-048")));
    // Nor one that fails.
    top.key(Key::Bottom);
    top.key(Key::Down);
    let failed = top.question(SECOND + SECOND).unwrap();
    assert_eq!(failed.skip, TRUNKS);
    top.answer(SECOND + SECOND, &failed, Err(String::from("no edge answers")));
    assert_eq!(top.question(SECOND + SECOND).unwrap().skip, 0);
}

#[test]
fn one_question_at_a_time_and_one_a_second() {
    let mut top = Top::new();
    let question = top.question(Span::ZERO).unwrap();
    assert_eq!(top.question(Span::from_secs(9)), None);
    top.answer(Span::from_secs(9), &question, Ok(night()));
    let again = top.question(Span::from_secs(9)).unwrap();
    top.answer(Span::from_secs(9), &again, Ok(night()));
    assert_eq!(top.question(Span::from_millis(9_999)), None);
    assert!(top.question(Span::from_secs(10)).is_some());
}

#[test]
fn a_lost_edge_is_told_over_the_last_picture_with_its_age() {
    let mut top = Top::new();
    assert_eq!(screen(&mut top, Span::ZERO, (80, 24))[0], "asking the edge …");
    told(&mut top, Span::ZERO, night());
    // Silent: nothing is told for a moment, then how old it is.
    let silent = top.question(SECOND).unwrap();
    assert_eq!(screen(&mut top, Span::from_secs(2), (80, 24))[1], "! trunk acme is Down");
    let shown = screen(&mut top, Span::from_secs(4), (80, 24));
    assert_eq!(shown[1], "the picture is 4 s old: the edge has not answered since");
    // Gone.
    top.answer(Span::from_secs(75), &silent, Err(String::from("no edge answers at 127.0.0.1:8060")));
    let shown = screen(&mut top, Span::from_secs(75), (80, 24));
    assert_eq!(shown[1], "the picture is 1 min 15 s old: no edge answers at 127.0.0.1:8060");
    assert!(shown[4].starts_with("> acme"), "{shown:#?}");
    // Back.
    told(&mut top, Span::from_secs(76), night());
    assert_eq!(screen(&mut top, Span::from_secs(76), (80, 24))[1], "! trunk acme is Down");
}

#[test]
fn an_edge_that_never_answered_says_what_to_do() {
    let mut top = Top::new();
    let question = top.question(Span::ZERO).unwrap();
    top.answer(SECOND, &question, Err(String::from("no edge answers at 127.0.0.1:8060; is it running?")));
    assert_eq!(screen(&mut top, SECOND, (80, 24))[0], "no edge answers at 127.0.0.1:8060; is it running?");
}

#[test]
fn why_of_a_trunk_is_opened_scrolled_and_left() {
    let mut top = showing(night());
    top.key(Key::Down);
    top.key(Key::Open);
    assert_eq!(screen(&mut top, Span::ZERO, (80, 8))[3], "asking the edge …");
    let question = top.question(Span::ZERO).expect("asked for at once");
    assert_eq!(question.why, Some(Name::from("globex")));
    let why = (0..20).map(|number| format!("sentence {number}")).collect();
    top.answer(Span::ZERO, &question, Ok(Picture { why, ..night() }));
    let shown = screen(&mut top, Span::ZERO, (80, 8));
    assert_eq!(shown[2..5], ["Why trunk globex", "sentence 0", "sentence 1"]);
    // Too far comes back to the end, and one line up is one line up.
    for _ in 0..9 {
        top.key(Key::PageDown);
    }
    assert_eq!(screen(&mut top, Span::ZERO, (80, 8))[6], "sentence 19");
    top.key(Key::Up);
    assert_eq!(screen(&mut top, Span::ZERO, (80, 8))[6], "sentence 18");
    top.key(Key::Back);
    assert!(screen(&mut top, Span::ZERO, (80, 24))[4].starts_with("> globex"));
    // An answer for what is no longer read is not shown as something else.
    top.key(Key::Up);
    top.key(Key::Open);
    top.answer(Span::ZERO, &question, Ok(Picture { why: vec![String::from("of globex")], ..night() }));
    assert_eq!(top.why, None);
}

#[test]
fn paused_keeps_the_picture_asks_nothing_and_still_tells_why() {
    let mut top = showing(night());
    top.key(Key::Pause);
    assert_eq!(top.question(Span::from_secs(60)), None);
    assert_eq!(screen(&mut top, Span::from_secs(60), (80, 24))[1], "paused, the picture is 1 min old; p goes on");
    top.key(Key::Open);
    let question = top.question(Span::from_secs(60)).unwrap();
    let other = Picture { why: vec![String::from("a reason")], ..picture(Vec::new(), 0) };
    top.answer(Span::from_secs(60), &question, Ok(other));
    assert_eq!(top.why.as_deref(), Some(&[String::from("a reason")][..]));
    assert_eq!(top.picture.as_ref().unwrap().desk.lines.len(), 2);
    top.key(Key::Pause);
    assert!(top.question(Span::from_secs(61)).is_some());
}

#[test]
fn states_and_figures_are_told_in_the_words_of_the_desk() {
    let mut trial = line("trial", Health::Probation);
    (trial.share, trial.throttled, trial.unregistered) = (25, Some(Span::from_secs(9)), true);
    let mut out = line("out", Health::Up);
    out.admin = Admin::OutOfService;
    let mut new = line("new", Health::Unknown);
    (new.capacity, new.traffic, new.asr, new.ner, new.pdd, new.mos, new.cause) =
        (None, Some(4), None, None, None, None, None);
    let mut top = showing(picture(vec![trial, out, new], 0));
    let shown = screen(&mut top, Span::ZERO, (80, 24));
    let cells = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(cells(&shown[3])[..5], ["out", "■", "Out,", "Up", "7"]);
    assert_eq!(cells(&shown[4])[1..], ["·", "Unknown", "7", "0.4", "%", "–", "–", "–", "–"]);
    let about = "trial ↗ Probation for 1 min 15 s, 25 % of its calls, asked for no calls for 9 s,";
    assert_eq!(shown[6], about);
    assert_eq!(shown[7], "not registered");
    top.key(Key::Bottom);
    assert!(
        screen(&mut top, Span::ZERO, (80, 24))
            .contains(&String::from("  Nothing has been decided about it since the start."))
    );
}

#[test]
fn names_of_any_script_keep_the_columns_and_none_reaches_the_terminal_as_a_command() {
    let mut top = showing(picture(vec![line("東京キャリア", Health::Up), line("ø\u{1b}[2J", Health::Up)], 0));
    let terminal = terminal(&mut top, Span::ZERO, (80, 24), false);
    let buffer = terminal.backend().buffer();
    let column = |row: u16| (0..80).find(|x| buffer[(*x, row)].symbol() == "✓").unwrap();
    assert_eq!(column(2), column(3));
    assert_eq!(column(2), column_of_head(buffer));
    assert!(buffer.content().iter().all(|cell| !cell.symbol().contains(char::is_control)));
}

fn column_of_head(buffer: &ratatui::buffer::Buffer) -> u16 {
    (0..80).find(|x| buffer[(*x, 1)].symbol() == "H").unwrap()
}

#[test]
fn colour_is_only_where_it_is_wanted_and_the_selection_is_seen_without() {
    let colours = |colour| {
        let terminal = terminal(&mut showing(night()), Span::ZERO, (80, 24), colour);
        let cells = terminal.backend().buffer().content().iter();
        cells.filter(|cell| cell.fg != Color::Reset || cell.bg != Color::Reset).count()
    };
    assert_eq!(colours(false), 0);
    assert!(colours(true) > 0);
}

#[test]
fn help_tells_every_key() {
    let mut top = showing(night());
    top.key(Key::Help);
    let shown = screen(&mut top, Span::ZERO, (80, 24)).join("\n");
    assert!(
        ["k j", "PgUp", "g G", "Enter", "Esc", "pause", "leave", "NER"].iter().all(|key| shown.contains(key)),
        "{shown}"
    );
    top.key(Key::Help);
    assert_eq!(top.page, Page::Edge);
    top.key(Key::Leave);
    assert!(top.over);
}

#[test]
fn keys_mean_what_the_help_says() {
    let plain = |code| meaning(KeyEvent::new(code, KeyModifiers::NONE));
    assert_eq!(plain(KeyCode::Char('j')), Some(Key::Down));
    assert_eq!(plain(KeyCode::Up), plain(KeyCode::Char('k')));
    assert_eq!(plain(KeyCode::Char('q')), Some(Key::Leave));
    assert_eq!(plain(KeyCode::Char('x')), None);
    let control = |letter| meaning(KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL));
    assert_eq!((control('c'), control('j')), (Some(Key::Leave), None));
}

#[test]
fn a_dead_edge_holds_nobody_up_and_is_told() {
    // Accepts by its backlog, and never answers.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let api = Client::new(&mute.local_addr().unwrap().to_string()).patient_for(std::time::Duration::from_millis(50));
    let poll = Poll::start(api).unwrap();
    poll.ask(Question { skip: 0, why: None }).unwrap();
    let mut told = None;
    for _ in 0..1_000 {
        told = poll.told().unwrap();
        if told.is_some() {
            break;
        }
        std::thread::park_timeout(std::time::Duration::from_millis(10));
    }
    let (_, answer) = told.expect("within ten seconds");
    assert!(answer.unwrap_err().contains("did not answer in full"));
}
