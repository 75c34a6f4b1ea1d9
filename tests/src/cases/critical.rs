//! The shipped sudoers lines for what cannot be taken back: a code each time, whatever sudo has asked before.

use super::Case;
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a risky command asks although sudo has just asked, and an ordinary one beside it does not",
        beside,
    ),
    Case::new(
        "a wrong code keeps a risky command from running, although sudo has just asked",
        wrong,
    ),
    Case::new(
        "sudo -n runs an ordinary command on a fresh timestamp, and fails on a risky one without asking",
        never_asks,
    ),
    Case::new(
        "sudo -i asks each time, like other shells of root",
        root_shell,
    ),
    Case::new(
        "a risky command in a pipe asks on the terminal, and fails where there is none",
        in_a_pipe,
    ),
    Case::new(
        "sudoedit of a PAM stack asks each time, and of another file it does not",
        edits,
    ),
    Case::new(
        "pam check finds nothing wrong with the shipped lines and stacks, and a way around that is put in",
        checked,
    ),
];

const CODE: &str = "Verification code: ";

/// Everything as its comments say, and alice, who may run anything.
fn put_into_place(host: &Host) -> Result<(Person, Totp), Failure> {
    for stack in ["sudo", "sudo-i", "sudo-critical"] {
        host.use_stack(stack)?;
    }
    host.ok(
        "install -m 0440 /usr/share/mfa/examples/mfa-critical /etc/sudoers.d/mfa-critical && visudo -c && \
         mkdir -p /etc/mfa/policy.d && cp /usr/share/mfa/examples/step-up.toml /etc/mfa/policy.d/ && \
         mfactl policy check && mfactl policy reload",
    )?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    Ok((alice, totp))
}

/// alice in a shell, in which sudo has just asked.
fn fresh(host: &Host, alice: &Person, totp: &Totp) -> Result<Pty, Failure> {
    let mut screen = host.terminal_as("alice", "PS1='ready> ' exec bash --norc -i")?;
    screen.expect("ready> ", PROMPT)?;
    screen.line("sudo true; echo asked-$?")?;
    answer(&mut screen, alice, &totp.code(-1)?)?;
    screen.expect("asked-0", PROMPT)?;
    Ok(screen)
}

fn answer(screen: &mut Pty, who: &Person, code: &str) -> Outcome {
    screen.expect(&format!("password for {}: ", who.name), PROMPT)?;
    screen.line(&who.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(code)
}

/// Runs `line`, which must ask nothing.
fn unasked(screen: &mut Pty, line: &str, shown: &str) -> Outcome {
    screen.line(line)?;
    screen.expect(shown, PROMPT).map(drop)
}

fn beside(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = fresh(host, &alice, &totp)?;
    unasked(&mut screen, "sudo id -un; echo first-$?", "first-0")?;
    screen.line("sudo useradd carol; echo added-$?")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    screen.expect("added-0", PROMPT)?;
    unasked(&mut screen, "sudo id -un; echo second-$?", "second-0")?;
    // The next risky one is not content with the code of the last.
    screen.line("sudo gpasswd -a carol sudo; echo joined-$?")?;
    answer(&mut screen, &alice, &totp.code(1)?)?;
    screen.expect("joined-0", PROMPT)?;
    host.ok("id -nG carol | grep -qw sudo").map(drop)
}

fn wrong(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = fresh(host, &alice, &totp)?;
    screen.line("sudo useradd carol; echo added-$?")?;
    answer(&mut screen, &alice, &totp.wrong_code()?)?;
    screen.expect("try again", PROMPT)?;
    drop(screen);
    host.ok("! id carol 2>/dev/null").map(drop)
}

fn never_asks(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = fresh(host, &alice, &totp)?;
    unasked(
        &mut screen,
        "sudo -n id -un; echo ordinary-$?",
        "ordinary-0",
    )?;
    screen.line("sudo -n useradd carol; echo risky-$?")?;
    screen.expect("a password is required", PROMPT)?;
    screen.expect("risky-1", PROMPT)?;
    host.ok("! id carol 2>/dev/null").map(drop)
}

fn root_shell(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    let mut screen = fresh(host, &alice, &totp)?;
    screen.line("sudo -i test -w /etc/shadow; echo login-shell-$?")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    screen.expect("login-shell-0", PROMPT)?;
    screen.line("sudo -s test -w /etc/shadow; echo shell-$?")?;
    answer(&mut screen, &alice, &totp.code(1)?)?;
    screen.expect("shell-0", PROMPT).map(drop)
}

fn in_a_pipe(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    host.person("bob")?;
    let before = host.ok("grep ^bob: /etc/shadow")?;
    let mut screen = fresh(host, &alice, &totp)?;
    // Its standard input is the pipe; what it asks, it asks on the terminal.
    screen.line("echo 'bob:another phrase 8' | sudo chpasswd; echo changed-$?")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    screen.expect("changed-0", PROMPT)?;
    drop(screen);
    let between = host.ok("grep ^bob: /etc/shadow")?;
    ensure(before != between, || {
        "what came through the pipe was lost".to_owned()
    })?;
    let output = host.sh_as(
        "alice",
        "echo 'bob:a third phrase 9' | setsid sudo chpasswd",
    )?;
    ensure(output.status != 0, || {
        format!("without a terminal: {output:?}")
    })?;
    let after = host.ok("grep ^bob: /etc/shadow")?;
    ensure(between == after, || "changed without a terminal".to_owned())
}

fn edits(host: &Host) -> Outcome {
    let (alice, totp) = put_into_place(host)?;
    host.write(
        "/usr/local/bin/adds-a-line",
        "0755",
        "#!/bin/sh\necho '# edited' >>\"$1\"\n",
    )?;
    host.write("/etc/ordinary", "0644", "nothing\n")?;
    let mut screen = fresh(host, &alice, &totp)?;
    screen.line("export SUDO_EDITOR=/usr/local/bin/adds-a-line")?;
    unasked(
        &mut screen,
        "sudoedit /etc/ordinary; echo plain-$?",
        "plain-0",
    )?;
    screen.line("sudoedit /etc/pam.d/other; echo stack-$?")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    screen.expect("stack-0", PROMPT)?;
    drop(screen);
    host.ok("grep -q edited /etc/ordinary && grep -q edited /etc/pam.d/other")
        .map(drop)
}

/// What `pam check` has against the shipped lines and the stacks beside them, notes aside.
fn objections(host: &Host) -> Result<Vec<String>, Failure> {
    let output = host.sh("mfactl pam check --json")?;
    let report: serde_json::Value = serde_json::from_str(output.stdout.trim())?;
    let findings = report["findings"]
        .as_array()
        .ok_or_else(|| Failure::new(format!("no findings in {report}")))?;
    let ours = findings.iter().filter(|finding| {
        let file = finding["file"].as_str().unwrap_or_default();
        let service = finding["service"].as_str().unwrap_or_default();
        finding["severity"] != "note"
            && (file.contains("mfa-critical")
                || ["sudo-critical", "chsh", "polkit-1", "passwd"].contains(&service))
    });
    Ok(ours.map(ToString::to_string).collect())
}

fn checked(host: &Host) -> Outcome {
    put_into_place(host)?;
    for stack in ["chsh", "polkit-1", "passwd"] {
        host.use_stack(stack)?;
    }
    let found = objections(host)?;
    ensure(found.is_empty(), || format!("{found:?}"))?;
    let report = host.json("mfactl pam check --json")?;
    let guarded = report["services"].to_string();
    // It does look: a line that lets everybody past the module is found in each.
    for service in ["sudo-critical", "chsh", "polkit-1"] {
        ensure(guarded.contains(&format!("\"{service}\"")), || {
            format!("{service} is not looked at: {guarded}")
        })?;
        host.ok(&format!(
            "sed -i '1i auth sufficient pam_permit.so' /etc/pam.d/{service}"
        ))?;
        let found = objections(host)?.join("");
        ensure(found.contains(&format!("\"{service}\"")), || {
            format!("{service} with a way around is not told of: {found}")
        })?;
    }
    Ok(())
}
