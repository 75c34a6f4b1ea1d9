//! Which country an address is in, and where on the globe, by a database on this machine. It asks nobody.
//!
//! What the database does not tell is unknown, and so is everything while it is missing, stale or damaged: an unknown
//! country never loosens a policy.

mod centres;
mod database;
mod place;
#[cfg(test)]
mod tests;

use std::{
    net::{IpAddr, Ipv6Addr},
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

pub use place::Position;
pub use policy::Country;
use policy::Known;

use crate::config::{Paths, Purpose, Risk, Trust};
use database::Database;

/// Largest database, in bytes. While one is reloaded there are two in memory, and the service has 256 MiB.
pub const MOST_BYTES: usize = 96 * 1024 * 1024;
const DAY: i64 = 86_400;

/// What is known of where an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Whereabouts {
    /// Its country; known to be none for addresses of private networks and of this machine.
    pub country: Known<Option<Country>>,
    /// Its place on the globe, a rough one where only the country is known.
    pub position: Option<Position>,
}

impl Whereabouts {
    const UNKNOWN: Self = Self {
        country: Known::Unknown,
        position: None,
    };
    const NOWHERE: Self = Self {
        country: Known::Is(None),
        position: None,
    };
}

/// The database of places as the settings name it. It is read when somebody is looked up first, or [`Places::problem`]
/// is asked for, and then stays as it is: for a newer one, make another.
pub struct Places {
    file: Option<PathBuf>,
    max_age: i64,
    root: PathBuf,
    owner: u32,
    database: OnceLock<Result<Database, String>>,
    told: AtomicBool,
}

impl std::fmt::Debug for Places {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Places")
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}

impl Places {
    /// The database that `risk` names, whose file and directories `paths` says whom to trust for.
    pub fn new(risk: &Risk, paths: &Paths) -> Self {
        Self {
            file: risk.location_database.clone(),
            max_age: in_seconds(risk.location_max_age),
            root: paths.root.clone(),
            owner: paths.owner,
            database: OnceLock::new(),
            told: AtomicBool::new(false),
        }
    }

    /// No database: every country is unknown.
    pub fn none() -> Self {
        Self {
            file: None,
            max_age: 0,
            root: PathBuf::from("/"),
            owner: 0,
            database: OnceLock::new(),
            told: AtomicBool::new(false),
        }
    }

    /// Where `address` is, at `now` (seconds since the epoch). The first call reads the file: some milliseconds for each
    /// ten megabytes.
    pub fn find(&self, address: IpAddr, now: i64) -> Whereabouts {
        let address = address.to_canonical();
        if is_private(address) {
            return Whereabouts::NOWHERE;
        }
        match self.sound(now) {
            Some(Ok(database)) => database.find(address),
            Some(Err(_)) | None => Whereabouts::UNKNOWN,
        }
    }

    /// Why nobody's country is known, if there should be a database and it does not serve. For status and doctor.
    pub fn problem(&self, now: i64) -> Option<String> {
        self.sound(now)?.err()
    }

    /// The same, but only once: for the log.
    pub fn news(&self, now: i64) -> Option<String> {
        let problem = self.problem(now)?;
        (!self.told.swap(true, Ordering::Relaxed)).then_some(problem)
    }

    /// The database, or why there is none; `None` where none is wanted.
    fn sound(&self, now: i64) -> Option<Result<&Database, String>> {
        let file = self.file.as_ref()?;
        let database = match self.database.get_or_init(|| self.read(file)) {
            Ok(database) => database,
            Err(problem) => return Some(Err(problem.clone())),
        };
        let age = now.saturating_sub(database.built());
        Some(if age > self.max_age {
            Err(format!(
                "{}: was made {} days ago, and {} are believed (location-max-age); renew it",
                mfad_protocol::printable(&file.to_string_lossy()),
                age / DAY,
                self.max_age / DAY
            ))
        } else {
            Ok(database)
        })
    }

    fn read(&self, file: &std::path::Path) -> Result<Database, String> {
        let trust = Trust {
            root: &self.root,
            owner: self.owner,
        };
        let mut bytes = trust
            .read(file, Purpose::Configuration, MOST_BYTES)
            .map_err(|error| error.to_string())?;
        Database::parse(std::mem::take(&mut *bytes)).map_err(|problem| {
            let name = mfad_protocol::printable(&file.to_string_lossy());
            format!("{name}: {problem}; put a sound one in its place")
        })
    }
}

fn in_seconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_secs()).unwrap_or(i64::MAX)
}

/// Whether an address is in no country by its nature: this machine's own, of its links, or of a private network (RFC
/// 1918, 3927, 4193, 4291, 6598).
fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let [first, second, ..] = address.octets();
            let carrier = first == 100 && second & 0b1100_0000 == 64;
            address.is_private() || address.is_loopback() || address.is_link_local() || carrier
        }
        IpAddr::V6(address) => {
            address == Ipv6Addr::LOCALHOST
                || address.is_unique_local()
                || address.is_unicast_link_local()
        }
    }
}
