//! Seals every record with the newest key, so that older lines of the key file can go. It makes no key and reads no file.
//!
//! A record is replaced in one step, and only by a seal of what it holds: until then the old key opens it, from then on
//! the new one, and both are in the file. Killed halfway, the next start goes on with what is left.

use std::{sync::Arc, time::Duration};

use crate::{
    audit::{Event, Record},
    core::Core,
    engine::Engine,
    factor::{FactorError, backup::Set, otp::identity},
    store::{
        Credential, Kind, Person, PersonId, StoreError,
        seal::{Identity, Keyring, key_of},
    },
};

/// How long a start belongs to the logins that caused it.
const SETTLE: Duration = Duration::from_secs(2);
/// When a store that could not be written is tried again.
const RETRY: Duration = Duration::from_mins(1);
/// People looked at in one go: a look-up of somebody else waits that long, well under a millisecond.
const AT_ONCE: u32 = 64;

/// What a pass came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Pass {
    /// Records sealed anew.
    pub moved: u64,
    /// Records that no key of the file opens.
    pub stuck: u64,
}

/// Runs a pass where one is due, in the background of a daemon that has just started.
pub async fn run(core: Arc<Core>) {
    tokio::time::sleep(SETTLE).await;
    loop {
        if let Ok(engine) = core.engine() {
            let _busy = core.busy(); // not idle meanwhile
            if pass(&engine).await.is_ok() {
                return;
            }
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Seals with the newest key whatever is sealed with another, unless that is known to have been done. An error is the
/// store's, and leaves the rest for the next pass.
pub async fn pass(engine: &Engine) -> Result<Pass, StoreError> {
    let newest = engine.keyring.newest();
    let before = engine.store.sealed_with().await?;
    let mut done = Pass::default();
    if before == Some(newest) {
        return Ok(done);
    }
    let mut after = PersonId(0);
    loop {
        let people = engine.store.people_after(after, AT_ONCE).await?;
        let Some(last) = people.last() else { break };
        after = last.id;
        for person in &people {
            move_all_of(engine, person, newest, &mut done).await?;
        }
        tokio::task::yield_now().await;
    }
    let outcome = if done.stuck > 0 {
        "not-resealed"
    } else {
        "resealed"
    };
    let event = if done.stuck > 0 {
        Event::Alarm
    } else {
        Event::Administration
    };
    let record = Record {
        detail: Some(told(done, newest)),
        ..Record::new(engine.now().wall, event, outcome)
    };
    if done.stuck > 0 {
        engine.note(record);
    } else {
        let noting = |record| engine.store.note_sealed_with(newest, record);
        engine.recorded(record, noting).await?;
    }
    Ok(done)
}

fn told(done: Pass, newest: u8) -> String {
    let Pass { moved, stuck } = done;
    if stuck > 0 {
        return format!(
            "{moved} records are now sealed with key {newest}; {stuck} do not open with any key of the file and stay as they \
             are: put the missing line back, and restart mfad"
        );
    }
    format!(
        "every record is sealed with key {newest}, {moved} of them anew; other lines of the key file can go"
    )
}

async fn move_all_of(
    engine: &Engine,
    person: &Person,
    newest: u8,
    done: &mut Pass,
) -> Result<(), StoreError> {
    for credential in &person.credentials {
        if key_of(&credential.sealed) == Some(newest) {
            continue;
        }
        let bound = identity(&person.key, credential.kind, credential.id);
        let Ok(sealed) = sealed_anew(&engine.keyring, &bound, credential) else {
            done.stuck += 1;
            continue;
        };
        let old = credential.sealed.clone();
        // Somebody may have removed it since: then there is nothing to move.
        let replaced = engine.store.reseal(person.id, credential.id, old, sealed);
        done.moved += u64::from(replaced.await?);
    }
    Ok(())
}

fn sealed_anew(
    keyring: &Keyring,
    bound: &Identity,
    credential: &Credential,
) -> Result<Vec<u8>, FactorError> {
    if credential.kind == Kind::BackupCodes {
        let set = Set::open(keyring, bound, &credential.sealed)?;
        return set.carrying_its_pepper(keyring)?.seal(keyring, bound);
    }
    let plain = keyring.open(bound, &credential.sealed)?;
    Ok(keyring.seal(bound, &plain)?)
}
