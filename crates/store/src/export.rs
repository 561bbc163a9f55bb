//! Call records for billing and statistics: one row a call with its attempts, oldest first, from a number or a moment on.
//!
//! Numbers only grow, so an export that is taken up again later misses nothing and has nothing twice. Refuses to know: who asks, in
//! which format rows are written.

use crate::place::StoreError;
use crate::reader::{CallRow, Reader, call_row, calls, capped};
use explain::{CdrRow, Tried};
use model::{Seq, Span, Wall};
use rusqlite::{Connection, OptionalExtension, Row, params};

const CDRS: &str = calls!("seq >= ?1 ORDER BY seq LIMIT ?2");
const TRIED: &str = "SELECT seq, trunk, target, call_id, sent_at, first_reply_us, progress_us, took_us, outcome, code \
    FROM attempts WHERE seq BETWEEN ?1 AND ?2 ORDER BY seq, number";
const BOUNDS: &str = "SELECT min(seq), max(seq) FROM calls";
const ENDED: &str = "SELECT seq, ended_at FROM calls WHERE seq >= ?1 ORDER BY seq LIMIT 1";

impl Reader {
    /// Calls that are over from number `from` on, in order, with their attempts: 1000 at most. With `since`, those alone that ended then
    /// or later; a clock that was set back among them makes that a matter of where it was.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn cdrs(&self, from: Seq, since: Option<Wall>, limit: u64) -> Result<Vec<CdrRow>, StoreError> {
        let link = self.link();
        let mut from = i64::try_from(from.0).unwrap_or(i64::MAX);
        if let Some(since) = since {
            from = from.max(first_since(&link, since)?);
        }
        let mut statement = link.prepare_cached(CDRS)?;
        let rows = statement.query_map(params![from, capped(limit)], call_row)?;
        let calls: Vec<CallRow> = rows.collect::<Result<_, _>>()?;
        let (Some(first), Some(last)) = (calls.first(), calls.last()) else { return Ok(Vec::new()) };
        let mut statement = link.prepare_cached(TRIED)?;
        let tried = statement.query_map(params![first.seq.0 as i64, last.seq.0 as i64], tried)?;
        let mut tried = tried.collect::<Result<Vec<_>, _>>()?.into_iter().peekable();
        let mut found = Vec::with_capacity(calls.len());
        for CallRow { seq, cdr } in calls {
            let mut own = Vec::new();
            while let Some((_, one)) = tried.next_if(|(of, _)| *of == seq) {
                own.push(one);
            }
            found.push(CdrRow { seq, cdr, tried: own });
        }
        Ok(found)
    }
}

/// Number of the first call that ended at `since` or later. Numbers grow with time, so halving finds it without an index.
fn first_since(link: &Connection, since: Wall) -> Result<i64, StoreError> {
    let bounds: (Option<i64>, Option<i64>) =
        link.prepare_cached(BOUNDS)?.query_row([], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let (Some(mut low), Some(last)) = bounds else { return Ok(0) };
    let mut high = last.saturating_add(1);
    let mut ended = link.prepare_cached(ENDED)?;
    while low < high {
        let middle = low + (high - low) / 2;
        let at: Option<(i64, i64)> = ended.query_row([middle], |row| Ok((row.get(0)?, row.get(1)?))).optional()?;
        match at {
            // Numbers between the two belong to records that are no calls.
            Some((seq, at)) if at < since.as_micros() => low = seq.saturating_add(1),
            _ => high = middle,
        }
    }
    Ok(low)
}

fn tried(row: &Row<'_>) -> rusqlite::Result<(Seq, Tried)> {
    let span = |column: usize| -> rusqlite::Result<Option<Span>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(|us| Span::from_micros(us.unsigned_abs())))
    };
    let tried = Tried {
        trunk: row.get(1)?,
        target: row.get(2)?,
        call_id: row.get(3)?,
        sent: Wall::from_micros(row.get(4)?),
        first_reply: span(5)?,
        progress: span(6)?,
        took: span(7)?.unwrap_or_default(),
        outcome: row.get(8)?,
        code: row.get(9)?,
    };
    Ok((Seq(row.get::<_, i64>(0)? as u64), tried))
}
