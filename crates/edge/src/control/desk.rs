//! What the operator's desk shows: totals, a page of trunks, groups and where their traffic flows.
//!
//! Put together here, so that a page with 500 trunks behind it is never told of more than the fifty it shows. Refuses to know: HTTP, how
//! anything looks.

use super::Control;
use crate::traffic::Tally;
use explain::{GroupView, MemberView};
use model::{Admin, Epoch, GroupId, Health, Instant, Mos, Name, RegistrationState, Seq, Span, TargetId, TrunkId, Wall};
use serde::{Deserialize, Serialize};

/// Alarms told at once.
const ALARMS: usize = 20;
/// Members of one tier told at once.
const MEMBERS: usize = 50;

/// Which trunks are asked for.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct DeskQuery {
    /// Part of their names, in small letters; empty for all.
    pub find: String,
    /// Only those that are not as they should be.
    pub troubled: bool,
    /// In which order.
    pub order: DeskOrder,
    /// So many are passed over.
    pub skip: usize,
    /// And so many told.
    pub limit: usize,
}

/// The order of trunks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum DeskOrder {
    /// Those in trouble first, each kind by name.
    #[default]
    Worst,
    /// By name.
    Name,
    /// Those with most calls first.
    Calls,
}

/// One look at the edge.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeskView {
    /// What this edge is called.
    pub edge: Name,
    /// When.
    pub at: Wall,
    /// Number of the last record.
    pub seq: Seq,
    /// Of the trunk table.
    pub epoch: Epoch,
    /// Calls in progress.
    pub calls: u64,
    /// Trunks by health; those that the operator keeps out count under `out` alone.
    pub trunks: DeskTotals,
    /// Alarms under way, some of them when there are many.
    pub alarms: Vec<String>,
    /// Trunks that were asked for.
    pub lines: Vec<TrunkLine>,
    /// How many more there are behind them.
    pub more: usize,
}

/// Trunks, counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct DeskTotals {
    /// All of them.
    pub all: usize,
    /// Up.
    pub up: usize,
    /// Suspect.
    pub suspect: usize,
    /// Down.
    pub down: usize,
    /// On Probation.
    pub probation: usize,
    /// Not seen yet.
    pub unknown: usize,
    /// Draining or out of service by the operator's word.
    pub out: usize,
}

/// One trunk. Ratios, delays and shares are those of five minutes, per thousand.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrunkLine {
    /// Its name.
    pub name: Name,
    /// Health of its best target.
    pub health: Health,
    /// What the operator wants.
    pub admin: Admin,
    /// Share of its calls that it may get, in percent.
    pub share: u8,
    /// How long its health has been so.
    pub held: Span,
    /// Calls it carries now.
    pub calls: u32,
    /// Calls it may carry.
    pub capacity: Option<u32>,
    /// Time left in which it asked for no calls.
    pub throttled: Option<Span>,
    /// Attempts of calls that ended there.
    pub attempts: u64,
    /// Its part of the attempts of all trunks.
    pub traffic: Option<u16>,
    /// Answer-seizure ratio.
    pub asr: Option<u16>,
    /// Network effectiveness ratio.
    pub ner: Option<u16>,
    /// Mean post-dial delay.
    pub pdd: Option<Span>,
    /// Opinion score of what was heard of it, estimated: half of the calls reach it.
    pub mos: Option<Mos>,
    /// Why it is as it is, in one sentence; none when nothing has been decided since the start.
    pub cause: Option<String>,
    /// What comes next, in words; empty when nothing is due.
    pub next: String,
    /// Our registration there does not hold.
    pub unregistered: bool,
    /// It is probed.
    pub probed: bool,
    /// It has a test call.
    pub test_call: bool,
}

/// A group and where its traffic flows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupTraffic {
    /// The group.
    #[serde(flatten)]
    pub group: GroupView,
    /// Who carries calls and why, in one sentence.
    pub sentence: String,
    /// Attempts of five minutes at each member, tier by tier.
    pub attempts: Vec<Vec<u64>>,
    /// Those at all of its members.
    pub attempts_all: u64,
    /// Of each tier, how many members are not told: of large tiers those with most attempts are.
    pub more: Vec<usize>,
}

impl Control {
    /// The edge at one look; `calls` by trunk id.
    pub fn desk(&mut self, now: Instant, calls: &[u32], in_progress: u64, query: &DeskQuery) -> DeskView {
        let mut totals = DeskTotals::default();
        let mut found = Vec::new();
        let settings = self.snapshot.settings.clone();
        for (index, profile) in settings.profiles.trunks.iter().enumerate() {
            let Some(profile) = profile else { continue };
            let id = TrunkId(index as u16);
            let (health, admin) = (self.engine.table().trunk_health(id), self.engine.table().admin(id));
            totals.count(health, admin);
            let carried = calls.get(index).copied().unwrap_or(0);
            let rank = trouble(health, admin);
            let wanted = (query.find.is_empty() || profile.name.to_lowercase().contains(&query.find))
                && (!query.troubled || rank < CALM);
            if wanted {
                found.push((rank, carried, profile.name.clone(), id));
            }
        }
        match query.order {
            DeskOrder::Worst => found.sort_by(|one, other| (one.0, &one.2).cmp(&(other.0, &other.2))),
            DeskOrder::Name => found.sort_by(|one, other| one.2.cmp(&other.2)),
            DeskOrder::Calls => found.sort_by(|one, other| (other.1, &one.2).cmp(&(one.1, &other.2))),
        }
        let all = self.traffic.all(now);
        let more = found.len().saturating_sub(query.skip.saturating_add(query.limit));
        let shown = found.into_iter().skip(query.skip).take(query.limit);
        let lines = shown.map(|(_, carried, name, id)| self.line(now, id, name, carried, &all)).collect();
        let alarms = self.alarms.active().take(ALARMS);
        DeskView {
            edge: settings.name.clone(),
            at: self.wall,
            seq: self.last(),
            epoch: self.engine.table().epoch(),
            calls: in_progress,
            trunks: totals,
            alarms: alarms.map(|active| explain::words::alarm::raised(&active.alarm)).collect(),
            lines,
            more,
        }
    }

    fn line(&mut self, now: Instant, id: TrunkId, name: Name, calls: u32, all: &Tally) -> TrunkLine {
        let settings = self.snapshot.settings.clone();
        let tally = self.traffic.of(now, id);
        let hearing = self.hearing.of(now, &name);
        let best: Option<TargetId> = self.best_target(id);
        let table = self.engine.table();
        let throttle = table.throttle(id).filter(|throttle| throttle.until > now && throttle.wish.bars());
        let registers = settings.registrations.get(id.index()).is_some_and(Option::is_some);
        let holds = self.registrations.get(&id).is_some_and(|known| known.state == RegistrationState::Registered);
        let traffic = tally.attempts.saturating_mul(1_000).checked_div(all.attempts);
        TrunkLine {
            health: table.trunk_health(id),
            admin: table.admin(id),
            share: best.map_or(0, |target| table.share(target)),
            held: best.map_or(Span::ZERO, |target| now.since(table.since(target))),
            calls,
            capacity: settings.shape.trunk(id).and_then(|shape| shape.limits.calls),
            throttled: throttle.map(|throttle| throttle.until.since(now)),
            attempts: tally.attempts,
            traffic: traffic.map(|permille| permille.min(1_000) as u16),
            asr: tally.asr(),
            ner: tally.ner(),
            pdd: tally.pdd(),
            mos: hearing.and_then(|hearing| hearing.from?.mos_p50),
            cause: self.causes.get(&id).map(|entry| explain::sentence(entry)),
            next: explain::trunk_next(&self.engine, &settings.names, id, now),
            unregistered: registers && !holds,
            probed: settings.probes.iter().any(|(target, policy)| target.trunk == id && policy.on),
            test_call: settings.test_call(id).is_some(),
            name,
        }
    }

    /// Groups in the order of the configuration: so many of them after so many, and how many more there are.
    pub fn groups(&self, now: Instant, skip: usize, limit: usize) -> (Vec<GroupTraffic>, usize) {
        let count = self.snapshot.settings.names.groups.len();
        let ids = (0..count).skip(skip).take(limit).filter_map(|index| u16::try_from(index).ok().map(GroupId));
        let views = ids.filter_map(|id| self.group_traffic(now, id));
        (views.collect(), count.saturating_sub(skip.saturating_add(limit)))
    }

    fn group_traffic(&self, now: Instant, id: GroupId) -> Option<GroupTraffic> {
        let settings = &self.snapshot.settings;
        let mut group = explain::group_view(&self.engine, id, &settings.names, now)?;
        let sentence = explain::why_group(&group).first().cloned().unwrap_or_default();
        let (mut attempts, mut attempts_all, mut more) = (Vec::new(), 0, Vec::new());
        for (tier, ids) in group.tiers.iter_mut().zip(&settings.shape.group(id)?.tiers) {
            let members = std::mem::take(&mut tier.members).into_iter().zip(ids);
            let mut counted: Vec<(u64, MemberView)> =
                members.map(|(member, of)| (self.traffic.of(now, of.trunk).attempts, member)).collect();
            attempts_all += counted.iter().map(|(attempts, _)| attempts).sum::<u64>();
            more.push(counted.len().saturating_sub(MEMBERS));
            if counted.len() > MEMBERS {
                counted.sort_by_key(|(attempts, _)| std::cmp::Reverse(*attempts));
                counted.truncate(MEMBERS);
            }
            let (of, told) = counted.into_iter().unzip();
            attempts.push(of);
            tier.members = told;
        }
        Some(GroupTraffic { group, sentence, attempts, attempts_all, more })
    }
}

/// From here on a trunk is as it should be.
const CALM: u8 = 5;

/// The worst first. What the operator has taken out is known to him, and comes after what is not.
fn trouble(health: Health, admin: Admin) -> u8 {
    match (admin, health) {
        (Admin::InService, Health::Down) => 0,
        (Admin::InService, Health::Suspect) => 1,
        (Admin::InService, Health::Probation) => 2,
        (Admin::Draining, _) => 3,
        (Admin::OutOfService, _) => 4,
        (Admin::InService, Health::Unknown) => CALM,
        (Admin::InService, Health::Up) => CALM + 1,
    }
}

impl DeskTotals {
    fn count(&mut self, health: Health, admin: Admin) {
        self.all += 1;
        let slot = match (admin, health) {
            (Admin::Draining | Admin::OutOfService, _) => &mut self.out,
            (Admin::InService, Health::Up) => &mut self.up,
            (Admin::InService, Health::Suspect) => &mut self.suspect,
            (Admin::InService, Health::Down) => &mut self.down,
            (Admin::InService, Health::Probation) => &mut self.probation,
            (Admin::InService, Health::Unknown) => &mut self.unknown,
        };
        *slot += 1;
    }
}
