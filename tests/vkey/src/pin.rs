//! The PIN, the tokens it buys, and how often it may be wrong: authenticatorClientPIN (CTAP 2.1 §6.5). Whether a command
//! needs a token is the command's matter.

use ciborium::Value;
use ring::rand::{SecureRandom, SystemRandom};

use crate::{
    authenticator::Script,
    cbor::{self, Map, needed},
    cipher::{Agreement, Protocol, Shared, sha256},
    script::{Protocols, Verification},
    status::Status,
};

const RETRIES: u8 = 8;
/// Wrong in a row before the key wants to be plugged in anew.
const IN_A_ROW: u8 = 3;
const UV_RETRIES: u8 = 3;

/// Permission to make credentials.
pub(crate) const MAKE: u8 = 1;
/// Permission to get assertions.
pub(crate) const GET: u8 = 2;

/// What a PIN or a finger buys.
#[derive(Debug)]
struct Token {
    secret: [u8; 32],
    permissions: u8,
    rp: Option<String>,
}

/// The PIN's state.
#[derive(Debug, Default)]
pub(crate) struct Pin {
    pub(crate) hash: Option<[u8; 16]>,
    pub(crate) retries: u8,
    wrong_in_a_row: u8,
    pub(crate) uv_retries: u8,
    agreement: Option<Agreement>,
    token: Option<Token>,
}

impl Pin {
    pub(crate) fn new() -> Self {
        Self {
            retries: RETRIES,
            uv_retries: UV_RETRIES,
            ..Self::default()
        }
    }

    /// What plugging the key in anew does.
    pub(crate) fn power_on(&mut self) {
        self.wrong_in_a_row = 0;
        self.agreement = None;
        self.token = None;
    }

    /// Makes `pin` the PIN, or takes it away.
    pub(crate) fn set(&mut self, pin: Option<&str>) -> Result<(), Status> {
        let hash = pin.map(|pin| hashed(pin.as_bytes())).transpose()?;
        *self = Self::new();
        self.hash = hash;
        Ok(())
    }

    /// Answers authenticatorClientPIN.
    pub(crate) fn command(
        &mut self,
        request: &Map,
        script: &Script,
        random: &SystemRandom,
    ) -> Result<Vec<u8>, Status> {
        let offered = script.protocols;
        let reply = match needed(request.number(2)?)? {
            1 => cbor::map([
                (3, Value::from(self.retries)),
                (4, Value::from(self.wrong_in_a_row >= IN_A_ROW)),
            ]),
            2 => {
                protocol(request, offered)?;
                let agreement = Agreement::new(random)?;
                let public = agreement.public();
                self.agreement = Some(agreement);
                cbor::map([(1, public)])
            }
            3 => return self.first(request, offered).map(|()| Vec::new()),
            4 => return self.change(request, offered).map(|()| Vec::new()),
            5 => {
                let shared = self.by_pin(request, offered)?;
                self.token(&shared, MAKE | GET, None, random)?
            }
            6 => {
                let (permissions, rp) = wanted(request)?;
                let shared = self.agree(request, offered)?;
                self.by_finger(script.verification)?;
                self.token(&shared, permissions, rp, random)?
            }
            7 => cbor::map([(5, Value::from(self.uv_retries))]),
            9 => {
                let (permissions, rp) = wanted(request)?;
                let shared = self.by_pin(request, offered)?;
                self.token(&shared, permissions, rp, random)?
            }
            _ => return Err(Status::INVALID_PARAMETER),
        };
        Ok(cbor::encode(&reply))
    }

    /// Built-in verification: whether the finger is known.
    pub(crate) fn by_finger(&mut self, verification: Verification) -> Result<(), Status> {
        if verification == Verification::None {
            return Err(Status::INVALID_PARAMETER);
        }
        if self.uv_retries == 0 {
            return Err(Status::UV_BLOCKED);
        }
        if verification == Verification::Good {
            self.uv_retries = UV_RETRIES;
            return Ok(());
        }
        self.uv_retries -= 1;
        Err(if self.uv_retries == 0 {
            Status::UV_BLOCKED
        } else {
            Status::UV_INVALID
        })
    }

    /// Whether a command's `pinUvAuthParam` was made with a token that is good for it.
    pub(crate) fn authorized(
        &mut self,
        protocol: Protocol,
        message: &[u8],
        tag: &[u8],
        permission: u8,
        rp: &str,
    ) -> Result<(), Status> {
        let token = self.token.as_mut().ok_or(Status::PIN_AUTH_INVALID)?;
        let good = protocol.verify(&token.secret, message, tag)
            && token.permissions & permission != 0
            && token.rp.as_deref().is_none_or(|bound| bound == rp);
        if !good {
            return Err(Status::PIN_AUTH_INVALID);
        }
        token.rp = Some(rp.to_owned());
        Ok(())
    }

    /// A touch was given: the token has served (CTAP 2.1 §6.5.5.7, clearPinUvAuthTokenPermissionsExceptLbw).
    pub(crate) fn spend(&mut self) {
        self.token = None;
    }

    fn token(
        &mut self,
        shared: &Shared,
        permissions: u8,
        rp: Option<String>,
        random: &SystemRandom,
    ) -> Result<Value, Status> {
        let mut secret = [0; 32];
        random.fill(&mut secret)?;
        let sealed = shared.encrypt(&secret, random)?;
        self.token = Some(Token {
            secret,
            permissions,
            rp,
        });
        Ok(cbor::map([(2, cbor::bytes(&sealed))]))
    }

    fn agree(&mut self, request: &Map, offered: Protocols) -> Result<Shared, Status> {
        let protocol = protocol(request, offered)?;
        let platform = needed(request.get(3).cloned())?;
        let agreement = self.agreement.take().ok_or(Status::PIN_AUTH_INVALID)?;
        agreement.agree(protocol, &Map::of(platform)?)
    }

    fn first(&mut self, request: &Map, offered: Protocols) -> Result<(), Status> {
        let new = needed(request.bytes(5)?)?;
        let tag = needed(request.bytes(4)?)?;
        if self.hash.is_some() {
            return Err(Status::PIN_AUTH_INVALID);
        }
        let shared = self.agree(request, offered)?;
        if !shared.verify(new, tag) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        self.hash = Some(unpadded(&shared.decrypt(new)?)?);
        self.retries = RETRIES;
        Ok(())
    }

    fn change(&mut self, request: &Map, offered: Protocols) -> Result<(), Status> {
        let new = needed(request.bytes(5)?)?;
        let old = needed(request.bytes(6)?)?;
        let tag = needed(request.bytes(4)?)?;
        self.triable()?;
        let shared = self.agree(request, offered)?;
        if !shared.verify(&[new, old].concat(), tag) {
            return Err(Status::PIN_AUTH_INVALID);
        }
        self.check(&shared.decrypt(old)?)?;
        self.hash = Some(unpadded(&shared.decrypt(new)?)?);
        self.token = None;
        Ok(())
    }

    fn by_pin(&mut self, request: &Map, offered: Protocols) -> Result<Shared, Status> {
        let sealed = needed(request.bytes(6)?)?;
        self.triable()?;
        let shared = self.agree(request, offered)?;
        self.check(&shared.decrypt(sealed)?)?;
        Ok(shared)
    }

    fn triable(&self) -> Result<(), Status> {
        if self.hash.is_none() {
            Err(Status::PIN_NOT_SET)
        } else if self.retries == 0 {
            Err(Status::PIN_BLOCKED)
        } else if self.wrong_in_a_row >= IN_A_ROW {
            Err(Status::PIN_AUTH_BLOCKED)
        } else {
            Ok(())
        }
    }

    fn check(&mut self, hash: &[u8]) -> Result<(), Status> {
        // Charged before it is compared.
        self.retries -= 1;
        if self.hash.is_some_and(|right| right.as_slice() == hash) {
            self.retries = RETRIES;
            self.wrong_in_a_row = 0;
            return Ok(());
        }
        self.wrong_in_a_row += 1;
        self.triable()?;
        Err(Status::PIN_INVALID)
    }
}

fn protocol(request: &Map, offered: Protocols) -> Result<Protocol, Status> {
    Protocol::of(needed(request.number(1)?)?, offered)
}

/// The permissions that are asked for, and for whom.
fn wanted(request: &Map) -> Result<(u8, Option<String>), Status> {
    let permissions = needed(request.number(9)?)?;
    let permissions = u8::try_from(permissions).map_err(|_| Status::INVALID_PARAMETER)?;
    let rp = request.text(10)?.map(str::to_owned);
    if permissions & (MAKE | GET) == 0 || rp.is_none() {
        return Err(Status::INVALID_PARAMETER);
    }
    Ok((permissions, rp))
}

fn unpadded(padded: &[u8]) -> Result<[u8; 16], Status> {
    if padded.len() != 64 {
        return Err(Status::INVALID_PARAMETER);
    }
    let end = padded.iter().rposition(|byte| *byte != 0);
    hashed(&padded[..end.map_or(0, |last| last + 1)])
}

/// The first half of the hash of a PIN of 4 characters to 63 bytes.
fn hashed(pin: &[u8]) -> Result<[u8; 16], Status> {
    let text = std::str::from_utf8(pin).map_err(|_| Status::PIN_POLICY_VIOLATION)?;
    if text.chars().count() < 4 || pin.len() > 63 {
        return Err(Status::PIN_POLICY_VIOLATION);
    }
    let mut hash = [0; 16];
    hash.copy_from_slice(&sha256(pin)[..16]);
    Ok(hash)
}
