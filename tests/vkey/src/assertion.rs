//! authenticatorGetAssertion and authenticatorGetNextAssertion (CTAP 2.1 §6.2, §6.3): finds the credentials that may be
//! used, and signs with them.

use std::time::Duration;

use ciborium::Value;

use crate::{
    authenticator::{Authenticator, Place},
    cbor::{self, Map, needed},
    credential::{self, Credential},
    making::{PRESENT, VERIFIED, sign, signed_part},
    pin,
    status::Status,
};

/// How long the next assertion can be asked for.
const NEXT_WITHIN: Duration = Duration::from_secs(30);

const PLACE: Place = Place {
    tag: 6,
    protocol: 7,
    permission: pin::GET,
};

/// An assertion to be made.
#[derive(Debug)]
pub(crate) struct Request {
    hash: Vec<u8>,
    rp: String,
    /// Ids of the credentials that will do, the newest first.
    candidates: Vec<Vec<u8>>,
    /// Whether the user is to touch the key.
    pub(crate) touch: bool,
    verified: bool,
}

/// Assertions that can still be asked for.
#[derive(Debug)]
pub(crate) struct Remaining {
    hash: Vec<u8>,
    ids: Vec<Vec<u8>>,
    flags: u8,
    since: Duration,
}

/// Reads a request. The inner error is one that comes only after a touch.
pub(crate) fn prepare(
    key: &mut Authenticator,
    request: &Map,
) -> Result<Result<Request, Status>, Status> {
    let rp = needed(request.text(1)?)?.to_owned();
    let hash = needed(request.bytes(2)?)?.to_vec();
    let options = request.map(5)?;
    if options.flag("rk")?.is_some() {
        return Err(Status::UNSUPPORTED_OPTION);
    }
    let touch = options.flag("up")?.unwrap_or(true);
    let verified = match key.verified(request, PLACE, &hash, &rp)? {
        Ok(verified) => verified,
        Err(after_touch) => return Ok(Err(after_touch)),
    };
    let listed = credential::ids(request.list(3)?)?;
    let by_list = request.get(3).is_some();
    let candidates: Vec<Vec<u8>> = key
        .credentials
        .iter()
        .rev()
        .filter(|one| one.rp == rp && one.usable(verified, by_list))
        .filter(|one| {
            if by_list {
                listed.contains(&one.id)
            } else {
                one.resident
            }
        })
        .map(|one| one.id.clone())
        .take(if by_list { 1 } else { usize::from(u8::MAX) })
        .collect();
    if candidates.is_empty() {
        return Err(Status::NO_CREDENTIALS);
    }
    Ok(Ok(Request {
        hash,
        rp,
        candidates,
        touch,
        verified,
    }))
}

/// Makes the first assertion, and remembers those that may follow.
pub(crate) fn first(
    key: &mut Authenticator,
    request: &Request,
    now: Duration,
) -> Result<Vec<u8>, Status> {
    let mut flags = 0;
    if request.touch {
        flags |= PRESENT;
    }
    if request.verified {
        flags |= VERIFIED;
    }
    let (chosen, rest) = request
        .candidates
        .split_first()
        .ok_or(Status::NO_CREDENTIALS)?;
    let count = u8::try_from(request.candidates.len()).unwrap_or(u8::MAX);
    let credential = find(key, chosen)?;
    if credential.rp != request.rp {
        return Err(Status::NO_CREDENTIALS);
    }
    let mut entries = assert(key, &credential, &request.hash, flags, count > 1)?;
    if count > 1 {
        entries.push((5, Value::from(count)));
        key.remaining = Some(Remaining {
            hash: request.hash.clone(),
            ids: rest.to_vec(),
            flags,
            since: now,
        });
    }
    Ok(cbor::encode(&cbor::map(entries)))
}

/// Makes the next assertion.
pub(crate) fn next(
    key: &mut Authenticator,
    remaining: Option<Remaining>,
    now: Duration,
) -> Result<Vec<u8>, Status> {
    let mut remaining = remaining.ok_or(Status::NOT_ALLOWED)?;
    if now.saturating_sub(remaining.since) > NEXT_WITHIN || remaining.ids.is_empty() {
        return Err(Status::NOT_ALLOWED);
    }
    let credential = find(key, &remaining.ids.remove(0))?;
    let entries = assert(key, &credential, &remaining.hash, remaining.flags, true)?;
    remaining.since = now;
    key.remaining = Some(remaining);
    Ok(cbor::encode(&cbor::map(entries)))
}

fn find(key: &Authenticator, id: &[u8]) -> Result<Credential, Status> {
    key.credentials
        .iter()
        .find(|one| one.id == id)
        .cloned()
        .ok_or(Status::NO_CREDENTIALS)
}

/// One assertion. Who it is for is told of resident credentials, by name only where there are several to choose from and
/// somebody was verified.
fn assert(
    key: &mut Authenticator,
    credential: &Credential,
    hash: &[u8],
    flags: u8,
    several: bool,
) -> Result<Vec<(u8, Value)>, Status> {
    let data = signed_part(key, &credential.rp, flags, &[]);
    let signature = sign(key, &credential.secret, &[data.as_slice(), hash].concat())?;
    let mut entries = vec![
        (1, credential.descriptor()),
        (2, cbor::bytes(&data)),
        (3, cbor::bytes(&signature)),
    ];
    if credential.resident {
        let named = several && flags & VERIFIED != 0;
        entries.push((4, credential.user.value(named)));
    }
    Ok(entries)
}
