//! Verified logins a second: auth and account over the daemon's socket, each code durable before it is granted. What part
//! of the processors the client takes is told beside it.

use mfa_tests::{Failure, host::Host, totp};
use serde_json::Value;

use crate::{
    place::{self, Place, SECRET},
    table::{Aim, Row, Table},
};

/// How many log in at once, and how often each of them.
const WIDTHS: [(u64, usize); 3] = [(1, 1000), (8, 250), (64, 80)];
/// People in the store; each has an account.
const PEOPLE: u32 = 100;
/// Least logins a second of the widest.
const LEAST: u64 = 3000;

pub(crate) fn measure(host: &Host, place: &Place, table: &mut Table) -> Result<(), Failure> {
    place.use_store(host, "mfa-load", Some(PEOPLE))?;
    for number in 0..PEOPLE {
        place::account(host, number.into())?;
    }
    host.ok("mfactl status")?; // starts the daemon
    let most = WIDTHS.iter().map(|(_, logins)| *logins).max();
    let codes = totp::hotp_codes(SECRET, most.unwrap_or_default())?;
    host.write("/tmp/codes", "0600", &(codes.join("\n") + "\n"))?;
    let mut first = 0;
    for (width, logins) in WIDTHS {
        let before = processor_time(host)?;
        let report = host.json(&format!("loaddrive {first} {width} {logins} /tmp/codes"))?;
        let daemons = processor_time(host)? - before;
        table.add(row(width, &report, daemons)?);
        first += width;
    }
    place.use_store(host, "mfa", None)
}

fn row(width: u64, report: &Value, daemons: f64) -> Result<Row, Failure> {
    let number = |name: &str| {
        let number = report[name].as_f64();
        number.ok_or_else(|| Failure::new(format!("no {name} in {report}")))
    };
    let seconds = number("seconds")?;
    let share = |of: f64| format!("{:.0} %", 100.0 * of / seconds);
    let note = format!(
        "of a processor: daemon {}, client {}; one login {} us, p99 {}",
        share(daemons),
        share(number("processor-seconds")?),
        report["median"],
        report["p99"]
    );
    let rate = format!("{:.0}", number("logins")? / seconds)
        .parse()
        .unwrap_or_default();
    let row = Row::figure(
        format!("daemon: verified logins a second, {width} at once"),
        rate,
    )
    .note(note);
    Ok(if width == 64 {
        row.aim(Aim::AtLeast(LEAST))
    } else {
        row
    })
}

/// Processor time of the daemon's threads so far, in seconds (`/proc/PID/task/TID/schedstat`, nanoseconds).
fn processor_time(host: &Host) -> Result<f64, Failure> {
    let sum = host.ok(
        "cat /proc/$(pgrep -x mfad)/task/*/schedstat | awk '{ sum += $1 } END { print sum / 1e9 }'",
    )?;
    sum.trim()
        .parse()
        .map_err(|_| Failure::new(format!("no processor time in {sum:?}")))
}
