//! The store's file: opening it, its tables, and moving an older file forward.
//!
//! Decides whether a file is ours. It refuses a file that is damaged, that another program wrote, that a newer version
//! wrote, or that another process has open, and it never overwrites one of those.

use std::path::Path;

use rusqlite::{Connection, ErrorCode};

use crate::dispatcher::store::StoreError;

/// "room" in ASCII: marks our files, so that no other program's database is taken for ours.
const APPLICATION_ID: i64 = 0x726f_6f6d;

/// One step per schema version; `user_version` counts the steps a file has seen.
const MIGRATIONS: &[&str] = &[
    "
    CREATE TABLE jobs (
        job_id TEXT PRIMARY KEY NOT NULL,
        stage TEXT NOT NULL,
        status TEXT NOT NULL,
        error TEXT,
        job TEXT NOT NULL,
        identity TEXT NOT NULL,
        bearers TEXT NOT NULL,
        token TEXT,
        token_expires_at INTEGER,
        token_url TEXT,
        terminated_at INTEGER,
        created_at INTEGER NOT NULL,
        updated_at INTEGER NOT NULL,
        ended_at INTEGER
    ) WITHOUT ROWID;
    CREATE INDEX jobs_open ON jobs (created_at) WHERE ended_at IS NULL;
    CREATE INDEX jobs_ended ON jobs (ended_at) WHERE ended_at IS NOT NULL;
    CREATE TABLE deliveries (
        job_id TEXT NOT NULL REFERENCES jobs ON DELETE CASCADE,
        number INTEGER NOT NULL,
        url TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        started_at INTEGER NOT NULL,
        PRIMARY KEY (job_id, number)
    ) WITHOUT ROWID;
",
    "
    ALTER TABLE deliveries ADD COLUMN cancelled INTEGER NOT NULL DEFAULT 0;
    UPDATE jobs SET bearers = (
        SELECT json_group_array(json_object('hash', value, 'delivery',
            coalesce((SELECT max(number) FROM deliveries d WHERE d.job_id = jobs.job_id), 1)))
        FROM json_each(jobs.bearers));
",
];

/// Opens a store in memory.
pub fn open_memory() -> Result<Connection, StoreError> {
    let connection = Connection::open_in_memory().map_err(|error| describe(":memory:", &error))?;
    prepare(&connection).map_err(|error| describe(":memory:", &error))?;
    Ok(connection)
}

/// Opens or creates a store file.
pub fn open_file(path: &str) -> Result<Connection, StoreError> {
    create_private(Path::new(path)).map_err(|error| StoreError::Unwritable {
        path: path.to_owned(),
        why: why_not(&error),
    })?;
    let connection = Connection::open(path).map_err(|error| describe(path, &error))?;
    if !is_ours(&connection).map_err(|error| describe(path, &error))? {
        return Err(StoreError::Foreign {
            path: path.to_owned(),
        });
    }
    prepare(&connection).map_err(|error| describe(path, &error))?;
    let verdict: String = connection
        .query_row("PRAGMA quick_check(1)", [], |row| row.get(0))
        .map_err(|error| describe(path, &error))?;
    if verdict != "ok" {
        return Err(StoreError::Damaged {
            path: path.to_owned(),
        });
    }
    Ok(connection)
}

/// What to do about a file that the system does not give us, in words of the user's.
fn why_not(error: &std::io::Error) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::NotFound => "its folder does not exist; create it first",
        ErrorKind::NotADirectory => "a part of its path is a file and no folder",
        ErrorKind::PermissionDenied => "this user may not write there",
        ErrorKind::ReadOnlyFilesystem => "the file system is read-only",
        ErrorKind::IsADirectory => "it is a folder; name a file in it",
        ErrorKind::StorageFull => "the disk is full",
        _ => return error.to_string(),
    }
    .to_owned()
}

/// Creates the file so that only its owner reads it: it holds join tokens. SQLite gives its side files the same mode.
fn create_private(path: &Path) -> std::io::Result<()> {
    let mut options = std::fs::OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop)
}

fn pragma(connection: &Connection, name: &str) -> rusqlite::Result<i64> {
    connection.query_row(&format!("PRAGMA {name}"), [], |row| row.get(0))
}

fn is_ours(connection: &Connection) -> rusqlite::Result<bool> {
    connection.busy_timeout(std::time::Duration::from_millis(50))?;
    // Held until the connection closes: a second dispatcher on the same file would deliver every job twice.
    connection.query_row("PRAGMA locking_mode = EXCLUSIVE", [], |_| Ok(()))?;
    connection.execute_batch("BEGIN IMMEDIATE; COMMIT")?;
    let tables: i64 =
        connection.query_row("SELECT count(*) FROM sqlite_master", [], |row| row.get(0))?;
    let version = pragma(connection, "user_version")?;
    Ok(match pragma(connection, "application_id")? {
        0 => tables == 0 && version == 0,
        APPLICATION_ID => (0..=MIGRATIONS.len() as i64).contains(&version),
        _ => false,
    })
}

fn prepare(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("PRAGMA journal_mode = WAL", [], |_| Ok(()))?;
    connection.execute_batch(&format!(
        "PRAGMA application_id = {APPLICATION_ID};
         PRAGMA foreign_keys = ON;
         PRAGMA secure_delete = ON;"
    ))?;
    let done = pragma(connection, "user_version")? as usize;
    for (index, step) in MIGRATIONS.iter().enumerate().skip(done) {
        let version = index + 1;
        connection.execute_batch(&format!(
            "BEGIN; {step} PRAGMA user_version = {version}; COMMIT;"
        ))?;
    }
    Ok(())
}

/// One sentence for what SQLite says.
pub fn describe(path: &str, error: &rusqlite::Error) -> StoreError {
    let path = path.to_owned();
    match error.sqlite_error_code() {
        Some(ErrorCode::NotADatabase) => StoreError::Foreign { path },
        Some(ErrorCode::DatabaseCorrupt) => StoreError::Damaged { path },
        Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::InUse { path },
        Some(ErrorCode::DiskFull) => StoreError::Full { path },
        Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => {
            StoreError::Unwritable {
                path,
                why: "the file or its folder does not allow it".to_owned(),
            }
        }
        Some(code) => StoreError::Failed {
            path,
            why: format!("{code:?}"),
        },
        None => StoreError::Failed {
            path,
            why: "a record could not be read".to_owned(),
        },
    }
}
