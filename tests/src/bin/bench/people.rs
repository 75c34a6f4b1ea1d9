//! The same login with few and with many people enrolled. The stores take turns, each with a daemon of its own; who logs
//! in is another in each round, spread over all of them.

use mfa_tests::{Failure, host::Host, totp};

use crate::{
    place::{self, Place, SECRET},
    stacks::{self, OURS},
    table::{Aim, Row, Table},
};

/// Rounds; in each, logins of one person that warm the daemon up, and logins that count.
const ROUNDS: u64 = 8;
const WARM: usize = 10;
const COUNTED: usize = 80;

pub(crate) fn measure(
    host: &Host,
    place: &Place,
    sizes: &[u32],
    table: &mut Table,
) -> Result<(), Failure> {
    stacks::put_stacks(host, place)?;
    for size in sizes {
        eprintln!("enrolling {size} people");
        place.use_store(host, &store(*size), Some(*size))?;
    }
    stacks::put_answers(host, &totp::hotp_codes(SECRET, WARM + COUNTED)?)?;
    let mut times: Vec<Vec<u64>> = sizes.iter().map(|_| Vec::new()).collect();
    for round in 0..ROUNDS {
        for (size, times) in sizes.iter().zip(&mut times) {
            place.use_store(host, &store(*size), None)?;
            // From the first to near the last.
            let number = u64::from(*size) * (2 * round + 1) / (2 * ROUNDS);
            let user = place::account(host, number)?;
            let all = stacks::run(host, OURS, &user, WARM + COUNTED)?;
            times.extend(all.into_iter().skip(WARM));
        }
    }
    let mut few = None;
    for (size, times) in sizes.iter().zip(&times) {
        let row = Row::times(format!("pam_mfa, {size} people enrolled"), times);
        let base = *few.get_or_insert(row.base());
        table.add(row.beside(base).aim(Aim::Ratio(110)));
    }
    place.use_store(host, "mfa", None)
}

fn store(size: u32) -> String {
    format!("mfa-{size}")
}
