//! What the module costs: whole transactions in this process, against the scripted daemon.

use std::time::Instant;

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
    let grown = resident().saturating_sub(before);
    let first = times[0];
    times.sort_unstable();
    println!(
        "{name}: first {first:?}, median {:?}, p99 {:?}; {rounds} transactions, {grown} KiB grown after the first tenth",
        times[times.len() / 2],
        times[times.len() * 99 / 100],
    );
}
