//! The whole key: reports go in and come out, orders are obeyed. It has no thread; time passes when it is told of it.

use std::{fmt, time::Duration};

use crate::{
    authenticator::Authenticator,
    credential::{Credential, EDDSA},
    hid::{Hid, REPORT},
    saved,
    script::{BadOrder, Verification},
    status::Status,
};

/// A security key. Times are since any moment that stays the same.
#[derive(Debug)]
pub struct Key {
    authenticator: Authenticator,
    hid: Hid,
    plugged: bool,
}

/// A key could not be made, or not from these bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoKey(Status);

impl fmt::Display for NoKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no key: CTAP status {:#04x}", self.0.0)
    }
}

impl std::error::Error for NoKey {}

impl Key {
    /// A new one, plugged in, touched at once whenever it asks, without PIN and reader.
    pub fn new() -> Result<Self, NoKey> {
        Authenticator::new().map(Self::of).map_err(NoKey)
    }

    /// One that remembers what [`Key::save`] wrote.
    pub fn load(saved: &[u8]) -> Result<Self, NoKey> {
        saved::read(saved).map(Self::of).map_err(NoKey)
    }

    fn of(authenticator: Authenticator) -> Self {
        Self {
            authenticator,
            hid: Hid::new(),
            plugged: true,
        }
    }

    /// Credentials with their secrets, counter, PIN and attestation; not what it was ordered to do.
    pub fn save(&self) -> Vec<u8> {
        saved::write(&self.authenticator)
    }

    /// Takes a report from the platform. One that is shorter is filled up; what is beyond [`REPORT`] bytes is dropped.
    pub fn receive(&mut self, report: &[u8], now: Duration) {
        let mut whole = [0; REPORT];
        for (place, byte) in whole.iter_mut().zip(report) {
            *place = *byte;
        }
        if self.plugged {
            self.hid.receive(&whole, &mut self.authenticator, now);
        }
    }

    /// Lets time pass, and returns the next report for the platform, if there is one. A key that waits for a touch has
    /// one every tenth of a second.
    pub fn transmit(&mut self, now: Duration) -> Option<[u8; REPORT]> {
        if !self.plugged {
            return None;
        }
        self.hid.tick(&mut self.authenticator, now);
        self.hid.take()
    }

    /// Whether it is plugged in.
    pub const fn plugged(&self) -> bool {
        self.plugged
    }

    /// Whether it blinks: somebody has to touch it.
    pub const fn blinks(&self) -> bool {
        self.authenticator.waits()
    }

    /// Whether it has to be told of time: it blinks, half a message is in, or it pretends to be at something.
    pub const fn works(&self) -> bool {
        self.hid.works()
    }

    /// Obeys an order and says what there is to say (only `status` has something). The orders:
    ///
    /// | | |
    /// |---|---|
    /// | `up=auto`, `deny`, `delay:SECONDS`, `wait` | when somebody touches it; with `wait`, at the order `touch` |
    /// | `unplug`, `plug` | takes it out, puts it in |
    /// | `pin=1234`, `pin=` | sets the PIN, takes it away; either way it has 8 tries |
    /// | `uv=none`, `good`, `bad` | no reader; one that knows the finger; one that does not |
    /// | `counter=NUMBER`, `clone`, `none` | what the next signature carries; goes back; stays at zero |
    /// | `pin-protocol=both`, `1`, `2` | PIN/UV auth protocols that it knows |
    /// | `algorithm=both`, `es256`, `eddsa` | of its new credentials |
    /// | `attestation=x5c`, `self` | by a certificate; by the credential itself |
    /// | `fault=none`, `error-0`, `busy`, `silence`, `endless-keepalive`, `foreign-channel`, `wrong-sequence`, `oversize`, `short-auth-data`, `no-touch-flag`, `wrong-rp`, `wrong-signature` | misbehaves when asked for more than getInfo |
    /// | `reset` | forgets everything |
    /// | `status` | one line of `name=value` |
    pub fn order(&mut self, order: &str) -> Result<String, BadOrder> {
        let key = &mut self.authenticator;
        match order.split_once('=') {
            Some(("up", word)) => key.script.presence = word.parse()?,
            Some(("uv", word)) => {
                key.script.verification = word.parse()?;
                key.pin.uv_retries = 3;
            }
            Some(("counter", word)) => key.set_counter(word.parse()?),
            Some(("attestation", word)) => key.script.attested = word.parse()?,
            Some(("pin-protocol", word)) => key.script.protocols = word.parse()?,
            Some(("algorithm", word)) => key.script.algorithms = word.parse()?,
            Some(("fault", word)) => key.script.fault = word.parse()?,
            Some(("pin", word)) => key
                .pin
                .set(Some(word).filter(|word| !word.is_empty()))
                .map_err(|_| BadOrder("a PIN has 4 characters to 63 bytes".to_owned()))?,
            _ => return self.simple(order),
        }
        Ok(String::new())
    }

    fn simple(&mut self, order: &str) -> Result<String, BadOrder> {
        match order {
            "touch" if !self.blinks() => {
                return Err(BadOrder("it does not blink".to_owned()));
            }
            "touch" => self.authenticator.touch(),
            "unplug" => self.plugged = false,
            "plug" => {
                self.authenticator.power_on();
                self.hid = Hid::new();
                self.plugged = true;
            }
            "reset" => {
                *self = Self::new().map_err(|error| BadOrder(error.to_string()))?;
            }
            "status" => return Ok(self.status()),
            _ => return Err(BadOrder(format!("no such order: {order:?}"))),
        }
        Ok(String::new())
    }

    fn status(&self) -> String {
        let key = &self.authenticator;
        format!(
            "plugged={} blinks={} credentials={} newest={} counter={} pin={} pin-retries={} uv={} uv-retries={} winks={}",
            self.plugged,
            self.blinks(),
            key.credentials.len(),
            key.credentials.last().map_or_else(String::new, described),
            key.counter,
            key.pin.hash.is_some(),
            key.pin.retries,
            key.script.verification != Verification::None,
            key.pin.uv_retries,
            self.hid.winks,
        )
    }
}

/// A credential, in words that a script can look for.
fn described(credential: &Credential) -> String {
    let algorithm = if credential.secret.algorithm == EDDSA {
        "eddsa"
    } else {
        "es256"
    };
    let resident = if credential.resident { ",resident" } else { "" };
    let level = credential.protection.level();
    format!("{algorithm}{resident},protection-{level}")
}
