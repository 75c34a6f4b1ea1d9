//! Logins over ssh: with a key and a code, with a password and a code, and with less.

use std::time::Duration;

use super::{Case, IN_A_MACHINE_TOO};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "ssh with key and right code lets in, and leaves nothing in the session's environment",
        key_and_code,
    )
    .on(IN_A_MACHINE_TOO),
    Case::new("ssh with key and wrong code is refused", wrong_code).on(IN_A_MACHINE_TOO),
    Case::new(
        "ssh refuses a code that was used, and takes the next one",
        replay,
    ),
    Case::new(
        "ssh takes a code typed with blanks, and refuses seven digits and other alphabets",
        typing,
    ),
    Case::new(
        "ssh with password and code by keyboard-interactive lets in",
        password_and_code,
    ),
    Case::new(
        "ssh with wrong password and right code is refused, and nothing is recorded or spent",
        wrong_password,
    ),
    Case::new(
        "ssh with password and wrong code looks as with wrong password and right code",
        same_screen,
    ),
    Case::new(
        "ssh's password method is refused and spends no attempt",
        password_method,
    ),
    Case::new(
        "ssh by public key alone is refused to the enrolled and open to others",
        key_alone,
    ),
    Case::new("ssh takes a backup code once", backup_code),
    Case::new(
        "ssh refuses a throttled user's right code until an administrator unlocks",
        throttled,
    ),
    Case::new("scp and sftp work for somebody who can type", copying),
    Case::new(
        "BatchMode is refused at once, without an attempt spent",
        batch,
    ),
    Case::new(
        "ssh with an expired password asks for a new one after the code",
        expired,
    ),
    Case::new("ssh enrolls an unenrolled user in the login", enrolling),
    Case::new(
        "ssh with a wrong password enrolls nobody",
        enrolling_stranger,
    ),
    Case::new(
        "ssh shows unknown, unenrolled and enrolled users the same",
        strangers,
    ),
];

const CODE: &str = "Verification code: ";
const PASSWORD: &str = "Password: ";

fn with_stack(host: &Host, stack: &str) -> Result<(Person, Totp), Failure> {
    host.use_stack(stack)?;
    host.enrolled("alice")
}

fn key_and_code(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    let mut screen = host.ssh(&alice, "", "env; echo done-$USER")?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("done-alice"), || {
        format!("{status}: {shown}")
    })?;
    ensure(!shown.to_lowercase().contains("mfa_"), || {
        format!("the environment tells of the module: {shown}")
    })
}

fn wrong_code(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    host.ssh_refused(&alice, "", &[(CODE, &totp.wrong_code()?)])
}

fn replay(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    let (used, next) = (totp.code(-1)?, totp.code(0)?);
    host.ssh_in(&alice, "", &[(CODE, &used)])?;
    host.ssh_refused(&alice, "", &[(CODE, &used)])?;
    host.ssh_in(&alice, "", &[(CODE, &next)])
}

fn typing(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    let code = totp.code(0)?;
    let arabic: String = code
        .chars()
        .filter_map(|digit| char::from_u32(0x660 + digit.to_digit(10)?))
        .collect();
    host.ssh_refused(&alice, "", &[(CODE, &format!("{code}0"))])?;
    host.ssh_refused(&alice, "", &[(CODE, &arabic)])?;
    let (left, right) = code.split_at(3);
    host.ssh_in(&alice, "", &[(CODE, &format!(" {left} {right} "))])
}

fn password_and_code(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-password")?;
    host.ssh_in(
        &alice,
        "",
        &[(PASSWORD, &alice.password), (CODE, &totp.code(0)?)],
    )
}

fn wrong_password(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-password")?;
    let code = totp.code(0)?;
    host.ssh_refused(&alice, "", &[(PASSWORD, "not my password"), (CODE, &code)])?;
    let known = host.user("alice")?;
    ensure(known["last_login"].is_null(), || {
        format!("a login was recorded: {known}")
    })?;
    ensure(failures(&known) == 0, || {
        format!("a stranger spent attempts: {known}")
    })?;
    // The stack's decoy has evaluated nothing, so that the owner's code still is good.
    host.ssh_in(&alice, "", &[(PASSWORD, &alice.password), (CODE, &code)])?;
    let known = host.user("alice")?;
    ensure(known["last_login"].is_i64(), || {
        format!("no login was recorded: {known}")
    })
}

fn same_screen(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-password")?;
    let wrong = totp.wrong_code()?;
    let one = screen(host, &alice, &alice.password, &wrong)?;
    let other = screen(host, &alice, "not my password", &totp.code(0)?)?;
    ensure(one == other, || {
        format!("the screens differ:\n{one:?}\n{other:?}")
    })
}

/// What a client sees that answers with `password` and `code`, which it does not see.
fn screen(host: &Host, who: &Person, password: &str, code: &str) -> Result<String, Failure> {
    let mut screen = host.ssh(who, "", "true")?;
    let mut shown = screen.expect(PASSWORD, PROMPT)?;
    screen.line(password)?;
    shown += &screen.expect(CODE, PROMPT)?;
    screen.line(code)?;
    shown += &screen.end(PROMPT)?.1;
    Ok(shown.replace(code, "CODE").replace(&who.name, "NAME"))
}

fn password_method(host: &Host) -> Outcome {
    let (alice, _) = with_stack(host, "sshd-password")?;
    host.sshd_settings(
        "UsePAM yes\nPasswordAuthentication yes\nKbdInteractiveAuthentication no\nAuthenticationMethods password",
    )?;
    host.ssh_refused(&alice, "", &[("password: ", &alice.password)])?;
    let known = host.user("alice")?;
    ensure(failures(&known) == 0, || {
        format!("an attempt was spent: {known}")
    })
}

fn key_alone(host: &Host) -> Outcome {
    let (alice, _) = with_stack(host, "sshd-key")?;
    let bob = host.person("bob")?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    host.ssh_refused(&alice, "", &[])?;
    host.ssh_in(&bob, "", &[])?;
    host.policy("[unenrolled]\naction = \"deny\"\n")?;
    host.ssh_refused(&bob, "", &[])
}

fn backup_code(host: &Host) -> Outcome {
    let (alice, _) = with_stack(host, "sshd-key")?;
    let code = &host.enroll_backup_codes("alice")?[3];
    host.ssh_in(&alice, "", &[(CODE, code)])?;
    host.ssh_refused(&alice, "", &[(CODE, code)])
}

fn throttled(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    let wrong = totp.wrong_code()?;
    for _ in 0..3 {
        host.ssh_refused(&alice, "", &[(CODE, &wrong)])?;
    }
    host.ssh_refused(&alice, "", &[(CODE, &totp.code(0)?)])?;
    host.ok("mfactl user unlock alice")?;
    // Not evaluated, and so not spent.
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn copying(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-key")?;
    for (line, code) in [
        (host.scp_line(&alice, ""), -1),
        (host.sftp_line(&alice, ""), 0),
    ] {
        let mut screen = host.terminal(&["bash", "-c", &line])?;
        screen.expect(CODE, PROMPT)?;
        screen.line(&totp.code(code)?)?;
        let (status, shown) = screen.end(PROMPT)?;
        ensure(status.success(), || format!("`{line}`: {status}: {shown}"))?;
    }
    host.ok("cmp /etc/hostname ~alice/copied").map(drop)
}

fn batch(host: &Host) -> Outcome {
    let (alice, _) = with_stack(host, "sshd-key")?;
    let lines = [
        crate::ssh::command_line(&alice, "-o BatchMode=yes", "true"),
        host.scp_line(&alice, "-o BatchMode=yes"),
        host.sftp_line(&alice, "-o BatchMode=yes"),
    ];
    for line in lines {
        let output = host.sh(&format!("timeout 5 {line}"))?;
        ensure(
            output.status == 255 && output.stderr.contains("Permission denied"),
            || format!("`{line}` ended with {}: {}", output.status, output.stderr),
        )?;
    }
    let known = host.user("alice")?;
    ensure(failures(&known) == 0, || {
        format!("an attempt was spent: {known}")
    })
}

fn expired(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-password")?;
    host.ok("chage -d 0 alice")?;
    let mut screen = host.ssh(&alice, "-tt", "echo in-$USER")?;
    screen.expect(PASSWORD, PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("Current password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect("New password: ", PROMPT)?;
    screen.line("an entirely new phrase 7")?;
    screen.expect("Retype new password: ", PROMPT)?;
    screen.line("an entirely new phrase 7")?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("in-alice"), || {
        format!("{status}: {shown}")
    })
}

/// A login of somebody without a factor, up to the authenticator that it offers.
fn offered(host: &Host, who: &Person, password: &str) -> Result<(crate::pty::Pty, Totp), Failure> {
    let mut screen = host.ssh(who, "", "echo in-$USER")?;
    screen.expect(PASSWORD, PROMPT)?;
    screen.line(password)?;
    screen.expect("type this secret into it: ", PROMPT)?;
    let secret = screen.expect("\n", PROMPT)?;
    screen.expect(CODE, PROMPT)?;
    let secret: String = secret.split_whitespace().collect();
    Ok((screen, Totp::new(secret)))
}

fn enrolling(host: &Host) -> Outcome {
    host.use_stack("sshd-password")?;
    host.policy("[unenrolled]\naction = \"enroll\"\n")?;
    let bob = host.person("bob")?;
    // Hangs up to fetch the phone. What is shown when they come back is another, and what they scanned counts.
    let (first, totp) = offered(host, &bob, &bob.password)?;
    drop(first);
    let (mut screen, other) = offered(host, &bob, &bob.password)?;
    let code = totp.code(-1)?;
    ensure(code != other.code(-1)?, || {
        "the second login shows the same secret".to_owned()
    })?;
    screen.line(&code)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("in-bob"), || {
        format!("{status}: {shown}")
    })?;
    host.ssh_in(
        &bob,
        "",
        &[(PASSWORD, &bob.password), (CODE, &totp.code(0)?)],
    )
}

fn enrolling_stranger(host: &Host) -> Outcome {
    // The decoy would keep the offer from being made at all; with this stack, which people have, it is made.
    host.use_stack("sshd-password")?;
    host.ok(
        "sed -i -e 's/^auth .*pam_unix.so/auth required pam_unix.so/' -e '/decoy/d' -e 's/ after=password//' /etc/pam.d/sshd",
    )?;
    host.policy("[unenrolled]\naction = \"enroll\"\n")?;
    let bob = host.person("bob")?;
    let mut screen = host.ssh(&bob, "", "true")?;
    screen.expect(PASSWORD, PROMPT)?;
    screen.line("not my password")?;
    let (_, shown) = screen.expect_any(&[CODE, "Permission denied"], PROMPT)?;
    if let Some((_, rest)) = shown.split_once("type this secret into it: ") {
        let secret: String = rest
            .lines()
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .collect();
        screen.line(&Totp::new(secret).code(0)?)?;
    } else {
        screen.line("123456")?;
    }
    let (status, _) = screen.end(PROMPT)?;
    ensure(!status.success(), || "the login succeeded".to_owned())?;
    let users = host.ok("mfactl user list --json")?;
    ensure(!users.contains("bob"), || {
        format!("somebody was enrolled: {users}")
    })
}

fn strangers(host: &Host) -> Outcome {
    let (alice, totp) = with_stack(host, "sshd-password")?;
    let bob = host.person("bob")?;
    let nobody = Person {
        name: "mallory".into(),
        ..alice.clone()
    };
    let wrong = totp.wrong_code()?;
    let begun = std::time::Instant::now();
    let seen: Vec<String> = [&alice, &bob, &nobody]
        .into_iter()
        .map(|who| screen(host, who, "not my password", &wrong))
        .collect::<Result<_, _>>()?;
    ensure(begun.elapsed() < Duration::from_secs(40), || {
        "too slow to mean anything".to_owned()
    })?;
    ensure(seen.windows(2).all(|pair| pair[0] == pair[1]), || {
        format!("the screens differ: {seen:#?}")
    })
}

/// Attempts charged to somebody, over all classes.
fn failures(known: &serde_json::Value) -> u64 {
    known["budgets"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|budget| budget["failures"].as_u64())
        .sum()
}
