//! Rules as their authors write them, and random ones.

use std::fmt::Write as _;

use proptest::{prelude::*, sample::subsequence};

/// The factors of these tests. `fido2` is phishing-resistant and verifies its user, `passkey` only the former.
pub(crate) const FACTORS: [&str; 5] = ["totp", "hotp", "backup-codes", "passkey", "fido2"];

pub(crate) const FINGERPRINTS: [&str; 3] = [
    "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    "SHA256:BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
    "SHA256:+/ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmno",
];

/// One condition.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    /// Any key whose value is a list of texts.
    List(&'static str, Vec<&'static str>),
    /// First and last.
    Uid(u32, u32),
    Device(&'static str),
    /// Sign and level.
    Risk(&'static str, &'static str),
    /// Sign and days.
    LastMfa(&'static str, u32),
    /// Days.
    Dormant(u32),
    Any(Vec<Vec<Condition>>),
    All(Vec<Vec<Condition>>),
    Not(Vec<Condition>),
}

/// One rule.
#[derive(Debug, Clone)]
pub(crate) struct Written {
    pub(crate) when: Vec<Condition>,
    pub(crate) require: String,
    pub(crate) remember: bool,
    pub(crate) floor: bool,
}

impl Condition {
    fn spell(&self, text: &mut String) {
        match self {
            Self::List(key, words) => write!(text, "{key} = {words:?}"),
            Self::Uid(low, high) => write!(text, "uid = \"{low}..{high}\""),
            Self::Device(word) => write!(text, "device = \"{word}\""),
            Self::Risk(sign, level) => write!(text, "risk = \"{sign}{level}\""),
            Self::LastMfa(sign, days) => write!(text, "last-mfa = \"{sign} {days}d\""),
            Self::Dormant(days) => write!(text, "dormant = \"{days}d\""),
            Self::Any(tables) | Self::All(tables) => {
                let key = if matches!(self, Self::Any(_)) {
                    "any"
                } else {
                    "all"
                };
                let tables: Vec<String> = tables.iter().map(|table| spell(table)).collect();
                write!(text, "{key} = [{}]", tables.join(", "))
            }
            Self::Not(table) => write!(text, "not = {}", spell(table)),
        }
        .unwrap();
    }
}

/// A table of conditions.
pub(crate) fn spell(when: &[Condition]) -> String {
    let mut text = String::from("{ ");
    for (position, condition) in when.iter().enumerate() {
        text.push_str(if position == 0 { "" } else { ", " });
        condition.spell(&mut text);
    }
    text + " }"
}

/// A policy of these rules, which are named by their numbers.
pub(crate) fn text(rules: &[Written]) -> String {
    let mut text = String::new();
    for (number, rule) in rules.iter().enumerate() {
        let when = spell(&rule.when);
        let Written { require, floor, .. } = rule;
        write!(
            text,
            "[[rule]]\nname = \"{number}\"\nwhen = {when}\nrequire = {require}\nfloor = {floor}\n"
        )
        .unwrap();
        if rule.remember {
            text.push_str("remember = { for = \"12h\", bind = \"ssh-key\" }\n");
        }
    }
    text
}

const LISTS: [(&str, &[&str]); 12] = [
    ("service", &["sshd", "su-l", "SUDO", "s*", "?u", "login"]),
    ("user", &["alice", "bob", "a*", "*", "?ob", "*e", "a*c*"]),
    ("group", &["wheel", "staff", "w*", "*s"]),
    ("target", &["root", "r*"]),
    (
        "network",
        &[
            "local",
            "10.0.0.0/8",
            "::ffff:10.1.0.0/112",
            "2001:db8::/32",
            "::1",
            "0.0.0.0/0",
        ],
    ),
    ("tty", &["tty*", "pts/1", "ssh"]),
    ("seat", &["seat0", "seat*"]),
    ("country", &["CH", "JP"]),
    (
        "first-factor",
        &["password", "publickey", "certificate", "sk-key"],
    ),
    ("key", &FINGERPRINTS),
    ("ca", &FINGERPRINTS),
    ("signal", &["new-device", "new-country", "dormant"]),
];

const WINDOWS: [&str; 4] = [
    "Mon..Fri 08:00-18:00 UTC",
    "Sat..Sun UTC",
    "22:00-06:00 UTC",
    "Fri 12:00-12:01 UTC",
];

fn leaf() -> impl Strategy<Value = Condition> {
    let list = prop::sample::select(&LISTS[..]).prop_flat_map(|(key, words)| {
        subsequence(words, 1..=words.len()).prop_map(move |chosen| Condition::List(key, chosen))
    });
    let time = subsequence(&WINDOWS[..], 1..=3).prop_map(|chosen| Condition::List("time", chosen));
    let sign = || prop::sample::select(&[">", ">=", "<", "<="][..]);
    let days = || prop::sample::select(&[1_u32, 7, 30][..]);
    let risk = prop::sample::select(
        &[
            ("", "none"),
            ("", "high"),
            (">= ", "medium"),
            ("> ", "low"),
            ("<", "low"),
            ("<= ", "medium"),
        ][..],
    );
    prop_oneof![
        8 => list,
        1 => time,
        1 => prop::sample::select(&[(0, 0), (1000, 1000), (0, 999), (1000, 59_999), (900, 1100)][..])
            .prop_map(|(low, high)| Condition::Uid(low, high)),
        1 => prop::sample::select(&["known", "new"][..]).prop_map(Condition::Device),
        1 => risk.prop_map(|(sign, level)| Condition::Risk(sign, level)),
        1 => (sign(), days()).prop_map(|(sign, days)| Condition::LastMfa(sign, days)),
        1 => days().prop_map(Condition::Dormant),
    ]
}

impl Condition {
    fn key(&self) -> &'static str {
        match self {
            Self::List(key, _) => key,
            Self::Uid(..) => "uid",
            Self::Device(_) => "device",
            Self::Risk(..) => "risk",
            Self::LastMfa(..) => "last-mfa",
            Self::Dormant(_) => "dormant",
            Self::Any(_) => "any",
            Self::All(_) => "all",
            Self::Not(_) => "not",
        }
    }
}

/// A table may hold each key once.
fn table(conditions: Vec<Condition>) -> Vec<Condition> {
    let mut table: Vec<Condition> = Vec::new();
    for condition in conditions {
        if table.iter().all(|held| held.key() != condition.key()) {
            table.push(condition);
        }
    }
    table
}

fn condition() -> impl Strategy<Value = Condition> {
    leaf().prop_recursive(3, 12, 3, |inner| {
        let table = || prop::collection::vec(inner.clone(), 1..3).prop_map(table);
        let tables = || prop::collection::vec(table(), 1..3);
        prop_oneof![
            tables().prop_map(Condition::Any),
            tables().prop_map(Condition::All),
            table().prop_map(Condition::Not),
        ]
    })
}

pub(crate) fn when() -> impl Strategy<Value = Vec<Condition>> {
    prop::collection::vec(condition(), 0..4).prop_map(table)
}

/// Conditions that say nothing about who the user is.
pub(crate) fn place_conditions() -> impl Strategy<Value = Vec<Condition>> {
    let places = prop::sample::select(&LISTS[..])
        .prop_filter("a person", |(key, _)| !["user", "group"].contains(key));
    let list = places.prop_flat_map(|(key, words)| {
        subsequence(words, 1..=words.len()).prop_map(move |chosen| Condition::List(key, chosen))
    });
    prop::collection::vec(list, 0..3).prop_map(table)
}

pub(crate) fn require() -> impl Strategy<Value = String> {
    let any = subsequence(&FACTORS[..], 0..=FACTORS.len());
    let strength = prop_oneof![
        6 => Just(""),
        1 => Just(", phishing-resistant = true"),
        1 => Just(", user-verified = true"),
        1 => Just(", phishing-resistant = true, user-verified = true, distinct = true"),
    ];
    let age = prop_oneof![4 => Just(""), 1 => Just(", max-age = \"15m\""), 1 => Just(", max-age = \"2h\"")];
    let table = (any, strength, age).prop_flat_map(|(any, strength, age)| {
        let most = if any.is_empty() { 3 } else { any.len().min(3) };
        (1..=most).prop_map(move |count| match any.as_slice() {
            [] => format!("{{ count = {count}{strength}{age} }}"),
            any => format!("{{ any = {any:?}, count = {count}{strength}{age} }}"),
        })
    });
    prop_oneof![
        1 => Just("\"none\"".to_owned()),
        1 => Just("\"any\"".to_owned()),
        1 => Just("\"deny\"".to_owned()),
        5 => table,
    ]
}

pub(crate) fn rule() -> impl Strategy<Value = Written> {
    (when(), require(), any::<bool>(), any::<bool>()).prop_map(
        |(when, require, floor, remember)| {
            let floor = floor && require != "\"none\"";
            let strong = require.contains("true");
            let asks = require != "\"none\"" && require != "\"deny\"";
            Written {
                remember: remember && asks && !strong && !floor,
                when,
                require,
                floor,
            }
        },
    )
}
