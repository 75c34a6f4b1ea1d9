//! What becomes of logins and of those who ask when the policy's files change under a running daemon.

use super::{Case, WITH_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Output, Person},
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a dialogue ends under the policy that it began with, and the next begins under the new one",
        atomic,
    ),
    Case::new(
        "a dialogue asks for the second factor of the policy that it began with, whatever is loaded after the first",
        between_factors,
    ),
    Case::new(
        "a broken policy never replaces a good one, and reload, status and the log say where it is broken",
        broken,
    ),
    Case::new(
        "systemctl reload fails on a broken policy and names the place, and succeeds on the mended one",
        by_the_unit,
    )
    .on(WITH_SYSTEMD),
];

const CODE: &str = "Verification code: ";
const ONE: &str = "[[rule]]\nname = \"one\"\nwhen = {}\nrequire = \"any\"\n";
const NOBODY: &str = "[[rule]]\nname = \"nobody\"\nwhen = {}\nrequire = \"deny\"\n";
/// An unknown word in the second line, at its tenth character.
const BROKEN: &str = "[unenrolled]\naction = \"alow\"\n";
const PLACE: &str = "/etc/mfa/policy.toml:2:10: ";

const TWO: &str = "[[rule]]\nname = \"two\"\nwhen = {}\n\
    require = { any = [\"totp\", \"backup-codes\"], count = 2 }\n";
const MORE: &str = "One more, of another kind. ";

/// A login by these codes, in order, in which the policy becomes `to` before the last of them is typed.
fn changed_within(host: &Host, who: &Person, codes: &[&str], to: &str) -> Result<bool, Failure> {
    let mut screen = host.ssh(who, "", "echo in-as-$(id -un)")?;
    for (position, code) in codes.iter().enumerate() {
        if position > 0 {
            screen.expect(MORE, PROMPT)?;
        }
        screen.expect(CODE, PROMPT)?;
        if position + 1 == codes.len() {
            host.policy(to)?;
        }
        screen.line(code)?;
    }
    let (status, shown) = screen.end(PROMPT)?;
    Ok(status.success() && shown.contains(&format!("in-as-{}", who.name)))
}

fn atomic(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp): (Person, Totp) = host.enrolled("alice")?;
    host.policy(ONE)?;
    let admitted = changed_within(host, &alice, &[&totp.code(-1)?], NOBODY)?;
    ensure(admitted, || {
        "a policy from elsewhere refused the dialogue".to_owned()
    })?;
    // The next is refused with a right code, too.
    host.ssh_refused(&alice, "", &[(CODE, &totp.code(0)?)])?;
    // One that demands less does not help either: the code is still wanted, and a wrong one refuses.
    host.policy(ONE)?;
    let exempting = ONE.replace("\"any\"", "\"none\"");
    let admitted = changed_within(host, &alice, &[&totp.wrong_code()?], &exempting)?;
    ensure(!admitted, || {
        "a wrong code was accepted for a rule of later".to_owned()
    })?;
    host.ssh_in(&alice, "", &[])
}

fn between_factors(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let sheet = host.enroll_backup_codes("alice")?;
    host.policy(TWO)?;
    let admitted = changed_within(host, &alice, &[&totp.code(-1)?, &sheet[0]], NOBODY)?;
    ensure(admitted, || {
        "a policy from elsewhere refused the second factor".to_owned()
    })?;
    // One that is content with what was proven already, or with nothing, does not help.
    for to in [ONE.to_owned(), ONE.replace("\"any\"", "\"none\"")] {
        host.policy(TWO)?;
        let wrong = totp.wrong_code()?;
        let code = if to == ONE { &sheet[1] } else { &sheet[2] };
        let admitted = changed_within(host, &alice, &[code, &wrong], &to)?;
        ensure(!admitted, || {
            format!("one factor was enough for a rule of later: {to}")
        })?;
    }
    Ok(())
}

fn says(output: &Output, what: &str) -> Outcome {
    let said = format!("{}{}", output.stdout, output.stderr);
    ensure(said.contains(what), || format!("no {what:?} in {said:?}"))
}

/// bob has no factor, and the policy in force refuses such people.
fn refusing(host: &Host) -> Result<Person, Failure> {
    host.use_stack("sshd-key")?;
    let bob = host.person("bob")?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    host.policy("[unenrolled]\naction = \"deny\"\n")?;
    Ok(bob)
}

fn broken(host: &Host) -> Outcome {
    let bob = refusing(host)?;
    host.write("/etc/mfa/policy.toml", "0644", BROKEN)?;
    let reload = host.sh("mfactl policy reload")?;
    ensure(reload.status == 1, || {
        format!("reload ended with {}", reload.status)
    })?;
    says(&reload, PLACE)?;
    says(&reload, "stays in force")?;
    let status = host.sh("mfactl status")?;
    says(&status, PLACE)?;
    let status = host.json("mfactl status --json")?;
    ensure(
        status["problems"][0]
            .as_str()
            .is_some_and(|text| text.starts_with(PLACE)),
        || format!("status for scripts: {status}"),
    )?;
    let log = host.auth_log()?;
    ensure(
        log.lines()
            .any(|line| line.contains("\"refused\"") && line.contains(PLACE)),
        || "the log does not tell of it".to_owned(),
    )?;
    host.ssh_refused(&bob, "", &[])?;
    host.policy("[unenrolled]\naction = \"allow\"\n")?;
    let status = host.ok("mfactl status")?;
    ensure(!status.contains(PLACE), || status.clone())?;
    host.ssh_in(&bob, "", &[])
}

fn by_the_unit(host: &Host) -> Outcome {
    let bob = refusing(host)?;
    host.write("/etc/mfa/policy.toml", "0644", BROKEN)?;
    let reload = host.sh("systemctl reload mfad.service")?;
    ensure(reload.status != 0, || {
        "the unit reloaded a broken policy".to_owned()
    })?;
    host.ok("systemctl is-active mfad.service")?;
    host.ok(&format!(
        "journalctl --sync; journalctl -q -u mfad.service -o cat | grep -F '{PLACE}'"
    ))?;
    host.ssh_refused(&bob, "", &[])?;
    host.write(
        "/etc/mfa/policy.toml",
        "0644",
        "[unenrolled]\naction = \"allow\"\n",
    )?;
    host.ok("systemctl reload mfad.service")?;
    host.ssh_in(&bob, "", &[])
}
