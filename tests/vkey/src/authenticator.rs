//! The authenticator: takes CTAP2 commands, waits for the touch that the script gives, and answers. Knows nothing of
//! reports and channels.

use std::time::Duration;

use ciborium::Value;
use ring::rand::SystemRandom;

use crate::{
    assertion::{self, Remaining},
    attestation::{AAGUID, Attestation},
    cbor::{self, Map},
    cipher::Protocol,
    credential::Credential,
    making,
    pin::Pin,
    script::{Algorithms, Attested, Counter, Fault, Presence, Protocols, Verification},
    status::Status,
};

/// How long somebody may take to touch the key.
const PATIENCE: Duration = Duration::from_secs(30);
/// The longest message of CTAPHID (§11.2.4).
pub(crate) const MESSAGE: u16 = 7609;

/// What a command is at.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Progress {
    /// The reply, with its status byte.
    Done(Vec<u8>),
    /// Somebody has to touch the key.
    Touch,
}

/// What is to be done once somebody has touched the key.
#[derive(Debug)]
enum Work {
    Make(making::Request),
    Get(assertion::Request),
    Select,
    Reset,
    /// A touch was asked for, but nothing will be given for it.
    Refuse(Status),
}

/// What the script says now.
#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) presence: Presence,
    pub(crate) verification: Verification,
    pub(crate) attested: Attested,
    pub(crate) fault: Fault,
    pub(crate) protocols: Protocols,
    pub(crate) algorithms: Algorithms,
    pub(crate) counts: bool,
}

/// The authenticator.
#[derive(Debug)]
pub(crate) struct Authenticator {
    pub(crate) script: Script,
    pub(crate) attestation: Attestation,
    pub(crate) credentials: Vec<Credential>,
    pub(crate) counter: u32,
    pub(crate) pin: Pin,
    pub(crate) random: SystemRandom,
    pub(crate) remaining: Option<Remaining>,
    pending: Option<(Work, Duration)>,
    touched: bool,
}

/// Where a command keeps what authorizes it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place {
    pub(crate) tag: u8,
    pub(crate) protocol: u8,
    pub(crate) permission: u8,
}

impl Authenticator {
    pub(crate) fn new() -> Result<Self, Status> {
        let random = SystemRandom::new();
        Ok(Self {
            script: Script {
                presence: Presence::Auto,
                verification: Verification::None,
                attested: Attested::Certificate,
                fault: Fault::None,
                protocols: Protocols::BOTH,
                algorithms: Algorithms::BOTH,
                counts: true,
            },
            attestation: Attestation::new(&random)?,
            credentials: Vec::new(),
            counter: 0,
            pin: Pin::new(),
            random,
            remaining: None,
            pending: None,
            touched: false,
        })
    }

    /// Whether it blinks.
    pub(crate) const fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// Somebody touches it; without effect while it does not blink.
    pub(crate) fn touch(&mut self) {
        self.touched = self.waits();
    }

    /// What plugging it in anew does.
    pub(crate) fn power_on(&mut self) {
        self.pin.power_on();
        self.pending = None;
        self.remaining = None;
    }

    pub(crate) fn set_counter(&mut self, counter: Counter) {
        self.script.counts = counter != Counter::None;
        match counter {
            Counter::None => {}
            // Of the last two signatures, the older one's number, or the same again.
            Counter::Clone => self.counter = self.counter.saturating_sub(2),
            Counter::Next(number) => self.counter = number.saturating_sub(1),
        }
    }

    /// The number that the next signature carries.
    pub(crate) fn count(&mut self) -> u32 {
        if !self.script.counts {
            return 0;
        }
        self.counter = self.counter.saturating_add(1);
        self.counter
    }

    /// Takes a command.
    pub(crate) fn begin(&mut self, request: &[u8], now: Duration) -> Progress {
        self.pending = None;
        let next = request == [0x08];
        let remaining = self.remaining.take();
        let outcome = match request.split_first() {
            None => Err(Status::INVALID_CBOR),
            Some((0x08, _)) if next => {
                return Progress::Done(reply(assertion::next(self, remaining, now)));
            }
            Some((0x04, _)) => return Progress::Done(reply(Ok(self.info()))),
            Some((0x07, _)) => Ok(Work::Reset),
            Some((0x0b, _)) => Ok(Work::Select),
            Some((0x01, parameters)) => {
                Map::parse(parameters).and_then(|map| self.prepare_making(&map))
            }
            Some((0x02, parameters)) => {
                Map::parse(parameters).and_then(|map| self.prepare_assertion(&map))
            }
            Some((0x06, parameters)) => {
                let done = Map::parse(parameters)
                    .and_then(|map| self.pin.command(&map, &self.script, &self.random));
                return Progress::Done(reply(done));
            }
            Some(_) => Err(Status::INVALID_COMMAND),
        };
        match outcome {
            Err(status) => Progress::Done(vec![status.0]),
            Ok(Work::Get(request)) if !request.touch => {
                Progress::Done(reply(assertion::first(self, &request, now)))
            }
            Ok(work) => {
                self.touched = false;
                self.pending = Some((work, now));
                self.resume(now)
            }
        }
    }

    /// Looks whether the touch has come.
    pub(crate) fn resume(&mut self, now: Duration) -> Progress {
        let Some((work, since)) = self.pending.take() else {
            return Progress::Done(vec![Status::OTHER.0]);
        };
        let waited = now.saturating_sub(since);
        let touched = match self.script.presence {
            Presence::Auto => true,
            Presence::Deny => return Progress::Done(vec![Status::OPERATION_DENIED.0]),
            Presence::Delay(delay) => waited >= delay,
            Presence::Wait => self.touched,
        };
        if touched {
            return Progress::Done(reply(self.perform(work, now)));
        }
        if waited >= PATIENCE {
            return Progress::Done(vec![Status::USER_ACTION_TIMEOUT.0]);
        }
        self.pending = Some((work, since));
        Progress::Touch
    }

    /// Ends what waits for a touch, at the platform's wish.
    pub(crate) fn cancel(&mut self) -> Option<Vec<u8>> {
        self.pending
            .take()
            .map(|_| vec![Status::KEEPALIVE_CANCEL.0])
    }

    /// Whether the user is verified, by the token or the finger that a command names. An empty tag is a platform that
    /// wants to know which key is touched: the outer error refuses, the inner one does so after a touch.
    pub(crate) fn verified(
        &mut self,
        request: &Map,
        place: Place,
        hash: &[u8],
        rp: &str,
    ) -> Result<Result<bool, Status>, Status> {
        if let Some(tag) = request.bytes(place.tag)? {
            if tag.is_empty() {
                return Ok(Err(if self.pin.hash.is_some() {
                    Status::PIN_INVALID
                } else {
                    Status::PIN_NOT_SET
                }));
            }
            let number = cbor::needed(request.number(place.protocol)?)?;
            let protocol = Protocol::of(number, self.script.protocols)?;
            self.pin
                .authorized(protocol, hash, tag, place.permission, rp)?;
            return Ok(Ok(true));
        }
        if request.map(options_of(place))?.flag("uv")? != Some(true) {
            return Ok(Ok(false));
        }
        if self.script.verification == Verification::None {
            return Err(Status::INVALID_OPTION);
        }
        match self.pin.by_finger(self.script.verification) {
            Ok(()) => Ok(Ok(true)),
            Err(_) if self.pin.hash.is_some() => Err(Status::PIN_REQUIRED),
            Err(_) => Err(Status::OPERATION_DENIED),
        }
    }

    fn prepare_making(&mut self, parameters: &Map) -> Result<Work, Status> {
        let prepared = making::prepare(self, parameters)?;
        Ok(prepared.map_or_else(Work::Refuse, Work::Make))
    }

    fn prepare_assertion(&mut self, parameters: &Map) -> Result<Work, Status> {
        let prepared = assertion::prepare(self, parameters)?;
        Ok(prepared.map_or_else(Work::Refuse, Work::Get))
    }

    fn perform(&mut self, work: Work, now: Duration) -> Result<Vec<u8>, Status> {
        match work {
            Work::Make(request) => {
                self.pin.spend();
                making::make(self, request)
            }
            Work::Get(request) => {
                self.pin.spend();
                assertion::first(self, &request, now)
            }
            Work::Select => Ok(Vec::new()),
            Work::Refuse(status) => Err(status),
            Work::Reset => {
                self.credentials.clear();
                self.counter = 0;
                self.pin = Pin::new();
                Ok(Vec::new())
            }
        }
    }

    fn info(&self) -> Vec<u8> {
        let texts =
            |words: &[&str]| Value::Array(words.iter().map(|word| Value::from(*word)).collect());
        let algorithm = |number: i64| {
            cbor::map([
                ("alg", Value::from(number)),
                ("type", Value::from("public-key")),
            ])
        };
        let protocols = self.script.protocols.all().map(|one| one.number().into());
        let mut options = vec![("rk", true.into()), ("up", true.into())];
        if self.script.verification != Verification::None {
            options.push(("uv", true.into()));
        }
        options.extend([
            ("plat", false.into()),
            ("clientPin", self.pin.hash.is_some().into()),
            ("pinUvAuthToken", true.into()),
            ("makeCredUvNotRqd", true.into()),
        ]);
        cbor::encode(&cbor::map([
            (1, texts(&["FIDO_2_0", "FIDO_2_1"])),
            (2, texts(&["credProtect"])),
            (3, cbor::bytes(&AAGUID)),
            (4, cbor::map(options)),
            (5, Value::from(MESSAGE)),
            (6, Value::Array(protocols.collect())),
            (7, Value::from(16)),
            (8, Value::from(128)),
            (9, texts(&["usb"])),
            (
                10,
                Value::Array(self.script.algorithms.all().map(algorithm).collect()),
            ),
            (13, Value::from(4)),
        ]))
    }
}

/// Where the options are: makeCredential has them before its tag, getAssertion too.
const fn options_of(place: Place) -> u8 {
    place.tag - 1
}

fn reply(outcome: Result<Vec<u8>, Status>) -> Vec<u8> {
    match outcome {
        Ok(body) => [vec![0], body].concat(),
        Err(status) => vec![status.0],
    }
}
