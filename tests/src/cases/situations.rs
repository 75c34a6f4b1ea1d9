//! Every program that asks, in every situation: a case for each situation, which goes through all programs. What is
//! particular to one program is tried in that program's own table.

use super::{
    Case, WITH_SYSTEMD,
    programs::{CODE, PROGRAMS, Program, renew, reset_password},
};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    ssh::PROMPT,
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

/// Goes through all programs, whose stacks it puts into place.
fn each(host: &Host, mut body: impl FnMut(&Program) -> Outcome) -> Outcome {
    for program in &PROGRAMS {
        host.note(&format!("--- {}", program.name));
        (program.prepare)(host)?;
        body(program)?;
    }
    Ok(())
}

fn right(host: &Host) -> Outcome {
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| {
        program.must(host, &alice, &token.next()?, true)
    })
}

fn wrong(host: &Host) -> Outcome {
    let (alice, token) = enrolled(host)?;
    each(host, |program| {
        program.must(host, &alice, &token.wrong, false)?;
        unlock(host)
    })
}

/// A code that lets in once.
fn once(host: &Host, program: &Program, alice: &Person, code: &str) -> Outcome {
    program.must(host, alice, code, true)?;
    program.must(host, alice, code, false)?;
    unlock(host)
}

fn unlock(host: &Host) -> Outcome {
    host.ok("mfactl user unlock alice").map(drop)
}

fn replayed(host: &Host) -> Outcome {
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| once(host, program, &alice, &token.next()?))
}

fn backup(host: &Host) -> Outcome {
    let (alice, _) = enrolled(host)?;
    let mut sheet = host.enroll_backup_codes("alice")?.into_iter();
    each(host, |program| {
        let code = sheet.next();
        let code = code.ok_or_else(|| Failure::new("no backup code is left"))?;
        once(host, program, &alice, &code)
    })
}

fn throttled(host: &Host) -> Outcome {
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| {
        for _ in 0..3 {
            program.must(host, &alice, &token.wrong, false)?;
        }
        let code = token.next()?;
        program.must(host, &alice, &code, false)?;
        unlock(host)?;
        // Not evaluated, and so not spent.
        program.must(host, &alice, &code, true)
    })
}

fn stopped(host: &Host) -> Outcome {
    let (alice, _) = enrolled(host)?;
    host.disable_daemon()?;
    each(host, |program| {
        let mut screen = (program.begin)(host, &alice)?;
        let admitted = program.verdict(host, &alice, &mut screen)?;
        ensure(!admitted, || format!("{}: let in", program.name))
    })
}

fn cold(host: &Host) -> Outcome {
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| {
        host.stop_daemon()?;
        program.must(host, &alice, &token.next()?, true)
    })
}

fn idle(host: &Host) -> Outcome {
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[daemon]\nidle-exit = \"5s\"\n",
    )?;
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| {
        host.ok(
            "systemctl start mfad.service; for i in $(seq 300); do systemctl is-active --quiet mfad.service || break; sleep 0.1; done; \
             ! systemctl is-active mfad.service && [ \"$(systemctl show -P Result mfad.service)\" = success ]",
        )?;
        program.must(host, &alice, &token.next()?, true)
    })
}

fn enrolling(host: &Host) -> Outcome {
    host.person("bystander")?;
    host.policy("[unenrolled]\naction = \"enroll\"\n")?;
    let mut newcomers = 0..;
    each(host, |program| {
        let newcomer = format!("newcomer{}", newcomers.next().unwrap_or(0));
        let newcomer = host.person(&newcomer)?;
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
        })
    })
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
    let (alice, mut token) = enrolled(host)?;
    each(host, |program| {
        if !changing.contains(&program.name) {
            return Ok(());
        }
        host.ok("chage -d 0 alice")?;
        let mut screen = (program.begin)(host, &alice)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(&token.next()?)?;
        screen.expect("Current password: ", PROMPT)?;
        screen.line(&alice.password)?;
        screen.expect("New password: ", PROMPT)?;
        renew(&mut screen)?;
        screen.expect(program.admitted, PROMPT)?;
        reset_password(host, &alice)
    })
}
