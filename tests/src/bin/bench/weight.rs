//! What a transaction weighs besides time: system calls, memory that the host process gains, and what is left in it; and
//! the daemon's memory at rest.

use std::time::Duration;

use mfa_tests::{Failure, host::Host};
use serde_json::Value;

use crate::{
    place::{Place, daemon_resident},
    stacks::{self, OURS, STACKS},
    table::{Aim, Row, Table},
};

/// System calls are those of `MORE` transactions less those of `FEW`: what a process costs by itself drops out.
const FEW: usize = 10;
const MORE: usize = 60;
/// Transactions of one process whose memory is watched, after some that warm it up.
const WATCHED: usize = 1000;
const WARM: usize = 100;
/// After so long without a login the daemon holds no grant of one, and has given back what it does not need.
const REST: Duration = Duration::from_secs(185);
/// Most kilobytes of the daemon.
const RESIDENT: Aim = Aim::AtMost(8192);

pub(crate) fn measure(host: &Host, place: &Place, table: &mut Table) -> Result<(), Failure> {
    stacks::put_stacks(host, place)?;
    host.stop_daemon()?;
    host.ok("mfactl status")?; // starts it
    let just_started = daemon_resident(host)?;
    table.add(Row::figure("daemon, just started: kB resident", just_started).aim(RESIDENT));
    for stack in &STACKS {
        stacks::answers(host, place, stack)?;
        let few = calls(host, stack.name, FEW)?;
        stacks::answers(host, place, stack)?;
        let more = calls(host, stack.name, MORE)?;
        let each = more.saturating_sub(few) / (MORE - FEW) as u64;
        let what = format!("{}: system calls of the host, one login", stack.name);
        table.add(Row::figure(what, each));
    }
    let daemons = calls_of_daemon(host, place)?;
    table.add(Row::figure(
        "pam_mfa: system calls of the daemon, one login",
        daemons,
    ));
    memory(host, table)?;
    let after = daemon_resident(host)?;
    table.add(Row::figure("daemon, after 1,100 logins: kB resident", after).aim(RESIDENT));
    std::thread::sleep(REST);
    let at_rest = daemon_resident(host)?;
    table.add(Row::figure("daemon, three minutes later: kB resident", at_rest).aim(RESIDENT));
    Ok(())
}

/// System calls of a process that runs so many transactions.
fn calls(host: &Host, name: &str, count: usize) -> Result<u64, Failure> {
    host.ok(&format!(
        "strace -f -c -o /tmp/calls pamdrive --service bench-{name} --user alice --answers /tmp/answers --warm 0 \
         --repeat {count} >/tmp/drive.json"
    ))?;
    let refused = |one: &Value| one.get("micros").is_some() && one["auth"] != 0;
    if let Some(one) = stacks::reports(host)?.into_iter().find(refused) {
        return Err(Failure::new(format!("{name} refused a right code: {one}")));
    }
    total(host)
}

/// The last line of strace's table: share, seconds, microseconds a call, calls, errors (if any), `total`.
fn total(host: &Host) -> Result<u64, Failure> {
    let table = host.ok("cat /tmp/calls")?;
    let line = table.lines().find(|line| line.ends_with("total"));
    let figures = line.map(|line| line.split_whitespace().collect::<Vec<_>>());
    figures
        .as_deref()
        .and_then(|figures| figures.get(3)?.parse().ok())
        .ok_or_else(|| Failure::new(format!("no sum in strace's table:\n{table}")))
}

/// The daemon's system calls for one transaction.
fn calls_of_daemon(host: &Host, place: &Place) -> Result<u64, Failure> {
    let ours = STACKS.iter().find(|stack| stack.name == OURS);
    stacks::answers(
        host,
        place,
        ours.ok_or_else(|| Failure::new("our own stack is missing"))?,
    )?;
    host.ok(&format!(
        "strace -f -c -o /tmp/calls -p $(pgrep -x mfad) 2>/dev/null & tracer=$!; sleep 0.5; \
         pamdrive --service bench-{OURS} --user alice --answers /tmp/answers --warm 0 --repeat {MORE} >/tmp/drive.json; \
         sleep 0.2; kill -INT $tracer; wait $tracer; true"
    ))?;
    Ok(total(host)? / MORE as u64)
}

fn memory(host: &Host, table: &mut Table) -> Result<(), Failure> {
    host.sh("mfactl user reset alice --yes")?;
    stacks::put_answers(host, &host.enroll_token("alice", WARM + WATCHED)?)?;
    host.ok(&format!(
        "pamdrive --service bench-{OURS} --user alice --answers /tmp/answers --warm {WARM} --repeat {} >/tmp/drive.json",
        WARM + WATCHED
    ))?;
    let reports = stacks::reports(host)?;
    let granted = reports.iter().filter(|one| one["account"] == 0).count();
    let last = reports.last().cloned().unwrap_or_default();
    if granted != WARM + WATCHED {
        return Err(Failure::new(format!(
            "{granted} of {} logins passed",
            WARM + WATCHED
        )));
    }
    let memory = |when: &str| last[when].as_u64().unwrap_or_default();
    let grown = memory("memory-after").saturating_sub(memory("memory-before"));
    table.add(Row::figure(
        "pam_mfa: kB that the host grows by in 1,000 logins",
        grown,
    ));
    let threads = last["after"]["threads"].as_str();
    let threads: Option<u64> = threads.and_then(|count| count.parse().ok());
    let row = Row::figure(
        "pam_mfa: threads left in the host",
        threads.map_or(u64::MAX, |count| count - 1),
    );
    table.add(row.aim(Aim::AtMost(0)));
    let open = |when: &str| {
        let open = last[when]["descriptors"].as_object();
        open.map_or(0, serde_json::Map::len)
    };
    let left = open("after").abs_diff(open("before")) as u64;
    table.add(Row::figure("pam_mfa: descriptors left in the host", left).aim(Aim::AtMost(0)));
    Ok(())
}
