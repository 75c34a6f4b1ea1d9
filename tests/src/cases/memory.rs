//! The module under valgrind: what it does with memory in transactions that end well and badly.

use super::{Case, WITHOUT_SYSTEMD, drive::SERVICE};
use crate::{Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[Case::new(
    "valgrind finds no leak and no bad access of the module",
    clean,
)
.on(WITHOUT_SYSTEMD)
.within(300)
.only_in_full()
.with_program("valgrind")];

const ROUNDS: usize = 10;
const VALGRIND: &str = "valgrind --quiet --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite \
                        --log-file=/tmp/valgrind";

fn clean(host: &Host) -> Outcome {
    host.use_drive()?;
    host.person("alice")?;
    // Slow as it is there, it must not run into the deadlines of a person and of the daemon's socket.
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[session]\ndialogue = \"5m\"\n",
    )?;
    host.ok("mfactl policy reload")?;
    let codes = host.enroll_token("alice", ROUNDS)?;
    host.write("/tmp/codes", "0600", &codes.join("\n"))?;
    let phases = "--phases auth,account,setcred,open,close";
    let granted = judged(
        host,
        &format!("{phases} --answers /tmp/codes --repeat {ROUNDS}"),
    )?;
    ensure(granted == ROUNDS, || {
        format!("{granted} of {ROUNDS} were let in")
    })?;
    for arguments in ["--answer 000 --repeat 3", "--repeat 3"] {
        let granted = judged(host, arguments)?;
        ensure(granted == 0, || format!("{granted} were let in"))?;
    }
    host.disable_daemon()?;
    let granted = judged(host, "--answer 000 --repeat 3")?;
    ensure(granted == 0, || format!("{granted} were let in"))
}

/// How many transactions authenticated. Fails if valgrind has anything to say in which the module has a part.
fn judged(host: &Host, arguments: &str) -> Result<usize, crate::Failure> {
    let lines = host.ok(&format!(
        "{VALGRIND} pamdrive --service {SERVICE} --user alice {arguments}"
    ))?;
    let said = host.ok("cat /tmp/valgrind")?;
    // An error is a block of lines, with an empty one after it.
    let ours: Vec<&str> = said
        .split("== \n")
        .filter(|error| error.contains("pam_mfa.so"))
        .collect();
    ensure(ours.is_empty(), || {
        format!("{} errors:\n{}", ours.len(), ours.concat())
    })?;
    Ok(lines
        .lines()
        .filter(|line| line.contains("\"auth\":0"))
        .count())
}
