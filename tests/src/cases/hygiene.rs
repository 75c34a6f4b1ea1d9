//! The module as a guest: what a host process is like before and after a thousand logins in it.

use serde_json::Value;

use super::Case;
use crate::{Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "1,000 transactions in one process leave it as it was",
        one_process,
    )
    .within(240),
    Case::new("100 forked children are left as they were", children).within(120),
    Case::new(
        "refused, failed and unreachable logins leave the process as it was",
        refusals,
    ),
];

const ROUNDS: usize = 1_000;
/// Memory that a process may gain over the rounds, in kB: what the allocator of the C library rounds up.
const GROWTH: u64 = 256;
const PHASES: &str = "--phases auth,account,setcred,open,close";

fn one_process(host: &Host) -> Outcome {
    host.use_drive()?;
    host.person("alice")?;
    let codes = host.enroll_token("alice", ROUNDS)?;
    host.write("/tmp/codes", "0600", &codes.join("\n"))?;
    let report = host.drive(
        "alice",
        &format!("{PHASES} --answers /tmp/codes --repeat {ROUNDS} --warm 100"),
    )?;
    report.all_granted(ROUNDS)?;
    unchanged(&report.process)?;
    let memory = |when: &str| report.process[when].as_u64().unwrap_or_default();
    let (before, after) = (memory("memory-before"), memory("memory-after"));
    ensure(after <= before + GROWTH, || {
        format!("memory grew from {before} kB to {after} kB")
    })
}

fn children(host: &Host) -> Outcome {
    const CHILDREN: usize = 100;
    host.use_drive()?;
    host.person("alice")?;
    let codes = host.enroll_token("alice", CHILDREN)?;
    host.write("/tmp/codes", "0600", &codes.join("\n"))?;
    // The first transaction is the parent's own, so that the children inherit a module that was used.
    let report = host.drive(
        "alice",
        &format!("{PHASES} --answers /tmp/codes --repeat {CHILDREN} --fork"),
    )?;
    report.all_granted(CHILDREN)?;
    unchanged(&report.process)?;
    report.transactions().iter().try_for_each(unchanged)
}

fn refusals(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    let wrong = totp.wrong_code()?;
    // The account phase first loads the module without a dialogue, so that the look "before" is at a loaded one.
    let wrong_code = host.drive("alice", &format!("--answer {wrong} --repeat 20 --warm 2"))?;
    let no_answer = host.drive("alice", "--repeat 20 --warm 2")?;
    host.disable_daemon()?;
    let unreachable = host.drive("alice", &format!("--answer {wrong} --repeat 3"))?;
    for report in [wrong_code, no_answer, unreachable] {
        ensure(report.granted() == 0, || {
            format!("somebody got in: {report:?}")
        })?;
        unchanged(&report.process)?;
    }
    Ok(())
}

fn unchanged(report: &Value) -> Outcome {
    let (before, after) = (&report["before"], &report["after"]);
    ensure(before["threads"] == "1" && before == after, || {
        format!("the process changed, from\n{before}\nto\n{after}")
    })
}
