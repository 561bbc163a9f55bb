//! `throughline trunks`: each trunk in one line.

use crate::ask;
use crate::http::Client;
use crate::say::{Failure, say};
use crate::table::{rough, table};
use edge::{HearingView, NameView, RegistrationView, TargetView, TrunkView};

const EXAMPLES: &str = "\
HEALTH is what the edge sees, ADMIN what the operator wants, SHARE how much of its calls the trunk gets, SINCE how long its \
health has been so, LAST what was seen of it within the last minute. A trunk with several targets has a line for each, and one for each name that leads to some.

Examples:
  throughline trunks
  throughline trunks --json
  watch -n1 throughline trunks";

/// Show health, share and calls of each trunk
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    let answer = ask::get(api, "/v1/trunks")?;
    if args.json {
        ask::raw(&answer);
        return Ok(());
    }
    let list = answer.get("trunks").cloned().unwrap_or_default();
    let trunks: Vec<TrunkView> = serde_json::from_value(list)
        .map_err(|error| Failure(format!("the edge is of another version ({error}); use the same one, or --json")))?;
    say(&show(&trunks));
    Ok(())
}

fn show(trunks: &[TrunkView]) -> String {
    let mut rows = Vec::new();
    for trunk in trunks {
        let throttled = trunk.throttled.map(|left| format!("asks for no calls for {left}"));
        let throttled = throttled.or_else(|| Some(format!("asks for {}", explain::words::outcome::fewer(trunk.wish?))));
        let last = match trunk.targets.as_slice() {
            // What has neither a name nor an address stands for phones.
            [] if trunk.names.is_empty() => String::from("where phones have registered"),
            [] => String::from("no address"),
            [only] => seen(only),
            targets => format!("{} targets", targets.len()),
        };
        rows.push(vec![
            trunk.name.to_string(),
            trunk.health.word().to_owned(),
            trunk.admin.words().to_owned(),
            format!("{}%", trunk.share),
            trunk.calls.to_string(),
            rough(trunk.held),
            throttled.unwrap_or_else(|| join(last, trunk.registration.as_ref())),
        ]);
        rows.extend(trunk.hearing.iter().map(hearing_row));
        rows.extend(trunk.names.iter().map(name_row));
        for target in trunk.targets.iter().filter(|_| trunk.targets.len() > 1) {
            let blank = String::new;
            let name = format!("  {}", target.addr);
            rows.push(vec![
                name,
                target.health.word().to_owned(),
                blank(),
                blank(),
                blank(),
                rough(target.held),
                seen(target),
            ]);
        }
    }
    table(&["NAME", "HEALTH", "ADMIN", "SHARE", "CALLS", "SINCE", "LAST"], &rows, &[3, 4])
}

/// How its audio was of late.
fn hearing_row(hearing: &HearingView) -> Vec<String> {
    let calls = if hearing.calls == 1 { "call" } else { "calls" };
    let mut told = format!("{} {calls} in 5 min", hearing.calls);
    if hearing.one_way > 0 {
        told += &format!(", {} without a sound of it", hearing.one_way);
    }
    for (what, stream) in [("heard", hearing.from), ("sent", hearing.to)] {
        let Some(stream) = stream else { continue };
        told += &format!("; {what}: {}.{} % lost", stream.loss_permille / 10, stream.loss_permille % 10);
        if let Some(jitter) = stream.jitter {
            told += &format!(", jitter {jitter}");
        }
        if let (Some(half), Some(most)) = (stream.mos_p50, stream.mos_p10) {
            told += &format!(", MOS {half} (of the worst tenth {most}) estimated");
        }
    }
    let mut row = vec![String::new(); 6];
    row[0] = String::from("  audio");
    row.push(told);
    row
}

/// A name and where it leads, or what is amiss with it.
fn name_row(name: &NameView) -> Vec<String> {
    let told = match (&name.trouble, name.kept) {
        (None, _) => format!("known for another {}", rough(name.left)),
        (Some(why), None) => why.clone(),
        (Some(why), Some(left)) => format!("{why}; last addresses kept for {}", rough(left)),
    };
    let mut row = vec![String::new(); 6];
    row[0] = format!("  {}", name.name);
    row.push(told);
    row
}

/// A registration stands first: without it a trunk that answers probes brings no calls.
fn join(last: String, registration: Option<&RegistrationView>) -> String {
    match registration {
        Some(registration) if last.is_empty() => registration.sentence.clone(),
        Some(registration) => format!("{}, {last}", registration.sentence),
        None => last,
    }
}

fn seen(target: &TargetView) -> String {
    let mut parts = Vec::new();
    match (target.probes_bad, target.rtt) {
        (0, Some(rtt)) => parts.push(format!("probe answered in {rtt}")),
        (0, None) if target.probes_good == 0 => parts.push(String::from("not probed yet")),
        (0, None) => {}
        (1, _) => parts.push(String::from("1 probe failed")),
        (bad, _) => parts.push(format!("{bad} probes failed in a row")),
    }
    if target.blamed > 0 {
        parts.push(format!("{} of {} calls failed", target.blamed, target.attempts));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use model::{Admin, Health, Name, Span};

    fn target(addr: &str, bad: u32, blamed: u32) -> TargetView {
        TargetView {
            addr: addr.to_owned(),
            name: None,
            priority: 0,
            weight: 0,
            health: if bad > 2 { Health::Down } else { Health::Up },
            held: Span::from_secs(75),
            probes_good: 0,
            probes_bad: bad,
            rtt: Some(Span::from_millis(12)),
            attempts: 20,
            blamed,
        }
    }

    #[test]
    fn a_trunk_is_a_line_and_its_several_targets_are_lines() {
        let trunk = |name: &str, targets| TrunkView {
            name: Name::from(name),
            health: Health::Up,
            admin: Admin::InService,
            share: 100,
            held: Span::from_secs(4_000),
            throttled: None,
            wish: None,
            calls: 7,
            test_calls: None,
            names: Vec::new(),
            registration: (name == "acme").then(|| RegistrationView {
                state: None,
                held: Span::ZERO,
                until: None,
                sentence: String::from("not registered yet"),
            }),
            hearing: None,
            targets,
        };
        let shown = show(&[
            trunk("acme", vec![target("192.0.2.1:5060", 0, 0), target("192.0.2.2:5060", 3, 4)]),
            trunk("globex", vec![target("192.0.2.3:5060", 0, 0)]),
        ]);
        assert_eq!(shown.lines().next(), Some("NAME              HEALTH  ADMIN       SHARE  CALLS  SINCE       LAST"));
        assert!(shown.contains("not registered yet, 2 targets"), "{shown}");
        let first = "  192.0.2.1:5060  Up                                1 min 15 s  probe answered in 12 ms";
        assert_eq!(shown.lines().nth(2), Some(first));
        assert!(shown.contains("3 probes failed in a row, 4 of 20 calls failed"), "{shown}");
        assert!(
            shown.lines().last().is_some_and(|line| line.starts_with("globex ") && line.ends_with("answered in 12 ms"))
        );
    }

    #[test]
    fn its_audio_of_late_is_a_line() {
        let stream = |loss_permille, mos| edge::HeardView {
            calls: 12,
            loss_permille,
            jitter: Some(Span::from_millis(3)),
            mos_p10: Some(model::Mos::from_hundredths(mos - 60)),
            mos_p50: Some(model::Mos::from_hundredths(mos)),
        };
        let hearing = HearingView { calls: 14, one_way: 2, from: Some(stream(14, 430)), to: Some(stream(0, 440)) };
        assert_eq!(
            hearing_row(&hearing)[6],
            "14 calls in 5 min, 2 without a sound of it; heard: 1.4 % lost, jitter 3 ms, MOS 4.3 (of the worst tenth 3.7) \
             estimated; sent: 0.0 % lost, jitter 3 ms, MOS 4.4 (of the worst tenth 3.8) estimated"
        );
        let quiet = HearingView { calls: 1, one_way: 0, from: None, to: None };
        assert_eq!(hearing_row(&quiet)[6], "1 call in 5 min");
    }

    #[test]
    fn a_name_is_a_line_that_tells_how_it_is() {
        let name = |trouble: Option<&str>, kept| NameView {
            name: Name::from("sbc.acme.example"),
            left: Span::from_secs(75),
            trouble: trouble.map(str::to_owned),
            kept,
        };
        let told = |name: NameView| name_row(&name)[6].clone();
        assert_eq!(told(name(None, None)), "known for another 1 min 15 s");
        assert_eq!(told(name(Some("there is no such name"), None)), "there is no such name");
        let stale = told(name(Some("no name server answered in time"), Some(Span::from_secs(75))));
        assert_eq!(stale, "no name server answered in time; last addresses kept for 1 min 15 s");
    }
}
