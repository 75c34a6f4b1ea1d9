//! What a decision and the reading of a policy cost: `cargo bench -p policy`. It measures and compares with what is aimed
//! at; it changes nothing.
//!
//! Every policy has 10,000 rules. The login is the dearest one: no rule matches, so that none spares the others.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made should stop"
)]

use std::{fmt::Write as _, hint::black_box, net::IpAddr, time::Instant};

use policy::{
    Country, Device, FirstFactor, Key, Known, Level, Policy, Request, Risk, Source, Vocabulary,
};

const RULES: u32 = 10_000;
const NETWORKS: u32 = 100_000;
const AIM_DECISION: f64 = 20.0;
const AIM_LOAD: f64 = 200.0;
/// 2027-01-15T10:00:00Z, a Friday.
const NOW: i64 = 1_800_007_200;

const VOCABULARY: Vocabulary<'_> = Vocabulary {
    zone: |_| jiff::tz::TimeZone::posix("CET-1CEST,M3.5.0,M10.5.0/3").ok(),
    ..Vocabulary::new(&["totp", "hotp", "backup-codes"])
};

fn rule(text: &mut String, number: u32, when: &str) {
    let floor = if number.is_multiple_of(10) {
        "floor = true\n"
    } else {
        ""
    };
    let require = ["\"any\"", "{ any = [\"totp\", \"hotp\"] }", "{ count = 2 }"];
    let require = require[number as usize % 3];
    writeln!(
        text,
        "[[rule]]\nname = \"rule {number}\"\nwhen = {{ {when} }}\nrequire = {require}\n{floor}"
    )
    .unwrap();
}

/// The `number`th IPv4 network of 24 bits, from 16.0.0.0 on.
fn network(number: u32) -> String {
    let bits = (16 << 24) + (number << 8);
    format!("{}/24", std::net::Ipv4Addr::from_bits(bits))
}

fn fingerprint(number: u32) -> String {
    format!("SHA256:{number:0>43}")
}

/// Rules of every kind, as a large site might have them.
fn mixed(number: u32) -> String {
    let n = number;
    match n % 12 {
        0 => format!("user = \"user{n}\""),
        1 => format!("service = \"sshd\", user = [\"team{n}-*\", \"*-robot{n}\"]"),
        2 => format!("group = \"group{n}\", network = \"local\""),
        3 => format!("group = [\"project{n}\", \"project{n}-*\"], service = [\"sshd\", \"sudo\"]"),
        4 => format!("network = [\"{}\", \"2001:db8:{n:x}::/48\"]", network(n)),
        5 => format!(
            "user = \"svc{n}\", time = \"Mon..Fri {:02}:00-18:00 Europe/Zurich\"",
            n % 16
        ),
        6 => format!("uid = \"{}..{}\", service = \"login\"", n * 10, n * 10 + 9),
        7 => format!("key = \"{}\"", fingerprint(n)),
        8 => format!(
            "group = \"staff\", country = \"JP\", risk = \">= medium\", signal = \"new-country\", user = \"u{n}*\""
        ),
        9 => format!("service = \"app{n}\", first-factor = \"password\""),
        10 => format!("tty = \"pts/{n}\", device = \"new\""),
        _ => format!(
            "service = \"sudo\", any = [{{ user = \"a{n}\" }}, {{ not = {{ group = \"g{n}\" }} }}]"
        ),
    }
}

fn policy_text(when: impl Fn(u32) -> String) -> String {
    let mut text = String::new();
    for number in 0..RULES {
        rule(&mut text, number, &when(number));
    }
    text
}

fn list(entry: impl Fn(u32) -> String) -> String {
    let entries: Vec<String> = (0..NETWORKS).map(|n| format!("\"{}\"", entry(n))).collect();
    format!("network = [{}]", entries.join(", "))
}

/// Processor time of this thread, in milliseconds: others may keep the machine busy meanwhile.
fn processor() -> f64 {
    let spent = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    let nanoseconds: u64 = spent.split(' ').next().unwrap().parse().unwrap();
    std::time::Duration::from_nanos(nanoseconds).as_secs_f64() * 1e3
}

/// What reading takes, in milliseconds of the processor: the median of several times.
fn load(sources: &[String]) -> (Policy, f64) {
    let sources: Vec<Source<'_>> = sources
        .iter()
        .map(|text| Source { name: "p", text })
        .collect();
    let mut times = Vec::new();
    for _ in 0..7 {
        let start = processor();
        black_box(Policy::parse(&sources, &VOCABULARY).unwrap());
        times.push(processor() - start);
    }
    times.sort_by(f64::total_cmp);
    (
        Policy::parse(&sources, &VOCABULARY).unwrap(),
        times[times.len() / 2],
    )
}

/// What a decision takes, in microseconds: the median and the 99th of a hundred.
fn decide(policy: &Policy, request: &Request<'_>) -> (f64, f64) {
    let mut times = Vec::new();
    for _ in 0..5_000 {
        let start = Instant::now();
        let _ = black_box(policy.decide(black_box(request)));
        times.push(start.elapsed().as_secs_f64() * 1e6);
    }
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], times[times.len() * 99 / 100])
}

fn measure(what: &str, sources: &[String], request: &Request<'_>) -> bool {
    let (policy, loading) = load(sources);
    let (median, high) = decide(&policy, request);
    let size: usize = sources.iter().map(String::len).sum();
    println!(
        "{what:<52} {:>6} {:>7.1} {loading:>8.0} {median:>9.1} {high:>8.1}",
        policy.rules(),
        f64::from(u32::try_from(size).unwrap()) / 1e6,
    );
    loading <= AIM_LOAD && median <= AIM_DECISION
}

fn main() {
    let groups: Vec<String> = (0..40)
        .map(|n| format!("team{n}"))
        .chain(["staff".into()])
        .collect();
    let keys = [Key {
        fingerprint: Some(&fingerprint(99_999)),
        kind: "ssh-ed25519",
        sk: false,
        certificate: false,
        ca: None,
    }];
    let known = Request {
        uid: Some(2_000_000),
        groups: Known::Is(&groups),
        address: Some(IpAddr::from([203, 0, 113, 9])),
        tty: Some("ssh"),
        seat: Known::Is(None),
        country: Known::Is(Country::new("CH")),
        first: Known::Is(FirstFactor {
            password: false,
            keys: &keys,
        }),
        device: Known::Is(Device::New),
        risk: Known::Is(Risk {
            level: Level::High,
            ..Risk::default()
        }),
        last_mfa: Known::Is(None),
        last_login: Known::Is(None),
        ..Request::new("alice", "sshd", NOW)
    };
    println!(
        "{:<52} {:>6} {:>7} {:>8} {:>9} {:>8}",
        "", "rules", "MB", "load ms", "decide µs", "p99 µs"
    );
    let met = aimed(&known);
    println!(
        "\naimed at: load {AIM_LOAD} ms, decide {AIM_DECISION} µs: {}\n\nBeyond the aim, for comparison:",
        if met { "met" } else { "missed" }
    );
    beyond(&known);
}

/// What the figures aimed at are about. Says whether they are met.
fn aimed(known: &Request<'_>) -> bool {
    let kinds = policy_text(mixed);
    let mut lists = [String::new(), String::new()];
    rule(&mut lists[0], 20_000, &list(network));
    let v6 = |n: u32| format!("2001:db8:{:x}:{:x}::/64", n >> 16, n & 0xffff);
    rule(&mut lists[1], 20_001, &list(v6));
    let [v4, v6] = lists;
    let with_lists = [kinds.clone(), v4, v6];
    let from_v6 = Request {
        address: Some("2001:db8:ffff:ffff::1".parse().unwrap()),
        ..*known
    };
    let ten_each = |n: u32| {
        let nets = (0..10).map(|k| format!("\"{}\"", network(n * 10 + k)));
        format!("network = [{}]", nets.collect::<Vec<_>>().join(", "))
    };
    let uids = |n: u32| format!("uid = \"{}..{}\"", n * 10, n * 10 + 9);
    let hours = |n: u32| {
        format!(
            "service = \"sshd\", user = \"u{n}\", time = \"Mon..Fri 08:00-18:00 Europe/Zurich\""
        )
    };
    [
        measure("rules of every kind", &[kinds], known),
        measure(
            "the same, and two lists of 100,000 networks",
            &with_lists,
            known,
        ),
        measure("the same, from an IPv6 address", &with_lists, &from_v6),
        measure("10 networks in each rule", &[policy_text(ten_each)], known),
        measure("a range of uids in each rule", &[policy_text(uids)], known),
        measure(
            "office hours in each rule, and one user",
            &[policy_text(hours)],
            known,
        ),
    ]
    .iter()
    .all(|met| *met)
}

/// What no index helps with.
fn beyond(known: &Request<'_>) {
    let hours = |n: u32| {
        let (from, to) = (n / 10 % 60, n % 60);
        format!(
            "time = \"Mon {:02}:{from:02}-{:02}:{to:02} Europe/Zurich\"",
            n / 600,
            17 + n % 5
        )
    };
    measure(
        "a time window of its own in each rule",
        &[policy_text(hours)],
        known,
    );
    let nothing = Request::new("alice", "sshd", NOW);
    measure(
        "rules of every kind, nothing known of the login",
        &[policy_text(mixed)],
        &nothing,
    );
}
