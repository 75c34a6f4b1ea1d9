//! A login that somebody only thinks of: what they say about it, read strictly. It looks nothing up.

use std::collections::BTreeSet;

use mfad_protocol::{Context, ExplainQuery, Hook, PROTOCOL, limits};
use policy::{Known, Level, Signal};

use super::Case;
use crate::{
    clock::Now,
    location::Country,
    management::Refusal,
    risk::{Assessment, Fired, Settings},
    session::{
        Caller,
        facts::Facts,
        first_factor::{FirstFactor, Proven},
        gather::Given,
        ssh_keys::Key,
    },
};

/// The word for a login without a far end, or of no seat or country.
const LOCAL: &str = "local";
const NONE: &str = "none";

/// The login, and what is not to be looked up.
pub(super) fn read(
    query: &ExplainQuery,
    caller: &Caller,
    settings: &Settings,
    now: Now,
) -> Result<(Case, Given), Refusal> {
    let moment = query.at.unwrap_or(now.wall);
    if jiff::Timestamp::from_second(moment).is_err() {
        return Err(invalid("the time is none that a calendar has"));
    }
    let now = Now {
        wall: moment,
        boot: now.boot.saturating_add(moment.saturating_sub(now.wall)),
        ..now
    };
    let mut facts = facts(query, caller)?;
    let mut given: BTreeSet<&'static str> = ["service", "user"].into();
    if query.at.is_some() {
        given.insert("time");
    }
    place(query, &mut facts, &mut given)?;
    if let Some(proven) = proven(query)? {
        facts.first_factor = if proven.keys.is_empty() {
            FirstFactor::Password
        } else {
            FirstFactor::PublicKey
        };
        facts.proven = Some(proven);
        given.extend(["first-factor", "key", "ca"]);
    }
    // What the policy says of a second factor, it says of logins in which the first one is proven.
    if !facts.first_factor.is_there() {
        facts.first_factor = FirstFactor::OtherSsh;
    }
    let stands_in = stands_in(query, settings, now, &mut given)?;
    let case = Case { facts, now, given };
    Ok((case, stands_in))
}

fn invalid(what: impl Into<String>) -> Refusal {
    Refusal::Invalid(what.into())
}

fn facts(query: &ExplainQuery, caller: &Caller) -> Result<Facts, Refusal> {
    let (Some(user), Some(service)) = (query.user.clone(), query.service.clone()) else {
        return Err(invalid(
            "name a user and a service, or an audit record; see: mfactl policy explain --help",
        ));
    };
    let far = query.rhost.clone().filter(|rhost| rhost != LOCAL);
    let context = Context {
        protocol: PROTOCOL,
        hook: Some(Hook::Auth),
        service,
        user,
        rhost: far,
        tty: query.tty.clone(),
        ..Context::default()
    };
    // Whoever may ask this question speaks for root.
    let root = Caller {
        uid: 0,
        connection: caller.connection.clone(),
    };
    let facts = Facts::derive(context, &root).map_err(|_| {
        invalid(format!(
            "a service has 1 to {0} bytes, rhost and tty at most {0}",
            limits::TEXT
        ))
    })?;
    if facts.user.is_none() {
        return Err(invalid("that cannot be anybody's login name"));
    }
    Ok(facts)
}

/// Where the person sits.
fn place(
    query: &ExplainQuery,
    facts: &mut Facts,
    given: &mut BTreeSet<&'static str>,
) -> Result<(), Refusal> {
    let has_far_end =
        facts.address.is_some() || query.rhost.as_deref().is_some_and(|far| far != LOCAL);
    if query.rhost.is_some() {
        given.insert("network");
    }
    if query.rhost.as_deref() == Some(LOCAL) {
        facts.local = true;
    }
    if query.tty.is_some() {
        given.insert("tty");
    }
    match query.seat.as_deref() {
        None => {}
        Some(NONE) => facts.seat = Known::Is(None),
        Some(_) if has_far_end => {
            return Err(invalid(
                "a login with a far end sits at no seat of this machine",
            ));
        }
        Some(seat) => {
            facts.seat = Known::Is(Some(named(seat, "seat")?));
            facts.local = true;
        }
    }
    if query.seat.is_some() {
        given.insert("seat");
    }
    if let Some(target) = &query.target {
        facts.target = Some(named(target, "target")?);
        given.insert("target");
    }
    Ok(())
}

fn named(text: &str, what: &str) -> Result<String, Refusal> {
    let fits =
        !text.is_empty() && text.len() <= limits::USER && mfad_protocol::printable(text) == text;
    if fits {
        Ok(text.to_owned())
    } else {
        Err(invalid(format!(
            "{what} has 1 to {} bytes of printable text",
            limits::USER
        )))
    }
}

/// What was proven before, if anything is said of it.
fn proven(query: &ExplainQuery) -> Result<Option<Proven>, Refusal> {
    let words = query.first.as_deref().unwrap_or_default();
    let known = ["password", "publickey", "certificate", "sk-key"];
    if let Some(word) = words.iter().find(|word| !known.contains(&word.as_str())) {
        return Err(invalid(format!(
            "there is no first factor {}; there are {}",
            mfad_protocol::printable(word),
            known.join(", ")
        )));
    }
    let says = |word: &str| words.iter().any(|said| said == word);
    let by_word = says("publickey") || says("certificate") || says("sk-key");
    let key = if let Some(line) = &query.public_key {
        Some(whole_key(line)?)
    } else if by_word || query.key.is_some() {
        Some(Key {
            fingerprint: query.key.as_deref().map(fingerprint).transpose()?,
            kind: String::new(),
            sk: says("sk-key"),
            certificate: says("certificate"),
            authority: None,
        })
    } else {
        None
    };
    if words.is_empty() && key.is_none() {
        return Ok(None);
    }
    Ok(Some(Proven {
        password: says("password"),
        keys: key.into_iter().collect(),
    }))
}

fn fingerprint(text: &str) -> Result<String, Refusal> {
    let hash = text.strip_prefix("SHA256:");
    let base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
    if hash.is_some_and(|hash| hash.len() == 43 && hash.bytes().all(base64)) {
        return Ok(text.to_owned());
    }
    Err(invalid(
        "that is no fingerprint; give it as `ssh-keygen -lf key.pub` prints it, SHA256: and 43 characters",
    ))
}

/// A line of a key's `.pub` file, read as sshd's own lines are.
fn whole_key(line: &str) -> Result<Key, Refusal> {
    let unreadable =
        || invalid("that is no public key; give the file that ssh-keygen wrote: key.pub");
    let words: Vec<&str> = line.split_whitespace().take(2).collect();
    let [kind, encoded] = words[..] else {
        return Err(unreadable());
    };
    if line.len() > limits::SSH_AUTH_INFO {
        return Err(unreadable());
    }
    let keys = crate::session::ssh_keys::read(&format!("publickey {kind} {encoded}\n"));
    keys.and_then(|keys| keys.into_iter().next())
        .ok_or_else(unreadable)
}

fn stands_in(
    query: &ExplainQuery,
    settings: &Settings,
    now: Now,
    given: &mut BTreeSet<&'static str>,
) -> Result<Given, Refusal> {
    let country = match query.country.as_deref() {
        None => Known::Unknown,
        Some(NONE) => Known::Is(None),
        Some(letters) => match Country::new(letters) {
            None => return Err(invalid("a country is two letters such as CH, or none")),
            country => Known::Is(country),
        },
    };
    let device = match query.device.as_deref() {
        None => Known::Unknown,
        Some("known") => Known::Is(policy::Device::Known),
        Some("new") => Known::Is(policy::Device::New),
        Some(_) => return Err(invalid("a device is known or new")),
    };
    let last_mfa = match query.last_mfa {
        None => Known::Unknown,
        Some(-1) => Known::Is(None),
        Some(age) if age >= 0 => Known::Is(Some(now.wall.saturating_sub(age))),
        Some(_) => return Err(invalid("the time since the last second factor is negative")),
    };
    let risk = risk(query, settings)?;
    for (is_given, keys) in [
        (country != Known::Unknown, &["country"][..]),
        (device != Known::Unknown, &["device"]),
        (last_mfa != Known::Unknown, &["last-mfa"]),
        (risk != Known::Unknown, &["risk", "signal"]),
    ] {
        given.extend(keys.iter().filter(|_| is_given));
    }
    Ok(Given {
        country,
        device,
        risk,
        last_mfa,
    })
}

/// A level without signals has none; signals without a level weigh what they do in a login.
fn risk(query: &ExplainQuery, settings: &Settings) -> Result<Known<Assessment>, Refusal> {
    if query.risk.is_none() && query.signals.is_none() {
        return Ok(Known::Unknown);
    }
    let words = query.signals.as_deref().unwrap_or_default();
    if let Some(word) = words
        .iter()
        .find(|word| Signal::ALL.iter().all(|signal| signal.word() != *word))
    {
        let known: Vec<&str> = Signal::ALL.into_iter().map(Signal::word).collect();
        return Err(invalid(format!(
            "there is no signal {}; there are {}",
            mfad_protocol::printable(word),
            known.join(", ")
        )));
    }
    let fired = Signal::ALL
        .into_iter()
        .filter(|signal| words.iter().any(|word| word == signal.word()));
    let signals: Vec<Fired> = fired
        .map(|signal| Fired {
            signal,
            weight: settings.weights.of(signal),
            why: "given".to_owned(),
        })
        .collect();
    let score = signals.iter().map(|fired| fired.weight).sum();
    let level = match query.risk.as_deref() {
        None => settings.level(score),
        Some(word) => Level::ALL
            .into_iter()
            .find(|level| level.word() == word)
            .ok_or_else(|| invalid("a risk is none, low, medium or high"))?,
    };
    Ok(Known::Is(Assessment {
        level,
        score,
        signals,
    }))
}
