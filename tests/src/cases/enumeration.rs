//! What a stranger can tell about an account from a refused login: in what is said nothing at all, and in the time it takes
//! as little as can be measured. The time is reported and not judged: this machine has other work to do.

use std::fmt::Write as _;

use serde_json::{Value, json};

use super::{Case, WITHOUT_SYSTEMD, bus::call_of, drive::SERVICE};
use crate::{Failure, Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[Case::new(
    "nobody can tell from a refused login whether there is such a user, or what they have",
    alike,
)
.on(WITHOUT_SYSTEMD)
.within(10_000)];

/// Whose login is refused: an enrolled user (for a wrong code), one whose account is locked besides, one who is delayed
/// after failures, one who has no factor, and nobody.
const KINDS: [&str; 5] = ["known", "locked", "delayed", "unenrolled", "unknown"];
/// Failures that the settings of this case forgive before a delay.
const FREE: usize = 10;
/// Transactions of one run of the host: within the time that a command may take, at a tenth of a second each.
const AT_ONCE: usize = 250;
/// Of each kind, before the clock counts: module and caches are warm then.
const WARM: usize = 1;

fn alike(host: &Host) -> Outcome {
    let samples = samples();
    set_up(host, samples.div_ceil(FREE))?;
    let users: Vec<String> = (0..samples)
        .flat_map(|round| KINDS.map(|kind| user(kind, round)))
        .collect();
    let mut times: Vec<Vec<u64>> = vec![Vec::new(); KINDS.len()];
    let mut said: Option<(Value, Value)> = None;
    for part in users.chunks(AT_ONCE) {
        for (index, one) in refusals(host, part)?.iter().enumerate() {
            let came = (one["shown"].clone(), one["auth"].clone());
            let first = said.get_or_insert_with(|| came.clone());
            ensure(came == *first && came.1 != 0, || {
                format!(
                    "{} reads {came:?}, another read {first:?}",
                    part[index % part.len()]
                )
            })?;
            if index >= WARM * KINDS.len() {
                times[index % KINDS.len()].push(one["micros"].as_u64().unwrap_or_default());
            }
        }
    }
    report(&mut times);
    Ok(())
}

/// How many of each kind. `MFA_SAMPLES` is for whoever has not got the time for all of them.
fn samples() -> usize {
    let wanted = std::env::var("MFA_SAMPLES").ok();
    let full = std::env::var_os("MFA_PROVE").is_some();
    wanted
        .and_then(|count| count.parse().ok())
        .unwrap_or(if full { 10_000 } else { 200 })
}

/// Whom the `round`th sample of a kind is about. Each may fail a few times without a delay, and so each serves a few
/// times; of every kind alike, for the name service is asked about a new name and remembers it.
fn user(kind: &str, round: usize) -> String {
    format!("{kind}{}", round / FREE)
}

fn set_up(host: &Host, people: usize) -> Outcome {
    host.use_drive()?;
    host.put_busdrive()?;
    // A wrong password stands before this one, as in a stack whose modules are all `required`.
    host.ok(&format!(
        "sed -i 's/ after=password//; 1i auth required pam_deny.so' /etc/pam.d/{SERVICE}"
    ))?;
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        &format!("[throttle]\nfree = {FREE}\n"),
    )?;
    host.ok("mfactl policy reload")?;
    let (mut passwd, mut shadow, mut calls) = (String::new(), String::new(), String::new());
    let (mut enrolled, mut uid) = (Vec::new(), 20_000);
    for kind in KINDS.iter().filter(|kind| **kind != "unknown") {
        let lock = if *kind == "locked" { "!" } else { "" };
        for number in 0..people {
            uid += 1;
            let _ = writeln!(passwd, "{kind}{number}:x:{uid}:{uid}::/:/bin/sh");
            let _ = writeln!(shadow, "{kind}{number}:{lock}*:20000:0:99999:7:::");
            if *kind != "unenrolled" {
                enrolled.push(format!("{kind}{number}"));
            }
        }
    }
    for name in &enrolled {
        // Eight digits: the wrong answer below is then hardly ever right.
        let call = call_of(
            host,
            "Administration.EnrollUser",
            json!([name, "totp", {"digits": 8}]),
        )?;
        let _ = writeln!(calls, "{call}");
    }
    host.write("/tmp/passwd", "0644", &passwd)?;
    host.write("/tmp/shadow", "0600", &shadow)?;
    host.write("/tmp/calls", "0600", &calls)?;
    let done = host.ok(
        "cat /tmp/passwd >>/etc/passwd; cat /tmp/shadow >>/etc/shadow; \
         busdrive bus </tmp/calls | grep -c '\"reply\"'",
    )?;
    ensure(done.trim() == enrolled.len().to_string(), || {
        format!("{} of {} were enrolled", done.trim(), enrolled.len())
    })?;
    for number in 0..people {
        let failures = FREE + 1;
        host.drive(
            &format!("delayed{number}"),
            &format!("--phases auth --answer 00000000 --at-once {failures}"),
        )?;
    }
    Ok(())
}

/// One wrong answer for each user, in turn, by one process.
fn refusals(host: &Host, users: &[String]) -> Result<Vec<Value>, Failure> {
    host.write("/tmp/users", "0644", &users.join("\n"))?;
    let report = host.drive(
        "nobody",
        &format!(
            "--users /tmp/users --phases auth --answer 00000000 --repeat {}",
            users.len()
        ),
    )?;
    let refused = report.transactions().to_vec();
    ensure(refused.len() == users.len(), || {
        format!("{} of {} logins", refused.len(), users.len())
    })?;
    Ok(refused)
}

fn report(times: &mut [Vec<u64>]) {
    for times in times.iter_mut() {
        times.sort_unstable();
    }
    let median = |times: &[u64]| times.get(times.len() / 2).copied().unwrap_or_default();
    let (mut gap, mut worst) = (0, 0.5_f64);
    for (index, (kind, own)) in KINDS.iter().zip(times.iter()).enumerate() {
        println!(
            "  {kind}: {} refusals, median {} µs",
            own.len(),
            median(own)
        );
        for other in &times[..index] {
            gap = gap.max(median(own).abs_diff(median(other)));
            worst = worst.max(distinguishable(own, other));
        }
    }
    println!(
        "  largest gap of medians {gap} µs (2,000 wanted), largest AUC {worst:.3} (0.55 wanted)"
    );
}

/// How well the time tells two kinds apart, from 0.5 (not at all) to 1: the area under the curve of the best classifier
/// by a threshold, which is the share of pairs that are in order (Mann and Whitney's U), ties counting half. Both sorted.
fn distinguishable(one: &[u64], other: &[u64]) -> f64 {
    let mut halves = 0_usize;
    for time in one {
        let below = other.partition_point(|found| found < time);
        let up_to = other.partition_point(|found| found <= time);
        halves += below + up_to;
    }
    let pairs = (2 * one.len() * other.len()).max(1);
    #[allow(
        clippy::cast_precision_loss,
        reason = "counts of pairs, far below 2^52"
    )]
    let share = halves as f64 / pairs as f64;
    share.max(1.0 - share)
}

#[cfg(test)]
mod tests {
    use super::distinguishable;

    #[test]
    fn kinds_apart_are_told_apart_and_equal_ones_are_not() {
        let near = |found: f64, wanted: f64| (found - wanted).abs() < 1e-9;
        assert!(near(distinguishable(&[1, 2, 3], &[4, 5, 6]), 1.0));
        assert!(near(distinguishable(&[4, 5, 6], &[1, 2, 3]), 1.0));
        assert!(near(distinguishable(&[1, 2, 3], &[1, 2, 3]), 0.5));
        assert!(near(distinguishable(&[7, 7], &[7, 7, 7]), 0.5));
        // One pair of four in order, by hand.
        assert!(near(distinguishable(&[1, 4], &[2, 5]), 0.75));
    }
}
