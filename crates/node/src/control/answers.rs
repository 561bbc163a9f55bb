//! Answers to questions from the API, out of what control knows and what the shards have said.
//!
//! Refuses to know: how an answer travels.

use super::{ControlThread, OWED_FORGIVEN, capture, dry_run, metrics};
use crate::looks::Seen;
use crate::shard::Order;
use api::{Ask, CallsPage, Fault, GroupAct, Health, Kind, MetricsSnapshot, Word};
use edge::{By, CallView, ControlInput, DeskOrder, DeskQuery, TrunkAct, Whom};
use explain::Entry;
use model::{CallRef, GroupId, TrunkId};
use serde::Serialize;
use serde_json::{Value, json};
use std::sync::Arc;

/// Nobody's call: a look at it shows a shard in numbers and no call.
const NO_CALL: CallRef = CallRef(0);

impl ControlThread {
    pub(super) fn take_asks(&mut self) {
        while let Some(ask) = self.asks.next() {
            match ask {
                Ask::Operate { trunk, act, word, reply } => {
                    let answer = self.operate(&trunk, act, word);
                    // Whoever asked may have gone; so in all answers.
                    let _gone = reply.send(answer);
                }
                Ask::OperateGroup { group, act, word, reply } => {
                    let _gone = reply.send(self.operate_group(&group, act, word));
                }
                Ask::Forgive { source, word, reply } => {
                    let _gone = reply.send(self.forgive(&source, word));
                }
                Ask::TestCall { trunk, word, reply } => self.ask_test(trunk, word, reply),
                Ask::TestPost { webhook, word, reply } => self.ask_test_post(&webhook, word, reply),
                Ask::Drill { what, reply } => self.ask_drill(what, reply),
                Ask::Reload { reply } => {
                    self.said = Some(Vec::new());
                    let done = self.reload();
                    let sentences = sentences(&self.said.take().unwrap_or_default());
                    let answer =
                        done.map(|print| json!({ "fingerprint": format!("{print:08x}"), "sentences": sentences }));
                    let _gone = reply.send(answer);
                }
                Ask::Group { group, reply } => {
                    let view = self.control.group(self.now, &group).ok_or_else(|| Fault::no_group(&group));
                    let _gone = reply.send(view);
                }
                Ask::Groups { skip, limit, reply } => {
                    let (groups, more) = self.control.groups(self.now, skip, limit);
                    let _gone = reply.send(Ok(json!({ "groups": groups, "more": more })));
                }
                Ask::Table { reply } => {
                    let _gone = reply.send(self.table());
                }
                Ask::WhyTrunk { trunk, reply, .. } => {
                    let known = self.trunk_id(&trunk);
                    let _gone = reply.send(known.map(|_| vec![explain::nothing_yet(&trunk)]));
                }
                Ask::Alarms { reply } => {
                    let _gone = reply.send(Ok(self.alarms()));
                }
                ask => self.look(ask),
            }
        }
    }

    /// Asks the shards; a full house drops the question, which tells whoever asked to come again.
    pub(super) fn look(&mut self, ask: Ask) {
        let said = capture::wanted(&ask);
        let (call, after, most) = match &ask {
            Ask::Calls { limit, after, .. } => (None, *after, *limit),
            Ask::Live { limit, .. } => (None, None, *limit),
            Ask::Call { call, .. } | Ask::WhyCall { call, .. } => (Some(*call), None, 1),
            _ => (Some(NO_CALL), None, 0),
        };
        let Ok(ticket) = self.looks.open(self.now, self.shards.len(), ask) else { return };
        for shard in &mut self.shards {
            // A shard that cannot be told is missing from the answer.
            let _missing = shard.orders.send(match said.clone() {
                Some((call, call_ids)) => Order::Capture { ticket, call, call_ids },
                None => Order::Look { ticket, call, after, most },
            });
        }
    }

    pub(super) fn answer(&mut self, ask: Ask, seen: &Seen) {
        match ask {
            Ask::Trunks { reply } => {
                let views = self.control.view(self.now, &seen.trunk_calls());
                let _gone = reply.send(value(&views));
            }
            Ask::Trunk { trunk, reply } => {
                let _gone = reply.send(self.one_trunk(&trunk, seen));
            }
            Ask::Desk { query, reply } => {
                let calls = seen.shards.iter().map(|shard| shard.calls).sum();
                let view = self.control.desk(self.now, &seen.trunk_calls(), calls, &desk_query(query));
                let _gone = reply.send(value(&view));
            }
            Ask::Live { limit, reply } => {
                let all: u64 = seen.shards.iter().map(|shard| shard.calls).sum();
                let lines: Vec<Value> = seen.calls.iter().take(limit).map(live_line).collect();
                let _gone = reply.send(Ok(json!({ "all": all, "calls": lines })));
            }
            Ask::Calls { limit, reply, .. } => {
                let missing = self.shards.len().saturating_sub(seen.shards.len());
                let _gone = reply.send(calls_page(&seen.calls, limit, missing));
            }
            Ask::Call { call, reply } => {
                let view = seen.calls.iter().find(|view| view.call == call).ok_or_else(|| Fault::no_call(call));
                let _gone = reply.send(view.and_then(value));
            }
            Ask::WhyCall { call, reply } => {
                let view = seen.calls.iter().find(|view| view.call == call).ok_or_else(|| Fault::no_call(call));
                let _gone = reply.send(view.map(|view| view.sentences.clone()));
            }
            Ask::Pcap { call, call_ids, reply } => {
                let _gone = reply.send(self.pcap(call, !call_ids.is_empty(), seen));
            }
            Ask::Guard { limit, reply } => {
                let _gone = reply.send(Ok(seen.guarded(limit)));
            }
            Ask::Route { from, number, reply } => {
                let snapshot = self.control.snapshot();
                let view = dry_run::route(self.now, snapshot, &seen.trunk_calls(), from.as_deref(), &number);
                let _gone = reply.send(view.and_then(|view| value(&view)));
            }
            Ask::Drill { what, reply } => {
                let _gone = reply.send(self.drill_answer(&what));
            }
            Ask::Health { reply } => {
                let _gone = reply.send(Ok(self.health(seen)));
            }
            Ask::Metrics { reply } => {
                let _gone = reply.send(Ok(self.metrics(seen)));
            }
            // The journal and the lab are asked elsewhere, acts are answered at once.
            Ask::Operate { .. }
            | Ask::OperateGroup { .. }
            | Ask::Forgive { .. }
            | Ask::TestCall { .. }
            | Ask::TestPost { .. }
            | Ask::Reload { .. }
            | Ask::Group { .. }
            | Ask::Groups { .. }
            | Ask::Cdrs { .. }
            | Ask::Ended { .. }
            | Ask::Timeline { .. }
            | Ask::Table { .. }
            | Ask::Alarms { .. }
            | Ask::Journal { .. }
            | Ask::WhyTrunk { .. }
            | Ask::Decisions { .. }
            | Ask::Events { .. }
            | Ask::Extra { .. } => {}
        }
    }

    /// Everything that is counted and measured.
    fn metrics(&mut self, seen: &Seen) -> MetricsSnapshot {
        let trunks = self.control.view(self.now, &seen.trunk_calls());
        let orders_lost = self.shards.iter().map(|shard| shard.orders.refused()).sum();
        let journal = self.store.counters();
        let mut metrics = metrics::snapshot(seen, &trunks, journal, orders_lost);
        self.posts.measure(&mut metrics);
        metrics::alarms(&mut metrics, self.control.alarms().map(|active| active.alarm.kind()));
        metrics::drills(&mut metrics, &self.control);
        metrics::groups(&mut metrics, &self.control, self.now);
        let unasked = self.control.unasked_answers();
        metrics.counter("names_unasked", "Answers of name servers that nobody waited for.", &[], unasked);
        self.dns.measure(&mut metrics);
        if let Some(streams) = &self.streams {
            metrics::streams(&mut metrics, streams, self.clock.wall());
        }
        let settings = &self.control.snapshot().settings;
        let tiers = settings.shape.groups().iter().map(|group| group.tiers.len()).max().unwrap_or(0);
        self.tally.measure(&mut metrics, &settings.names, tiers);
        metrics
    }

    /// A trunk with its targets, and in one line as the desk has it.
    fn one_trunk(&mut self, trunk: &str, seen: &Seen) -> Result<Value, Fault> {
        let calls = seen.trunk_calls();
        let views = self.control.view(self.now, &calls);
        let view = views.iter().find(|view| view.name.as_str() == trunk).ok_or_else(|| Fault::no_trunk(trunk))?;
        let query = DeskQuery { find: trunk.to_lowercase(), limit: usize::MAX, ..DeskQuery::default() };
        let lines = self.control.desk(self.now, &calls, 0, &query).lines;
        let mut answer = value(view)?;
        answer["line"] = value(&lines.iter().find(|line| line.name.as_str() == trunk))?;
        Ok(answer)
    }

    /// What a replay of the journal up to that number must give, bit for bit.
    fn table(&self) -> Result<Value, Fault> {
        let snapshot = self.control.snapshot();
        let table = value(&*snapshot.table)?;
        Ok(json!({ "fingerprint": snapshot.settings.fingerprint, "seq": self.control.last(), "table": table }))
    }

    fn alarms(&self) -> Value {
        let one = |active: &edge::Active| {
            json!({
                "kind": active.alarm.kind(),
                "since": active.since.to_string(),
                "sentence": explain::words::alarm::raised(&active.alarm),
                "alarm": active.alarm,
            })
        };
        self.control.alarms().map(one).collect()
    }

    fn operate(&mut self, trunk: &str, act: api::TrunkAct, word: Word) -> Result<Value, Fault> {
        let id = self.trunk_id(trunk)?;
        let act = match act {
            api::TrunkAct::Drain => TrunkAct::Drain,
            api::TrunkAct::Out => TrunkAct::Out,
            api::TrunkAct::Restore => TrunkAct::Restore,
            api::TrunkAct::Probe => TrunkAct::Probe,
        };
        let said = self.act(ControlInput::Operate { trunk: id, act, by: by(word) });
        Ok(json!({ "trunk": trunk, "sentences": sentences(&said) }))
    }

    fn operate_group(&mut self, group: &str, act: GroupAct, word: Word) -> Result<Value, Fault> {
        let settings = &self.control.snapshot().settings;
        let place = settings.names.groups.iter().position(|name| name.as_str() == group);
        let id = place.and_then(|place| u16::try_from(place).ok()).map(GroupId);
        let id = id.ok_or_else(|| Fault::no_group(group))?;
        let tiers = settings.shape.group(id).map_or(0, |policy| policy.tiers.len());
        let by = by(word);
        let input = match act {
            GroupAct::Force { tier, .. } if usize::from(tier) >= tiers => {
                // In no number of a tier, which the API counts from nought and people from one.
                let error = format!("group `{group}` has not got that tier: its tiers are {tiers} in number");
                return Err(Fault::new(Kind::NotFound, error, format!("GET /v1/why/group/{group} shows them")));
            }
            GroupAct::Force { tier, length } => ControlInput::Force { group: id, tier, length, by },
            GroupAct::Release => ControlInput::Release { group: id, by },
        };
        let said = self.act(input);
        Ok(json!({ "group": group, "sentences": sentences(&said) }))
    }

    /// Every shard's guard is told, and none is left out: when one is too far behind nothing is done.
    fn forgive(&mut self, source: &str, word: Word) -> Result<Value, Fault> {
        let whom: Whom = source.parse().map_err(|_| {
            let hint = "an address, an IPv6 network of 64 bits, or address:port of a phone, as GET /v1/guard shows it";
            Fault::new(Kind::Invalid, format!("`{source}` is no source"), hint)
        })?;
        if self.shards.iter().any(|shard| shard.owed_forgiven.len() >= OWED_FORGIVEN) {
            return Err(Fault::new(Kind::Unavailable, "a shard is too busy to be told", "try again"));
        }
        let said = self.act(ControlInput::Forgive { whom, by: by(word) });
        Ok(json!({ "source": whom.to_string(), "sentences": sentences(&said) }))
    }

    /// The act goes on record; what comes of the post, the thread that tries it tells whoever asked.
    fn ask_test_post(&mut self, webhook: &str, word: Word, reply: api::Reply<Value>) {
        let known = &self.control.snapshot().settings.webhooks;
        let Some(name) = known.iter().map(|hook| &hook.name).find(|name| name.as_str() == webhook).cloned() else {
            let _gone = reply.send(Err(Fault::no_webhook(webhook)));
            return;
        };
        let said = self.act(ControlInput::TestPost { webhook: name.clone(), by: by(word) });
        if let Some(entry) = said.into_iter().next() {
            self.posts.test(name, entry, reply);
        }
    }

    /// What is written because of an operator's act.
    fn act(&mut self, act: ControlInput) -> Vec<Arc<Entry>> {
        self.said = Some(Vec::new());
        self.input(act);
        self.said.take().unwrap_or_default()
    }

    pub(super) fn trunk_id(&self, trunk: &str) -> Result<TrunkId, Fault> {
        let names = &self.control.snapshot().settings.names.trunks;
        let known = names.iter().position(|name| !name.is_empty() && name.as_str() == trunk);
        known.map(|index| TrunkId(index as u16)).ok_or_else(|| Fault::no_trunk(trunk))
    }

    fn health(&self, seen: &Seen) -> Health {
        let answered = |shard: &usize| seen.shards.iter().any(|view| usize::from(view.shard) == *shard);
        let silent: Vec<String> =
            (0..self.shards.len()).filter(|shard| !answered(shard)).map(|shard| shard.to_string()).collect();
        let unready = if self.draining.is_some() {
            Some("draining: live calls are served to their end, new ones get 503".to_owned())
        } else if self.banner.is_some() {
            Some("starting: media ports are being opened".to_owned())
        } else {
            None
        };
        let silent = (!silent.is_empty()).then(|| format!("no answer from shard {}", silent.join(", ")));
        Health { silent, unready }
    }
}

fn sentences(said: &[Arc<Entry>]) -> Vec<String> {
    said.iter().map(|entry| explain::sentence(entry)).collect()
}

/// A word that came by the API.
pub(super) fn by(word: Word) -> By {
    By { via: "api", who: word.who, why: word.why }
}

fn desk_query(query: api::DeskQuery) -> DeskQuery {
    let api::DeskQuery { find, troubled, order, skip, limit } = query;
    let order = match order {
        api::DeskOrder::Worst => DeskOrder::Worst,
        api::DeskOrder::Name => DeskOrder::Name,
        api::DeskOrder::Calls => DeskOrder::Calls,
    };
    DeskQuery { find, troubled, order, skip, limit }
}

fn calls_page(calls: &[CallView], limit: usize, missing: usize) -> Result<CallsPage, Fault> {
    let calls = calls.get(..limit).unwrap_or(calls);
    let last = calls.last().filter(|_| calls.len() == limit).map(CallView::place);
    Ok(CallsPage { calls: value(&calls)?, last, missing })
}

/// A call in progress in one line.
fn live_line(view: &CallView) -> Value {
    let CallView { call, from, to, caller, called, state, age, talking, attempts, .. } = view;
    json!({
        "call": call, "from": from, "to": to, "caller": caller, "called": called, "state": state, "age": age,
        "talking": talking, "attempts": attempts.len(),
    })
}

fn value(of: &impl Serialize) -> Result<Value, Fault> {
    serde_json::to_value(of)
        .map_err(|error| Fault::new(Kind::Failed, format!("the answer cannot be written: {error}"), "look at the log"))
}
