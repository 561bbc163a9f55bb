//! One moment of the node as metrics: shards, trunks, journal.
//!
//! Refuses to know: the text format.

use super::StreamLink;
use super::meaning::{meaning, of_streams};
use crate::looks::Seen;
use api::{Label, MetricsSnapshot};
use edge::{Control, HearingView, TestCallsView, TrunkView};
use explain::Alarm;
use model::{Admin, GroupId, Health, Instant, TestCallResult, TrunkId, Wall};

const HEALTH: [Health; 5] = [Health::Unknown, Health::Up, Health::Suspect, Health::Down, Health::Probation];

/// Everything as it is now.
pub(super) fn snapshot(
    seen: &Seen,
    trunks: &[TrunkView],
    journal: store::Counters,
    orders_lost: u64,
) -> MetricsSnapshot {
    let mut metrics = MetricsSnapshot::new();
    shards(&mut metrics, seen);
    for trunk in trunks {
        one_trunk(&mut metrics, trunk);
    }
    metrics.counter("journal_written", "Records written to the journal.", &[], journal.written);
    metrics.counter("journal_dropped", "Records lost because the journal's queue was full.", &[], journal.dropped);
    metrics.counter("journal_failed", "Records the disk refused.", &[], journal.failed);
    metrics.counter("orders_lost", "Orders to shards lost because a ring was full.", &[], orders_lost);
    metrics
}

/// Connections of TCP and TLS.
pub(super) fn streams(metrics: &mut MetricsSnapshot, link: &StreamLink, now: Wall) {
    let counters = &link.counters;
    for (file, at) in &link.tls.expiry {
        let left = *at as f64 - now.as_micros() as f64 / 1e6;
        let labels = [("file", file.clone())];
        metrics.gauge("certificate_expires_seconds", "Time until a certificate of ours expires.", &labels, left);
    }
    metrics.gauge("streams", "Connections that live.", &[], counters.live.get() as f64);
    for (what, count) in counters.named() {
        let labels = [("what", what.to_owned())];
        metrics.counter("streams_events", of_streams(), &labels, count);
    }
}

/// Alarms under way, by kind; each kind is there, so that a rule can be written before it is needed.
pub(super) fn alarms(metrics: &mut MetricsSnapshot, active: impl Iterator<Item = &'static str>) {
    let active: Vec<&str> = active.collect();
    for kind in Alarm::KINDS {
        let count = active.iter().filter(|one| **one == kind).count();
        metrics.gauge("alarms_active", "Alarms under way.", &[("kind", kind.to_owned())], count as f64);
    }
}

/// Which tiers are forced. Every group is there, so that a rule can be written before it is needed.
pub(super) fn groups(metrics: &mut MetricsSnapshot, control: &Control, now: Instant) {
    let snapshot = control.snapshot();
    for (id, name) in (0..).map(GroupId).zip(&snapshot.settings.names.groups) {
        let forced = snapshot.table.forced(id).filter(|forced| forced.until > now);
        let tier = forced.map_or(0.0, |forced| f64::from(forced.tier) + 1.0);
        let labels = [("group", name.to_string())];
        metrics.gauge(
            "group_forced_tier",
            "The tier that the operator has put first, 1 the best; 0 for none.",
            &labels,
            tier,
        );
    }
}

/// What drills came to. A trunk that none has come to is there as soon as one could, with a time of 0: what was never tried is to be seen.
pub(super) fn drills(metrics: &mut MetricsSnapshot, control: &Control) {
    let names = (0..).map(TrunkId).zip(&control.snapshot().settings.names.trunks);
    for (id, name) in names.filter(|(_, name)| !name.is_empty()) {
        let result = control.drilled().get(name);
        if result.is_none() && !control.is_drillable(id) {
            continue;
        }
        let labels = [("trunk", name.to_string())];
        let good = result.and_then(|result| result.good).map_or(0.0, |at| at.as_micros() as f64 / 1e6);
        let help = "When a drill of the trunk passed last, in seconds since 1970; 0 for never.";
        metrics.gauge("trunk_drill_passed_timestamp_seconds", help, &labels, good);
        if let Some(result) = result {
            let passed = f64::from(u8::from(result.failed == 0));
            metrics.gauge("trunk_drill_passed", "1 unless a line of its last drill failed.", &labels, passed);
        }
    }
}

fn shards(metrics: &mut MetricsSnapshot, seen: &Seen) {
    for shard in &seen.shards {
        let labels = [("shard", shard.shard.to_string())];
        metrics.gauge("calls", "Calls in progress.", &labels, shard.calls as f64);
        metrics.gauge("registered", "Addresses of phones that a shard can call.", &labels, shard.registered as f64);
        metrics.gauge("transactions", "SIP transactions held.", &labels, shard.transactions as f64);
        metrics.gauge("ports_ready", "Media port pairs ready.", &labels, shard.ports_ready as f64);
        metrics.gauge("ports_used", "Media port pairs in use or in quarantine.", &labels, shard.ports_used as f64);
        let help = "Media port pairs in quarantine; a part of those used.";
        metrics.gauge("ports_resting", help, &labels, shard.ports_resting as f64);
        metrics.gauge("epoch", "Epoch of the trunk table in use.", &labels, shard.epoch.0 as f64);
        for (name, count) in &shard.counters {
            metrics.counter(name, meaning(name), &labels, *count);
        }
    }
}

fn one_trunk(metrics: &mut MetricsSnapshot, trunk: &TrunkView) {
    let labels = [("trunk", trunk.name.to_string())];
    let states = HEALTH.map(state);
    metrics.state("trunk_health", "Health of the trunk's best target.", &labels, &states, state(trunk.health));
    let in_service = f64::from(u8::from(trunk.admin == Admin::InService));
    metrics.gauge("trunk_in_service", "1 unless the operator took it out.", &labels, in_service);
    metrics.gauge("trunk_share_percent", "Share of calls it may get.", &labels, f64::from(trunk.share));
    metrics.gauge("trunk_calls", "Calls it carries, both directions.", &labels, f64::from(trunk.calls));
    if let Some(registration) = &trunk.registration {
        let holds = f64::from(u8::from(registration.state == Some(model::RegistrationState::Registered)));
        metrics.gauge("trunk_registered", "1 while our registration there holds.", &labels, holds);
    }
    if let Some(tests) = &trunk.test_calls {
        test_calls(metrics, &labels, tests);
    }
    if let Some(heard) = &trunk.hearing {
        hearing(metrics, &labels, heard);
    }
    for name in &trunk.names {
        let labels = [("trunk", trunk.name.to_string()), ("name", name.name.to_string())];
        let good = f64::from(u8::from(name.trouble.is_none()));
        metrics.gauge("name_good", "1 while the name leads somewhere and is renewed.", &labels, good);
        let left = name.left.as_micros() as f64 / 1e6;
        metrics.gauge("name_fresh_seconds", "Time until what is known of the name must be renewed.", &labels, left);
    }
    for target in &trunk.targets {
        let labels = [("trunk", trunk.name.to_string()), ("target", target.addr.clone())];
        metrics.state("target_health", "Health of the target.", &labels, &states, state(target.health));
        if let Some(rtt) = target.rtt {
            let seconds = rtt.as_micros() as f64 / 1e6;
            metrics.gauge("probe_rtt_seconds", "Round trip of the last answered probe.", &labels, seconds);
        }
        metrics.gauge(
            "target_attempts_minute",
            "Attempts within the last minute.",
            &labels,
            f64::from(target.attempts),
        );
        let blamed = f64::from(target.blamed);
        metrics.gauge("target_blamed_minute", "Of them, failures blamed on the trunk.", &labels, blamed);
    }
}

/// Label values are in lower case, as those of all metrics are; in sentences a state is a name.
const fn state(health: Health) -> &'static str {
    match health {
        Health::Unknown => "unknown",
        Health::Up => "up",
        Health::Suspect => "suspect",
        Health::Down => "down",
        Health::Probation => "probation",
    }
}

/// Audio of the calls that ended within five minutes. Scores are estimates by the E-model.
fn hearing(metrics: &mut MetricsSnapshot, labels: &[Label], heard: &HearingView) {
    let [trunk] = labels else { return };
    let calls = f64::from(heard.calls);
    metrics.gauge("trunk_audio_calls", "Answered calls with audio that ended within five minutes.", labels, calls);
    let silent = "Of them, those in which nothing ever came from the trunk although the other side spoke.";
    metrics.gauge("trunk_audio_one_way", silent, labels, f64::from(heard.one_way));
    for (direction, stream) in [("from", heard.from), ("to", heard.to)] {
        let Some(stream) = stream else { continue };
        let labels = [trunk.clone(), ("direction", direction.to_owned())];
        let loss = f64::from(stream.loss_permille) / 1e3;
        metrics.gauge("trunk_audio_loss", "Share of packets missing or too late, five minutes.", &labels, loss);
        if let Some(jitter) = stream.jitter {
            let seconds = jitter.as_micros() as f64 / 1e6;
            metrics.gauge("trunk_audio_jitter_seconds", "Median of the calls' mean jitters.", &labels, seconds);
        }
        for (name, help, mos) in [
            ("trunk_audio_mos_p10", "Estimated opinion score that nine of ten calls reach.", stream.mos_p10),
            ("trunk_audio_mos_p50", "Estimated opinion score that half of the calls reach.", stream.mos_p50),
        ] {
            if let Some(mos) = mos {
                metrics.gauge(name, help, &labels, f64::from(mos.hundredths()) / 100.0);
            }
        }
    }
}

fn test_calls(metrics: &mut MetricsSnapshot, labels: &[Label], tests: &TestCallsView) {
    metrics.counter("trunk_test_calls_good", "Test calls that came to what was expected.", labels, tests.good);
    metrics.counter("trunk_test_calls_bad", "Test calls that did not.", labels, tests.bad);
    metrics.counter(
        "trunk_test_calls_void",
        "Test calls that say nothing: not placed, or broken off.",
        labels,
        tests.void,
    );
    let Some(last) = &tests.last else { return };
    let good = matches!(last.result, Some(TestCallResult::Good { .. }));
    metrics.gauge("trunk_test_call_last_good", "1 if the last test call was good.", labels, f64::from(u8::from(good)));
    let times = [
        ("trunk_test_call_ringback_seconds", "INVITE to ringback of the last test call.", last.ringback),
        ("trunk_test_call_answer_seconds", "INVITE to answer of the last test call.", last.answer),
    ];
    for (name, help, after) in times {
        if let Some(after) = after {
            metrics.gauge(name, help, labels, after.as_micros() as f64 / 1e6);
        }
    }
}
