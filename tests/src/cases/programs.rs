//! The programs that ask through PAM, each with its stack, how somebody comes to its prompt for a code, and what shows that
//! they were let in. What is done with them stands in `situations`.

use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::{PROMPT, command_line},
};

pub(super) const CODE: &str = "Verification code: ";
/// What a shell says of a command that was let in, and of one that was not.
const VERDICT: &str = "&& echo let-$(echo in) || echo kept-$(echo out)";

/// A program that asks through PAM.
pub(super) struct Program {
    /// What it is called in results.
    pub(super) name: &'static str,
    /// Puts its stack into place.
    pub(super) prepare: fn(&Host) -> Outcome,
    /// Runs it for somebody, and gives the first factor.
    pub(super) begin: fn(&Host, &Person) -> Result<Pty, Failure>,
    /// What is on the screen once somebody is let in.
    pub(super) admitted: &'static str,
    /// … and once not.
    refused: &'static str,
    /// Goes on to the end, where letting in is not the end.
    finish: fn(&Host, &Person, &mut Pty) -> Outcome,
}

pub(super) const PROGRAMS: [Program; 9] = [
    Program::of(
        "ssh by key and code",
        |host| host.use_stack("sshd-key"),
        |host, who| judged(host, &command_line(who, "-tt", "true")),
    ),
    Program::of(
        "scp",
        |host| host.use_stack("sshd-key"),
        |host, who| judged(host, &host.scp_line(who, "")),
    ),
    Program::of(
        "sftp",
        |host| host.use_stack("sshd-key"),
        |host, who| judged(host, &host.sftp_line(who, "")),
    ),
    Program::of(
        "ssh by password and code",
        |host| host.use_stack("sshd-password"),
        |host, who| {
            let screen = judged(host, &command_line(who, "-tt", "true"))?;
            first_factor(screen, "Password: ", who)
        },
    ),
    Program::of("sudo", prepare_sudo, |host, who| {
        let line = format!("sudo -k; sudo true {VERDICT}");
        let prompt = format!("password for {}: ", who.name);
        first_factor(host.terminal_as(&who.name, &line)?, &prompt, who)
    }),
    Program::of(
        "su",
        |host| host.use_stack("su"),
        |host, who| {
            let line = format!("su {} -c true {VERDICT}", who.name);
            first_factor(host.terminal_as("bystander", &line)?, "Password: ", who)
        },
    ),
    Program {
        name: "login",
        prepare: |host| host.use_stack("login"),
        begin: |host, who| {
            let mut screen = host.terminal(&["login"])?;
            screen.expect("login: ", PROMPT)?;
            screen.line(&who.name)?;
            first_factor(screen, "Password: ", who)
        },
        admitted: "$ ",
        refused: "Login incorrect",
        finish: |_, _, _| Ok(()),
    },
    Program {
        admitted: "New password: ",
        finish: change,
        ..Program::of(
            "passwd",
            |host| host.use_stack("passwd"),
            |host, who| {
                let screen = host.terminal_as(&who.name, &format!("passwd {VERDICT}"))?;
                first_factor(screen, "Current password: ", who)
            },
        )
    },
    Program::of("pamtester", prepare_tested, |host, who| {
        let line = format!("pamtester tested {} authenticate acct_mgmt", who.name);
        first_factor(judged(host, &line)?, "Password: ", who)
    }),
];

impl Program {
    /// One that a shell runs, which tells the verdict.
    const fn of(
        name: &'static str,
        prepare: fn(&Host) -> Outcome,
        begin: fn(&Host, &Person) -> Result<Pty, Failure>,
    ) -> Self {
        Self {
            name,
            prepare,
            begin,
            admitted: "let-in",
            refused: "kept-out",
            finish: |_, _, _| Ok(()),
        }
    }

    /// Answers the prompt for a code; whether that lets in.
    fn takes(&self, host: &Host, who: &Person, code: &str) -> Result<bool, Failure> {
        let mut screen = (self.begin)(host, who)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(code)?;
        self.verdict(host, who, &mut screen)
    }

    /// What comes of it; nothing more must be asked.
    pub(super) fn verdict(
        &self,
        host: &Host,
        who: &Person,
        screen: &mut Pty,
    ) -> Result<bool, Failure> {
        let (which, _) =
            screen.expect_any(&[self.admitted, self.refused, CODE], PROMPT + PROMPT)?;
        ensure(which < 2, || {
            format!("asked again:\n{}", screen.transcript())
        })?;
        if which == 0 {
            (self.finish)(host, who, screen)?;
        }
        Ok(which == 0)
    }

    /// Fails unless a code lets in, or does not, as `admit` says.
    pub(super) fn must(&self, host: &Host, who: &Person, code: &str, admit: bool) -> Outcome {
        let admitted = self.takes(host, who, code)?;
        ensure(admitted == admit, || {
            format!("{}: let in is {admitted}, and not {admit}", self.name)
        })
    }
}

/// Runs `line` on a terminal as root, who comes from elsewhere, and tells what came of it.
fn judged(host: &Host, line: &str) -> Result<Pty, Failure> {
    host.terminal(&["bash", "-c", &format!("{line} {VERDICT}")])
}

fn first_factor(mut screen: Pty, prompt: &str, who: &Person) -> Result<Pty, Failure> {
    screen.expect(prompt, PROMPT)?;
    screen.line(&who.password)?;
    Ok(screen)
}

/// Changes the password, and root changes it back.
fn change(host: &Host, who: &Person, screen: &mut Pty) -> Outcome {
    renew(screen)?;
    screen.expect("let-in", PROMPT)?;
    reset_password(host, who)
}

/// Types a new password where the first prompt for one has been shown.
pub(super) fn renew(screen: &mut Pty) -> Outcome {
    const NEW: &str = "an entirely new phrase 7";
    screen.line(NEW)?;
    screen.expect("Retype new password: ", PROMPT)?;
    screen.line(NEW)
}

/// What it was before.
pub(super) fn reset_password(host: &Host, who: &Person) -> Outcome {
    host.ok(&format!("echo '{}:{}' | chpasswd", who.name, who.password))
        .map(drop)
}

fn prepare_sudo(host: &Host) -> Outcome {
    host.use_stack("sudo")?;
    let once = "Defaults passwd_tries=1\nALL ALL=(ALL) ALL\n";
    host.write("/etc/sudoers.d/case", "0440", once)
}

/// su's stack, which pamtester runs as root: `pam_rootok` would let it pass.
fn prepare_tested(host: &Host) -> Outcome {
    host.ok("grep -v pam_rootok /usr/share/mfa/pam/su >/etc/pam.d/tested")
        .map(drop)
}
