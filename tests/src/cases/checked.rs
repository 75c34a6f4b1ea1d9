//! `mfactl policy check` of a machine's own policy: what it warns of with the real daemon's word, and what is refused.

use serde_json::Value;

use super::Case;
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Output},
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "policy check warns of a rule that never matches and of a policy that asks nobody, at their places",
        pointless,
    ),
    Case::new(
        "policy check warns of a policy that locks every administrator out, by what they have enrolled",
        lockout,
    ),
    Case::new(
        "policy check and reload refuse every kind of bad input by name and place",
        bad_input,
    ),
];

const FILE: &str = "/etc/mfa/policy.toml";
const CHECK: &str = "mfactl policy check";
const RELOAD: &str = "mfactl policy reload";

fn put(host: &Host, text: &str) -> Outcome {
    host.write(FILE, "0644", text)
}

fn shows(output: &Output, status: i32, what: &str) -> Outcome {
    let shown = format!("{}{}", output.stdout, output.stderr);
    ensure(output.status == status && shown.contains(what), || {
        format!(
            "it ended with {}, not {status}, or without {what:?}:\n{shown}",
            output.status
        )
    })
}

const POINTLESS: &str = r#"[[rule]]
name = "everybody"
when = {}
require = "none"

[[rule]]
name = "never"
when = { uid = 0, not = { uid = 0 } }
require = "any"
"#;

fn pointless(host: &Host) -> Outcome {
    put(host, POINTLESS)?;
    let checked = host.sh(CHECK)?;
    for line in [
        "/etc/mfa/policy.toml:4:11: warning: rule “everybody”: no login needs a second factor",
        "    4 | require = \"none\"\n      |           ^^^^^^\n",
        "/etc/mfa/policy.toml:8:8: warning: rule “never”: its conditions contradict each other",
        "    8 | when = { uid = 0, not = { uid = 0 } }\n      |        ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n",
        "Warnings: 2.",
    ] {
        shows(&checked, 0, line)?;
    }
    let strict = host.sh(&format!("{CHECK} --strict --json"))?;
    ensure(strict.status == 1, || format!("{strict:?}"))?;
    let report: Value = serde_json::from_str(strict.stdout.trim())?;
    let places: Vec<_> = warnings(&report)?
        .iter()
        .map(|warning| {
            (
                warning["kind"].as_str(),
                warning["line"].as_u64(),
                warning["column"].as_u64(),
            )
        })
        .collect();
    let expected = [
        (Some("lets-everybody-in"), Some(4), Some(11)),
        (Some("never-matches"), Some(8), Some(8)),
    ];
    ensure(places == expected, || format!("{report}"))
}

fn warnings(report: &Value) -> Result<&Vec<Value>, Failure> {
    let warnings = report["warnings"].as_array();
    warnings.ok_or_else(|| Failure::new(format!("no warnings: {report}")))
}

/// The services at which a policy that demands `factor` locks every administrator out.
fn shut(host: &Host, factor: &str) -> Result<Vec<String>, Failure> {
    put(
        host,
        &format!(
            "[[rule]]\nname = \"all\"\nwhen = {{}}\nrequire = {{ any = [\"{factor}\"] }}\n\n[unenrolled]\naction = \"deny\"\n"
        ),
    )?;
    let checked = host.sh(&format!("{CHECK} --strict --json"))?;
    let report: Value = serde_json::from_str(checked.stdout.trim())?;
    let found = warnings(&report)?;
    ensure(checked.status == i32::from(!found.is_empty()), || {
        format!("{checked:?}")
    })?;
    for warning in found {
        ensure(
            warning["kind"] == "locks-out-administrators"
                && warning["rule"] == "all"
                && warning["file"] == FILE
                && (warning["line"] == 4 && warning["column"] == 11),
            || format!("{warning}"),
        )?;
    }
    let services = found
        .iter()
        .filter_map(|warning| warning["service"].as_str());
    Ok(services.map(str::to_owned).collect())
}

fn lockout(host: &Host) -> Outcome {
    host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    let everywhere = shut(host, "hotp")?;
    ensure(everywhere == ["sshd", "sudo", "su", "login"], || {
        format!("shut: {everywhere:?}")
    })?;
    let told = host.sh(CHECK)?;
    shows(
        &told,
        0,
        "/etc/mfa/policy.toml:4:11: warning: rule “all”: no administrator can get in at sudo: ",
    )?;
    shows(
        &told,
        0,
        "alice has totp, and is asked for { any = [\"hotp\"], count = 1 } (rule “all”)",
    )?;
    // By alice's telephone she comes in, and becomes root by sudo; su asks for root's, who has none.
    let by_su = shut(host, "totp")?;
    ensure(by_su == ["su"], || format!("shut: {by_su:?}"))?;
    host.enroll("root")?;
    let nowhere = shut(host, "totp")?;
    ensure(nowhere.is_empty(), || format!("shut: {nowhere:?}"))?;
    // Who has which factor is not told to everybody, and then nothing is claimed.
    let by_alice = host.sh_as("alice", CHECK)?;
    shows(
        &by_alice,
        0,
        "Whether it locks administrators out is not known",
    )
}

/// A policy, and what must be said of it.
const BAD: &[(&str, &str)] = &[
    (
        "[[rule]]\nname = \"a\"\nwhen = { usr = \"b\" }\nrequire = \"any\"\n",
        ":3:10: unknown key `usr` in `when`",
    ),
    (
        "[[rule]]\nname = \"a\"\nwhen = {}\nrequire = { max-age = \"-15m\" }\n",
        ":4:23: `max-age` cannot be \"-15m\"",
    ),
    (
        "[[rule]]\nname = \"a\"\nwhen = { last-mfa = \"> -30d\" }\nrequire = \"any\"\n",
        ":3:21: `last-mfa` cannot be \"-30d\"",
    ),
    (
        "[[rule]]\nname = \"a\"\nwhen = {}\nrequire = { count = 0 }\n",
        ":4:21: `count` is 0; it must be 1 to 3",
    ),
    ("[[rule]]\n", ":1:1: the rule is empty"),
    (
        "include = \"/etc/mfa/policy.toml\"\n",
        ":1:1: unknown key `include`",
    ),
    (
        "[[rule]]\nname = \"a\"\nwhen = { user = \"^ali(ce|x)$\" }\nrequire = \"any\"\n",
        ":3:17: \"^ali(ce|x)$\" looks like a regular expression",
    ),
    (
        "[[rule]]\nname = \"a\"\nwhen = { time = \"Mon 08:00-09:00 Europe/Zurych\" }\nrequire = \"any\"\n",
        ":3:17: there is no time zone \"Europe/Zurych\"",
    ),
];

fn bad_input(host: &Host) -> Outcome {
    for (text, complaint) in BAD {
        put(host, text)?;
        refused(host, &format!("{FILE}{complaint}"))?;
    }
    // Of several files, all at once.
    let (unknown, complaint) = BAD[0];
    let drop_in = "/etc/mfa/policy.d/50-site.toml";
    put(host, unknown)?;
    host.write(drop_in, "0644", "[[rule]]\n")?;
    refused(host, &format!("{FILE}{complaint}"))?;
    refused(host, &format!("{drop_in}:1:1: the rule is empty"))?;
    host.ok(&format!(
        "rm {drop_in} && head -c 100000000 /dev/zero | tr '\\0' '#' >{FILE}"
    ))?;
    let too_large = "is larger than the 4194304 bytes that are read";
    shows(
        &host.sh(CHECK)?,
        1,
        &format!("{FILE}:1:1: the file {too_large}"),
    )?;
    shows(&host.sh(RELOAD)?, 1, &format!("{FILE}: {too_large}"))?;
    put(host, "")?;
    host.write("/etc/mfa/mfad.toml", "0644", "[prompt]\ntries = 0\n")?;
    shows(
        &host.sh(RELOAD)?,
        1,
        "/etc/mfa/mfad.toml:2:9: `tries` is 0; it must be",
    )
}

/// By who asks, and by the daemon.
fn refused(host: &Host, complaint: &str) -> Outcome {
    for command in [CHECK, RELOAD] {
        shows(&host.sh(command)?, 1, complaint)?;
    }
    Ok(())
}
