//! What is bound to phones' addresses, as rows: the last word about each, and nothing of what was before.
//!
//! Refuses to know: what a binding is.

use crate::place::StoreError;
use crate::reader::Reader;
use crate::row;
use model::Wall;
use rusqlite::{Connection, params};

/// Rows that are read at a start, at most.
const MOST: u64 = 1_000_000;
/// Rows that have run out and go with one group.
const PRUNED: u64 = 1_024;

const PUT: &str = "INSERT INTO bindings (aor, until_at, json) VALUES (?1, ?2, ?3) \
    ON CONFLICT (aor) DO UPDATE SET until_at = excluded.until_at, json = excluded.json";
const DROP: &str = "DELETE FROM bindings WHERE aor = ?1";
const PRUNE: &str = "DELETE FROM bindings WHERE aor IN (SELECT aor FROM bindings WHERE until_at < ?1 LIMIT ?2)";
const ALIVE: &str = "SELECT aor, until_at, json FROM bindings WHERE until_at > ?1 ORDER BY aor LIMIT ?2";

/// All bindings of one address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BindingRow {
    /// The address.
    pub aor: String,
    /// When it became so.
    pub told: Wall,
    /// When the last of them ends.
    pub until: Wall,
    /// They; empty when there are none any more.
    pub json: String,
}

/// Writes the last word about an address, in the transaction of its group.
pub(crate) fn put(connection: &Connection, binding: &BindingRow) -> rusqlite::Result<()> {
    if binding.json.is_empty() {
        return connection.prepare_cached(DROP)?.execute([&binding.aor]).map(|_| ());
    }
    let values = params![binding.aor, binding.until.as_micros(), binding.json];
    connection.prepare_cached(PUT)?.execute(values).map(|_| ())
}

/// Takes away what ran out before `now`: phones that were switched off say nothing when they go.
pub(crate) fn prune(connection: &Connection, now: Wall) -> rusqlite::Result<()> {
    let values = params![now.as_micros(), row::limit(PRUNED)];
    connection.prepare_cached(PRUNE)?.execute(values).map(|_| ())
}

impl Reader {
    /// What is bound at `now`: a million addresses at most.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bindings(&self, now: Wall) -> Result<Vec<BindingRow>, StoreError> {
        let link = self.link();
        let mut statement = link.prepare_cached(ALIVE)?;
        let rows = statement.query_map(params![now.as_micros(), row::limit(MOST)], |row| {
            Ok(BindingRow { aor: row.get(0)?, told: now, until: Wall::from_micros(row.get(1)?), json: row.get(2)? })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }
}
