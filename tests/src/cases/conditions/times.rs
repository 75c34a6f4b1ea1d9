//! Windows of time, by a daemon whose clock is set.

use super::{by_key_alone, rule};
use crate::{
    Failure, Outcome,
    cases::{Case, WITHOUT_SYSTEMD},
    host::Host,
};

/// The table.
pub(super) const CASES: &[Case] = &[Case::new(
    "a window opens and closes by the clock of its time zone, across midnight and in summer",
    windows,
)
.on(WITHOUT_SYSTEMD)
.within(90)];

const NIGHT: &str = "{ time = \"Fri 22:00-06:00 Europe/Zurich\" }";

/// By UTC, and whether it is in Friday's night in Zurich. In order: a clock that goes back is another matter.
const MOMENTS: &[(&str, bool)] = &[
    // Summer: two hours ahead of UTC.
    ("2026-07-10 19:59:00", false),
    ("2026-07-10 20:00:30", true),
    // Winter: one hour. Thursday's night is not meant, though Friday has begun in it.
    ("2026-11-27 02:00:00", false),
    ("2026-11-27 20:00:30", false),
    ("2026-11-27 21:00:30", true),
    ("2026-11-27 23:30:00", true),
    ("2026-11-28 04:59:00", true),
    ("2026-11-28 05:00:30", false),
    ("2026-11-28 22:00:30", false),
];

fn windows(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    host.policy(&rule(NIGHT, "require = \"none\""))?;
    for (moment, within) in MOMENTS {
        let at = host.ok(&format!("date -u -d '{moment}' +%s"))?;
        let at = super::number(&at)?;
        host.daemon_at(i64::try_from(at).map_err(|error| Failure::new(error.to_string()))?)?;
        let login = if *within {
            Host::ssh_in
        } else {
            Host::ssh_refused
        };
        login(host, &alice, "-o BatchMode=yes", &[])
            .map_err(|failure| Failure::new(format!("{moment} UTC: {failure}")))?;
    }
    Ok(())
}
