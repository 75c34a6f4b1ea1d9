//! How many factors, of which kinds and how fresh: what a rule demands, at the real sshd and sudo.

use super::{BY_KEY, CODE, REMEMBER, by_key_alone, devices, number, rule};
use crate::{
    Failure, Outcome,
    cases::{Case, WITH_SYSTEMD, WITHOUT_SYSTEMD},
    failure::ensure,
    host::{Host, Person},
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "two factors that a rule demands are two kinds, and two codes of one kind are one",
        two_kinds,
    ),
    Case::new(
        "with max-age, sudo is content with the code of this session's login, and of no other's",
        max_age,
    )
    .on(WITH_SYSTEMD),
    Case::new(
        "a session's code does for sudo until it is older than max-age, by the daemon's clock",
        ages,
    )
    .on(WITH_SYSTEMD)
    .within(120),
    Case::new(
        "a floor holds whatever exempts a login before it, and files count in the order of their names",
        floor,
    ),
    Case::new(
        "with the preset aal2 a key and a code are refused, a password and a code let in, and nothing is lacking",
        preset,
    ),
    Case::new(
        "a remembered device is asked again when its time is over, and when its person's factors are reset",
        forgotten,
    )
    .on(WITHOUT_SYSTEMD)
    .within(90),
    Case::new(
        "a rule for a target exempts who becomes it by su, and nobody else's becoming",
        target,
    ),
];

const MORE: &str = "One more, of another kind. Verification code: ";

fn two_kinds(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let sheet = host.enroll_backup_codes("alice")?;
    host.policy(&rule(
        "{ service = \"sshd\" }",
        "require = { any = [\"totp\", \"backup-codes\"], count = 2, distinct = true }",
    ))?;
    let (first, second) = (totp.code(-1)?, totp.code(0)?);
    host.ssh_refused(&alice, "", &[(CODE, &sheet[0]), (MORE, &sheet[1])])?;
    host.ssh_refused(&alice, "", &[(CODE, &first), (MORE, &second)])?;
    host.ok("mfactl user unlock alice")?;
    // In either order; the code that was of the wrong kind was not spent.
    host.ssh_in(&alice, "", &[(CODE, &sheet[2]), (MORE, &second)])?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(1)?), (MORE, &sheet[3])])
}

/// An administrator whom sudo asks for a code that is older than a quarter of an hour.
fn aging(host: &Host) -> Result<(Person, Totp), Failure> {
    host.use_stack("sshd-key")?;
    host.use_stack("sudo")?;
    let administrator = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    host.policy(&rule(
        "{ service = \"sudo\" }",
        "require = { max-age = \"15m\" }",
    ))?;
    Ok(administrator)
}

fn max_age(host: &Host) -> Outcome {
    let (alice, totp) = aging(host)?;
    let sudo = "sudo -k sh -c 'echo uid-$(id -u)'";
    let mut screen = host.ssh(&alice, "-tt", sudo)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("the session's proof did not do: {status}: {shown}")
    })?;
    // Not in a session: nothing has been proven in it.
    let mut screen = host.terminal_as("alice", sudo)?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    drop(screen);
    let audit = host.ok("mfactl audit --user alice --json")?;
    ensure(audit.contains("in this session"), || {
        format!("the record does not tell why sudo did not ask: {audit}")
    })
}

fn ages(host: &Host) -> Outcome {
    let (alice, totp) = aging(host)?;
    let mut screen = host.ssh(&alice, "-tt", "PS1='ready> ' exec bash --norc -i")?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("ready> ", PROMPT)?;
    // The daemon is another one each time, and the proof outlives it.
    for (minutes, asked) in [
        (0, false),
        (10, false),
        (16, true),
        // That code is another proof.
        (26, false),
        (32, true),
    ] {
        host.daemon_ahead(minutes)?;
        screen.line("sudo -k sh -c 'echo uid-$(id -u)'")?;
        screen.expect("password for alice: ", PROMPT)?;
        screen.line(&alice.password)?;
        if asked {
            screen.expect(CODE, PROMPT)?;
            screen.line(&totp.code(i64::from(minutes) * 2)?)?;
        }
        let shown = screen.expect("ready> ", PROMPT)?;
        ensure(shown.contains("uid-0"), || {
            format!("{minutes} minutes later: {shown}")
        })?;
    }
    Ok(())
}

fn floor(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    let drop_in = |name: &str, require: &str| {
        host.write(
            &format!("/etc/mfa/policy.d/{name}.toml"),
            "0644",
            &format!(
                "[[rule]]\nname = \"{name}\"\nwhen = {{ user = \"alice\" }}\nrequire = {require}\n"
            ),
        )
    };
    // Of two files the first in order has the rule that decides.
    drop_in("10-first", "\"none\"")?;
    drop_in("20-second", "\"deny\"")?;
    host.ok("mfactl policy reload")?;
    host.ssh_in(&alice, "-o BatchMode=yes", &[])?;
    drop_in("05-earlier", "\"deny\"")?;
    host.ok("mfactl policy reload")?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    // All of /etc/mfa/policy.toml comes before them; but a floor holds, wherever it stands.
    host.policy(&rule("{}", "require = \"none\""))?;
    host.ssh_in(&alice, "-o BatchMode=yes", &[])?;
    drop_in("90-floor", "\"any\"\nfloor = true")?;
    host.ok("mfactl policy reload")?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])
}

fn preset(host: &Host) -> Outcome {
    const CHECK: &str = "mfactl policy check --preset aal2";
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule("{ user = \"alice\" }", "require = \"none\""))?;
    let before = host.sh(CHECK)?;
    ensure(before.status == 1, || format!("{before:?}"))?;
    host.ok("cp /usr/lib/mfa/presets/aal2.toml /etc/mfa/policy.d/ && mfactl policy reload")?;
    host.ok(CHECK)?;
    host.use_stack("sshd-password")?;
    host.ssh_in(
        &alice,
        "",
        &[("Password: ", &alice.password), (CODE, &totp.code(-1)?)],
    )?;
    host.use_stack("sshd-key")?;
    host.ssh_refused(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn forgotten(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule("{ service = \"sshd\" }", BY_KEY))?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?), (REMEMBER, "y")])?;
    let now = i64::try_from(number(&host.ok("date +%s")?)?)
        .map_err(|error| Failure::new(error.to_string()))?;
    let hour = 60 * 60;
    host.daemon_at(now + 11 * hour)?;
    host.ssh_in(&alice, "", &[])?;
    host.daemon_at(now + 13 * hour)?;
    host.ssh_refused(&alice, "", &[(CODE, "")])?;
    host.ok("mfactl user reset alice --yes")?;
    host.enroll("alice")?;
    ensure(devices(host)? == 0, || "a reset leaves devices".to_owned())
}

fn target(host: &Host) -> Outcome {
    host.use_stack("su")?;
    host.enrolled("alice")?;
    host.policy(&format!(
        "[subject]\nsu = \"caller\"\n\n{}",
        rule(
            "{ service = \"su\", target = \"bob\" }",
            "require = \"none\""
        )
    ))?;
    for (name, exempt) in [("bob", true), ("carol", false)] {
        let person = host.person(name)?;
        let mut screen =
            host.terminal_as("alice", &format!("su {name} -c 'echo now-$(id -un)'"))?;
        screen.expect("Password: ", PROMPT)?;
        screen.line(&person.password)?;
        let next = if exempt { "now-bob" } else { CODE };
        screen.expect(next, PROMPT)?;
    }
    Ok(())
}
