//! What the key is told to do: when somebody touches it, how well it knows a finger, how it counts, how it misbehaves.
//! Only words and their meaning; obeying is the others' matter.

use std::{fmt, str::FromStr, time::Duration};

use crate::{
    cipher::Protocol,
    credential::{EDDSA, ES256},
};

/// An order that cannot be understood or followed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadOrder(pub(crate) String);

impl fmt::Display for BadOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BadOrder {}

/// When somebody touches the key (`up=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Presence {
    /// `auto`: at once.
    Auto,
    /// `deny`: never; they press the button that says no.
    Deny,
    /// `delay:N`: N seconds after the key begins to blink.
    Delay(Duration),
    /// `wait`: when the order `touch` comes.
    Wait,
}

/// Built-in user verification (`uv=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verification {
    /// `none`: the key has no reader.
    None,
    /// `good`: the finger is known.
    Good,
    /// `bad`: the finger is a stranger's.
    Bad,
}

/// How the signature counter goes (`counter=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counter {
    /// `none`: it stays at zero, as on keys without one.
    None,
    /// `clone`: it goes back, as where a copy of the key signs.
    Clone,
    /// A number: the next signature carries it.
    Next(u32),
}

/// What attestation a new credential carries (`attestation=`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attested {
    /// `x5c`: packed, signed by a certificate's key.
    Certificate,
    /// `self`: packed, signed by the credential's own key.
    Itself,
}

/// What of several the key has (`pin-protocol=`, `algorithm=`), the one that it prefers first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Choice<T: 'static>(&'static [T]);

impl<T: Copy + 'static> Choice<T> {
    pub(crate) fn all(self) -> impl Iterator<Item = T> {
        self.0.iter().copied()
    }
}

/// PIN/UV auth protocols (CTAP 2.1 §6.5.4).
pub(crate) type Protocols = Choice<Protocol>;
/// COSE's numbers of signature algorithms.
pub(crate) type Algorithms = Choice<i64>;

impl Protocols {
    /// `both`.
    pub(crate) const BOTH: Self = Choice(&[Protocol::Two, Protocol::One]);
}

impl Algorithms {
    /// `both`.
    pub(crate) const BOTH: Self = Choice(&[ES256, EDDSA]);
}

/// How the key misbehaves when asked for something (`fault=`). It answers INIT and getInfo well, so that it is taken for
/// a good one until then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// `none`.
    None,
    /// `error-0`: `CTAPHID_ERROR` with the code that means no error.
    ErrorZero,
    /// `busy`: another program has it.
    Busy,
    /// `silence`: no answer.
    Silence,
    /// `endless-keepalive`: it blinks for ever, whatever it is told.
    EndlessKeepalive,
    /// `foreign-channel`: the answer goes to a channel of somebody else's.
    ForeignChannel,
    /// `wrong-sequence`: continuation packets in the wrong order.
    WrongSequence,
    /// `oversize`: an answer of 65,535 bytes, where 7,609 is the most that a transport allows.
    Oversize,
    /// `short-auth-data`: authenticator data of 10 bytes.
    ShortAuthData,
    /// `no-touch-flag`: signed without saying that anybody was there.
    NoTouchFlag,
    /// `wrong-rp`: signed for another relying party.
    WrongRp,
    /// `wrong-signature`: one bit of the signature is another.
    WrongSignature,
}

impl FromStr for Presence {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "auto" => Ok(Self::Auto),
            "deny" => Ok(Self::Deny),
            "wait" => Ok(Self::Wait),
            _ => word
                .strip_prefix("delay:")
                .and_then(|seconds| seconds.parse().ok())
                .map(|seconds: u16| Self::Delay(Duration::from_secs(seconds.into())))
                .ok_or_else(|| unknown("up", word)),
        }
    }
}

impl FromStr for Verification {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "none" => Ok(Self::None),
            "good" => Ok(Self::Good),
            "bad" => Ok(Self::Bad),
            _ => Err(unknown("uv", word)),
        }
    }
}

impl FromStr for Counter {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "none" => Ok(Self::None),
            "clone" => Ok(Self::Clone),
            _ => word
                .parse()
                .map(Self::Next)
                .map_err(|_| unknown("counter", word)),
        }
    }
}

impl FromStr for Attested {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "x5c" => Ok(Self::Certificate),
            "self" => Ok(Self::Itself),
            _ => Err(unknown("attestation", word)),
        }
    }
}

impl FromStr for Protocols {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "both" => Ok(Self::BOTH),
            "1" => Ok(Choice(&[Protocol::One])),
            "2" => Ok(Choice(&[Protocol::Two])),
            _ => Err(unknown("pin-protocol", word)),
        }
    }
}

impl FromStr for Algorithms {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        match word {
            "both" => Ok(Self::BOTH),
            "es256" => Ok(Choice(&[ES256])),
            "eddsa" => Ok(Choice(&[EDDSA])),
            _ => Err(unknown("algorithm", word)),
        }
    }
}

const FAULTS: &[(&str, Fault)] = &[
    ("none", Fault::None),
    ("error-0", Fault::ErrorZero),
    ("busy", Fault::Busy),
    ("silence", Fault::Silence),
    ("endless-keepalive", Fault::EndlessKeepalive),
    ("foreign-channel", Fault::ForeignChannel),
    ("wrong-sequence", Fault::WrongSequence),
    ("oversize", Fault::Oversize),
    ("short-auth-data", Fault::ShortAuthData),
    ("no-touch-flag", Fault::NoTouchFlag),
    ("wrong-rp", Fault::WrongRp),
    ("wrong-signature", Fault::WrongSignature),
];

impl FromStr for Fault {
    type Err = BadOrder;

    fn from_str(word: &str) -> Result<Self, BadOrder> {
        FAULTS
            .iter()
            .find_map(|(name, fault)| (*name == word).then_some(*fault))
            .ok_or_else(|| unknown("fault", word))
    }
}

fn unknown(what: &str, word: &str) -> BadOrder {
    BadOrder(format!("{what}= does not know {word:?}"))
}
