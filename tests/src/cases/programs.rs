//! Every program that asks, in every situation: a table of the programs, and a case for each situation that goes through
//! all of them. What is particular to one program is tried in that program's own table.

use super::{Case, WITH_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::{PROMPT, command_line},
    totp::Totp,
};

/// The table of situations.
pub const CASES: &[Case] = &[
    case("every program lets in by a right code", right),
    case("no program lets in by a wrong code", wrong),
    case("no program takes a code that was used", replayed),
    case("every program takes a backup code once", backup),
    case(
        "no program takes a throttled user's right code until an administrator unlocks",
        throttled,
    ),
    case(
        "every program refuses without a prompt while there is no daemon",
        stopped,
    ),
    case("every program starts the daemon that it needs", cold),
    case(
        "every program lets in after the daemon has left for want of work",
        idle,
    )
    .on(WITH_SYSTEMD),
    case(
        "every program enrolls an unenrolled user, and lets them in",
        enrolling,
    ),
    case(
        "ssh, sudo, su and login have an expired password changed once the code is right",
        expired,
    ),
];

const fn case(name: &'static str, run: fn(&Host) -> Outcome) -> Case {
    Case::new(name, run).within(300)
}

const CODE: &str = "Verification code: ";
/// What a shell says of a command that was let in, and of one that was not.
const VERDICT: &str = "&& echo let-$(echo in) || echo kept-$(echo out)";

/// A program that asks through PAM.
struct Program {
    name: &'static str,
    /// Puts its stack into place.
    prepare: fn(&Host) -> Outcome,
    /// Runs it for somebody, and gives the first factor.
    begin: fn(&Host, &Person) -> Result<Pty, Failure>,
    /// What is on the screen once somebody is let in.
    admitted: &'static str,
    /// … and once not.
    refused: &'static str,
    /// Goes on to the end, where letting in is not the end.
    finish: fn(&Host, &Person, &mut Pty) -> Outcome,
}

const PROGRAMS: [Program; 9] = [
    Program::of("ssh by key and code", |host| host.use_stack("sshd-key"), {
        |host, who| judged(host, &command_line(who, "-tt", "true"))
    }),
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
    fn verdict(&self, host: &Host, who: &Person, screen: &mut Pty) -> Result<bool, Failure> {
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

    fn must(&self, host: &Host, who: &Person, code: &str, admit: bool) -> Outcome {
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
fn renew(screen: &mut Pty) -> Outcome {
    const NEW: &str = "an entirely new phrase 7";
    screen.line(NEW)?;
    screen.expect("Retype new password: ", PROMPT)?;
    screen.line(NEW)
}

fn reset_password(host: &Host, who: &Person) -> Outcome {
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

/// Alice with a token that counts, and a bystander.
fn enrolled(host: &Host) -> Result<(Person, Token), Failure> {
    host.person("bystander")?;
    let alice = host.person("alice")?;
    let codes = host.enroll_token("alice", 40)?;
    Ok((
        alice,
        Token {
            wrong: wrong_for(&codes)?,
            codes: codes.into_iter(),
        },
    ))
}

/// A token's codes, each good once.
struct Token {
    codes: std::vec::IntoIter<String>,
    wrong: String,
}

impl Token {
    fn next(&mut self) -> Result<String, Failure> {
        self.codes
            .next()
            .ok_or_else(|| Failure::new("no code is left"))
    }
}

fn wrong_for(codes: &[String]) -> Result<String, Failure> {
    (0..1_000_000)
        .map(|guess| format!("{guess:06}"))
        .find(|guess| !codes.contains(guess))
        .ok_or_else(|| Failure::new("every code is right"))
}

/// Goes through all programs with alice and her token.
fn each(host: &Host, mut body: impl FnMut(&Program, &Person, &mut Token) -> Outcome) -> Outcome {
    let (alice, mut token) = enrolled(host)?;
    for program in &PROGRAMS {
        host.note(&format!("--- {}", program.name));
        (program.prepare)(host)?;
        body(program, &alice, &mut token)?;
    }
    Ok(())
}

fn right(host: &Host) -> Outcome {
    each(host, |program, alice, token| {
        program.must(host, alice, &token.next()?, true)
    })
}

fn wrong(host: &Host) -> Outcome {
    each(host, |program, alice, token| {
        program.must(host, alice, &token.wrong, false)?;
        host.ok("mfactl user unlock alice").map(drop)
    })
}

fn replayed(host: &Host) -> Outcome {
    each(host, |program, alice, token| {
        let code = token.next()?;
        program.must(host, alice, &code, true)?;
        program.must(host, alice, &code, false)?;
        host.ok("mfactl user unlock alice").map(drop)
    })
}

fn backup(host: &Host) -> Outcome {
    let mut codes = Vec::new().into_iter();
    each(host, |program, alice, _| {
        if codes.len() == 0 {
            let offer = host.json("mfactl user enroll alice backup-codes --json")?;
            let list = offer["codes"].as_array().cloned().unwrap_or_default();
            codes = list.into_iter();
        }
        let code = codes.next().unwrap_or_default();
        let code = code.as_str().unwrap_or_default();
        program.must(host, alice, code, true)?;
        program.must(host, alice, code, false)?;
        host.ok("mfactl user unlock alice").map(drop)
    })
}

fn throttled(host: &Host) -> Outcome {
    each(host, |program, alice, token| {
        for _ in 0..3 {
            program.must(host, alice, &token.wrong, false)?;
        }
        let code = token.next()?;
        program.must(host, alice, &code, false)?;
        host.ok("mfactl user unlock alice")?;
        // Not evaluated, and so not spent.
        program.must(host, alice, &code, true)
    })
}

fn stopped(host: &Host) -> Outcome {
    let mut stopped = false;
    each(host, |program, alice, _| {
        if !stopped {
            host.disable_daemon()?;
            stopped = true;
        }
        let mut screen = (program.begin)(host, alice)?;
        let admitted = program.verdict(host, alice, &mut screen)?;
        ensure(!admitted, || format!("{}: let in", program.name))
    })
}

fn cold(host: &Host) -> Outcome {
    each(host, |program, alice, token| {
        host.stop_daemon()?;
        program.must(host, alice, &token.next()?, true)
    })
}

fn idle(host: &Host) -> Outcome {
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[daemon]\nidle-exit = \"5s\"\n",
    )?;
    each(host, |program, alice, token| {
        host.ok(
            "systemctl start mfad.service; for i in $(seq 300); do systemctl is-active --quiet mfad.service || break; sleep 0.1; done; \
             ! systemctl is-active mfad.service && [ \"$(systemctl show -P Result mfad.service)\" = success ]",
        )?;
        program.must(host, alice, &token.next()?, true)
    })
}

fn enrolling(host: &Host) -> Outcome {
    host.person("bystander")?;
    host.policy("[unenrolled]\naction = \"enroll\"\n")?;
    for (number, program) in PROGRAMS.iter().enumerate() {
        host.note(&format!("--- {}", program.name));
        (program.prepare)(host)?;
        let newcomer = host.person(&format!("newcomer{number}"))?;
        let mut screen = (program.begin)(host, &newcomer)?;
        screen.expect("type this secret into it: ", PROMPT)?;
        let secret = screen.expect("\n", PROMPT)?;
        screen.expect(CODE, PROMPT)?;
        let secret: String = secret.split_whitespace().collect();
        screen.line(&Totp::new(secret).code(0)?)?;
        let admitted = program.verdict(host, &newcomer, &mut screen)?;
        ensure(admitted, || format!("{}: not let in", program.name))?;
        let known = host.user(&newcomer.name)?;
        ensure(known["enrolled"] == true, || {
            format!("{}: not enrolled: {known}", program.name)
        })?;
    }
    Ok(())
}

fn expired(host: &Host) -> Outcome {
    // The others have no terminal for it, or do not change passwords.
    let changing = [
        "ssh by key and code",
        "ssh by password and code",
        "sudo",
        "su",
        "login",
    ];
    each(host, |program, alice, token| {
        if !changing.contains(&program.name) {
            return Ok(());
        }
        host.ok("chage -d 0 alice")?;
        let mut screen = (program.begin)(host, alice)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(&token.next()?)?;
        screen.expect("Current password: ", PROMPT)?;
        screen.line(&alice.password)?;
        screen.expect("New password: ", PROMPT)?;
        renew(&mut screen)?;
        screen.expect(program.admitted, PROMPT)?;
        reset_password(host, alice)
    })
}
