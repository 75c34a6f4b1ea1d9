//! Measures whole PAM transactions beside other modules, on one machine in one run. It prints ratios and judges nothing.
//!
//! One process loads libpam and runs start, authenticate, account and end; the stacks take turns in short rounds, so that
//! a machine whose speed drifts drifts for all of them. Codes are HOTP's, since a TOTP code serves once in 30 seconds.

use std::{
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
};

use mfa_tests::{Failure, bed::ns, build, host::Host, totp};
use serde_json::Value;

/// Rounds, and transactions of each stack in one. `pam_google_authenticator` admits 100 logins at a time, no more.
const ROUNDS: usize = 6;
const TRANSACTIONS: usize = 80;
/// How often the daemon is started from nothing.
const COLD_STARTS: usize = 7;
/// Base32 and hexadecimal of the peers' secret.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
const HEXADECIMAL: &str = "3132333435363738393031323334353637383930";
/// Where the modules keep their state in the bed: a directory of a real disk, since on a tmpfs a sync costs nothing.
const STATE: &str = "/mnt/bench";

/// A stack to measure: its name, its auth line, and how it is made ready for a round.
struct Stack {
    name: &'static str,
    line: &'static str,
    ready: fn(&Host) -> Result<Vec<String>, Failure>,
}

const STACKS: [Stack; 4] = [
    Stack {
        name: "pam_permit",
        line: "pam_permit.so",
        ready: |_| Ok(vec![String::new()]),
    },
    Stack {
        name: "pam_google_authenticator",
        line: "pam_google_authenticator.so secret=/mnt/bench/google user=root",
        ready: google,
    },
    Stack {
        name: "pam_oath",
        line: "pam_oath.so usersfile=/mnt/bench/oath window=5 digits=6",
        ready: oath,
    },
    Stack {
        name: "pam_mfa",
        line: "pam_mfa.so after=password",
        ready: ours,
    },
];

fn main() -> ExitCode {
    match measure() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            println!("bench: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<(), Failure> {
    if !nix::unistd::geteuid().is_root() {
        return Err(Failure::new("the sandbox needs root: sudo make bench"));
    }
    let artifacts = build::artifacts()?;
    let disk = build::cache()?.join("bench");
    let module = module_size(&artifacts.tree)?;
    let host = Host::new(ns::start(Some(&artifacts.tree))?, artifacts);
    prepare(&host, &disk)?;
    let mut times: Vec<Vec<u64>> = STACKS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (stack, times) in STACKS.iter().zip(&mut times) {
            times.extend(round(&host, stack)?);
        }
    }
    report(&host, &times)?;
    println!(
        "\nmodule: {module} bytes; daemon at rest: {} kB resident",
        resident(&host)?
    );
    cold(&host)?;
    fs::remove_dir_all(&disk)?;
    Ok(())
}

/// Puts the state of every module on the same disk, and one line of each stack into place.
fn prepare(host: &Host, disk: &Path) -> Result<(), Failure> {
    fs::create_dir_all(disk)?;
    host.stop_daemon()?;
    let shown = disk.display();
    host.ok(&format!("mkdir -p {STATE} && mount --bind {shown} {STATE} && mkdir -p {STATE}/mfa && \
         chown mfad: {STATE}/mfa && chmod 700 {STATE}/mfa && rm -f {STATE}/mfa/* && mount --bind {STATE}/mfa /var/lib/mfa"))?;
    host.put_pamdrive()?;
    host.person("alice")?;
    for Stack { name, line, .. } in &STACKS {
        let account = if *name == "pam_mfa" {
            "pam_mfa.so"
        } else {
            "pam_permit.so"
        };
        let stack = format!("auth required {line}\naccount required {account}\n");
        host.write(&format!("/etc/pam.d/bench-{name}"), "0644", &stack)?;
    }
    let kind = host.ok(&format!("stat -f -c %T {STATE}"))?;
    if ["overlayfs", "tmpfs"].contains(&kind.trim()) {
        return Err(Failure::new(format!(
            "{shown} is memory in the sandbox (it overlays /tmp, /home and others), where a sync costs nothing; set \
             MFA_TEST_CACHE to a directory of a real disk that it does not overlay, as below /mnt"
        )));
    }
    println!(
        "state on {} ({ROUNDS} rounds of {TRANSACTIONS} transactions each)",
        kind.trim()
    );
    Ok(())
}

fn google(host: &Host) -> Result<Vec<String>, Failure> {
    let state = format!("{SECRET}\n\" RATE_LIMIT 100 30\n\" DISALLOW_REUSE\n\" HOTP_COUNTER 1\n");
    host.write(&format!("{STATE}/google"), "0400", &state)?;
    Ok(totp::hotp_codes(SECRET, TRANSACTIONS + 1)?.split_off(1))
}

fn oath(host: &Host) -> Result<Vec<String>, Failure> {
    host.write(
        &format!("{STATE}/oath"),
        "0600",
        &format!("HOTP alice - {HEXADECIMAL}\n"),
    )?;
    totp::hotp_codes(SECRET, TRANSACTIONS)
}

fn ours(host: &Host) -> Result<Vec<String>, Failure> {
    host.sh("mfactl user reset alice --yes")?; // nothing to reset in the first round
    host.enroll_token("alice", TRANSACTIONS)
}

/// The times of one round, in microseconds. A transaction that is refused ends the measurement: it measures nothing.
fn round(host: &Host, stack: &Stack) -> Result<Vec<u64>, Failure> {
    let codes = (stack.ready)(host)?;
    host.write("/tmp/answers", "0600", &(codes.join("\n") + "\n"))?;
    host.ok(&format!(
        "pamdrive --service bench-{} --user alice --answers /tmp/answers --warm 0 --repeat {TRANSACTIONS} >/tmp/drive.json",
        stack.name
    ))?;
    let text = host.read("/tmp/drive.json")?;
    let mut times = Vec::with_capacity(TRANSACTIONS);
    for line in text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        let one: Value = serde_json::from_slice(line)?;
        let Some(micros) = one["micros"].as_u64() else {
            continue;
        };
        if one["auth"] != 0 || one["account"] != 0 {
            return Err(Failure::new(format!(
                "{} refused a right code: {one}",
                stack.name
            )));
        }
        times.push(micros);
    }
    Ok(times)
}

fn report(host: &Host, times: &[Vec<u64>]) -> Result<(), Failure> {
    let quantile = |of: &[u64], parts: usize| {
        let mut sorted = of.to_vec();
        sorted.sort_unstable();
        sorted
            .get(sorted.len() * parts / 100)
            .copied()
            .unwrap_or_default()
    };
    let of_google = times
        .get(1)
        .map(|google| (quantile(google, 50), quantile(google, 99)))
        .unwrap_or_default();
    println!(
        "{:<26} {:>6} {:>8} {:>8}  to pam_google_authenticator (median, p99)",
        "stack", "n", "median", "p99"
    );
    for (stack, times) in STACKS.iter().zip(times) {
        let (median, p99) = (quantile(times, 50), quantile(times, 99));
        println!(
            "{:<26} {:>6} {median:>5} us {p99:>5} us  {}, {}",
            stack.name,
            times.len(),
            ratio(median, of_google.0),
            ratio(p99, of_google.1)
        );
    }
    host.ok("mfactl user show alice --json >/dev/null")?;
    Ok(())
}

/// `a / b` with two decimals.
fn ratio(a: u64, b: u64) -> String {
    let hundredths = (a * 100).checked_div(b).unwrap_or_default();
    format!("{}.{:02} x", hundredths / 100, hundredths % 100)
}

/// The time of a whole login that finds no daemon, which the bus then starts.
fn cold(host: &Host) -> Result<(), Failure> {
    host.sh("mfactl user reset alice --yes")?;
    let codes = host.enroll_token("alice", COLD_STARTS)?;
    let mut times = Vec::new();
    for code in codes {
        host.stop_daemon()?;
        let line = format!(
            "pamdrive --service bench-pam_mfa --user alice --answer {code} --warm 0 >/tmp/drive.json"
        );
        host.ok(&line)?;
        let text = String::from_utf8_lossy(&host.read("/tmp/drive.json")?).into_owned();
        let one: Value = serde_json::from_str(text.lines().next().unwrap_or_default())?;
        if one["auth"] != 0 {
            return Err(Failure::new(format!(
                "a cold daemon refused a right code: {one}"
            )));
        }
        times.push(one["micros"].as_u64().unwrap_or_default());
    }
    times.sort_unstable();
    let median = times.get(times.len() / 2).copied().unwrap_or_default();
    println!(
        "cold: from no daemon to a verdict, started by a bare dbus-daemon: median {median} us of {times:?}"
    );
    Ok(())
}

fn resident(host: &Host) -> Result<String, Failure> {
    let status = host
        .ok("sed -n 's/^VmRSS:[[:space:]]*\\([0-9]*\\) kB/\\1/p' /proc/$(pgrep -x mfad)/status")?;
    Ok(status.trim().to_owned())
}

fn module_size(tree: &Path) -> Result<u64, Failure> {
    let libraries = fs::read_dir(tree.join("usr/lib"))?;
    let found: Option<PathBuf> = libraries
        .flatten()
        .map(|entry| entry.path().join("security/pam_mfa.so"))
        .find(|path| path.exists());
    let path = found.ok_or_else(|| Failure::new("the tree holds no pam_mfa.so"))?;
    Ok(fs::metadata(path)?.len())
}
