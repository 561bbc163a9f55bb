//! One entry as rows.
//!
//! Refuses to know: transactions, files.

use explain::{Act, AttemptRecord, CallRecord, Entry, Operator, Record};
use model::{Span, Wall};
use rusqlite::types::Value;
use rusqlite::{Connection, params};
use std::borrow::Cow;

const INSERT_ENTRY: &str = "INSERT INTO journal (seq, at, kind, trunk, json) VALUES (?1, ?2, ?3, ?4, ?5)";
const INSERT_CALL: &str = "INSERT INTO calls (seq, ended_at, call, call_id, from_trunk, caller, called, invited_at, \
    answered_at, pdd_us, setup_us, duration_us, code, ending, attempts, trunk, json, \
    caller_codec, caller_packets, caller_loss_permille, caller_jitter_us, caller_mos, \
    callee_codec, callee_packets, callee_loss_permille, callee_jitter_us, callee_mos) \
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, \
    ?18, ?19, ?20, ?21, ?22, ?23, ?24, ?25, ?26, ?27)";
const INSERT_ATTEMPT: &str = "INSERT INTO attempts (seq, number, trunk, target, call_id, sent_at, first_reply_us, \
    progress_us, took_us, outcome, code) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";

/// Whether an entry belongs to `calls` rather than to `journal`.
pub(crate) const fn is_call(entry: &Entry) -> bool {
    matches!(entry.record, Record::Call(_))
}

/// Inserts one entry. `json` is scratch space.
pub(crate) fn insert(connection: &Connection, entry: &Entry, json: &mut Vec<u8>) -> rusqlite::Result<()> {
    json.clear();
    match &entry.record {
        Record::Call(call) => {
            serde_json::to_writer(&mut *json, call).map_err(not_json)?;
            insert_call(connection, entry, call, text(json)?)
        }
        record => {
            serde_json::to_writer(&mut *json, record).map_err(not_json)?;
            let trunk = trunk_of(record);
            let mut statement = connection.prepare_cached(INSERT_ENTRY)?;
            let values = params![entry.seq.0 as i64, entry.wall.as_micros(), record.kind(), trunk, text(json)?];
            statement.execute(values).map(|_| ())
        }
    }
}

fn insert_call(connection: &Connection, entry: &Entry, call: &CallRecord, json: &str) -> rusqlite::Result<()> {
    let cdr = explain::cdr(call, entry.wall);
    let seq = entry.seq.0 as i64;
    let mut statement = connection.prepare_cached(INSERT_CALL)?;
    let (caller, callee) = (HeardColumns::of(cdr.caller_heard.as_ref()), HeardColumns::of(cdr.callee_heard.as_ref()));
    statement.execute(params![
        seq,
        entry.wall.as_micros(),
        cdr.call.to_string(),
        cdr.call_id,
        cdr.from,
        cdr.caller,
        cdr.called,
        cdr.invited.as_micros(),
        cdr.answered.map(Wall::as_micros),
        cdr.pdd.map(micros),
        cdr.setup.map(micros),
        micros(cdr.duration),
        cdr.code,
        cdr.ending,
        cdr.attempts,
        cdr.trunk,
        json,
        caller.codec,
        caller.packets,
        caller.loss_permille,
        caller.jitter_us,
        caller.mos,
        callee.codec,
        callee.packets,
        callee.loss_permille,
        callee.jitter_us,
        callee.mos
    ])?;
    let mut statement = connection.prepare_cached(INSERT_ATTEMPT)?;
    for (number, attempt) in (1i64..).zip(&call.attempts) {
        // Why it was begun, the call's own record tells.
        let AttemptRecord { target, trunk, call_id, begun: _, sent, first_reply, progress, took, outcome, fault: _ } =
            attempt;
        statement.execute(params![
            seq,
            number,
            trunk.as_str(),
            target.index,
            call_id,
            call.wall(*sent, entry.wall).as_micros(),
            first_reply.map(micros),
            progress.map(micros),
            micros(*took),
            outcome.word(),
            outcome.code()
        ])?;
    }
    Ok(())
}

/// One direction of audio, as its columns have it.
#[derive(Default)]
struct HeardColumns<'a> {
    codec: Option<&'a str>,
    packets: Option<i64>,
    loss_permille: Option<u16>,
    jitter_us: Option<i64>,
    mos: Option<f64>,
}

impl<'a> HeardColumns<'a> {
    fn of(heard: Option<&'a explain::Heard<'_>>) -> Self {
        let Some(heard) = heard else { return Self::default() };
        Self {
            codec: heard.codec.as_deref(),
            packets: Some(i64::try_from(heard.packets).unwrap_or(i64::MAX)),
            loss_permille: Some(heard.loss_permille),
            jitter_us: heard.jitter.map(micros),
            mos: heard.mos.map(|mos| f64::from(mos.hundredths()) / 100.0),
        }
    }
}

/// What stands for a group in the column of trunks. No name of a trunk begins so, and what concerns a group is not told of each of its trunks.
pub(crate) fn of_group(group: &str) -> String {
    format!("*{group}")
}

/// The trunk an entry is about, or its group; `*` for one that concerns all.
fn trunk_of(record: &Record) -> Option<Cow<'_, str>> {
    if let Some(group) = group_of(record) {
        return Some(of_group(group).into());
    }
    let trunk = match record {
        Record::Decision { who, .. } | Record::Shadow { who, .. } => Some(who.trunk.as_str()),
        // Of several trunks, and looked up when the edge starts.
        Record::Operator(Operator { act: Act::DrillEnd { .. }, .. }) => Some("*"),
        Record::Operator(act) => act.trunk.as_ref().map(|trunk| trunk.as_str()),
        Record::Configured { .. } => Some("*"),
        Record::Located(located) => Some(located.trunk.as_str()),
        Record::Call(_) | Record::Alarm(_) | Record::Unreadable { .. } => None,
    };
    trunk.map(Cow::from)
}

/// The group that an entry is about, as against a trunk.
fn group_of(record: &Record) -> Option<&str> {
    match record {
        Record::Decision { who, .. } => who.group.as_ref().map(|group| group.as_str()),
        Record::Operator(act) => act.group().map(|group| group.as_str()),
        _ => None,
    }
}

fn micros(span: Span) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}

/// The entry of a row. One that this version cannot read is told as such rather than hidden or an error: a single strange
/// row must not stand before all others.
pub(crate) fn entry(seq: i64, wall: i64, call: bool, json: &str) -> Entry {
    let record = if call { serde_json::from_str(json).map(Record::Call) } else { serde_json::from_str(json) };
    let record = record.unwrap_or_else(|error| Record::Unreadable { error: error.to_string() });
    Entry { seq: model::Seq(seq as u64), wall: Wall::from_micros(wall), record }
}

fn text(json: &[u8]) -> rusqlite::Result<&str> {
    std::str::from_utf8(json).map_err(|error| rusqlite::Error::ToSqlConversionFailure(Box::new(error)))
}

fn not_json(error: serde_json::Error) -> rusqlite::Error {
    rusqlite::Error::ToSqlConversionFailure(Box::new(error))
}

/// A limit as SQLite wants it.
pub(crate) fn limit(rows: u64) -> Value {
    Value::Integer(i64::try_from(rows).unwrap_or(i64::MAX))
}
