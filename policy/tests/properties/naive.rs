//! The meaning of conditions once more, in the plainest way, to compare with.
//!
//! It works on the rules as their author meant them, and shares nothing with the crate but the types of a login.

use std::net::IpAddr;

use policy::{Device, Key, Level, Risk};

use crate::{
    login::{Attempt, First},
    written::{Condition, Written},
};

/// `None` is "not known".
type Answer = Option<bool>;

/// Whether all the conditions hold. `negated` is whether they stand below an odd number of `not`.
pub(crate) fn holds(when: &[Condition], login: &Attempt, negated: bool) -> Answer {
    all(when
        .iter()
        .map(|condition| answer(condition, login, negated)))
}

/// The rules whose answer is not no: number and answer. Of the rules that are no floors, up to the first yes.
pub(crate) fn candidates(rules: &[Written], login: &Attempt) -> Vec<(usize, Answer)> {
    let mut found = Vec::new();
    let mut decided = false;
    for (number, rule) in rules.iter().enumerate() {
        let answer = holds(&rule.when, login, false);
        if answer == Some(false) || (!rule.floor && decided) {
            continue;
        }
        decided |= !rule.floor && answer == Some(true);
        found.push((number, answer));
    }
    found
}

fn all(answers: impl Iterator<Item = Answer>) -> Answer {
    let answers: Vec<Answer> = answers.collect();
    if answers.contains(&Some(false)) {
        Some(false)
    } else if answers.contains(&None) {
        None
    } else {
        Some(true)
    }
}

fn answer(condition: &Condition, login: &Attempt, negated: bool) -> Answer {
    match condition {
        Condition::List(key, words) => listed(key, words, login, negated),
        Condition::Uid(low, high) => login.uid.map(|uid| uid >= *low && uid <= *high),
        Condition::Device(word) => {
            let device = login.device.known()?;
            Some((*word == "known") == (device == Device::Known))
        }
        Condition::Risk(sign, level) => {
            let Risk { level: found, .. } = login.risk.known()?;
            let number = |word: &str| Level::ALL.iter().position(|level| level.word() == word);
            Some(compare(number(found.word()), sign.trim(), number(level)))
        }
        Condition::LastMfa(sign, days) => match login.last_mfa.known()? {
            None => Some(sign.starts_with('>')),
            Some(moment) => {
                let age = age(login.now, moment)?;
                Some(compare(age, sign, i128::from(*days) * 86_400))
            }
        },
        Condition::Dormant(days) => match login.last_login.known()? {
            None => Some(false),
            Some(moment) => Some(age(login.now, moment)? >= i128::from(*days) * 86_400),
        },
        Condition::Any(tables) => {
            // One holds, unless each of them does not.
            let none = all(tables
                .iter()
                .map(|table| holds(table, login, negated).map(|h| !h)));
            none.map(|none| !none)
        }
        Condition::All(tables) => all(tables.iter().map(|table| holds(table, login, negated))),
        Condition::Not(table) => holds(table, login, !negated).map(|holds| !holds),
    }
}

/// `None` if the moment lies ahead.
fn age(now: i64, moment: i64) -> Option<i128> {
    let age = i128::from(now) - i128::from(moment);
    (age >= 0).then_some(age)
}

fn compare<T: PartialOrd>(found: T, sign: &str, written: T) -> bool {
    match sign {
        ">" => found > written,
        ">=" => found >= written,
        "<" => found < written,
        "<=" => found <= written,
        _ => found == written,
    }
}

fn listed(key: &str, words: &[&str], login: &Attempt, negated: bool) -> Answer {
    // What a login does not name is in no list; below a `not` that is not enough.
    let unnamed = if negated { None } else { Some(false) };
    let one = |name: &str| {
        words
            .iter()
            .any(|word| glob(word.as_bytes(), name.as_bytes()))
    };
    let exactly = |name: &str| words.contains(&name);
    let first = || login.first.as_ref().known();
    match key {
        "service" => Some(aliases(&login.service).iter().any(|name| {
            words
                .iter()
                .any(|word| glob(word.to_lowercase().as_bytes(), name.as_bytes()))
        })),
        "user" => Some(one(&login.user)),
        "group" => Some(
            login
                .groups
                .as_ref()
                .known()?
                .iter()
                .any(|group| one(group)),
        ),
        "target" => login
            .target
            .as_deref()
            .map_or(unnamed, |name| Some(one(name))),
        "tty" => login.tty.as_deref().map_or(unnamed, |tty| {
            Some(one(tty.strip_prefix("/dev/").unwrap_or(tty)))
        }),
        "network" => match login.address {
            Some(address) => Some(words.iter().any(|word| within(word, address))),
            None if login.local => Some(exactly("local")),
            None => unnamed,
        },
        "seat" => Some(login.seat.as_ref().known()?.as_deref().is_some_and(one)),
        "country" => Some(
            login
                .country
                .known()?
                .is_some_and(|code| exactly(code.as_str())),
        ),
        "first-factor" => {
            let first = first()?;
            Some(words.iter().any(|word| is_first(word, first)))
        }
        "key" => one_of(first()?.keys.iter().map(|key| key.fingerprint), exactly),
        "ca" => one_of(
            first()?
                .keys
                .iter()
                .filter(|key| key.certificate)
                .map(|key| key.ca),
            exactly,
        ),
        "signal" => Some(
            login
                .risk
                .known()?
                .signals
                .iter()
                .any(|signal| exactly(signal.word())),
        ),
        "time" => in_windows(words, login.now),
        _ => unreachable!("{key}"),
    }
}

/// Whether one of some values passes, of which some are not known.
fn one_of<'a>(
    mut values: impl Iterator<Item = Option<&'a str>> + Clone,
    passes: impl Fn(&str) -> bool,
) -> Answer {
    if values.clone().flatten().any(passes) {
        Some(true)
    } else if values.any(|value| value.is_none()) {
        None
    } else {
        Some(false)
    }
}

fn is_first(word: &str, first: &First) -> bool {
    let any = |which: fn(&Key<'_>) -> bool| first.keys.iter().any(which);
    match word {
        "password" => first.password,
        "publickey" => any(|_| true),
        "certificate" => any(|key| key.certificate),
        "sk-key" => any(|key| key.sk),
        _ => unreachable!("{word}"),
    }
}

fn aliases(service: &str) -> Vec<String> {
    let service = service.to_ascii_lowercase();
    for pair in [["su", "su-l"], ["sudo", "sudo-i"], ["runuser", "runuser-l"]] {
        if pair.contains(&service.as_str()) {
            return pair.map(str::to_owned).to_vec();
        }
    }
    vec![service]
}

/// On bytes, but `?` is one character.
fn glob(pattern: &[u8], name: &[u8]) -> bool {
    match (pattern.split_first(), name.split_first()) {
        (None, None) => true,
        (Some((b'*', rest)), _) => (0..=name.len()).any(|skip| glob(rest, &name[skip..])),
        (Some((b'?', rest)), Some(_)) => {
            let character =
                (1..=name.len().min(4)).find(|end| std::str::from_utf8(&name[..*end]).is_ok());
            character.is_some_and(|end| glob(rest, &name[end..]))
        }
        (Some((wanted, rest)), Some((found, others))) => wanted == found && glob(rest, others),
        _ => false,
    }
}

fn within(word: &str, address: IpAddr) -> bool {
    let address = match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        v4 @ IpAddr::V4(_) => v4,
    };
    match (word, address) {
        ("10.0.0.0/8", IpAddr::V4(v4)) => v4.octets()[0] == 10,
        ("::ffff:10.1.0.0/112", IpAddr::V4(v4)) => v4.octets()[..2] == [10, 1],
        ("0.0.0.0/0", IpAddr::V4(_)) => true,
        ("2001:db8::/32", IpAddr::V6(v6)) => v6.segments()[..2] == [0x2001, 0xdb8],
        ("::1", IpAddr::V6(v6)) => v6.is_loopback(),
        _ => false,
    }
}

/// The windows are all in UTC, where every day has 86,400 seconds. 1970-01-01 was a Thursday.
fn in_windows(words: &[&str], now: i64) -> Answer {
    // What the calendar of the crate has: the years -9999 to 9999.
    if !(-377_705_023_201..=253_402_207_200).contains(&now) {
        return None;
    }
    let day = (now.div_euclid(86_400) + 3).rem_euclid(7);
    let minute = now.rem_euclid(86_400) / 60;
    Some(words.iter().any(|word| match *word {
        "Mon..Fri 08:00-18:00 UTC" => day < 5 && (480..1080).contains(&minute),
        "Sat..Sun UTC" => day >= 5,
        "22:00-06:00 UTC" => !(360..1320).contains(&minute),
        "Fri 12:00-12:01 UTC" => day == 4 && minute == 720,
        _ => unreachable!("{word}"),
    }))
}
