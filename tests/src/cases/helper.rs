//! `mfad-fido` as systemd runs it: how soon it is there, what it can still open, and how little it adds to a key's own time.

use serde_json::Value;

use super::{Case, IN_A_MACHINE, WITH_SYSTEMD};
use crate::{Failure, Outcome, bed::Kind, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "the helper of security keys, waiting for its question, opens devices and what tells of them and nothing else",
        confined,
    )
    .on(BOTH),
    Case::new(
        "the helper of security keys is there within 30 ms",
        start,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "each of many touches lets in, and what a login takes beyond the key's own time is told",
        touches,
    )
    .on(IN_A_MACHINE)
    .within(180),
];

const BOTH: &[Kind] = &[Kind::Nspawn, Kind::Vm];

fn drive(host: &Host, command: &str) -> Result<Value, Failure> {
    host.put_program("fidodrive", &host.artifacts().fidodrive)?;
    host.json(&format!("fidodrive {command}"))
}

fn confined(host: &Host) -> Outcome {
    let found = drive(host, "within")?;
    for (what, expected) in [
        ("/sys/class", "done"),
        ("/sys/devices", "done"),
        ("/dev/null", "done"),
        ("/etc/passwd", "EACCES"),
        ("/proc/self/status", "EACCES"),
        ("/", "EACCES"),
        ("/usr/bin", "EACCES"),
        ("/tmp/mfad-fido", "EACCES"),
        ("/dev/shm/mfad-fido", "EACCES"),
        ("socket", "EPERM"),
    ] {
        ensure(found[what] == expected, || {
            format!("{what} is not {expected}: {found}")
        })?;
    }
    // What it says where it cannot be confined.
    let log = host.ok("journalctl --sync; journalctl -q --no-pager -o cat -u 'mfad-fido@*'")?;
    ensure(
        !log.contains("Landlock") && !log.contains("confine"),
        || log,
    )
}

fn start(host: &Host) -> Outcome {
    const STARTS: usize = 21;
    const MOST: u64 = 30_000;
    let mut told = Vec::new();
    // What else this machine does delays single starts, and some machines all of a round. A mount namespace shows in each:
    // it takes twice that and more.
    for _round in 0..5 {
        let found = drive(host, &format!("start {STARTS}"))?;
        let mut micros: Vec<u64> = found
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Value::as_u64)
            .collect();
        ensure(micros.len() == STARTS, || found.to_string())?;
        let (least, median, most) = spread(&mut micros);
        let line = format!("{STARTS} starts: median {median} us, {least} to {most} us");
        println!("the helper of security keys, {line}");
        told.push(line);
        if median <= MOST || least <= MOST / 2 {
            return Ok(());
        }
    }
    Err(Failure::new(told.join("; ")))
}

/// The key is touched a second after it blinks, again and again. What a login takes is its own time (the virtual key tells
/// how much) and ours. An emulated processor may take a hundred times as long as a real one, so that ours has a bound under
/// KVM alone; that the helper does not sleep, the suite of keys in software shows.
fn touches(host: &Host) -> Outcome {
    const ROUNDS: usize = 3;
    const EACH: usize = 8;
    const MOST: u64 = 20_000;
    host.person("alice")?;
    host.ok("pamu2fcfg --origin=pam://bed --appid=pam://bed --username=alice >/root/u2f_mappings")?;
    host.ok("mfactl import pam-u2f /root/u2f_mappings --origin pam://bed")?;
    host.write("/etc/pam.d/touch", "0644", "auth required pam_mfa.so\n")?;
    host.put_pamdrive()?;
    host.ok("vkey tell blue up=delay:1")?;
    let (mut ours, mut after) = (Vec::new(), Vec::new());
    for _round in 0..ROUNDS {
        // Other rounds have blinked too.
        let lines = "journalctl --sync; journalctl -q -o cat -u vkey@blue | sed -n /^blinked/p";
        let earlier = host.ok(lines)?.lines().count();
        let logins = host.ok(&format!(
            "pamdrive --service touch --user alice --phases auth --tty tty1 --answer '' --repeat {EACH}"
        ))?;
        let blinked = host.ok(lines)?;
        let blinked: Vec<(u64, u64)> = blinked.lines().skip(earlier).filter_map(own).collect();
        let logins: Vec<Value> = logins
            .lines()
            .take(EACH)
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        ensure(
            logins.len() == EACH
                && blinked.len() == EACH
                && logins.iter().all(|login| login["auth"] == 0),
            || format!("{logins:?}, {blinked:?}"),
        )?;
        for (login, (worked, answered)) in logins.iter().zip(blinked) {
            let number = |name: &str| login[name].as_u64().unwrap_or_default();
            ours.push(number("micros").saturating_sub(worked));
            after.push(number("ended").saturating_sub(answered));
        }
    }
    let (least, median, most) = spread(&mut ours);
    let (soonest, after_answer, longest) = spread(&mut after);
    println!(
        "{} touches: beyond the key's own time, median {median} us, {least} to {most} us; of it after the key's answer, \
         median {after_answer} us, {soonest} to {longest} us",
        after.len()
    );
    let emulated = host.ok("systemd-detect-virt || true")?.trim() != "kvm";
    ensure(emulated || after_answer <= MOST, || format!("{after:?}"))
}

/// Microseconds of the key's own time, and when it answered.
fn own(line: &str) -> Option<(u64, u64)> {
    let rest = line.strip_prefix("blinked: worked ")?;
    let (worked, rest) = rest.split_once(" us, answered at ")?;
    Some((
        worked.parse().ok()?,
        rest.strip_suffix(" us")?.parse().ok()?,
    ))
}

fn spread(micros: &mut [u64]) -> (u64, u64, u64) {
    micros.sort_unstable();
    let at = |place: usize| micros.get(place).copied().unwrap_or_default();
    (
        at(0),
        at(micros.len() / 2),
        at(micros.len().saturating_sub(1)),
    )
}
