//! authenticatorMakeCredential (CTAP 2.1 §6.1): reads what is asked, refuses what must not be, makes and attests the rest.

use ciborium::Value;

use crate::{
    attestation::AAGUID,
    authenticator::{Authenticator, Place},
    cbor::{self, Map, needed},
    cipher::sha256,
    credential::{self, Credential, Protection, Secret, User},
    pin,
    script::{Algorithms, Attested, Fault, Verification},
    status::Status,
};

/// How many credentials the key holds.
const ROOM: usize = 256;

const PLACE: Place = Place {
    tag: 8,
    protocol: 9,
    permission: pin::MAKE,
};

/// Somebody was there.
pub(crate) const PRESENT: u8 = 0x01;
/// Somebody was verified.
pub(crate) const VERIFIED: u8 = 0x04;
const ATTESTED: u8 = 0x40;
const EXTENDED: u8 = 0x80;

/// A credential to be made.
#[derive(Debug)]
pub(crate) struct Request {
    hash: Vec<u8>,
    rp: String,
    user: User,
    algorithm: i64,
    resident: bool,
    protection: Option<Protection>,
    verified: bool,
}

/// Reads a request. The inner error is one that comes only after a touch.
pub(crate) fn prepare(
    key: &mut Authenticator,
    request: &Map,
) -> Result<Result<Request, Status>, Status> {
    let hash = needed(request.bytes(1)?)?.to_vec();
    let rp = needed(request.map(2)?.text("id")?)?.to_owned();
    let user = user(&request.map(3)?)?;
    let algorithm = algorithm(request.list(4)?, key.script.algorithms)?;
    let options = request.map(7)?;
    if options.flag("up")? == Some(false) {
        return Err(Status::INVALID_OPTION);
    }
    let resident = options.flag("rk")? == Some(true);
    let verified = match key.verified(request, PLACE, &hash, &rp)? {
        Ok(verified) => verified,
        Err(after_touch) => return Ok(Err(after_touch)),
    };
    let guarded = key.pin.hash.is_some() || key.script.verification != Verification::None;
    if resident && guarded && !verified {
        return Err(Status::PIN_REQUIRED);
    }
    let excluded = credential::ids(request.list(5)?)?;
    let known =
        |one: &Credential| one.rp == rp && excluded.contains(&one.id) && one.usable(verified, true);
    if key.credentials.iter().any(known) {
        return Ok(Err(Status::CREDENTIAL_EXCLUDED));
    }
    let protection = request
        .map(6)?
        .number("credProtect")?
        .map(|level| Protection::of(level).ok_or(Status::INVALID_OPTION))
        .transpose()?;
    Ok(Ok(Request {
        hash,
        rp,
        user,
        algorithm,
        resident,
        protection,
        verified,
    }))
}

fn user(map: &Map) -> Result<User, Status> {
    Ok(User {
        id: needed(map.bytes("id")?)?.to_vec(),
        name: map.text("name")?.map(str::to_owned),
        display_name: map.text("displayName")?.map(str::to_owned),
    })
}

/// The first of the algorithms offered that this key has.
fn algorithm(offered: &[Value], has: Algorithms) -> Result<i64, Status> {
    for entry in offered {
        let entry = Map::of(entry.clone())?;
        let number = needed(entry.number("alg")?)?;
        let known = has.all().find(|known| i128::from(*known) == number);
        if let (Some(known), Some("public-key")) = (known, entry.text("type")?) {
            return Ok(known);
        }
    }
    Err(Status::UNSUPPORTED_ALGORITHM)
}

/// Makes it.
pub(crate) fn make(key: &mut Authenticator, request: Request) -> Result<Vec<u8>, Status> {
    let made = Credential {
        id: credential::new_id(&key.random)?,
        secret: Secret::new(request.algorithm, &key.random)?,
        rp: request.rp,
        user: request.user,
        resident: request.resident,
        protection: request.protection.unwrap_or(Protection::Optional),
    };
    if made.resident {
        // A resident credential takes the place of the same user's older one.
        key.credentials
            .retain(|old| !(old.resident && old.rp == made.rp && old.user.id == made.user.id));
    }
    if key.credentials.len() >= ROOM {
        return Err(Status::KEY_STORE_FULL);
    }
    let data = auth_data(key, &made, request.protection, request.verified)?;
    let statement = attest(
        key,
        &made.secret,
        &[data.as_slice(), &request.hash].concat(),
    )?;
    key.credentials.push(made);
    Ok(cbor::encode(&cbor::map([
        (1, Value::from("packed")),
        (2, cbor::bytes(&data)),
        (3, statement),
    ])))
}

fn auth_data(
    key: &mut Authenticator,
    made: &Credential,
    protection: Option<Protection>,
    verified: bool,
) -> Result<Vec<u8>, Status> {
    let mut flags = ATTESTED;
    if verified {
        flags |= VERIFIED;
    }
    if protection.is_some() {
        flags |= EXTENDED;
    }
    let mut rest = AAGUID.to_vec();
    let length = u16::try_from(made.id.len()).map_err(|_| Status::OTHER)?;
    rest.extend(length.to_be_bytes());
    rest.extend(&made.id);
    rest.extend(cbor::encode(&made.secret.cose(&key.random)?));
    if let Some(protection) = protection {
        let level = Value::from(protection.level());
        rest.extend(cbor::encode(&cbor::map([("credProtect", level)])));
    }
    Ok(signed_part(key, &made.rp, PRESENT | flags, &rest))
}

/// Authenticator data (`WebAuthn` §6.1), or what a fault makes of it.
pub(crate) fn signed_part(key: &mut Authenticator, rp: &str, flags: u8, rest: &[u8]) -> Vec<u8> {
    let fault = key.script.fault;
    let rp = if fault == Fault::WrongRp {
        "somebody.else"
    } else {
        rp
    };
    let flags = if fault == Fault::NoTouchFlag {
        flags & !PRESENT
    } else {
        flags
    };
    let mut data = sha256(rp.as_bytes()).to_vec();
    data.push(flags);
    data.extend(key.count().to_be_bytes());
    data.extend(rest);
    if fault == Fault::ShortAuthData {
        data.truncate(10);
    }
    data
}

/// Signs, or what a fault makes of it.
pub(crate) fn sign(
    key: &Authenticator,
    secret: &Secret,
    message: &[u8],
) -> Result<Vec<u8>, Status> {
    let mut signature = secret.sign(message, &key.random)?;
    if let (Fault::WrongSignature, Some(last)) = (key.script.fault, signature.last_mut()) {
        *last ^= 1;
    }
    Ok(signature)
}

fn attest(key: &Authenticator, own: &Secret, message: &[u8]) -> Result<Value, Status> {
    let certified = key.script.attested == Attested::Certificate;
    let secret = if certified {
        &key.attestation.secret
    } else {
        own
    };
    let mut statement = vec![
        ("alg", Value::from(secret.algorithm)),
        ("sig", cbor::bytes(&sign(key, secret, message)?)),
    ];
    if certified {
        let chain = vec![cbor::bytes(&key.attestation.certificate)];
        statement.push(("x5c", Value::Array(chain)));
    }
    Ok(cbor::map(statement))
}
