//! sudo on a terminal: when it asks for a code, and when it must not.

use std::time::Duration;

use super::{Case, IN_A_MACHINE_TOO};
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
        "sudo asks for password, then code, and runs the command",
        both,
    )
    .on(IN_A_MACHINE_TOO),
    Case::new("sudo with a wrong code runs nothing", wrong).on(IN_A_MACHINE_TOO),
    Case::new("sudo with a fresh timestamp asks nothing", timestamp),
    Case::new("sudo with NOPASSWD asks nothing", no_password),
    Case::new(
        "sudo -n is refused at once where a code is needed",
        never_asks,
    ),
    Case::new("sudo -i asks for a code too", interactive),
    Case::new(
        "with rootpw, targetpw or runaspw sudo asks for that user's code",
        another_password,
    ),
    Case::new(
        "sudo at once after ssh says that the code is used, and takes the next one",
        after_ssh,
    ),
];

const CODE: &str = "Verification code: ";

fn sudoer(host: &Host) -> Result<(Person, Totp), Failure> {
    host.use_stack("sudo")?;
    host.use_stack("sudo-i")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    Ok((alice, totp))
}

fn answer(screen: &mut Pty, who: &Person, code: &str) -> Outcome {
    screen.expect(&format!("password for {}: ", who.name), PROMPT)?;
    screen.line(&who.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(code)
}

fn another_password(host: &Host) -> Outcome {
    let (_alice, alices) = sudoer(host)?;
    host.ok("echo 'root:correct horse root' | chpasswd")?;
    let roots = host.enroll("root")?;
    for (step, option) in (0..).zip(["rootpw", "targetpw", "runaspw"]) {
        let setting = format!("Defaults {option}\n");
        host.write("/etc/sudoers.d/other", "0440", &setting)?;
        let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
        for (code, right) in [(alices.code(0)?, false), (roots.code(step - 1)?, true)] {
            screen.expect("password for root: ", PROMPT)?;
            screen.line("correct horse root")?;
            screen.expect(CODE, PROMPT)?;
            screen.line(&code)?;
            if !right {
                screen.expect("try again", PROMPT)?;
            }
        }
        let (status, shown) = screen.end(PROMPT)?;
        ensure(status.success() && shown.contains("uid-0"), || {
            format!("{option}: {status}: {shown}")
        })?;
        host.ok("sudo -K -u alice; rm -rf /run/sudo/ts/*")?;
    }
    Ok(())
}

fn both(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    let mut screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}

fn wrong(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    let wrong = totp.wrong_code()?;
    let mut screen = host.terminal_as("alice", "sudo touch /root/done")?;
    answer(&mut screen, &alice, &wrong)?;
    screen.expect("try again", PROMPT)?;
    drop(screen);
    host.ok("[ ! -e /root/done ]").map(drop)
}

fn timestamp(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    let mut screen =
        host.terminal_as("alice", "sudo true; sudo sh -c 'echo second-uid-$(id -u)'")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("second-uid-0"), || {
        format!("{status}: {shown}")
    })?;
    ensure(!shown.contains(CODE), || format!("asked again: {shown}"))
}

fn no_password(host: &Host) -> Outcome {
    sudoer(host)?;
    host.write(
        "/etc/sudoers.d/case",
        "0440",
        "alice ALL=(ALL) NOPASSWD: ALL\n",
    )?;
    let screen = host.terminal_as("alice", "sudo sh -c 'echo uid-$(id -u)'")?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}

fn never_asks(host: &Host) -> Outcome {
    sudoer(host)?;
    let output = host.sh_as("alice", "timeout 5 sudo -n true")?;
    ensure(
        output.status == 1 && output.stderr.contains("password is required"),
        || format!("ended with {}: {}", output.status, output.stderr),
    )
}

fn interactive(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    let mut screen = host.terminal_as("alice", "sudo -i sh -c 'echo uid-$(id -u)'")?;
    answer(&mut screen, &alice, &totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}

fn after_ssh(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host)?;
    host.use_stack("sshd-key")?;
    let code = totp.code(0)?;
    let mut screen = host.ssh(&alice, "-tt", "sudo sh -c 'echo uid-$(id -u)'")?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&code)?;
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    let shown = screen.expect(CODE, PROMPT)?;
    ensure(
        shown.contains("has been used; the next one comes in "),
        || format!("nothing tells to wait: {shown:?}"),
    )?;
    // The next step's code, as the phone shows it a little later: one step ahead is accepted.
    screen.line(&totp.code(1)?)?;
    let (status, shown) = screen.end(PROMPT + Duration::from_secs(5))?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}
