//! The writing side without its thread: groups of entries in, old rows out.
//!
//! Refuses to know: queues, time.

use crate::binding::{self, BindingRow};
use crate::row;
use crate::writer::Limits;
use explain::Entry;
use rusqlite::{Connection, ErrorCode};
use std::sync::{Arc, Mutex, PoisonError};

/// Entries in one transaction at most. Also half of what one transaction prunes, so that pruning always keeps up.
pub(crate) const GROUP: usize = 512;

/// Deletes the oldest calls; then the attempts of calls that are gone.
const PRUNE_CALLS: &str = "DELETE FROM calls WHERE seq IN (SELECT seq FROM calls ORDER BY seq LIMIT ?1)";
const PRUNE_ATTEMPTS: &str =
    "DELETE FROM attempts WHERE seq < coalesce((SELECT min(seq) FROM calls), 9223372036854775807)";
const PRUNE_JOURNAL: &str = "DELETE FROM journal WHERE seq IN (SELECT seq FROM journal ORDER BY seq LIMIT ?1)";

/// The writing connection, and how many rows there are.
pub(crate) struct Journal {
    link: Arc<Mutex<Connection>>,
    calls: u64,
    others: u64,
    limits: Limits,
    json: Vec<u8>,
}

/// What is written in groups.
pub(crate) enum Item {
    /// A record of the journal.
    Entry(Arc<Entry>),
    /// The last word about a phone's address.
    Binding(Box<BindingRow>),
}

/// What became of a group.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub(crate) struct Committed {
    pub(crate) written: u64,
    pub(crate) failed: u64,
    pub(crate) fault: Option<String>,
}

impl Journal {
    pub(crate) fn new(link: Arc<Mutex<Connection>>, limits: Limits) -> rusqlite::Result<Self> {
        let count = |table: &str| -> rusqlite::Result<u64> {
            let link = link.lock().unwrap_or_else(PoisonError::into_inner);
            link.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get::<_, i64>(0)).map(|n| n as u64)
        };
        let (calls, others) = (count("calls")?, count("journal")?);
        Ok(Self { link, calls, others, limits, json: Vec::with_capacity(4_096) })
    }

    /// Writes a group in one transaction and prunes a little in the same. A number that is taken already fails alone;
    /// any other fault fails the group.
    pub(crate) fn commit(&mut self, group: &[Item]) -> Committed {
        match self.try_commit(group) {
            Ok(committed) => committed,
            Err(error) => {
                let fault = Some(error.to_string());
                Committed { written: 0, failed: group.len() as u64, fault }
            }
        }
    }

    fn try_commit(&mut self, group: &[Item]) -> rusqlite::Result<Committed> {
        let link = self.link.clone();
        let mut link = link.lock().unwrap_or_else(PoisonError::into_inner);
        let transaction = link.transaction()?;
        let mut committed = Committed::default();
        let (mut calls, mut others) = (self.calls, self.others);
        let mut told = None;
        for item in group {
            let entry = match item {
                Item::Entry(entry) => entry,
                Item::Binding(binding) => {
                    binding::put(&transaction, binding)?;
                    told = Some(binding.told);
                    committed.written += 1;
                    continue;
                }
            };
            match row::insert(&transaction, entry, &mut self.json) {
                Ok(()) => {
                    committed.written += 1;
                    *(if row::is_call(entry) { &mut calls } else { &mut others }) += 1;
                }
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation) => {
                    committed.failed += 1;
                    committed.fault = Some(format!("number {} is taken: {error}", entry.seq.0));
                }
                Err(error) => return Err(error),
            }
        }
        if let Some(told) = told {
            binding::prune(&transaction, told)?;
        }
        calls -= prune(&transaction, PRUNE_CALLS, calls, self.limits.calls, Some(PRUNE_ATTEMPTS))?;
        others -= prune(&transaction, PRUNE_JOURNAL, others, self.limits.others, None)?;
        transaction.commit()?;
        (self.calls, self.others) = (calls, others);
        Ok(committed)
    }
}

fn prune(connection: &Connection, sql: &str, rows: u64, limit: u64, then: Option<&str>) -> rusqlite::Result<u64> {
    let excess = rows.saturating_sub(limit).min(2 * GROUP as u64);
    if excess == 0 {
        return Ok(0);
    }
    let gone = connection.prepare_cached(sql)?.execute([row::limit(excess)])?;
    if let Some(sql) = then {
        connection.prepare_cached(sql)?.execute([])?;
    }
    Ok(gone as u64)
}
