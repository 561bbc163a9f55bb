//! Failback windows as people write them: `"22:00-06:00 Europe/Oslo"`, with days before it if need be.
//!
//! Refuses to know: what the clock shows.

use super::draft::Draft;
use super::fault::Faults;
use super::group::GroupDraft;
use super::reader::{At, Node, many};
use super::suggest::did_you_mean;
use super::value::{found, short};
use crate::window::{Calendar, Hours, zones};
use decide::Failback;
use model::Span;

/// Windows of one group: more are made by mistake.
const MOST: usize = 32;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
const FORM: &str = "hours and a time zone such as \"22:00-06:00 Europe/Oslo\", with days before them if need be: \"Mon-Fri\" or \"Sat,Sun\"";

/// What is wrong, and the likely fix.
type Wrong = (String, Option<String>);

/// One window or a list of them.
pub(super) fn calendar(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Calendar> {
    let written = node.get_ref().as_array().map_or(1, |list| list.len());
    if written == 0 || written > MOST {
        let what = if written == 0 { "this window never opens" } else { "these are too many windows" };
        let fix = Some(String::from("remove `window` if any time will do"));
        faults.error(&node.span(), what, format!("one to {MOST} windows"), fix.filter(|_| written == 0));
        return None;
    }
    let all: Vec<At<Hours>> = many(node, faults, one);
    (all.len() == written).then(|| Calendar(all.into_iter().map(|hours| hours.value).collect()))
}

fn one(node: &Node<'_>, faults: &mut Faults<'_>) -> Option<Hours> {
    let read = node.get_ref().as_str().ok_or_else(|| (format!("this is {}", found(node)), None)).and_then(parse);
    match read {
        Ok(hours) => Some(hours),
        Err((what, fix)) => {
            faults.error(&node.span(), what, FORM, fix);
            None
        }
    }
}

fn parse(text: &str) -> Result<Hours, Wrong> {
    let strange = || (format!("\"{}\" is no window", short(text)), None);
    let words: Vec<&str> = text.split_whitespace().collect();
    let place = words.iter().position(|word| word.contains(':')).ok_or_else(strange)?;
    let (opens, closes) = hours(words[place])?;
    let days = if place == 0 { 0x7f } else { days(&words[..place].concat())? };
    let zone = match words.get(place + 1..).unwrap_or_default() {
        [] => {
            let fix = format!("add the place whose clock is meant: \"{} Europe/Oslo\", or UTC", short(text.trim()));
            return Err((String::from("this window has no time zone"), Some(fix)));
        }
        [zone] => *zone,
        _ => return Err(strange()),
    };
    if opens == closes {
        let fix = Some(String::from("write 00:00-24:00 for whole days"));
        return Err((String::from("this window never opens: it closes when it opens"), fix));
    }
    Hours::new(days, opens, closes, zone).ok_or_else(|| unknown(zone))
}

fn unknown(zone: &str) -> Wrong {
    let known = zones();
    let city = known.iter().find(|name| name.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(zone)));
    let near = || did_you_mean(zone, known.iter().map(String::as_str));
    let fix = city.map(|name| format!("did you mean `{name}`?")).or_else(near);
    let fix = fix.or_else(|| Some(String::from("name a place of the IANA time-zone database, or UTC")));
    (format!("there is no time zone `{}`", short(zone)), fix)
}

/// `22:00-06:00`, in minutes of the day.
fn hours(text: &str) -> Result<(u16, u16), Wrong> {
    let wrong = || (format!("`{}` are no hours", short(text)), Some(String::from("write HH:MM-HH:MM, up to 24:00")));
    let (opens, closes) = text.split_once('-').ok_or_else(wrong)?;
    let opens = minute(opens).filter(|minute| *minute < 1_440).ok_or_else(wrong)?;
    Ok((opens, minute(closes).ok_or_else(wrong)?))
}

fn minute(text: &str) -> Option<u16> {
    let (hour, minute) = text.split_once(':')?;
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(hour) || !digits(minute) || minute.len() != 2 || !(1..=2).contains(&hour.len()) {
        return None;
    }
    let (hour, minute) = (hour.parse::<u16>().ok()?, minute.parse::<u16>().ok()?);
    (minute < 60 && hour * 60 + minute <= 1_440).then_some(hour * 60 + minute)
}

/// `Mon-Fri`, `Sat,Sun`, `Fri-Mon,Wed`; bit 0 is Monday.
fn days(text: &str) -> Result<u8, Wrong> {
    let mut set = 0;
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (mut day, last) = (day(first)?, day(last)?);
        set |= 1 << day;
        while day != last {
            day = (day + 1) % 7;
            set |= 1 << day;
        }
    }
    Ok(set)
}

fn day(word: &str) -> Result<usize, Wrong> {
    let lower = word.to_lowercase();
    DAYS.iter().position(|day| *day == lower).ok_or_else(|| {
        let full = DAYS.iter().find(|day| lower.starts_with(**day));
        let fix = full.map(|day| format!("write `{}{}`", day[..1].to_uppercase(), &day[1..]));
        (format!("`{}` is no day", short(word)), fix.or_else(|| did_you_mean(word, DAYS)))
    })
}

/// Whether a trunk that recovers within the window is back before it closes, when calls are few.
pub(super) fn long_enough(draft: &Draft, group: &GroupDraft, faults: &mut Faults<'_>) {
    let (Some(Failback::Window { after }), Some(windows)) = (&group.failback, &group.windows) else { return };
    let members = group.tiers.iter().flatten().filter_map(|member| draft.trunk(&member.value.trunk));
    let step = members.map(|trunk| trunk.health.canary_time).max().unwrap_or(Span::ZERO);
    let steps = group.ramp.as_ref().map_or(super::group::RAMP_STEPS, Vec::len);
    let needed = *after + step.times(steps as u64);
    let Some(shortest) = windows.value.0.iter().map(Hours::length).min().filter(|length| *length < needed) else {
        return;
    };
    let what = format!(
        "this window is open for {shortest}, and a trunk needs {needed} to come back: `after` {after} and {steps} steps of \
         up to {step}"
    );
    faults.warn(&windows.at, what, "a longer window", Some(String::from("lengthen it, or shorten `after` or `ramp`")));
}

#[cfg(test)]
mod tests {
    use super::super::{Compiled, compile};
    use super::*;
    use crate::config::Severity;

    fn with(failback: &str) -> Compiled {
        let text = format!(
            "[listen.lan]\nsip = [\"udp:192.0.2.10:5060\"]\nmedia = \"192.0.2.10:20000-20999\"\n[trunk.office]\nat = [\"sip:192.0.2.20\"]\nlisten = \"lan\"\n\
             [trunk.acme]\nat = [\"sip:192.0.2.31\"]\nlisten = \"lan\"\n[trunk.globex]\nat = [\"sip:192.0.2.32\"]\n\
             listen = \"lan\"\n[group.g]\ntiers = [[\"acme\"], [\"globex\"]]\nfailback = {{ {failback} }}\n\
             [[route]]\nfrom = [\"office\"]\nto = \"g\"\n"
        );
        compile(&text, "edge.toml", &|_| None, None)
    }

    /// The failback and windows of a good text without warnings.
    fn good(failback: &str) -> (Failback, Vec<Hours>) {
        let Compiled { settings, faults } = with(failback);
        assert_eq!(faults, [], "{failback}");
        let settings = settings.unwrap();
        let windows = settings.windows.iter().flat_map(|(_, calendar)| calendar.0.clone()).collect();
        (settings.shape.groups()[0].failback.clone(), windows)
    }

    fn hours(days: u8, opens: u16, closes: u16, zone: &str) -> Hours {
        Hours::new(days, opens, closes, zone).unwrap()
    }

    #[test]
    fn windows_are_read_as_people_write_them() {
        let sixty = Failback::Window { after: Span::from_secs(60) };
        let night = hours(0x7f, 1_320, 360, "Europe/Oslo");
        assert_eq!(good("window = \"22:00-06:00 Europe/Oslo\""), (sixty.clone(), vec![night.clone()]));
        let after = Failback::Window { after: Span::from_secs(300) };
        assert_eq!(good("after = \"5min\", window = \" 22:00-6:00  europe/oslo \""), (after, vec![night]));
        let list = "window = [\"Mon-Fri 22:00-06:00 Europe/Oslo\", \"Sat, Sun 00:00-24:00 UTC\", \"fri-mon,Wed 1:05-2:10 UTC\"]";
        let all = vec![
            hours(0x1f, 1_320, 360, "Europe/Oslo"),
            hours(0x60, 0, 1_440, "UTC"),
            hours(0b111_0101, 65, 130, "UTC"),
        ];
        assert_eq!(good(list), (sixty, all));
        assert_eq!(good("immediately = true"), (Failback::After(Span::ZERO), vec![]));
        assert_eq!(good("immediately = false, manual = true"), (Failback::Manual, vec![]));
        assert_eq!(good("ramp = [\"100%\"]"), (Failback::After(Span::from_secs(60)), vec![]), "the default");
    }

    #[test]
    fn each_wrong_window_says_what_was_meant() {
        for (failback, wanted, fix) in [
            (
                "window = \"22:00-06:00\"",
                "this window has no time zone",
                "add the place whose clock is meant: \"22:00-06:00 Europe/Oslo\", or UTC",
            ),
            (
                "window = \"22:00-06:00 Europe/Olso\"",
                "there is no time zone `Europe/Olso`",
                "did you mean `Europe/Oslo`?",
            ),
            ("window = \"22:00-06:00 oslo\"", "there is no time zone `oslo`", "did you mean `Europe/Oslo`?"),
            (
                "window = \"22:00-06:00 +01:00\"",
                "there is no time zone `+01:00`",
                "name a place of the IANA time-zone database, or UTC",
            ),
            (
                "window = \"22:00-22:00 UTC\"",
                "this window never opens: it closes when it opens",
                "write 00:00-24:00 for whole days",
            ),
            ("window = []", "this window never opens", "remove `window` if any time will do"),
            ("window = \"22:00-25:00 UTC\"", "`22:00-25:00` are no hours", "write HH:MM-HH:MM, up to 24:00"),
            ("window = \"24:00-06:00 UTC\"", "`24:00-06:00` are no hours", "write HH:MM-HH:MM, up to 24:00"),
            ("window = \"22:0-06:00 UTC\"", "`22:0-06:00` are no hours", "write HH:MM-HH:MM, up to 24:00"),
            ("window = \"Monday 22:00-06:00 UTC\"", "`Monday` is no day", "write `Mon`"),
            ("window = \"Mno 22:00-06:00 UTC\"", "`Mno` is no day", "did you mean `mon`?"),
            ("window = \"at night\"", "\"at night\" is no window", ""),
            ("window = \"22:00-06:00 UTC or so\"", "\"22:00-06:00 UTC or so\" is no window", ""),
            ("window = 22", "this is the number 22", ""),
            (
                "manual = true, window = \"22:00-06:00 UTC\"",
                "manual failback waits for the operator, so `window` has no meaning",
                "remove it, or `manual`",
            ),
            (
                "immediately = true, after = \"5s\"",
                "immediate failback waits for nothing, so `after` has no meaning",
                "remove it, or `immediately`",
            ),
            (
                "immediately = true, manual = true",
                "manual failback waits for the operator, so `immediately` has no meaning",
                "remove it, or `manual`",
            ),
        ] {
            let Compiled { settings, faults } = with(failback);
            assert!(settings.is_none(), "{failback}");
            let first = &faults[0];
            assert_eq!((first.what.as_str(), first.fix.as_deref().unwrap_or("")), (wanted, fix), "{failback}");
        }
        let many = vec!["\"22:00-06:00 UTC\""; MOST + 1].join(", ");
        assert_eq!(with(&format!("window = [{many}]")).faults[0].what, "these are too many windows");
    }

    #[test]
    fn a_window_too_short_to_come_back_in_is_a_warning() {
        let faults = with("window = \"03:00-03:01 UTC\"").faults;
        let wanted = "this window is open for 1 min, and a trunk needs 2 min to come back: `after` 1 min and 3 steps of up to 20 s";
        assert_eq!((faults.len(), faults[0].severity, faults[0].what.as_str()), (1, Severity::Warning, wanted));
        assert_eq!(with("window = \"03:00-03:02 UTC\"").faults, []);
    }
}
