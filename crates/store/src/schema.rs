//! The tables, and the steps from each earlier layout to the present one.
//!
//! `user_version` of the file is its layout. A step is never changed once released; a new one is added. All times are
//! microseconds; columns named `…_at` count from 1970, columns named `…_us` are lengths.

use crate::place::StoreError;
use rusqlite::Connection;
use std::path::Path;

/// Step by step from an empty file. `calls` is the journal's part that holds calls: the two share their numbers, and a call
/// is written once.
const STEPS: &[&str] = &[
    "
    CREATE TABLE journal (
        seq   INTEGER PRIMARY KEY,
        at    INTEGER NOT NULL,
        kind  TEXT NOT NULL,
        trunk TEXT,             -- '*' when it concerns all, '*' and a name when a group
        json  TEXT NOT NULL
    ) STRICT;
    CREATE INDEX journal_trunk ON journal (trunk, seq) WHERE trunk IS NOT NULL;

    CREATE TABLE calls (
        seq         INTEGER PRIMARY KEY,
        ended_at    INTEGER NOT NULL,
        call        TEXT NOT NULL,
        call_id     TEXT NOT NULL,
        from_trunk  TEXT NOT NULL,
        caller      TEXT NOT NULL,
        called      TEXT NOT NULL,
        invited_at  INTEGER NOT NULL,
        answered_at INTEGER,
        pdd_us      INTEGER,
        setup_us    INTEGER,
        duration_us INTEGER NOT NULL,
        code        INTEGER,    -- what the caller got
        ending      TEXT NOT NULL,
        attempts    INTEGER NOT NULL,
        trunk       TEXT,       -- the one that carried it
        json        TEXT NOT NULL
    ) STRICT;
    CREATE INDEX calls_call ON calls (call);
    CREATE INDEX calls_answered ON calls (answered_at) WHERE answered_at IS NOT NULL;

    CREATE TABLE attempts (
        seq            INTEGER NOT NULL, -- of the call
        number         INTEGER NOT NULL, -- from 1
        trunk          TEXT NOT NULL,
        target         INTEGER NOT NULL, -- position in the trunk's list
        call_id        TEXT NOT NULL,
        sent_at        INTEGER NOT NULL,
        first_reply_us INTEGER,
        progress_us    INTEGER,
        took_us        INTEGER NOT NULL,
        outcome        TEXT NOT NULL,
        code           INTEGER,
        PRIMARY KEY (seq, number)
    ) STRICT, WITHOUT ROWID;
",
    "
    CREATE TABLE bindings (
        aor      TEXT PRIMARY KEY, -- the user's name
        until_at INTEGER NOT NULL, -- when the last of them ends
        json     TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX bindings_until ON bindings (until_at);
",
    "
    -- What was heard of each side: NULL where nothing was, or nothing is known.
    ALTER TABLE calls ADD COLUMN caller_codec TEXT;
    ALTER TABLE calls ADD COLUMN caller_packets INTEGER;
    ALTER TABLE calls ADD COLUMN caller_loss_permille INTEGER;
    ALTER TABLE calls ADD COLUMN caller_jitter_us INTEGER;
    ALTER TABLE calls ADD COLUMN caller_mos REAL;
    ALTER TABLE calls ADD COLUMN callee_codec TEXT;
    ALTER TABLE calls ADD COLUMN callee_packets INTEGER;
    ALTER TABLE calls ADD COLUMN callee_loss_permille INTEGER;
    ALTER TABLE calls ADD COLUMN callee_jitter_us INTEGER;
    ALTER TABLE calls ADD COLUMN callee_mos REAL;
",
];

/// Brings the file to the present layout, each step whole or not at all.
pub(crate) fn migrate(connection: &mut Connection, path: &Path) -> Result<(), StoreError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    if found > known {
        return Err(StoreError::Newer { path: path.to_owned(), found, known });
    }
    for (version, step) in (1u32..).zip(STEPS).skip(found as usize) {
        let transaction = connection.transaction()?;
        transaction.execute_batch(step)?;
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    Ok(())
}

/// Whether the file holds a journal that this program knows how to read.
pub(crate) fn readable(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    let known = u32::try_from(STEPS.len()).unwrap_or(u32::MAX);
    match found {
        0 => Err(StoreError::Damaged { path: path.to_owned(), detail: String::from("it holds no journal") }),
        found if found > known => Err(StoreError::Newer { path: path.to_owned(), found, known }),
        _ => Ok(()),
    }
}
