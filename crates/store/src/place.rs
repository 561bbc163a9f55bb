//! Where the store is, how it is opened, and what can be wrong with it.
//!
//! Refuses to know: what is in it.

use crate::schema;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "journal.sqlite";
const LOCK: &str = "journal.lock";
/// Another program that reads the file may hold it for so long before a write fails.
const BUSY: Duration = Duration::from_secs(2);
/// Page cache of the writer in KiB: room for the upper pages of every index at the largest retention.
const WRITER_CACHE_KIB: i64 = 4_096;

/// Where the journal is kept.
#[derive(Clone, Copy, Debug)]
pub enum Place<'a> {
    /// In memory: gone with the process.
    Memory,
    /// In `journal.sqlite` of this folder, which is made when missing. Beside it lies `journal.lock`: one edge per folder.
    Folder(&'a Path),
}

/// Why the store cannot be opened or read, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be used.
    #[error("{}: {source}; make the folder, or let the edge's user write there", path.display())]
    Folder {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process holds the folder.
    #[error("{}: another edge writes here; give each edge a `data` folder of its own, or stop the other", path.display())]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The file is torn or is no journal.
    #[error(
        "{}: the journal is damaged ({detail}); move the file and those that begin with its name aside and start again: \
         numbers begin at 1, calls are not affected", path.display()
    )]
    Damaged {
        /// Which.
        path: PathBuf,
        /// What SQLite said.
        detail: String,
    },
    /// A later version of the edge has written it.
    #[error(
        "{}: written by a newer edge (layout {found}, this one knows {known}); start the newer one, or another `data` folder",
        path.display()
    )]
    Newer {
        /// Which.
        path: PathBuf,
        /// Its layout.
        found: u32,
        /// The latest layout this program knows.
        known: u32,
    },
    /// Anything else SQLite says.
    #[error("the journal cannot be used: {0}; look at the disk's space and health")]
    Sqlite(#[from] rusqlite::Error),
    /// The writer thread could not be started.
    #[error("the journal's thread cannot be started: {0}; look at the limit of processes")]
    Thread(io::Error),
}

/// The connections of a store, and the lock that keeps others out while it lives.
pub(crate) struct Opened {
    pub(crate) writer: Connection,
    /// None in memory, where both use one connection.
    pub(crate) reader: Option<Connection>,
    pub(crate) lock: Option<File>,
}

pub(crate) fn open(place: Place<'_>) -> Result<Opened, StoreError> {
    match place {
        Place::Memory => {
            let mut writer = Connection::open_in_memory()?;
            schema::migrate(&mut writer, Path::new("memory"))?;
            Ok(Opened { writer, reader: None, lock: None })
        }
        Place::Folder(folder) => open_folder(folder),
    }
}

fn open_folder(folder: &Path) -> Result<Opened, StoreError> {
    let fault = |source| StoreError::Folder { path: folder.to_owned(), source };
    std::fs::create_dir_all(folder).map_err(fault)?;
    let lock = File::options().create(true).truncate(false).write(true).open(folder.join(LOCK)).map_err(fault)?;
    match lock.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => return Err(StoreError::InUse { path: folder.to_owned() }),
        Err(TryLockError::Error(source)) => return Err(fault(source)),
    }
    let path = folder.join(FILE);
    let (writer, reader) = connect(&path).map_err(|error| name_damage(error, &path))?;
    Ok(Opened { writer, reader: Some(reader), lock: Some(lock) })
}

fn connect(path: &Path) -> Result<(Connection, Connection), StoreError> {
    let mut writer = Connection::open(path)?;
    writer.busy_timeout(BUSY)?;
    // A call's row is nearly 2 kB: on larger pages less is left empty. Only a new file takes it.
    writer.pragma_update(None, "page_size", 8_192)?;
    writer.pragma_update(None, "journal_mode", "WAL")?;
    // Enough for WAL: a power cut may lose the last groups, never the file.
    writer.pragma_update(None, "synchronous", "NORMAL")?;
    writer.pragma_update(None, "cache_size", -WRITER_CACHE_KIB)?;
    writer.pragma_update(None, "journal_size_limit", 64 << 20)?;
    schema::migrate(&mut writer, path)?;
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let reader = Connection::open_with_flags(path, flags)?;
    reader.busy_timeout(BUSY)?;
    Ok((writer, reader))
}

/// A connection that only reads, and takes no lock: the edge that writes is not disturbed.
pub(crate) fn open_to_read(path: &Path) -> Result<Connection, StoreError> {
    let file = if path.is_dir() { path.join(FILE) } else { path.to_owned() };
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let open = || {
        let link = Connection::open_with_flags(&file, flags)?;
        link.busy_timeout(BUSY)?;
        schema::readable(&link, &file)?;
        Ok(link)
    };
    open().map_err(|error| name_damage(error, &file))
}

pub(crate) fn name_damage(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Sqlite(source) if damaged(&source) => {
            StoreError::Damaged { path: path.to_owned(), detail: source.to_string() }
        }
        other => other,
    }
}

fn damaged(error: &rusqlite::Error) -> bool {
    matches!(error.sqlite_error_code(), Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt))
}

/// The file of a place, for errors.
pub(crate) fn file(place: Place<'_>) -> PathBuf {
    match place {
        Place::Memory => PathBuf::from("memory"),
        Place::Folder(folder) => folder.join(FILE),
    }
}
