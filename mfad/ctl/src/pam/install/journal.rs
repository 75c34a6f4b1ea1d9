//! What was installed, when, and what was there before: a directory that only root may enter, written so that a power cut
//! leaves the old or the new. It changes no stack.

use std::fs::{self, DirBuilder, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::time::{ClockId, clock_gettime};
use serde::{Deserialize, Serialize};

use super::{about, refused};
use crate::failure::Failure;

/// Where it is.
const DIRECTORY: &str = "etc/mfa/pam-backup";
const PENDING: &str = "pending.json";
const CONFIRMED: &str = "confirmed.json";
/// Largest record or stack that is read, in bytes.
const LONGEST: u64 = 1024 * 1024;
/// How long somebody else's change of the stacks is waited for, and how often that is looked at.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
const INTERVAL: Duration = Duration::from_millis(50);

/// One process, so that it is told from a later one with its number.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Process {
    pub(super) pid: u32,
    /// In the kernel's ticks since the start.
    pub(super) started: u64,
}

/// One stack.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Item {
    /// The file's name in `/etc/pam.d`.
    pub(super) service: String,
    /// Whether there was a file before.
    pub(super) existed: bool,
    /// Its mode, owner and group.
    pub(super) mode: u32,
    pub(super) uid: u32,
    pub(super) gid: u32,
}

/// An installation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Record {
    /// When, seconds since the epoch.
    pub(super) applied: i64,
    /// In which run of the machine, and how long that had lasted, in seconds: clocks are set, this is not.
    pub(super) boot: String,
    pub(super) uptime: i64,
    /// Minutes until it is undone.
    pub(super) minutes: u32,
    /// Name of the directory with the copies.
    pub(super) copies: String,
    pub(super) items: Vec<Item>,
    /// Who did it: the shells above it.
    pub(super) ancestors: Vec<Process>,
}

/// Which run of the machine this is, and how long it lasts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) boot: String,
    /// Seconds, sleep included.
    pub(super) uptime: i64,
}

impl Moment {
    /// Now.
    pub(super) fn now() -> Result<Self, Failure> {
        const BOOT: &str = "/proc/sys/kernel/random/boot_id";
        let boot = fs::read_to_string(BOOT).map_err(about(Path::new(BOOT)))?;
        let uptime = clock_gettime(ClockId::CLOCK_BOOTTIME)
            .map_err(|error| refused(format!("The time since the start is not known: {error}.")))?;
        Ok(Self {
            boot: boot.trim().to_owned(),
            uptime: uptime.tv_sec(),
        })
    }
}

/// The directory.
#[derive(Debug, Clone)]
pub(super) struct Journal {
    directory: PathBuf,
}

impl Journal {
    /// That of the machine below `root`.
    pub(super) fn below(root: &Path) -> Self {
        Self {
            directory: root.join(DIRECTORY),
        }
    }

    /// The installation that waits for its confirmation.
    pub(super) fn pending(&self) -> Result<Option<Record>, Failure> {
        self.record(PENDING)
    }

    /// The one that was confirmed last.
    pub(super) fn confirmed(&self) -> Result<Option<Record>, Failure> {
        self.record(CONFIRMED)
    }

    fn record(&self, name: &str) -> Result<Option<Record>, Failure> {
        let path = self.directory.join(name);
        let bytes = match fs::metadata(&path) {
            Ok(facts) if facts.len() > LONGEST => {
                return Err(refused(format!("{} is too large.", path.display())));
            }
            Ok(_) => fs::read(&path).map_err(about(&path))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(about(&path)(error)),
        };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|error| refused(format!("{} cannot be understood: {error}.", path.display())))
    }

    /// Makes the directory.
    pub(super) fn create(&self) -> Result<(), Failure> {
        make_directory(&self.directory)?;
        fs::set_permissions(&self.directory, fs::Permissions::from_mode(0o700))
            .map_err(about(&self.directory))?;
        self.directory.parent().map_or(Ok(()), sync)
    }

    /// Keeps everybody else from changing the stacks or the journal until it is dropped. Where there is no directory yet,
    /// nothing was ever installed, and nobody is to be kept out.
    pub(super) fn lock(&self, patience: Duration) -> Result<Lock, Failure> {
        let directory = match File::open(&self.directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok(Lock { _held: None });
            }
            opened => opened.map_err(about(&self.directory))?,
        };
        let deadline = Instant::now() + patience;
        loop {
            match directory.try_lock() {
                Ok(()) => {
                    return Ok(Lock {
                        _held: Some(directory),
                    });
                }
                Err(TryLockError::Error(error)) => return Err(about(&self.directory)(error)),
                Err(TryLockError::WouldBlock) if Instant::now() < deadline => {
                    thread::sleep(INTERVAL);
                }
                Err(TryLockError::WouldBlock) => {
                    return Err(refused(
                        "Another mfactl is changing the stacks: try again when it is done.",
                    ));
                }
            }
        }
    }

    /// Makes a directory for copies.
    pub(super) fn prepare(&self, record: &Record) -> Result<(), Failure> {
        let copies = self.directory.join(&record.copies);
        make_directory(&copies)?;
        sync(&copies)?;
        sync(&self.directory)
    }

    /// Keeps a copy of one stack, durable when this returns.
    pub(super) fn keep(
        &self,
        record: &Record,
        service: &str,
        kind: Copy,
        text: &[u8],
    ) -> Result<(), Failure> {
        let path = self.copy_path(record, service, kind);
        put(&path, text, 0o600, None)
    }

    /// A copy.
    pub(super) fn copy(
        &self,
        record: &Record,
        service: &str,
        kind: Copy,
    ) -> Result<Vec<u8>, Failure> {
        let path = self.copy_path(record, service, kind);
        fs::read(&path).map_err(about(&path))
    }

    fn copy_path(&self, record: &Record, service: &str, kind: Copy) -> PathBuf {
        let suffix = match kind {
            Copy::Before => "before",
            Copy::After => "after",
        };
        self.directory
            .join(&record.copies)
            .join(format!("{service}.{suffix}"))
    }

    /// From now on it can be taken back.
    pub(super) fn begin(&self, record: &Record) -> Result<(), Failure> {
        put(&self.directory.join(PENDING), &bytes(record)?, 0o600, None)
    }

    /// It is confirmed, and can still be taken back.
    pub(super) fn settle(&self, record: &Record) -> Result<(), Failure> {
        put(
            &self.directory.join(CONFIRMED),
            &bytes(record)?,
            0o600,
            None,
        )?;
        self.forget(PENDING)?;
        Ok(())
    }

    /// It never was, or is undone.
    pub(super) fn forget_pending(&self) -> Result<(), Failure> {
        self.forget(PENDING)
    }

    /// The confirmed one is undone.
    pub(super) fn forget_confirmed(&self) -> Result<(), Failure> {
        self.forget(CONFIRMED)
    }

    fn forget(&self, name: &str) -> Result<(), Failure> {
        let path = self.directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(about(&path)(error)),
            _ => sync(&self.directory),
        }
    }
}

/// Held while the stacks or the journal are changed.
pub(super) struct Lock {
    _held: Option<File>,
}

/// Which copy of a stack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Copy {
    /// As it was.
    Before,
    /// As it was put into place.
    After,
}

fn bytes(record: &Record) -> Result<Vec<u8>, Failure> {
    let mut bytes = serde_json::to_vec_pretty(record)
        .map_err(|error| refused(format!("The record cannot be written down: {error}.")))?;
    bytes.push(b'\n');
    Ok(bytes)
}

fn make_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(about(path))
}

/// Puts a file into place: the old or the new is there, whenever the power fails. `owner` is its owner and group; without
/// them it is the caller's.
pub(super) fn put(
    path: &Path,
    text: &[u8],
    mode: u32,
    owner: Option<(u32, u32)>,
) -> Result<(), Failure> {
    let directory = path.parent().unwrap_or(Path::new("/"));
    let name = path
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or("file");
    // A dot in front: libpam finds no service by that name, and neither does `pam check`.
    let new = directory.join(format!(".{name}.mfa-new"));
    write(&new, text, mode, owner).map_err(about(&new))?;
    fs::rename(&new, path).map_err(about(path))?;
    sync(directory)
}

fn write(path: &Path, text: &[u8], mode: u32, owner: Option<(u32, u32)>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(text)?;
    if let Some((uid, gid)) = owner {
        fchown(&file, Some(uid), Some(gid))?;
    }
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Makes what was renamed or removed in a directory durable.
pub(super) fn sync(directory: &Path) -> Result<(), Failure> {
    File::open(directory)
        .and_then(|directory| directory.sync_all())
        .map_err(about(directory))
}
