//! The database file: who may read it, how it is opened, and its schema. It knows no verb.

use std::{
    fs::{self, OpenOptions},
    io::Write,
    os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, ErrorCode, OpenFlags, config::DbConfig, ffi};

use super::migrations::MIGRATIONS;
use crate::store::StoreError;

/// `mfad` in ASCII: tells our files from other programs' (`PRAGMA application_id`).
pub(super) const APPLICATION: i32 = 0x6D66_6164;
/// The person that stands for everybody who is unknown: attempts at their names read and write its rows.
pub(super) const RESERVED: i64 = 0;
/// How long a connection waits for another process's lock.
const PATIENCE: Duration = Duration::from_secs(2);
/// Bytes of the write-ahead log that exist from the start, so that a commit overwrites blocks that the file has
/// already: `fdatasync` then has no metadata to write.
const LOG_SIZE: u64 = 512 * 1024;
/// A safety net: the writer checkpoints by itself, long before the log has so many pages.
const AUTOCHECKPOINT: u32 = 16_384;
/// Small pages, because a login changes a few rows in different places, and every page that it changes is written.
const PAGE_SIZE: u32 = 1024;

/// Opens the database for the writer, making it where there is none, and brings its schema up to date.
pub(super) fn open_for_writing(path: &Path) -> Result<Connection, StoreError> {
    check_directory(path)?;
    check_file(path)?;
    let mut connection = connect(path)?;
    identify(&connection, path)?;
    set_up(&connection).map_err(|error| explain(&error, path))?;
    migrate(&mut connection, path, MIGRATIONS)?;
    extend_log(&connection, path)?;
    Ok(connection)
}

/// Opens a second connection that only reads, so that look-ups never wait for a commit.
pub(super) fn open_for_reading(path: &Path) -> Result<Connection, StoreError> {
    let connection = connect(path)?;
    connection
        .pragma_update(None, "query_only", true)
        .map_err(|error| explain(&error, path))?;
    Ok(connection)
}

fn connect(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    let open = || -> rusqlite::Result<Connection> {
        let connection = Connection::open_with_flags(path, flags)?;
        connection.busy_timeout(PATIENCE)?;
        connection.set_prepared_statement_cache_capacity(64);
        // Rows are data, whatever a damaged or foreign file says.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
        // Closing would delete the log, whose blocks the next start wants to overwrite.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
        connection.pragma_update(None, "foreign_keys", true)?;
        connection.pragma_update(None, "synchronous", "FULL")?;
        connection.pragma_update(None, "temp_store", "MEMORY")?;
        connection.pragma_update(None, "cell_size_check", true)?;
        // Kibibytes, of each connection. What is not in it, the kernel has: a page from there takes a microsecond.
        connection.pragma_update(None, "cache_size", -512)?;
        Ok(connection)
    };
    open().map_err(|error| explain(&error, path))
}

/// Refuses a directory that others can enter: they could replace the file, or read its log.
fn check_directory(path: &Path) -> Result<(), StoreError> {
    let directory = path
        .parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or_else(|| Path::new("."));
    let found = fs::metadata(directory).map_err(|error| {
        StoreError::Unwritable(format!(
            "{}: {error}; make it, with mode 0700",
            directory.display()
        ))
    })?;
    check_owner(directory, found.uid(), found.mode(), 0o700)
}

/// Makes the file where there is none, and refuses one that others can read, or that is not a plain file. By path, in a
/// directory that is ours alone: closing a descriptor of the file would drop the locks that another store of this
/// process holds on it (`fcntl(2)`).
fn check_file(path: &Path) -> Result<(), StoreError> {
    let unwritable = |error: std::io::Error| explain_io(&error, path);
    match OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)
    {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            return Err(unwritable(error));
        }
        Ok(_) | Err(_) => {}
    }
    let found = fs::symlink_metadata(path).map_err(unwritable)?;
    if !found.is_file() {
        return Err(StoreError::Unwritable(format!(
            "{} is not a plain file",
            path.display()
        )));
    }
    check_owner(path, found.uid(), found.mode(), 0o600)
}

fn check_owner(path: &Path, owner: u32, mode: u32, wanted: u32) -> Result<(), StoreError> {
    let shown = path.display();
    if owner != nix::unistd::geteuid().as_raw() {
        return Err(StoreError::Unwritable(format!(
            "{shown} belongs to uid {owner}, not to this program; chown it"
        )));
    }
    if mode & 0o077 != 0 {
        let mode = mode & 0o7777;
        return Err(StoreError::Unwritable(format!(
            "{shown} is open to others (mode {mode:04o}); chmod {wanted:04o} {shown}"
        )));
    }
    Ok(())
}

/// Tells a new file from one of ours from somebody else's.
fn identify(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let number = |pragma: &str| -> Result<i64, StoreError> {
        connection
            .pragma_query_value(None, pragma, |row| row.get(0))
            .map_err(|error| explain(&error, path))
    };
    if number("page_count")? > 0 && number("application_id")? != i64::from(APPLICATION) {
        return Err(StoreError::Corrupt(format!(
            "{} is a database of another program; move it away, or name another file",
            path.display()
        )));
    }
    Ok(())
}

fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    // Both take effect in a new file only.
    connection.pragma_update(None, "page_size", PAGE_SIZE)?;
    connection
        .pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get::<_, String>(0))?;
    connection.pragma_update(None, "wal_autocheckpoint", AUTOCHECKPOINT)
}

/// Runs the migrations that the file lacks, each in a transaction with its number.
pub(super) fn migrate(
    connection: &mut Connection,
    path: &Path,
    migrations: &[&str],
) -> Result<(), StoreError> {
    let latest = u32::try_from(migrations.len()).unwrap_or(u32::MAX);
    let mut step = || -> rusqlite::Result<Result<bool, StoreError>> {
        // Read inside the transaction: another process may be migrating too.
        let transaction =
            connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
        let version: u32 =
            transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version > latest {
            return Ok(Err(StoreError::FromTheFuture(version)));
        }
        let Some(migration) = migrations.get(version as usize) else {
            return Ok(Ok(false));
        };
        transaction.execute_batch(migration)?;
        transaction.pragma_update(None, "application_id", APPLICATION)?;
        transaction.pragma_update(None, "user_version", version + 1)?;
        transaction.commit()?;
        Ok(Ok(true))
    };
    while step().map_err(|error| explain(&error, path))?? {}
    Ok(())
}

/// Fills the log with zeros up to [`LOG_SIZE`]. What follows the last commit in it means nothing to SQLite.
fn extend_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // While we hold the write lock, nobody else appends.
    connection
        .execute_batch("BEGIN IMMEDIATE")
        .map_err(|error| explain(&error, path))?;
    let extended = zero_fill(&log_path(path));
    connection
        .execute_batch("ROLLBACK")
        .map_err(|error| explain(&error, path))?;
    extended.map_err(|error| explain_io(&error, &log_path(path)))
}

fn zero_fill(log: &Path) -> std::io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_CLOEXEC)
        .open(log)?;
    let mut size = file.metadata()?.len();
    if size >= LOG_SIZE {
        return Ok(());
    }
    let zeros = [0_u8; 16 * 1024];
    while size < LOG_SIZE {
        let part =
            usize::try_from(LOG_SIZE - size).map_or(zeros.len(), |left| left.min(zeros.len()));
        file.write_all_at(&zeros[..part], size)?;
        size += part as u64;
    }
    file.flush()?;
    file.sync_all()
}

fn log_path(path: &Path) -> PathBuf {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    log.into()
}

/// What an error of the file system means to us, in the words of [`explain`].
fn explain_io(error: &std::io::Error, path: &Path) -> StoreError {
    let shown = path.display();
    StoreError::Unwritable(match error.kind() {
        std::io::ErrorKind::StorageFull => full(path),
        std::io::ErrorKind::ReadOnlyFilesystem => read_only(path),
        _ => format!("{shown}: {error}"),
    })
}

fn full(path: &Path) -> String {
    format!("{}: the disk is full; make room", path.display())
}

fn read_only(path: &Path) -> String {
    format!("{} is read-only; mount it writable", path.display())
}

/// What an error of SQLite means to us. The message names the file and what to do.
pub(super) fn explain(error: &rusqlite::Error, path: &Path) -> StoreError {
    let shown = path.display();
    let extended = error.sqlite_error().map(|error| error.extended_code);
    if matches!(
        extended,
        Some(ffi::SQLITE_CONSTRAINT_UNIQUE | ffi::SQLITE_CONSTRAINT_PRIMARYKEY)
    ) {
        return StoreError::Exists;
    }
    match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => StoreError::Corrupt(format!(
            "{shown}: {error}; stop mfad, keep a copy, and restore the file (with its -wal) from a backup"
        )),
        Some(
            ErrorCode::DatabaseBusy
            | ErrorCode::DatabaseLocked
            // While the log must be recovered and somebody holds its lock.
            | ErrorCode::FileLockingProtocolFailed,
        ) => StoreError::Unwritable(format!(
            "{shown} is locked by another process; which one says: sudo fuser -v {shown}"
        )),
        Some(ErrorCode::DiskFull) => StoreError::Unwritable(full(path)),
        Some(ErrorCode::ReadOnly) => StoreError::Unwritable(read_only(path)),
        _ => StoreError::Unwritable(format!("{shown}: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEPS: &[&str] = &[
        "CREATE TABLE a (x); INSERT INTO a VALUES (1)",
        "ALTER TABLE a ADD y; UPDATE a SET y = x + 1",
    ];

    fn version(connection: &Connection) -> u32 {
        connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .unwrap()
    }

    #[test]
    fn migrations_run_in_order_and_each_once() {
        let path = Path::new("mfa.db");
        let mut connection = Connection::open_in_memory().unwrap();
        migrate(&mut connection, path, &STEPS[..1]).unwrap();
        assert_eq!(version(&connection), 1);
        migrate(&mut connection, path, STEPS).unwrap();
        migrate(&mut connection, path, STEPS).unwrap();
        assert_eq!(version(&connection), 2);
        let row: (i64, i64) = connection
            .query_row("SELECT x, y FROM a", [], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .unwrap();
        assert_eq!(row, (1, 2));
    }

    #[test]
    fn a_migration_that_fails_leaves_the_version_before_it() {
        let mut connection = Connection::open_in_memory().unwrap();
        let broken = [STEPS[0], "CREATE TABLE b (x); SELECT * FROM nowhere"];
        assert!(matches!(
            migrate(&mut connection, Path::new("mfa.db"), &broken),
            Err(StoreError::Unwritable(_))
        ));
        assert_eq!(version(&connection), 1);
        assert!(
            connection.prepare("SELECT * FROM b").is_err(),
            "nothing of it stays"
        );
    }

    #[test]
    fn neither_connection_keeps_more_than_half_a_megabyte_of_pages() {
        use std::os::unix::fs::PermissionsExt as _;

        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
        let path = directory.path().join("mfa.db");
        for connection in [
            open_for_writing(&path).unwrap(),
            open_for_reading(&path).unwrap(),
        ] {
            let size: i64 = connection
                .pragma_query_value(None, "cache_size", |row| row.get(0))
                .unwrap();
            assert_eq!(size, -512, "kibibytes");
        }
    }

    #[test]
    fn a_file_from_the_future_is_left_alone() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.pragma_update(None, "user_version", 3).unwrap();
        assert_eq!(
            migrate(&mut connection, Path::new("mfa.db"), STEPS),
            Err(StoreError::FromTheFuture(3))
        );
    }
}
