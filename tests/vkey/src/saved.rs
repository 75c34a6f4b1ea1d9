//! What a key remembers while it is away, as bytes: credentials, counter, PIN and attestation. Not the script.

use ciborium::Value;

use crate::{
    attestation::Attestation,
    authenticator::Authenticator,
    cbor::{self, Map, needed},
    credential::{Credential, ES256, Protection, Secret, User},
    status::Status,
};

/// All of it.
pub(crate) fn write(key: &Authenticator) -> Vec<u8> {
    let credentials = key.credentials.iter().map(credential).collect();
    let mut entries = vec![
        (1, cbor::bytes(&key.attestation.secret.document)),
        (2, cbor::bytes(&key.attestation.certificate)),
        (3, Value::from(key.counter)),
        (4, Value::from(key.pin.retries)),
        (5, Value::Array(credentials)),
    ];
    if let Some(hash) = key.pin.hash {
        entries.push((6, cbor::bytes(&hash)));
    }
    cbor::encode(&cbor::map(entries))
}

/// A key that remembers what `bytes` say.
pub(crate) fn read(bytes: &[u8]) -> Result<Authenticator, Status> {
    let map = Map::parse(bytes)?;
    let mut key = Authenticator::new()?;
    key.attestation = Attestation {
        secret: Secret {
            algorithm: ES256,
            document: needed(map.bytes(1)?)?.to_vec(),
        },
        certificate: needed(map.bytes(2)?)?.to_vec(),
    };
    key.counter = small(needed(map.number(3)?)?)?;
    key.pin.retries = small(needed(map.number(4)?)?)?;
    for entry in map.list(5)? {
        key.credentials.push(parsed(&Map::of(entry.clone())?)?);
    }
    key.pin.hash = map
        .bytes(6)?
        .map(|hash| hash.try_into().map_err(|_| Status::INVALID_CBOR))
        .transpose()?;
    Ok(key)
}

fn credential(one: &Credential) -> Value {
    cbor::map([
        (1, cbor::bytes(&one.id)),
        (2, Value::from(one.rp.as_str())),
        (3, one.user.value(true)),
        (4, Value::from(one.resident)),
        (5, Value::from(one.protection.level())),
        (6, Value::from(one.secret.algorithm)),
        (7, cbor::bytes(&one.secret.document)),
    ])
}

fn parsed(map: &Map) -> Result<Credential, Status> {
    let user = map.map(3)?;
    Ok(Credential {
        id: needed(map.bytes(1)?)?.to_vec(),
        rp: needed(map.text(2)?)?.to_owned(),
        user: User {
            id: needed(user.bytes("id")?)?.to_vec(),
            name: user.text("name")?.map(str::to_owned),
            display_name: user.text("displayName")?.map(str::to_owned),
        },
        resident: needed(map.flag(4)?)?,
        protection: needed(Protection::of(needed(map.number(5)?)?))?,
        secret: Secret {
            algorithm: small(needed(map.number(6)?)?)?,
            document: needed(map.bytes(7)?)?.to_vec(),
        },
    })
}

fn small<T: TryFrom<i128>>(number: i128) -> Result<T, Status> {
    T::try_from(number).map_err(|_| Status::INVALID_CBOR)
}
