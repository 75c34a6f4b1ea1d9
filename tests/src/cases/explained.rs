//! `mfactl policy explain` of real logins: their audit records hold the facts that decided them.

use serde_json::Value;

use super::Case;
use crate::{Failure, Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a login of the past is explained by what its record tells, and a changed policy's difference is named",
        past,
    ),
    Case::new(
        "what explain says of a login in advance is what becomes of it",
        in_advance,
    ),
];

const CODE: &str = "Verification code: ";

/// The number of the newest login's record.
fn newest(host: &Host) -> Result<i64, Failure> {
    let lines = host.ok("mfactl audit --user alice --json")?;
    let records = lines
        .lines()
        .rev()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut logins = records.filter(|record| record["outcome"] == "granted");
    let number = logins.next().and_then(|record| record["sequence"].as_i64());
    number.ok_or_else(|| Failure::new(format!("no login is on record: {lines}")))
}

fn found<'v>(explained: &'v Value, condition: &str) -> &'v Value {
    let facts = explained["facts"].as_array();
    let row = facts.and_then(|facts| facts.iter().find(|fact| fact["condition"] == condition));
    row.map_or(&Value::Null, |fact| &fact["value"])
}

fn past(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.policy("[[rule]]\nname = \"ssh\"\nwhen = { service = \"sshd\", risk = \"none\" }\nrequire = { any = [\"totp\"] }\n")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    let command = format!("mfactl policy explain --audit {} --json", newest(host)?);
    let explained = host.json(&command)?;
    let print = host.ok(&format!(
        "ssh-keygen -l -f {}.pub | cut -d ' ' -f 2",
        alice.key
    ))?;
    for (condition, value) in [
        ("user", "alice"),
        ("service", "sshd"),
        ("group", "alice"),
        ("network", "127.0.0.1"),
        ("tty", "ssh"),
        ("first-factor", "publickey"),
        ("key", print.trim()),
        ("risk", "none"),
        ("seat", "none"),
    ] {
        ensure(found(&explained, condition) == value, || {
            format!("{condition} is not {value}: {explained}")
        })?;
    }
    ensure(
        explained["rule"] == "ssh" && explained["differences"] == Value::Array(Vec::new()),
        || format!("not as it was: {explained}"),
    )?;
    host.policy(&format!(
        "[[rule]]\nname = \"that key\"\nwhen = {{ key = \"{}\", group = \"alice\" }}\nrequire = \"deny\"\n",
        print.trim()
    ))?;
    let explained = host.json(&command)?;
    let differences = explained["differences"].to_string();
    ensure(
        explained["outcome"] == "deny" && differences.contains("now “that key”"),
        || format!("no difference: {explained}"),
    )
}

fn in_advance(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, _) = host.enrolled("alice")?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    let stranger = host.another_key(&alice)?;
    let print = |key: &str| host.ok(&format!("ssh-keygen -l -f {key}.pub | cut -d ' ' -f 2"));
    let (own, other) = (print(&alice.key)?, print(&stranger.key)?);
    host.policy(&format!(
        "[[rule]]\nname = \"her key\"\nwhen = {{ key = \"{}\", network = \"127.0.0.0/8\" }}\nrequire = \"none\"\n\n\
         [[rule]]\nname = \"others\"\nwhen = {{}}\nrequire = \"deny\"\n",
        own.trim()
    ))?;
    let command = "mfactl policy explain --user alice --service sshd --tty ssh --json";
    for (said, outcome, decides) in [
        (
            format!("--rhost 127.0.0.1 --key {}", own.trim()),
            "not-required",
            "her key",
        ),
        (
            format!("--rhost 192.0.2.7 --key {}", own.trim()),
            "deny",
            "others",
        ),
        (
            format!("--rhost 127.0.0.1 --key {}", other.trim()),
            "deny",
            "others",
        ),
    ] {
        let explained = host.json(&format!("{command} {said}"))?;
        ensure(
            explained["outcome"] == outcome && explained["rule"] == decides,
            || format!("{said}: {explained}"),
        )?;
    }
    host.ssh_in(&alice, "-o BatchMode=yes", &[])?;
    host.ssh_refused(&stranger, "-o BatchMode=yes", &[])
}
