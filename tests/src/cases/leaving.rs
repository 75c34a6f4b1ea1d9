//! The daemon leaves, idle or told to, while it is being called: no call may be lost.

use serde_json::{Value, json};

use super::{
    Case, WITH_SYSTEMD, WITHOUT_SYSTEMD,
    bus::{call_of, context},
};
use crate::{Failure, Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "no call on the bus is lost while the daemon leaves and the bus starts the next",
        told_by_bus,
    )
    .on(WITHOUT_SYSTEMD)
    .within(600),
    Case::new(
        "no call on bus or socket is lost while the daemon leaves and systemd starts the next",
        told_by_systemd,
    )
    .on(WITH_SYSTEMD)
    .within(600),
    Case::new("no call is lost around an idle exit", idle)
        .on(WITH_SYSTEMD)
        .within(3_600),
    Case::new("without systemd an idle daemon stays", stays).on(WITHOUT_SYSTEMD),
];

/// Calls by which way, and how many at once.
const BUS: (&str, &str) = ("bus", "--clients 4");
const SOCKET: (&str, &str) = ("/run/mfad/pam.sock", "--clients 4 --fresh");

/// What clients saw.
#[derive(Debug, Default)]
struct Tally {
    calls: u64,
    leaves: u64,
    reasons: Vec<Value>,
}

impl Tally {
    fn add(&mut self, seen: &Value) {
        self.calls += seen["calls"].as_u64().unwrap_or_default();
        self.reasons
            .extend(seen["reasons"].as_array().into_iter().flatten().cloned());
    }

    /// Fails if any call was lost, or if there were fewer leaves than `least`: then nothing was tried.
    fn judge(&self, least: u64) -> Outcome {
        ensure(self.reasons.is_empty(), || {
            format!(
                "calls were lost, of {} around {} leaves: {:?}",
                self.calls, self.leaves, self.reasons
            )
        })?;
        ensure(self.leaves >= least && self.calls >= 10 * least, || {
            format!("only {} leaves and {} calls", self.leaves, self.calls)
        })?;
        println!(
            "  {} calls around {} leaves, none lost: fewer than one call in {}, and one leave in {}, at 95 %",
            self.calls,
            self.leaves,
            self.calls / 3,
            self.leaves / 3
        );
        Ok(())
    }
}

fn set_up(host: &Host) -> Outcome {
    host.put_busdrive()?;
    host.enrolled("alice")?;
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[daemon]\nidle-exit = \"5s\"\n",
    )?;
    host.ok("mfactl policy reload")?;
    let status = call_of(host, "Administration.Status", json!([]))?;
    let begin = call_of(host, "Authentication.Begin", json!([context("alice"), []]))?;
    host.write("/tmp/calls-bus", "0644", &format!("{status}\n"))?;
    host.write("/tmp/calls-pam.sock", "0644", &format!("{begin}\n"))
}

/// A shell command that calls for so many seconds, in the background, and leaves what it saw in `/tmp/seen-WAY`.
fn hammer((way, clients): (&str, &str), seconds: f32) -> String {
    let name = way.rsplit('/').next().unwrap_or(way);
    format!("busdrive {way} --hammer {seconds} {clients} </tmp/calls-{name} >/tmp/seen-{name} &")
}

fn told(host: &Host, ways: &[(&str, &str)]) -> Outcome {
    // Within the time that one command may take.
    const SPELL: f32 = 20.0;
    let spells = if std::env::var_os("MFA_PROVE").is_some() {
        15
    } else {
        1
    };
    set_up(host)?;
    let hammers: String = ways.iter().map(|way| hammer(*way, SPELL)).collect();
    let mut tally = Tally::default();
    for _ in 0..spells {
        // At uneven times, so that every moment of a leave and of a start is met.
        let ended = host.ok(&format!(
            "{hammers} begun=$SECONDS ended=0; while [ $((SECONDS - begun)) -lt 19 ]; do \
             pid=$(pgrep -o -x mfad) && [ \"$pid\" != \"$last\" ] && kill -TERM $pid && last=$pid && ended=$((ended + 1)); \
             sleep 0.$((RANDOM % 300 + 100)); done; wait; echo $ended"
        ))?;
        tally.leaves += ended
            .trim()
            .parse::<u64>()
            .map_err(|_| Failure::new(format!("not a number: {ended}")))?;
        for line in host.ok("cat /tmp/seen-*")?.lines() {
            tally.add(&serde_json::from_str(line)?);
        }
    }
    tally.judge(20)
}

fn told_by_bus(host: &Host) -> Outcome {
    told(host, &[BUS])
}

fn told_by_systemd(host: &Host) -> Outcome {
    told(host, &[BUS, SOCKET])
}

fn idle(host: &Host) -> Outcome {
    let exits: u16 = if std::env::var_os("MFA_PROVE").is_some() {
        100
    } else {
        4
    };
    set_up(host)?;
    let (bus, socket) = (hammer(BUS, 0.1), hammer(SOCKET, 0.1));
    let mut tally = Tally::default();
    // It looks once a second whether it has been idle for five: it may leave at any moment of the sixth.
    for round in 0..exits * 4 {
        let pause = 5.2 + f64::from(round * 37 % 100) / 80.0;
        let left = host.ok(&format!(
            "before=$(pgrep -x mfad); sleep {pause}; {bus} {socket} wait; [ \"$(pgrep -x mfad)\" = \"$before\" ] || echo left"
        ))?;
        tally.leaves += u64::from(left.contains("left"));
        for line in host.ok("cat /tmp/seen-*")?.lines() {
            tally.add(&serde_json::from_str(line)?);
        }
        if tally.leaves >= u64::from(exits) {
            break;
        }
    }
    tally.judge(u64::from(exits))
}

fn stays(host: &Host) -> Outcome {
    set_up(host)?;
    let before = host.ok("pgrep -x mfad")?;
    let after = host.ok("sleep 8; pgrep -x mfad")?;
    ensure(before == after, || {
        format!("the daemon was {before}, and is {after}: nobody starts its sockets' daemon here")
    })
}
