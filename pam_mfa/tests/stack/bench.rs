//! What the module costs: whole transactions in this process, against the scripted daemon.

use std::time::{Duration, Instant};

use mfad_protocol::names;

use crate::{
    Bed, daemon,
    host::{Reply, SUCCESS, Transaction},
    hygiene::resident,
    sandbox,
};

pub(crate) fn run(bed: &mut Bed, rounds: usize) {
    bed.daemon(&["peer", names::PAM_SOCKET]);
    sandbox::stack(
        "floor",
        "auth required pam_permit.so\naccount required pam_permit.so\n",
    );
    sandbox::stack(
        "sudo",
        "auth required MODULE after=password\naccount required MODULE\n",
    );
    measure("pam_permit", "floor", rounds);
    measure("pam_mfa", "sudo", rounds);
}

fn measure(name: &str, service: &str, rounds: usize) {
    let mut times: Vec<_> = Vec::new();
    let mut before = 0;
    let spent = processor_time();
    for round in 0..rounds {
        if round == rounds / 10 {
            before = resident();
        }
        let start = Instant::now();
        let mut transaction =
            Transaction::start(service, Some(b"alice"), [Reply::Type(daemon::CODE)]);
        let codes = (transaction.authenticate(), transaction.account());
        drop(transaction);
        times.push(start.elapsed());
        assert_eq!(codes, (SUCCESS, SUCCESS));
    }
    let spent = processor_time().saturating_sub(spent) / u32::try_from(rounds).unwrap();
    let grown = resident().saturating_sub(before);
    let first = times[0];
    times.sort_unstable();
    println!(
        "{name}: first {first:?}, median {:?}, p99 {:?}, this process {spent:?} each; {rounds} transactions, {grown} KiB grown after the first tenth",
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}

/// What this process, the host with the module in it, has used of the processor; the daemon's share is not in it.
fn processor_time() -> Duration {
    use nix::sys::{
        resource::{UsageWho, getrusage},
        time::TimeValLike,
    };
    let usage = getrusage(UsageWho::RUSAGE_SELF).unwrap();
    let micros = (usage.user_time() + usage.system_time()).num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}
