//! Logins and decisions in words, for tests that read as tables.

use policy::{
    Country, Decision, Device, FirstFactor, Key, Known, Level, Policy, Request, Risk, Signal,
    Source, Vocabulary,
};

/// 2027-01-15T12:00:00Z, a Friday.
pub(crate) const NOW: i64 = 1_800_014_400;

/// `fido2` withstands phishing and verifies its user. The zones are those of Switzerland and of Kiribati.
pub(crate) const VOCABULARY: Vocabulary<'_> = Vocabulary {
    phishing_resistant: &["fido2"],
    user_verified: &["fido2"],
    zone: |name| {
        let rule = match name {
            "Europe/Zurich" => "CET-1CEST,M3.5.0,M10.5.0/3",
            "Pacific/Kiritimati" => "<+14>-14",
            _ => return None,
        };
        jiff::tz::TimeZone::posix(rule).ok()
    },
    ..Vocabulary::new(&["totp", "hotp", "backup-codes", "fido2"])
};

/// Reads a policy that has no fault.
pub(crate) fn parse(text: &str) -> Policy {
    let source = Source {
        name: "policy.toml",
        text,
    };
    Policy::parse(&[source], &VOCABULARY).unwrap_or_else(|found| panic!("{found:#?}"))
}

/// Decides on a login written `user service [fact]...`, where a fact is `key=value`, `local`, or for a moment `key=age`
/// as in `last-mfa=31d`. What is not written is not known; `none` and `never` are known to be none.
pub(crate) fn decide(policy: &Policy, login: &str) -> Decision {
    with(login, |request| policy.decide(request))
}

/// Calls `look` with a login.
pub(crate) fn with<T>(login: &str, look: impl FnOnce(&Request<'_>) -> T) -> T {
    let mut words = login.split_whitespace();
    let (user, service) = (words.next().unwrap(), words.next().unwrap());
    let facts: Vec<(&str, &str)> = words
        .map(|word| word.split_once('=').unwrap_or((word, "")))
        .collect();
    let fact = |key: &str| {
        facts
            .iter()
            .find(|(k, _)| *k == key)
            .map(|(_, value)| *value)
    };
    let groups: Option<Vec<String>> =
        fact("group").map(|list| list.split(',').map(str::to_owned).collect());
    let keys: Vec<Key<'_>> = fact("key").into_iter().map(|key| self::key(key)).collect();
    let first = fact("first");
    let is_known = first.is_some() || !keys.is_empty();
    let moment = |key| Known::from(fact(key).map(age_in_seconds));
    let request = Request {
        uid: fact("uid").map(|uid| uid.parse().unwrap()),
        groups: groups.as_deref().into(),
        target: fact("target"),
        address: fact("from").map(|address| address.parse().unwrap()),
        local: fact("local").is_some(),
        tty: fact("tty"),
        seat: fact("seat")
            .map(|seat| Some(seat).filter(|seat| *seat != "none"))
            .into(),
        country: fact("country").map(Country::new).into(),
        first: if is_known {
            Known::Is(FirstFactor {
                password: first == Some("password"),
                keys: &keys,
            })
        } else {
            Known::Unknown
        },
        device: fact("device")
            .map(|word| {
                if word == "new" {
                    Device::New
                } else {
                    Device::Known
                }
            })
            .into(),
        risk: fact("risk").map(risk).into(),
        last_mfa: moment("last-mfa"),
        last_login: moment("last-login"),
        now: fact("at").map_or(NOW, |at| at.parse::<jiff::Timestamp>().unwrap().as_second()),
        ..Request::new(user, service, NOW)
    };
    look(&request)
}

/// `FINGERPRINT[,sk][,cert[:CA]]`
fn key(text: &str) -> Key<'_> {
    let mut parts = text.split(',');
    let fingerprint = parts.next().unwrap();
    let rest: Vec<&str> = parts.collect();
    let certificate = rest.iter().find_map(|part| part.strip_prefix("cert"));
    Key {
        fingerprint: Some(fingerprint).filter(|print| *print != "?"),
        kind: "ssh-ed25519",
        sk: rest.contains(&"sk"),
        certificate: certificate.is_some(),
        ca: certificate.and_then(|ca| ca.strip_prefix('~')),
    }
}

/// `LEVEL[,SIGNAL]...`
fn risk(text: &str) -> Risk {
    let mut words = text.split(',');
    let level = words.next().unwrap();
    let signal = |word: &str| Signal::ALL.into_iter().find(|s| s.word() == word).unwrap();
    Risk {
        level: Level::ALL.into_iter().find(|l| l.word() == level).unwrap(),
        signals: words.map(signal).collect(),
    }
}

fn age_in_seconds(age: &str) -> Option<i64> {
    let (number, unit) = age.split_at(age.len() - 1);
    let unit = match unit {
        "s" => 1,
        "h" => 3600,
        "d" => 86_400,
        _ => return None,
    };
    Some(NOW - number.parse::<i64>().unwrap() * unit)
}
