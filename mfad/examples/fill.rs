//! Fills a store with people for `make bench`, past the daemon but through the store's own library and with genuine seals:
//! a million in half a minute. Test code; no package has it.
//!
//! `fill DATABASE FROM TO`, with the key file on standard input: people `user0000000` and so on, each with an HOTP factor
//! of the secret of RFC 4226, appendix D, from counter 0 on.

use std::{error::Error, io::Read as _, path::Path};

use mfad::{
    audit::{Event, Record},
    clock::{Clock as _, SystemClock},
    engine::REALM,
    factor::otp::{Generator, Hash, identity},
    store::{
        CredentialId, Kind, NewCredential, Options, PersonKey, Standing, Store as _, seal::Keyring,
        sqlite::SqliteStore,
    },
};

/// People of one group: the store commits as many at once.
const GROUP: u32 = 256;
/// Uid of the first person.
const FIRST_UID: u32 = 100_000;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, from, to] = arguments.as_slice() else {
        return Err("usage: fill DATABASE FROM TO <KEYFILE".into());
    };
    let (from, to): (u32, u32) = (from.parse()?, to.parse()?);
    let mut key = Vec::new();
    std::io::stdin().read_to_end(&mut key)?;
    let keyring = Keyring::parse(&key).map_err(|error| error.to_string())?;
    let store = SqliteStore::open(Path::new(path), Options::default())?;
    let runtime = tokio::runtime::Builder::new_current_thread().build()?;
    let people: Vec<u32> = (from..to).collect();
    for group in people.chunks(GROUP as usize) {
        runtime.block_on(add(&store, &keyring, group))?;
    }
    Ok(())
}

async fn add(store: &SqliteStore, keyring: &Keyring, people: &[u32]) -> Result<(), Box<dyn Error>> {
    let now = SystemClock::start().now();
    let mut waiting = Vec::with_capacity(people.len());
    for number in people {
        let person = PersonKey {
            realm: REALM.to_owned(),
            name: format!("user{number:07}"),
            uid: FIRST_UID + number,
        };
        let mut record = Record::new(now.wall, Event::Enrollment, "added");
        record.user = Some(person.name.clone());
        let new = credential(keyring, &person, *number)?;
        waiting.push(store.add_credential(person, new, now, record));
    }
    for added in waiting {
        added.await?;
    }
    Ok(())
}

fn credential(
    keyring: &Keyring,
    person: &PersonKey,
    number: u32,
) -> Result<NewCredential, Box<dyn Error>> {
    let id = CredentialId(u128::from(number).to_be_bytes());
    let secret = b"12345678901234567890".to_vec();
    let generator = Generator::with_secret(Kind::Hotp, Hash::Sha1, 6, 0, secret)?;
    Ok(NewCredential {
        id,
        kind: Kind::Hotp,
        name: None,
        standing: Standing::Active,
        only_first: false,
        sealed: generator.seal(keyring, &identity(person, Kind::Hotp, id))?,
        moving: 0,
        codes: Vec::new(),
    })
}
