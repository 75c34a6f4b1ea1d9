//! A login that somebody thinks of, as a table of an expectation writes it. What it does not name is not known.

use std::net::IpAddr;

use crate::{
    Country, Device, FirstFactor, Key, Known, Level, Request, Risk, Signal,
    condition::{is_fingerprint, words},
    diagnostic::{is_visible, quoted},
    document::{Findings, Table, Value},
    duration::{DAY, Seconds},
};

/// Longest name of a user, group, service, terminal or seat, in bytes.
const MAX_NAME: usize = 256;
/// Longest time since the last login, and since the last proof.
const LONGEST_AGO: u32 = 10_000 * DAY;

/// The login.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Imagined {
    user: String,
    service: String,
    uid: Option<u32>,
    groups: Known<Vec<String>>,
    target: Option<String>,
    address: Option<IpAddr>,
    local: bool,
    tty: Option<String>,
    seat: Known<Option<String>>,
    country: Known<Option<Country>>,
    first: Known<First>,
    device: Known<Device>,
    risk: Known<Risk>,
    /// Seconds before the login; `Is(None)`: never.
    last_mfa: Known<Option<u32>>,
    last_login: Known<Option<u32>>,
    /// When it takes place. It matters only to policies that look at the time.
    pub(super) at: Option<i64>,
}

/// What was proven before.
#[derive(Debug, Clone, PartialEq, Eq)]
struct First {
    password: bool,
    key: Option<OwnedKey>,
}

/// A public key.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnedKey {
    fingerprint: Option<String>,
    sk: bool,
    certificate: bool,
    ca: Option<String>,
}

/// Where a login comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum From {
    Here,
    Far(IpAddr),
}

impl Imagined {
    /// Reads the keys that describe a login. What is wrong is noted, and not known in the result.
    pub(super) fn read(table: &Table<'_>, findings: &mut Findings<'_>) -> Option<Self> {
        let mut required = |key| {
            let value = table.require(key, findings)?;
            name(value, findings).known()
        };
        let (user, service) = (required("user"), required("service"));
        let from = fact(table, "rhost", findings, from);
        let far = matches!(from, Known::Is(From::Far(_)));
        let seat = fact(table, "seat", findings, name_or_none);
        if let (true, Known::Is(Some(_)), Some(value)) = (far, &seat, table.get("seat")) {
            value.error(
                findings,
                "a login with a far end sits at no seat of this machine",
            );
        }
        let local = from == Known::Is(From::Here) || matches!(seat, Known::Is(Some(_)));
        let country = fact(table, "country", findings, country);
        // What follows from where a login comes from, follows here as it does in the daemon.
        Some(Self {
            uid: fact(table, "uid", findings, |value, findings| {
                value.integer(0..=u32::MAX, findings).into()
            })
            .known(),
            groups: fact(table, "groups", findings, names),
            target: fact(table, "target", findings, name).known(),
            address: match from {
                Known::Is(From::Far(address)) => Some(address),
                Known::Is(From::Here) | Known::Unknown => None,
            },
            local,
            tty: fact(table, "tty", findings, name).known(),
            seat: or_none(seat, far),
            country: or_none(country, local),
            first: First::read(table, findings),
            device: fact(table, "device", findings, |value, findings| {
                one_of(
                    value,
                    &[("known", Device::Known), ("new", Device::New)],
                    findings,
                )
            }),
            risk: risk(table, findings),
            last_mfa: fact(table, "last-mfa", findings, ago),
            last_login: fact(table, "last-login", findings, ago),
            at: fact(table, "at", findings, |value, findings| {
                value.moment(findings).into()
            })
            .known(),
            // Last: without them, what else is wrong has been noted by now.
            user: user?,
            service: service?,
        })
    }

    /// Shows `look` the login as a policy sees it, at `now`.
    pub(super) fn with_request<T>(&self, now: i64, look: impl FnOnce(&Request<'_>) -> T) -> T {
        let first = self.first.as_ref();
        let keys: Vec<Key<'_>> = match first {
            Known::Is(first) => first.key.iter().map(OwnedKey::as_policy).collect(),
            Known::Unknown => Vec::new(),
        };
        let moment = |ago: Known<Option<u32>>| ago.map(|ago| ago.map(|ago| now - i64::from(ago)));
        look(&Request {
            uid: self.uid,
            groups: self.groups.as_ref().map(Vec::as_slice),
            target: self.target.as_deref(),
            address: self.address,
            local: self.local,
            tty: self.tty.as_deref(),
            seat: self.seat.as_ref().map(Option::as_deref),
            country: self.country,
            first: first.map(|first| FirstFactor {
                password: first.password,
                keys: &keys,
            }),
            device: self.device,
            risk: self.risk,
            last_mfa: moment(self.last_mfa),
            last_login: moment(self.last_login),
            ..Request::new(&self.user, &self.service, now)
        })
    }
}

impl OwnedKey {
    fn as_policy(&self) -> Key<'_> {
        Key {
            fingerprint: self.fingerprint.as_deref(),
            // No condition asks for it.
            kind: "",
            sk: self.sk,
            certificate: self.certificate,
            ca: self.ca.as_deref(),
        }
    }
}

/// What `first-factor` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    None,
    Password,
    PublicKey,
    Certificate,
    SkKey,
}

const SORTS: [(&str, Sort); 5] = [
    ("none", Sort::None),
    ("password", Sort::Password),
    ("publickey", Sort::PublicKey),
    ("certificate", Sort::Certificate),
    ("sk-key", Sort::SkKey),
];

impl First {
    /// From `first-factor`, `key` and `ca`: a key is a public key without further words, an authority makes it a certificate.
    fn read(table: &Table<'_>, findings: &mut Findings<'_>) -> Known<Self> {
        let sorts = fact(table, "first-factor", findings, |value, findings| {
            words::read(value, &SORTS, findings).into()
        });
        let key = fact(table, "key", findings, fingerprint).known();
        let ca = fact(table, "ca", findings, fingerprint).known();
        if sorts == Known::Unknown && key.is_none() && ca.is_none() {
            return Known::Unknown;
        }
        let sorts = sorts.known().unwrap_or_default();
        let is = |sort| sorts.contains(&sort);
        let by_word = is(Sort::PublicKey) || is(Sort::Certificate) || is(Sort::SkKey);
        let has_key = by_word || key.is_some() || ca.is_some();
        let password = is(Sort::Password);
        if let (true, true, Some(value)) = (
            is(Sort::None),
            has_key || password,
            table.get("first-factor"),
        ) {
            value.error(
                findings,
                "`first-factor` is \"none\", and something else besides",
            );
        }
        Known::Is(Self {
            password,
            key: has_key.then(|| OwnedKey {
                sk: is(Sort::SkKey),
                certificate: is(Sort::Certificate) || ca.is_some(),
                fingerprint: key,
                ca,
            }),
        })
    }
}

/// What `read` makes of the value of `key`, if it is there.
fn fact<'t, 's, T>(
    table: &Table<'t>,
    key: &'static str,
    findings: &mut Findings<'s>,
    read: impl FnOnce(Value<'t>, &mut Findings<'s>) -> Known<T>,
) -> Known<T> {
    let value = table.take(key);
    value.map_or(Known::Unknown, |value| read(value, findings))
}

/// The same, or none where it is certain that there is none.
fn or_none<T>(fact: Known<Option<T>>, certain: bool) -> Known<Option<T>> {
    match fact {
        Known::Unknown if certain => Known::Is(None),
        other => other,
    }
}

/// Notes that a value is not what it must be.
fn wrong<T>(value: Value<'_>, findings: &mut Findings<'_>, fault: &str) -> Known<T> {
    value.error(findings, format!("`{}` {fault}", value.key()));
    Known::Unknown
}

/// A name as a login brings it. `*` and `?` may stand in one, but hardly ever do on purpose.
fn name(value: Value<'_>, findings: &mut Findings<'_>) -> Known<String> {
    let Some(text) = value.string(findings) else {
        return Known::Unknown;
    };
    if text.is_empty() || text.len() > MAX_NAME || !text.chars().all(is_visible) {
        let fault = format!("must have 1 to {MAX_NAME} bytes of visible text");
        return wrong(value, findings, &fault);
    }
    if text.contains(['*', '?']) {
        let fault = format!("is one name, and {} is a pattern of several", quoted(text));
        return wrong(value, findings, &fault);
    }
    Known::Is(text.to_owned())
}

fn name_or_none(value: Value<'_>, findings: &mut Findings<'_>) -> Known<Option<String>> {
    name(value, findings).map(|name| Some(name).filter(|name| name != "none"))
}

/// A name, or a list, which may be empty: somebody in no group.
fn names(value: Value<'_>, findings: &mut Findings<'_>) -> Known<Vec<String>> {
    let Some(values) = value.as_array() else {
        return name(value, findings).map(|name| vec![name]);
    };
    let names = values.filter_map(|value| name(value, findings).known());
    Known::Is(names.collect())
}

fn from(value: Value<'_>, findings: &mut Findings<'_>) -> Known<From> {
    let Some(text) = value.string(findings) else {
        return Known::Unknown;
    };
    if text == "local" {
        return Known::Is(From::Here);
    }
    let Ok(address) = text.parse::<IpAddr>() else {
        let fault = format!(
            "cannot be {}; write an address, or \"local\" for a login without a far end",
            quoted(text)
        );
        return wrong(value, findings, &fault);
    };
    Known::Is(From::Far(address))
}

fn country(value: Value<'_>, findings: &mut Findings<'_>) -> Known<Option<Country>> {
    let Some(text) = value.string(findings) else {
        return Known::Unknown;
    };
    match (text, Country::new(text)) {
        ("none", _) => Known::Is(None),
        (_, Some(country)) => Known::Is(Some(country)),
        (_, None) => {
            let text = quoted(text);
            let fault = format!("cannot be {text}; write two letters such as \"CH\", or \"none\"");
            wrong(value, findings, &fault)
        }
    }
}

fn fingerprint(value: Value<'_>, findings: &mut Findings<'_>) -> Known<String> {
    let Some(text) = value.string(findings) else {
        return Known::Unknown;
    };
    if is_fingerprint(text) {
        return Known::Is(text.to_owned());
    }
    let text = quoted(text);
    let fault =
        format!("cannot be {text}; write a fingerprint as `ssh-keygen -lf key.pub` prints it");
    wrong(value, findings, &fault)
}

fn one_of<T: Copy>(
    value: Value<'_>,
    all: &[(&'static str, T)],
    findings: &mut Findings<'_>,
) -> Known<T> {
    let Some(text) = value.string(findings) else {
        return Known::Unknown;
    };
    let found = all.iter().find(|(word, _)| *word == text);
    if found.is_none() {
        value.error(findings, words::unknown(value.key(), text, all));
    }
    found.map(|(_, meaning)| *meaning).into()
}

/// `risk` and `signals`. How signs weigh is the daemon's setting, so that signs alone do not tell the level.
fn risk(table: &Table<'_>, findings: &mut Findings<'_>) -> Known<Risk> {
    let level = fact(table, "risk", findings, |value, findings| {
        one_of(
            value,
            &Level::ALL.map(|level| (level.word(), level)),
            findings,
        )
    });
    let signals = fact(table, "signals", findings, |value, findings| {
        let all = Signal::ALL.map(|signal| (signal.word(), signal));
        words::read(value, &all, findings).into()
    });
    if let (Known::Unknown, None, Some(value)) = (level, table.get("risk"), table.get("signals")) {
        let fault = "needs `risk` beside it: how signs weigh is a setting of the daemon's";
        return wrong(value, findings, fault);
    }
    level.map(|level| Risk {
        level,
        signals: signals.known().into_iter().flatten().collect(),
    })
}

/// How long ago, or never.
fn ago(value: Value<'_>, findings: &mut Findings<'_>) -> Known<Option<u32>> {
    if value.as_str() == Some("never") {
        return Known::Is(None);
    }
    let ago = Seconds::read(value, 0..=LONGEST_AGO, findings);
    ago.map(|ago| Some(ago.0)).into()
}
