//! `throughline simulate`: a scenario or a recorded day under a policy, or the whole edge under seeded faults, in virtual time.

use crate::check::secret;
use crate::say::{Failure, say};
use crate::seeds;
use clap::ValueEnum;
use edge::config::{self, Settings};
use explain::{Entry, Record, Replay};
use model::Seq;
use node::JournalReader;
use serde_json::json;
use sim::policy::{self, Happened, Peer, Policy, Report, Scenario};
use std::path::{Path, PathBuf};
use std::sync::Arc;

const EXAMPLES: &str = "\
With a scenario, calls and outages run under a policy, and every decision is told in its sentence. With --replay, the calls that a
live edge has recorded run under another policy. With neither, whole edges run under seeded faults of packets, and every invariant
is checked. A run is a function of its seed: what happens once, happens again. --exhaustive leaves out nothing that is short: all strings
of signals up to a length are told to the sensor and the engine of one trunk.

Examples:
  throughline simulate bad-day.toml                          the scenario's trunks, everything at its default
  throughline simulate bad-day.toml --policy edge.toml       under your own configuration
  throughline simulate bad-day.toml --svg bad-day.svg        the timeline as a picture
  throughline simulate bad-day.toml --peer kamailio-tuned    what another product does with the same calls
  throughline simulate --table                               outage kinds under four policies
  throughline simulate --replay /var/lib/throughline --policy new.toml
  throughline simulate --replay /var/lib/throughline --check --policy edge.toml
  throughline simulate --seeds 100                           the whole edge, one hundred seeds
  throughline simulate --from 4711 --seeds 1 --calls 200
  throughline simulate --exhaustive 6                        every story of one trunk up to six signals long";

/// Run a scenario, a recorded day or seeded faults in virtual time
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The scenario: who calls when, how trunks behave, what goes wrong
    #[arg(value_name = "SCENARIO", conflicts_with_all = ["replay", "table"])]
    scenario: Option<PathBuf>,
    /// The policy: a configuration [default: the scenario's trunks, everything at its default]
    #[arg(long, value_name = "EDGE.toml")]
    policy: Option<PathBuf>,
    /// Another product's ways in place of the edge
    #[arg(long, value_name = "PEER", value_enum)]
    peer: Option<PeerName>,
    /// As JSON
    #[arg(long)]
    json: bool,
    /// Draw the timeline into this file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Another seed than the scenario's
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Print the policy table
    #[arg(long, conflicts_with = "replay")]
    table: bool,
    /// The journal of a live edge: its `data` folder, or the file
    #[arg(long, value_name = "DB")]
    replay: Option<PathBuf>,
    /// Fold the journal's decisions and print the trunk table they lead to; --policy is what the edge ran with
    #[arg(long, requires = "replay", requires = "policy")]
    check: bool,
    /// With --check: fold no record after this number, such as the `seq` that `GET /v1/table` gives
    #[arg(long, value_name = "SEQ", requires = "check")]
    until: Option<u64>,
    /// Without a scenario: how many seeds
    #[arg(long, value_name = "N", default_value_t = 20)]
    seeds: u64,
    /// Without a scenario: the first seed
    #[arg(long, value_name = "SEED", default_value_t = 1)]
    from: u64,
    /// Without a scenario: calls in each run
    #[arg(long, value_name = "N", default_value_t = 40)]
    calls: u32,
    /// Without a scenario: seeds run at once
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=64))]
    jobs: u8,
    /// Every story of one trunk up to this many signals; each one more takes seven times as long
    #[arg(long, value_name = "N", conflicts_with_all = ["scenario", "replay", "table"],
        value_parser = clap::value_parser!(u8).range(1..=8))]
    exhaustive: Option<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PeerName {
    /// Its dispatcher as the README shows it
    Kamailio,
    /// The same, tuned by an expert
    KamailioTuned,
    /// A session border controller with OPTIONS every 60 s
    Sbc,
}

impl PeerName {
    const fn peer(self) -> Peer {
        match self {
            Self::Kamailio => Peer::kamailio(),
            Self::KamailioTuned => Peer::tuned_kamailio(),
            Self::Sbc => Peer::border_controller(),
        }
    }
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    if args.table {
        say(&policy::table().map_err(Failure)?);
        return Ok(());
    }
    if let Some(length) = args.exhaustive {
        return tell_stories(length);
    }
    match (&args.scenario, &args.replay) {
        (Some(file), _) => run_scenario(args, file),
        (None, Some(journal)) if args.check => check_journal(args, journal),
        (None, Some(journal)) => replay(args, journal),
        (None, None) => seeds::run(args.from, args.seeds, args.calls, args.jobs),
    }
}

fn run_scenario(args: &Args, file: &Path) -> Result<(), Failure> {
    let scenario = read_scenario(file)?;
    let settings = match &args.policy {
        Some(file) => Arc::new(read_policy(file)?),
        None => policy::settings(&scenario).map_err(Failure)?,
    };
    let seed = args.seed.unwrap_or(scenario.seed);
    let report = policy::run(&scenario, &under(args, settings), seed).map_err(Failure)?;
    draw(args, &report)?;
    say(&if args.json { report.json().to_string() } else { report.text() });
    Ok(())
}

fn under(args: &Args, settings: Arc<Settings>) -> Policy {
    match args.peer {
        Some(peer) => Policy::Peer(settings, peer.peer()),
        None => Policy::Edge(settings),
    }
}

fn draw(args: &Args, report: &Report) -> Result<(), Failure> {
    let Some(file) = &args.svg else { return Ok(()) };
    std::fs::write(file, policy::svg(report))
        .map_err(|error| Failure(format!("{}: {error}; give a file that you may write", file.display())))
}

/// What happened, and what would have happened under the policy.
fn replay(args: &Args, journal: &Path) -> Result<(), Failure> {
    let mut happened = Happened::default();
    let mut recorded = None;
    for_each_entry(journal, |entry| {
        if let Record::Configured { names, .. } = &entry.record {
            recorded = Some(names.clone());
        }
        happened.entry(entry);
    })?;
    happened.done();
    let Some(file) = &args.policy else {
        let trunks = recorded.map(|names| names.trunks).unwrap_or_default();
        let names: Vec<&str> = trunks.iter().map(|name| name.as_str()).collect();
        let wanted = format!("give a policy for its trunks ({}): --policy EDGE.toml", names.join(", "));
        return Err(Failure(wanted));
    };
    let settings = Arc::new(read_policy(file)?);
    let seed = args.seed.unwrap_or(1);
    let report = policy::run_recorded(&happened, &under(args, settings), seed).map_err(Failure)?;
    draw(args, &report)?;
    say(&if args.json {
        json!({ "happened": happened.json(), "would_have": report.json() }).to_string()
    } else {
        format!(
            "what happened: {}what would have happened, each attempt ending as the recorded one nearest in time at its trunk:\n{}",
            happened.text(),
            report.text()
        )
    });
    Ok(())
}

/// The table that the journal's decisions lead to.
fn check_journal(args: &Args, journal: &Path) -> Result<(), Failure> {
    let Some(file) = &args.policy else { return Err(Failure(String::from("--check needs --policy"))) };
    let settings = read_policy(file)?;
    let mut replay = Replay::new(&settings.shape);
    let (mut entries, mut last, mut fingerprint) = (0_u64, Seq(0), None);
    for_each_entry(journal, |entry| {
        if args.until.is_some_and(|until| entry.seq.0 > until) {
            return;
        }
        entries += 1;
        last = entry.seq;
        if let Record::Configured { fingerprint: found, .. } = &entry.record {
            fingerprint = Some(*found);
        }
        replay.entry(entry);
    })?;
    let table = serde_json::to_value(replay.table()).map_err(|error| Failure(error.to_string()))?;
    let same = fingerprint == Some(settings.fingerprint);
    say(&json!({
        "entries": entries, "seq": last, "missed": replay.missed(), "same_configuration": same, "table": table,
    })
    .to_string());
    if replay.missed() > 0 {
        let what = format!("{} decisions are missing in the journal, so the table is a guess", replay.missed());
        return Err(Failure(what));
    }
    if !same {
        let what = "the edge's last configuration was another one; give that one as --policy, or the table is a guess";
        return Err(Failure(what.to_owned()));
    }
    Ok(())
}

/// All entries of a journal, in order, a page at a time.
fn for_each_entry(journal: &Path, mut take: impl FnMut(&Entry)) -> Result<(), Failure> {
    if !journal.exists() {
        return Err(Failure(format!("{}: there is no journal; give the edge's `data` folder", journal.display())));
    }
    let fault = |error: node::StoreError| Failure(error.to_string());
    let reader = JournalReader::open(journal).map_err(fault)?;
    let mut next = Seq(0);
    loop {
        let page = reader.entries(next, 1_000).map_err(fault)?;
        let Some(last) = page.last() else { return Ok(()) };
        next = Seq(last.seq.0 + 1);
        page.iter().for_each(&mut take);
    }
}

pub(crate) fn read_scenario(file: &Path) -> Result<Scenario, Failure> {
    let (text, name) = read(file)?;
    let (scenario, faults) = policy::read(&text, &name);
    scenario.ok_or_else(|| Failure(config::render(&faults, &text, &name)))
}

pub(crate) fn read_policy(file: &Path) -> Result<Settings, Failure> {
    let (text, name) = read(file)?;
    let compiled = config::compile(&text, &name, &secret, None);
    compiled.settings.ok_or_else(|| Failure(config::render(&compiled.faults, &text, &name)))
}

fn read(file: &Path) -> Result<(String, String), Failure> {
    let name = file.display().to_string();
    let text = std::fs::read_to_string(file)
        .map_err(|error| Failure(format!("{name}: {error}; give the path of a file that you may read")))?;
    Ok((text, name))
}

/// Every short story of one trunk.
fn tell_stories(length: u8) -> Result<(), Failure> {
    let walked = sim::small_worlds::walk(usize::from(length)).map_err(Failure)?;
    say(&format!(
        "{} stories of up to {length} signals: {} decisions, every invariant held",
        walked.stories, walked.decisions
    ));
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

    use super::*;
    use clap::Parser;
    use model::{Instant, Span};
    use sim::{Town, Weather};
    use store::{Limits, Place, Store};

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: Args,
    }

    /// The addresses at which the town's agents live.
    const EDGE: &str = r#"
[edge]
name = "town"
[listen.lan]
sip = "udp:10.0.0.1:5060"
media = "10.0.0.1:20000-29999"
[listen.wan]
sip = "udp:10.0.1.1:5060"
media = "10.0.1.1:30000-39999"
[trunk.office]
at = "sip:10.0.0.20:5060"
listen = "lan"
[trunk.acme]
at = "sip:10.0.1.31:5060"
listen = "wan"
[trunk.globex]
at = "sip:10.0.1.32:5060"
listen = "wan"
[group]
carriers = { tiers = [["acme"], ["globex"]] }
[[route]]
from = "office"
to = "carriers"
"#;

    fn line(words: &str) -> Args {
        Line::try_parse_from(words.split(' ')).unwrap_or_else(|error| panic!("{error}")).args
    }

    struct Folder(PathBuf);

    impl Folder {
        fn new(name: &str) -> Self {
            let folder = std::env::temp_dir().join(format!("throughline-simulate-{}-{name}", std::process::id()));
            std::fs::create_dir_all(&folder).unwrap();
            Self(folder)
        }

        fn file(&self, name: &str, text: &str) -> String {
            let path = self.0.join(name);
            std::fs::write(&path, text).unwrap();
            path.display().to_string()
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _gone = std::fs::remove_dir_all(&self.0);
        }
    }

    /// A whole edge lives for a while, and its journal is on disk. The table it ended with.
    fn lived(folder: &Folder) -> serde_json::Value {
        let settings = config::compile(EDGE, "edge.toml", &|_| None, None).settings.unwrap();
        let mut town = Town::new(Arc::new(settings), 1, Weather::CALM, 3);
        for second in 2..40 {
            town.run_until(Instant::ZERO + Span::from_secs(second));
            if second == 10 {
                town.fail(1, Some(agent::Failing::Closed));
            }
            town.dial(0, "+4722334455", Span::from_secs(1), None, false);
        }
        town.run_until(Instant::ZERO + Span::from_secs(60));
        let (store, _reader) = Store::open(Place::Folder(&folder.0), Limits::DISK).unwrap();
        for entry in town.oracle.entries() {
            store.write(Arc::new(entry.clone())).unwrap();
        }
        store.flush();
        serde_json::to_value(&*town.control().snapshot().table).unwrap()
    }

    #[test]
    fn a_journal_on_disk_folds_to_the_live_table_and_runs_again_under_another_policy() {
        let folder = Folder::new("journal");
        let live = lived(&folder);
        let policy = folder.file("edge.toml", EDGE);
        let data = folder.0.display();
        let settings = read_policy(Path::new(&policy)).unwrap();
        let mut replay = Replay::new(&settings.shape);
        for_each_entry(&folder.0, |entry| replay.entry(entry)).unwrap();
        assert_eq!(serde_json::to_value(replay.table()).unwrap(), live);
        run(&line(&format!("simulate --replay {data} --check --policy {policy}"))).unwrap();
        run(&line(&format!("simulate --replay {data} --check --until 3 --policy {policy}"))).unwrap();
        run(&line(&format!("simulate --replay {data} --policy {policy} --json"))).unwrap();
        let other = folder.file("other.toml", &EDGE.replace("town", "another"));
        let Failure(text) = run(&line(&format!("simulate --replay {data} --check --policy {other}"))).unwrap_err();
        assert!(text.contains("another one"), "{text}");
        let Failure(text) = run(&line(&format!("simulate --replay {data}"))).unwrap_err();
        assert!(text.contains("office, acme, globex"), "it names the trunks a policy must have: {text}");
        let Failure(text) = run(&line("simulate --replay no/such/folder --policy x.toml")).unwrap_err();
        assert!(text.contains("there is no journal"), "{text}");
    }

    #[test]
    fn a_scenario_runs_and_is_drawn_and_a_bad_one_is_told() {
        let folder = Folder::new("scenario");
        let good = folder.file("good.toml", "[scenario]\nlength = \"1min\"\n[trunk.acme]\n[trunk.globex]\ntier = 2\n");
        let picture = folder.0.join("good.svg");
        run(&line(&format!("simulate {good} --seed 4 --svg {}", picture.display()))).unwrap();
        assert!(std::fs::read_to_string(picture).unwrap().starts_with("<svg "));
        run(&line(&format!("simulate {good} --peer sbc --json"))).unwrap();
        let policy = folder.file("edge.toml", EDGE);
        run(&line(&format!("simulate {good} --policy {policy}"))).unwrap();
        let bad = folder.file("bad.toml", "[trunk.acme]\nrepyl = \"1s\"\n[calls]\nrate = 5\n");
        let Failure(text) = run(&line(&format!("simulate {bad}"))).unwrap_err();
        assert!(text.contains("did you mean `reply`?") && text.ends_with("2 errors\n"), "{text}");
        let stranger = folder.file("stranger.toml", "[trunk.hooli]\n");
        let Failure(text) = run(&line(&format!("simulate {stranger} --policy {policy}"))).unwrap_err();
        assert!(text.contains("no trunk `hooli`"), "{text}");
    }
}
