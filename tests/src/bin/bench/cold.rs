//! From no daemon at all to a verdict: under a bare dbus-daemon, and under systemd, there beside a program that does nothing
//! in a unit with the same sandbox.

use mfa_tests::{
    Failure,
    bed::nspawn::{self, Rootfs},
    build::Artifacts,
    host::Host,
};

use crate::{
    place::{Helpers, Place},
    stacks::{self, OURS},
    table::{Aim, Row, Table},
};

/// How often.
const STARTS: usize = 11;
/// Most microseconds, under a bare dbus-daemon and above an empty program.
const MOST: Aim = Aim::AtMost(40_000);

pub(crate) fn without_systemd(
    host: &Host,
    place: &Place,
    table: &mut Table,
) -> Result<(), Failure> {
    stacks::put_stacks(host, place)?;
    let times = starts(host)?;
    table.add(Row::times("cold: a bare dbus-daemon starts mfad, to verdict", &times).aim(MOST));
    Ok(())
}

/// In a container. Its state is in memory, where a sync costs nothing.
pub(crate) fn with_systemd(
    artifacts: &Artifacts,
    helpers: &Helpers,
    table: &mut Table,
) -> Result<(), Failure> {
    let rootfs = match nspawn::rootfs()? {
        Rootfs::Ready(rootfs) => rootfs,
        Rootfs::NoMirror(why) => {
            eprintln!("cold starts under systemd are left out: {why}");
            return Ok(());
        }
    };
    let bed = nspawn::start(&rootfs, Some(&artifacts.tree))?;
    let host = Host::new(bed, artifacts.clone());
    host.put_pamdrive()?;
    host.put_program("empty", &helpers.empty)?;
    host.person("alice")?;
    let stack = "auth required pam_mfa.so after=password\naccount required pam_mfa.so\n";
    host.write(&format!("/etc/pam.d/bench-{OURS}"), "0644", stack)?;
    let ours = Row::times("cold: systemd starts mfad, to verdict", &starts(&host)?);
    let nothing = Row::times(
        "cold: systemd starts an empty program in that sandbox",
        &empty_starts(&host)?,
    );
    let above = ours.base().0.saturating_sub(nothing.base().0);
    table.add(nothing);
    table.add(ours);
    table.add(Row::figure("cold: mfad above the empty program", above).aim(MOST));
    Ok(())
}

/// Times of whole logins that find no daemon.
fn starts(host: &Host) -> Result<Vec<u64>, Failure> {
    host.sh("mfactl user reset alice --yes")?; // nothing to reset in a new bed
    let codes = host.enroll_token("alice", STARTS)?;
    let mut times = Vec::new();
    for code in codes {
        host.stop_daemon()?;
        stacks::put_answers(host, &[code])?;
        times.extend(stacks::run(host, OURS, "alice", 1)?);
    }
    Ok(times)
}

/// Times from connecting to the answer of a program that does nothing, in mfad's own unit but for what names mfad.
fn empty_starts(host: &Host) -> Result<Vec<u64>, Failure> {
    host.ok(
        "cd /etc/systemd/system && \
         sed -e 's|^ExecStart=.*|ExecStart=/usr/local/bin/empty|; s|^Sockets=.*|Sockets=bench-empty.socket|' \
             -e '/^BusName=/d; /^ExecReload=/d' /usr/lib/systemd/system/mfad.service >bench-empty.service && \
         printf '[Socket]\\nListenStream=/run/mfad/empty.sock\\nSocketMode=0600\\n' >bench-empty.socket && \
         systemctl daemon-reload && systemctl start bench-empty.socket",
    )?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let line = host.ok(
            "until [ \"$(systemctl is-active bench-empty.service)\" = inactive ]; do sleep 0.05; done; \
             empty --ask /run/mfad/empty.sock",
        )?;
        let time = line.trim().parse();
        times.push(time.map_err(|_| Failure::new(format!("no time in {line:?}")))?);
    }
    Ok(times)
}
