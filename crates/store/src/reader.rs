//! The journal's reading end: a read-only connection of its own, so that no question holds up the writer.
//!
//! Every answer has a limit. Calls block; ask from a thread that may wait. Refuses to know: who asks.

use crate::place::{self, StoreError};
use crate::row;
use explain::{Cdr, Entry, Heard};
use model::{CallRef, Mos, Seq, Span, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};
use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Rows in one answer at most.
const MOST: u64 = 1_000;

/// Entries of both tables by number. Each side walks its own primary key; neither is sorted.
const ENTRIES: &str = "SELECT seq, at, 0, json FROM journal WHERE seq >= ?1 \
    UNION ALL SELECT seq, ended_at, 1, json FROM calls WHERE seq >= ?1 ORDER BY seq LIMIT ?2";
/// Of one trunk and of all; those of a second policy only when asked for, so that they do not push out the others.
const OF_TRUNK: &str = "SELECT * FROM (SELECT seq, at, 0, json FROM journal WHERE trunk = ?1 AND (?3 OR kind <> 'shadow') \
    ORDER BY seq DESC LIMIT ?2) \
    UNION ALL SELECT * FROM (SELECT seq, at, 0, json FROM journal WHERE trunk = '*' ORDER BY seq DESC LIMIT ?2) \
    ORDER BY 1 DESC LIMIT ?2";
/// What operators did to the whole edge, the latest first: ends of drills are among it.
const OF_ALL: &str = "SELECT seq, at, 0, json FROM journal WHERE trunk = '*' AND kind = 'operator' \
    ORDER BY seq DESC LIMIT ?1";
/// Everything but calls, the latest first; what a second policy would have decided is not among it.
const TIMELINE: &str =
    "SELECT seq, at, 0, json FROM journal WHERE seq < ?1 AND kind <> 'shadow' ORDER BY seq DESC LIMIT ?2";
/// The same of one trunk and of all.
const TIMELINE_OF: &str = "SELECT * FROM (SELECT seq, at, 0, json FROM journal WHERE trunk = ?3 AND seq < ?1 AND kind <> 'shadow' \
    ORDER BY seq DESC LIMIT ?2) \
    UNION ALL SELECT * FROM (SELECT seq, at, 0, json FROM journal WHERE trunk = '*' AND seq < ?1 ORDER BY seq DESC LIMIT ?2) \
    ORDER BY 1 DESC LIMIT ?2";
const OF_CALL: &str = "SELECT seq, ended_at, 1, json FROM calls WHERE call = ?1 ORDER BY seq DESC LIMIT 1";
/// What `call_row` reads, of calls that meet a condition.
macro_rules! calls {
    ($rest:literal) => {
        concat!(
            "SELECT seq, ended_at, call, call_id, from_trunk, caller, called, invited_at, answered_at, pdd_us, setup_us, ",
            "duration_us, code, ending, attempts, trunk, caller_codec, caller_packets, caller_loss_permille, ",
            "caller_jitter_us, caller_mos, callee_codec, callee_packets, callee_loss_permille, callee_jitter_us, ",
            "callee_mos FROM calls WHERE ",
            $rest
        )
    };
}
pub(crate) use calls;

const CALLS: &str = calls!("seq < ?1 ORDER BY seq DESC LIMIT ?2");
const LAST: &str = "SELECT max(coalesce((SELECT max(seq) FROM journal), 0), coalesce((SELECT max(seq) FROM calls), 0))";

/// Reads the journal. Clones share one connection.
#[derive(Clone)]
pub struct Reader {
    link: Arc<Mutex<Connection>>,
}

/// One line of the list of calls.
#[derive(Clone, Debug, PartialEq)]
pub struct CallRow {
    /// Number of its record.
    pub seq: Seq,
    /// The call.
    pub cdr: Cdr<'static>,
}

impl Reader {
    pub(crate) const fn new(link: Arc<Mutex<Connection>>) -> Self {
        Self { link }
    }

    /// Opens a journal for reading alone: that of an edge that runs, or of one that has ended. `path` is its file or its folder.
    ///
    /// # Errors
    /// When there is no journal, or it is damaged or a newer one.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Ok(Self::new(Arc::new(Mutex::new(place::open_to_read(path)?))))
    }

    /// Number of the last record; 0 when there is none. The next one to be written is one higher.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn last_seq(&self) -> Result<Seq, StoreError> {
        let last: i64 = self.link().prepare_cached(LAST)?.query_row([], |row| row.get(0))?;
        Ok(Seq(last as u64))
    }

    /// Records from number `from` on, in order: 1000 at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn entries(&self, from: Seq, limit: u64) -> Result<Vec<Entry>, StoreError> {
        let from = i64::try_from(from.0).unwrap_or(i64::MAX);
        self.query(ENTRIES, params![from, capped(limit)])
    }

    /// The last records that concern this trunk, oldest first: 1000 at most. Starts and reloads concern all trunks. What a
    /// second policy would have decided is among them only when `shadow` is asked for.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn trunk_entries(&self, name: &str, limit: u64, shadow: bool) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.query(OF_TRUNK, params![name, capped(limit), shadow])?;
        entries.reverse();
        Ok(entries)
    }

    /// The same in sentences; none for a trunk that never was.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn why_trunk(&self, name: &str, limit: u64, shadow: bool) -> Result<Vec<String>, StoreError> {
        Ok(explain::why_trunk(&self.trunk_entries(name, limit, shadow)?, name, shadow))
    }

    /// The ends of the last drills, oldest first: 1000 at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn drills(&self) -> Result<Vec<Entry>, StoreError> {
        let mut entries = self.query(OF_ALL, params![capped(MOST)])?;
        entries.reverse();
        Ok(entries)
    }

    /// The last records that concern a group or any of its trunks, oldest first, each once: 1000 at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn group_entries<'n>(
        &self,
        group: &str,
        trunks: impl IntoIterator<Item = &'n str>,
        limit: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        let names = trunks.into_iter().map(Cow::from).chain([row::of_group(group).into()]);
        let mut entries = Vec::new();
        for name in names {
            entries.extend(self.trunk_entries(&name, limit, false)?);
            entries.sort_by_key(|entry| entry.seq);
            entries.dedup_by_key(|entry| entry.seq);
            let most = usize::try_from(limit.min(MOST)).unwrap_or(usize::MAX);
            entries.drain(..entries.len().saturating_sub(most));
        }
        Ok(entries)
    }

    /// What was decided, done and raised, latest first, calls not among it: 1000 at most. `before` turns the page.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn timeline(&self, trunk: Option<&str>, limit: u64, before: Option<Seq>) -> Result<Vec<Entry>, StoreError> {
        let before = before.map_or(i64::MAX, |seq| i64::try_from(seq.0).unwrap_or(i64::MAX));
        match trunk {
            None => self.query(TIMELINE, params![before, capped(limit)]),
            Some(trunk) => self.query(TIMELINE_OF, params![before, capped(limit), trunk]),
        }
    }

    /// The record of a call that is over.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn call(&self, call: CallRef) -> Result<Option<Entry>, StoreError> {
        let link = self.link();
        let mut statement = link.prepare_cached(OF_CALL)?;
        Ok(statement.query_row([call.to_string()], entry).optional()?)
    }

    /// The last calls that are over, latest first: 1000 at most. `before` turns the page.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn calls(&self, limit: u64, before: Option<Seq>) -> Result<Vec<CallRow>, StoreError> {
        let before = before.map_or(i64::MAX, |seq| i64::try_from(seq.0).unwrap_or(i64::MAX));
        let link = self.link();
        let mut statement = link.prepare_cached(CALLS)?;
        let rows = statement.query_map(params![before, capped(limit)], call_row)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    fn query(&self, sql: &str, params: &[&dyn rusqlite::ToSql]) -> Result<Vec<Entry>, StoreError> {
        let link = self.link();
        let mut statement = link.prepare_cached(sql)?;
        let rows = statement.query_map(params, entry)?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub(crate) fn link(&self) -> MutexGuard<'_, Connection> {
        self.link.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(crate) fn capped(limit: u64) -> rusqlite::types::Value {
    row::limit(limit.min(MOST))
}

fn entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let json = row.get_ref(3)?.as_str()?;
    Ok(row::entry(row.get(0)?, row.get(1)?, row.get(2)?, json))
}

pub(crate) fn call_row(row: &Row<'_>) -> rusqlite::Result<CallRow> {
    let text = |column: usize| row.get::<_, String>(column).map(Cow::Owned);
    let wall = |column: usize| row.get::<_, Option<i64>>(column).map(|at| at.map(Wall::from_micros));
    let span = |column: usize| -> rusqlite::Result<Option<Span>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(|us| Span::from_micros(us.unsigned_abs())))
    };
    let cdr = Cdr {
        call: row.get_ref(2)?.as_str()?.parse().unwrap_or(CallRef(0)),
        call_id: text(3)?,
        from: text(4)?,
        caller: text(5)?,
        called: text(6)?,
        invited: wall(7)?.unwrap_or_default(),
        answered: wall(8)?,
        ended: wall(1)?.unwrap_or_default(),
        pdd: span(9)?,
        setup: span(10)?,
        duration: span(11)?.unwrap_or_default(),
        code: row.get(12)?,
        ending: text(13)?,
        attempts: row.get(14)?,
        trunk: row.get::<_, Option<String>>(15)?.map(Cow::Owned),
        caller_heard: heard(row, 16)?,
        callee_heard: heard(row, 21)?,
    };
    Ok(CallRow { seq: Seq(row.get::<_, i64>(0)? as u64), cdr })
}

/// One direction of audio: five columns from `first` on, of which that of the packets says whether anything was heard.
fn heard(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Heard<'static>>> {
    let Some(packets) = row.get::<_, Option<i64>>(first + 1)? else { return Ok(None) };
    let mos = row.get::<_, Option<f64>>(first + 4)?;
    Ok(Some(Heard {
        codec: row.get::<_, Option<String>>(first)?.map(Cow::Owned),
        packets: packets.unsigned_abs(),
        loss_permille: row.get(first + 2)?,
        jitter: row.get::<_, Option<i64>>(first + 3)?.map(|us| Span::from_micros(us.unsigned_abs())),
        mos: mos.map(|mos| Mos::from_hundredths((mos * 100.0).round() as u16)),
    }))
}
