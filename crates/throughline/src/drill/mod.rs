//! `throughline drill`: breaks trunks of a configured edge on purpose, places calls, and says line by line whether others stood in.
//!
//! The edge plays the faults, for the drill's own calls unless told otherwise; here calls are placed and judged. Refuses to know: how a
//! fault is played.

mod caller;
mod desk;
mod failback;
mod fate;
mod lines;
mod page;
mod plan;
mod progress;
mod report;
mod results;
mod schedule;

use crate::ask;
use crate::http::Client;
use crate::say::{Failure, complain, say};
use caller::Caller;
use desk::{Desk, Wanted};
use lines::{Before, Step, Terms, Verdict, judge};
use model::{DrillFault, Span};
use plan::{Line, Plan};
use progress::Progress;
use report::Findings;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::PathBuf;

const EXAMPLES: &str = "\
Without a plan every trunk is broken that others stand in for and that has a number for testing (`test_call`). The faults are played \
inside the edge and for the drill's own calls alone: no real call meets them, and what is seen of the drill's calls is held against no \
trunk. The drill ends by itself when this command ends, when its time is over, when a trunk goes Down, and when real calls suffer. \
Ends with 1 when a line fails.

Examples:
  throughline drill                                  everything that can be drilled
  throughline drill --trunk acme --fault silent      one trunk, one way
  throughline drill plan.toml --html drill.html      a plan of your own, and a page for the file
  throughline drill --junit drill.xml --json         for build servers and programs
  throughline drill --config /etc/throughline/edge.toml
                                                     looks also for what primary and backup share
  throughline drill --schedule 24h                   again and again, so that no backup is left untested
  throughline drill --last                           what came of the last drill of each trunk
  throughline drill --trunk acme --all-calls --yes   real calls too, and whether they come back: for an edge that nobody needs now";

/// How long a call talks: the far end's own tone, then ours come back, then a request inside the call is answered.
const TALK: Span = Span::from_secs(4);
/// How long one talks whose audio is blocked: longer than a trunk may be silent unnoticed.
const TALK_BLOCKED: Span = Span::from_secs(9);

/// Break trunks on purpose, for calls of the drill's own, and prove that others stand in
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Args {
    /// The plan: who is broken how, who calls what [default: what the edge says can be drilled]
    #[arg(value_name = "PLAN.toml")]
    plan: Option<PathBuf>,
    /// Only this trunk; may be given several times
    #[arg(long = "trunk", value_name = "NAME")]
    trunks: Vec<String>,
    /// Only this way to break it: dns, refuse, silent, stall, grey, rtp-from, rtp-to, or a code; may be given several times
    #[arg(long = "fault", value_name = "WAY", value_parser = way)]
    faults: Vec<DrillFault>,
    /// Break trunks for every call, real ones too
    #[arg(long, requires = "yes")]
    all_calls: bool,
    /// Yes, real calls may fail
    #[arg(long)]
    yes: bool,
    /// Why, for the record: up to 200 bytes [default: what the plan says]
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
    /// Look also for what its trunks and those that stand in share, as `check --deep` does, in this configuration
    #[arg(long, value_name = "EDGE.toml")]
    config: Option<PathBuf>,
    /// Stay, and drill again so long after the last drill, such as 24h; for the service `throughline-drill`
    #[arg(long, value_name = "EVERY", value_parser = schedule::interval, conflicts_with = "all_calls")]
    schedule: Option<Span>,
    /// Only show what came of the last drill of each trunk
    #[arg(long, conflicts_with_all = ["plan", "schedule", "all_calls"])]
    last: bool,
    /// As JSON, times in microseconds
    #[arg(long)]
    json: bool,
    /// Write a report for build servers into this file
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Write a page into this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
}

fn way(word: &str) -> Result<DrillFault, String> {
    let known = "dns, refuse, silent, stall, grey, rtp-from, rtp-to, or a code such as 503";
    DrillFault::from_word(word).ok_or_else(|| format!("no way to break a trunk; there are {known}"))
}

pub(crate) fn run(args: &Args, api: &Client) -> Result<(), Failure> {
    if let Some(every) = args.schedule {
        if args.plan.is_some() {
            // A plan with faults is no reason to stay.
            let _good = scheduled(args, &Value::Null)?;
        }
        again_and_again(args, api, every)
    }
    let known = ask::get(api, "/v1/drill")?;
    if args.last {
        results::show(&known, args.json);
        return Ok(());
    }
    once(args, api, &plan_of(args, &known)?, &known)
}

/// Until this command is ended: what goes wrong is told, each thing once, and tried again.
fn again_and_again(args: &Args, api: &Client, every: Span) -> ! {
    let (clock, mut told) = (node::clock::Clock::start(), String::new());
    loop {
        let looked = look(args, api, every, clock.now().since(model::Instant::ZERO));
        let pause = match looked {
            Ok(wait) => {
                told.clear();
                wait.clamp(schedule::PAUSE, schedule::LOOK)
            }
            Err(Failure(why)) => {
                if why != told {
                    complain(&why);
                    told = why;
                }
                schedule::RETRY
            }
        };
        // One that returns early asks once more than it had to.
        std::thread::park_timeout(std::time::Duration::from_micros(pause.as_micros()));
    }
}

/// The plan of a schedule.
fn scheduled(args: &Args, known: &Value) -> Result<Plan, Failure> {
    let plan = plan_of(args, known)?;
    if plan.all_calls {
        return Err(Failure(String::from(
            "a plan that breaks trunks for every call is for people, and not for a schedule",
        )));
    }
    Ok(plan)
}

/// Drills when that is due. How long until it is to be looked again.
fn look(args: &Args, api: &Client, every: Span, age: Span) -> Result<Span, Failure> {
    let known = ask::get(api, "/v1/drill")?;
    let plan = scheduled(args, &known)?;
    let last = schedule::last(&known, &plan.trunks());
    let wait = schedule::wait(every, known["now"].as_i64().unwrap_or(0), age, &last);
    if wait == Span::ZERO {
        once(args, api, &plan, &known)?;
    }
    Ok(wait)
}

fn once(args: &Args, api: &Client, plan: &Plan, known: &Value) -> Result<(), Failure> {
    let findings = drill(plan, args, api, known)?;
    if args.json {
        ask::raw(&report::json(&findings));
    }
    write(args.junit.as_ref(), || report::junit(&findings))?;
    write(args.html.as_ref(), || page::page(&findings))?;
    if !findings.is_good() {
        return Err(Failure(findings.verdict()));
    }
    if !args.json {
        say(&findings.verdict());
    }
    Ok(())
}

fn write(path: Option<&PathBuf>, text: impl FnOnce() -> String) -> Result<(), Failure> {
    let Some(path) = path else { return Ok(()) };
    std::fs::write(path, text()).map_err(|error| Failure(format!("{} cannot be written: {error}", path.display())))
}

fn plan_of(args: &Args, known: &Value) -> Result<Plan, Failure> {
    let mut plan = match &args.plan {
        None => Plan::of_candidates(&known["candidates"]),
        Some(path) => {
            let file = path.display().to_string();
            let text = std::fs::read_to_string(path).map_err(|error| Failure(format!("{file}: {error}")))?;
            let (plan, faults) = Plan::read(&text, &file);
            plan.ok_or_else(|| Failure(edge::config::render(&faults, &text, &file)))?
        }
    };
    let absent = plan.keep(&args.trunks, &args.faults);
    if let Some(name) = absent.first() {
        return Err(Failure(format!("trunk `{name}` is not in the plan, or no other one stands in for it")));
    }
    if plan.lines.is_empty() {
        let hint = "give a first trunk of a group a `test_call`, or write a plan (examples/drill.toml)";
        return Err(Failure(format!(
            "nothing can be drilled: no trunk with a number for testing has others behind it; {hint}"
        )));
    }
    plan.all_calls |= args.all_calls;
    if let Some(why) = &args.why {
        plan.why.clone_from(why);
    }
    if plan.all_calls && !args.yes {
        return Err(Failure(String::from(
            "the plan breaks trunks for every call, real ones too: say --yes when that is meant",
        )));
    }
    Ok(plan)
}

fn drill(plan: &Plan, args: &Args, api: &Client, known: &Value) -> Result<Findings, Failure> {
    let mut callers: BTreeMap<&str, Caller> = BTreeMap::new();
    for line in &plan.lines {
        if !callers.contains_key(line.from.as_str()) {
            callers.insert(&line.from, Caller::open(door(known, &line.from)?, plan.caller)?);
        }
    }
    let trunks = plan.trunks();
    let fate = args.config.as_ref().map(|path| fate::look(path, &trunks)).transpose()?;
    let desk = Desk::begin(
        api,
        &Wanted {
            why: &plan.why,
            trunks,
            callers: callers.iter().map(|(from, caller)| (*from, caller.address())).collect(),
            all_calls: plan.all_calls,
            limit_s: plan.limit.as_micros() / 1_000_000,
        },
    )?;
    let mut findings = Findings {
        who: desk.who.clone(),
        why: plan.why.clone(),
        edge: api.host().to_owned(),
        all_calls: plan.all_calls,
        steps: Vec::new(),
        cut: None,
        real: (0, 0),
    };
    if let Some(step) = fate {
        tell(args, &mut findings, step);
    }
    let mut progress = Progress::of(plan);
    for line in &plan.lines {
        let Some(caller) = callers.get_mut(line.from.as_str()) else { continue };
        let tell = &mut |moment: Moment<'_>| match moment {
            Moment::Begins(title) => progress.begins(title),
            Moment::Over(step) => tell(args, &mut findings, step),
        };
        let told = Round { plan, line, desk: &desk, caller, tell }.run();
        if let Err(Failure(why)) = told {
            findings.cut = Some(why);
            break;
        }
    }
    if let Ok(last) = desk.keep() {
        let count = |name: &str| last["drill"]["real_calls"][name].as_u64().unwrap_or(0);
        findings.real = (count("ended"), count("failed"));
        desk.end(findings.count(Verdict::Passed), findings.count(Verdict::Failed))?;
    }
    Ok(findings)
}

/// The two moments of a step.
enum Moment<'t> {
    /// What it is called.
    Begins(&'t str),
    /// What it showed.
    Over(Step),
}

/// Tells of a step at once, where people read along.
fn tell(args: &Args, findings: &mut Findings, step: Step) {
    if !args.json {
        say(&report::terminal(&step));
    }
    findings.steps.push(step);
}

/// One trunk that is drilled, and whoever is told of it.
struct Round<'a, 'd> {
    plan: &'a Plan,
    line: &'a Line,
    desk: &'a Desk<'d>,
    caller: &'a mut Caller,
    tell: &'a mut dyn FnMut(Moment<'_>),
}

impl Round<'_, '_> {
    /// First as it is, then broken in one way after another, then as it is again.
    fn run(&mut self) -> Result<(), Failure> {
        let (plan, trunk) = (self.plan, self.line.trunk.as_str());
        let before = self.call(None, format!("{trunk} as it is"), None)?;
        for fault in plan.ways(self.line) {
            self.desk.set(trunk, Some(*fault))?;
            self.call(Some(*fault), format!("{trunk} broken: {}", fault.word()), Some(&before))?;
            if plan.watches(*fault) {
                (self.tell)(Moment::Begins(&failback::title(trunk, *fault)));
                let step = failback::watch(self.desk, self.caller, self.line, *fault, plan.bounds.failback)?;
                (self.tell)(Moment::Over(step));
            }
        }
        self.desk.set(trunk, None)?;
        // Calls come back by and by: a single one may still go elsewhere.
        if !plan.all_calls {
            self.call(None, format!("{trunk} mended"), Some(&before))?;
        }
        Ok(())
    }

    /// A call, and what it showed; what it was like.
    fn call(&mut self, fault: Option<DrillFault>, title: String, before: Option<&Before>) -> Result<Before, Failure> {
        (self.tell)(Moment::Begins(&title));
        let talk = if fault.is_some_and(DrillFault::is_of_audio) { TALK_BLOCKED } else { TALK };
        let placed = self.caller.call(self.desk, &self.line.number, talk)?;
        let Line { trunk, echo, .. } = self.line;
        let terms = Terms { trunk, fault, bounds: self.plan.bounds, echo: *echo, before, title };
        (self.tell)(Moment::Over(judge(&terms, &placed)));
        Ok(Before::of(&placed))
    }
}

/// Where the edge takes calls of this trunk.
fn door(known: &Value, from: &str) -> Result<std::net::SocketAddr, Failure> {
    let addr = known["at"][from].as_str().and_then(|addr| addr.parse().ok());
    addr.ok_or_else(|| {
        Failure(format!("no call of `{from}` can be placed: there is no such trunk, or its listen takes no UDP"))
    })
}
