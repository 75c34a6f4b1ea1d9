//! Takes an installation back: at once, or when its time is over. It needs no daemon, and overwrites nothing that
//! somebody has edited meanwhile.

use std::fs;
use std::io;
use std::thread;
use std::time::Duration;

use nix::time::{ClockId, clock_gettime};

use super::journal::{self, Copy, Item, Journal, Moment, Record};
use super::{about, refused};
use crate::failure::Failure;
use crate::pam::tree::Tree;

/// How often a waiting process looks.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// Whether the time for confirming is over. In the run of the machine in which it was applied, the time since then counts,
/// whatever the clock says; after a restart the clock, or as much time in the new run.
pub(super) fn is_due(record: &Record, wall: i64, now: &Moment) -> bool {
    let seconds = i64::from(record.minutes) * 60;
    if now.boot == record.boot {
        now.uptime >= record.uptime + seconds
    } else {
        wall >= record.applied + seconds || now.uptime >= seconds
    }
}

/// Seconds since the epoch.
pub(super) fn wall() -> i64 {
    clock_gettime(ClockId::CLOCK_REALTIME).map_or(i64::MAX, |time| time.tv_sec())
}

/// Which run of the machine this is; if that cannot be told, one in which everything is due.
pub(super) fn here() -> Moment {
    Moment::now().unwrap_or(Moment {
        boot: String::new(),
        uptime: i64::MAX,
    })
}

/// Waits until the installation at hand is due, confirmed or gone.
pub(super) fn wait(journal: &Journal) -> Result<(), Failure> {
    while journal
        .pending()?
        .is_some_and(|record| !is_due(&record, wall(), &here()))
    {
        thread::sleep(INTERVAL);
    }
    Ok(())
}

/// The services whose stacks are not what was installed: edited since, or never reached.
pub(super) fn strangers(
    tree: &Tree,
    journal: &Journal,
    record: &Record,
) -> Result<Vec<String>, Failure> {
    let mut found = Vec::new();
    for item in &record.items {
        let after = journal.copy(record, &item.service, Copy::After)?;
        if stack(tree, &item.service)?.as_deref() != Some(&after) {
            found.push(item.service.clone());
        }
    }
    Ok(found)
}

/// A stack as it is now, if there is one.
fn stack(tree: &Tree, service: &str) -> Result<Option<Vec<u8>>, Failure> {
    let path = tree.below(&format!("/etc/pam.d/{service}"));
    match fs::read(&path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(about(&path)(error)),
    }
}

/// What is to be done about one stack.
enum Remedy {
    Nothing,
    Restore,
    Edited,
}

/// Whether something that waits for its confirmation could still go back by itself: the clock must go on. What somebody
/// has edited does not go back without them.
pub(super) fn is_left(tree: &Tree, journal: &Journal) -> bool {
    match journal.pending() {
        Ok(None) => false,
        Ok(Some(record)) => record.items.iter().any(|item| {
            !matches!(
                remedy(tree, journal, &record, item),
                Ok(Remedy::Nothing | Remedy::Edited)
            )
        }),
        Err(_) => true,
    }
}

/// Takes back what is pending, or else what was confirmed last; tells which services were changed. Done again, it does
/// nothing. A stack that cannot be put back keeps no other from it.
pub(super) fn rollback(
    tree: &Tree,
    journal: &Journal,
    force: bool,
) -> Result<Vec<String>, Failure> {
    let (record, pending) = match journal.pending()? {
        Some(record) => (record, true),
        None => match journal.confirmed()? {
            Some(record) => (record, false),
            None => return Ok(Vec::new()),
        },
    };
    let mut edited = Vec::new();
    let mut restored = Vec::new();
    let mut failed = None;
    for item in &record.items {
        let done = match remedy(tree, journal, &record, item) {
            Ok(Remedy::Nothing) => Ok(()),
            Ok(Remedy::Edited) if !force => {
                edited.push(item.service.clone());
                Ok(())
            }
            Ok(Remedy::Edited | Remedy::Restore) => {
                restore(tree, journal, &record, item).map(|()| restored.push(item.service.clone()))
            }
            Err(failure) => Err(failure),
        };
        failed = failed.or(done.err());
    }
    if let Some(failure) = failed {
        return Err(failure);
    }
    if !edited.is_empty() {
        return Err(refused(format!(
            "Edited since they were installed, and left as they are: {}. Everything else is back. `mfactl pam rollback \
             --force` overwrites them too.",
            edited.join(", ")
        )));
    }
    if pending {
        journal.forget_pending()?;
    } else {
        journal.forget_confirmed()?;
    }
    Ok(restored)
}

fn remedy(tree: &Tree, journal: &Journal, record: &Record, item: &Item) -> Result<Remedy, Failure> {
    let current = stack(tree, &item.service)?;
    let before = item
        .existed
        .then(|| journal.copy(record, &item.service, Copy::Before))
        .transpose()?;
    if current == before {
        return Ok(Remedy::Nothing);
    }
    let after = journal.copy(record, &item.service, Copy::After)?;
    Ok(if current.as_deref() == Some(&after) {
        Remedy::Restore
    } else {
        Remedy::Edited
    })
}

fn restore(tree: &Tree, journal: &Journal, record: &Record, item: &Item) -> Result<(), Failure> {
    let path = tree.below(&format!("/etc/pam.d/{}", item.service));
    if !item.existed {
        fs::remove_file(&path).map_err(about(&path))?;
        return path.parent().map_or(Ok(()), journal::sync);
    }
    let text = journal.copy(record, &item.service, Copy::Before)?;
    journal::put(&path, &text, item.mode, Some((item.uid, item.gid)))
}
