//! Whole transactions, in one process on the real libpam, of our module and of others. The stacks take turns in short
//! rounds, so that a machine whose speed drifts drifts for all of them. Codes are HOTP's: a TOTP code serves once in 30 s.

use mfa_tests::{Failure, host::Host, totp};
use serde_json::Value;

use crate::{
    place::{Place, SECRET},
    table::{Aim, Row, Table},
};

/// Rounds, and transactions of each stack in one. `pam_google_authenticator` admits 100 logins at a time, no more.
const ROUNDS: usize = 8;
const TRANSACTIONS: usize = 80;
/// Hexadecimal of the secret.
const HEXADECIMAL: &str = "3132333435363738393031323334353637383930";

/// A stack to measure.
pub(crate) struct Stack {
    /// The module.
    pub(crate) name: &'static str,
    auth: &'static str,
    account: &'static str,
    /// Puts its state as it is before the first login; the answers to `TRANSACTIONS` logins, or one that serves all.
    ready: fn(&Host, &Place) -> Result<Vec<String>, Failure>,
    note: &'static str,
}

/// The one that others are compared with.
const YARDSTICK: usize = 1;
/// Ours.
pub(crate) const OURS: &str = "pam_mfa";

/// All that are measured.
pub(crate) const STACKS: [Stack; 5] = [
    Stack {
        name: "pam_permit",
        auth: "required pam_permit.so",
        account: "pam_permit.so",
        ready: |_, _| Ok(vec![String::new()]),
        note: "what libpam itself costs",
    },
    Stack {
        name: "pam_google_authenticator",
        auth: "required pam_google_authenticator.so secret=STATE/google user=root",
        account: "pam_permit.so",
        ready: google,
        note: "DISALLOW_REUSE, RATE_LIMIT",
    },
    Stack {
        name: "pam_oath",
        auth: "required pam_oath.so usersfile=STATE/oath window=5 digits=6",
        account: "pam_permit.so",
        ready: oath,
        note: "one user in its file",
    },
    Stack {
        name: "pam_fprintd",
        auth: "[default=ignore] pam_fprintd.so\nauth required pam_permit.so",
        account: "pam_permit.so",
        ready: |_, _| Ok(vec![String::new()]),
        note: "no reader here: it asks, and hears that there is none",
    },
    Stack {
        name: OURS,
        auth: "required pam_mfa.so after=password",
        account: "pam_mfa.so",
        ready: ours,
        note: "its account line asks the daemon too",
    },
];

pub(crate) fn measure(host: &Host, place: &Place, table: &mut Table) -> Result<(), Failure> {
    put_stacks(host, place)?;
    let mut times: Vec<Vec<u64>> = STACKS.iter().map(|_| Vec::new()).collect();
    for _ in 0..ROUNDS {
        for (stack, times) in STACKS.iter().zip(&mut times) {
            answers(host, place, stack)?;
            times.extend(run(host, stack.name, "alice", TRANSACTIONS)?);
        }
    }
    let yardstick = Row::times("", &times[YARDSTICK]).base();
    for (stack, times) in STACKS.iter().zip(&times) {
        let row = Row::times(stack.name, times)
            .beside(yardstick)
            .note(stack.note);
        table.add(if stack.name == OURS {
            row.aim(Aim::Ratios(100, 150))
        } else {
            row
        });
    }
    Ok(())
}

/// Puts the stacks' files into place.
pub(crate) fn put_stacks(host: &Host, place: &Place) -> Result<(), Failure> {
    for Stack {
        name,
        auth,
        account,
        ..
    } in &STACKS
    {
        let auth = auth.replace("STATE", place.directory());
        let stack = format!("auth {auth}\naccount required {account}\n");
        host.write(&format!("/etc/pam.d/bench-{name}"), "0644", &stack)?;
    }
    Ok(())
}

/// Makes a stack ready for `TRANSACTIONS` logins of alice's, and puts the answers where `run` finds them.
pub(crate) fn answers(host: &Host, place: &Place, stack: &Stack) -> Result<(), Failure> {
    put_answers(host, &(stack.ready)(host, place)?)
}

/// Puts answers where `run` finds them, one a line.
pub(crate) fn put_answers(host: &Host, answers: &[String]) -> Result<(), Failure> {
    host.write("/tmp/answers", "0600", &(answers.join("\n") + "\n"))
}

/// Runs transactions; their times, in microseconds. One that is refused ends the measurement: it measures nothing.
pub(crate) fn run(host: &Host, name: &str, user: &str, count: usize) -> Result<Vec<u64>, Failure> {
    host.ok(&format!(
        "pamdrive --service bench-{name} --user {user} --answers /tmp/answers --warm 0 --repeat {count} >/tmp/drive.json"
    ))?;
    let mut times = Vec::with_capacity(count);
    for one in reports(host)? {
        let Some(micros) = one["micros"].as_u64() else {
            continue;
        };
        if one["auth"] != 0 || one["account"] != 0 {
            return Err(Failure::new(format!("{name} refused a right code: {one}")));
        }
        times.push(micros);
    }
    Ok(times)
}

/// What the last run printed.
pub(crate) fn reports(host: &Host) -> Result<Vec<Value>, Failure> {
    let text = host.read("/tmp/drive.json")?;
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).map_err(Failure::from))
        .collect()
}

fn google(host: &Host, place: &Place) -> Result<Vec<String>, Failure> {
    let state = format!("{SECRET}\n\" RATE_LIMIT 100 30\n\" DISALLOW_REUSE\n\" HOTP_COUNTER 1\n");
    host.write(&place.path("google"), "0400", &state)?;
    Ok(totp::hotp_codes(SECRET, TRANSACTIONS + 1)?.split_off(1))
}

fn oath(host: &Host, place: &Place) -> Result<Vec<String>, Failure> {
    let state = format!("HOTP alice - {HEXADECIMAL}\n");
    host.write(&place.path("oath"), "0600", &state)?;
    totp::hotp_codes(SECRET, TRANSACTIONS)
}

fn ours(host: &Host, _place: &Place) -> Result<Vec<String>, Failure> {
    host.sh("mfactl user reset alice --yes")?; // nothing to reset in the first round
    host.enroll_token("alice", TRANSACTIONS)
}
