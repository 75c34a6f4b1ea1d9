//! The store out of order: nobody is let in, nothing is lost, the administrator is told the cause and what to do, and once
//! that is done the daemon goes on by itself.

use serde_json::json;

use super::{Case, WITHOUT_SYSTEMD, bus::call_of};
use crate::{Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a corrupt store lets nobody in, says so, and is used again once restored",
        corrupt,
    ),
    Case::new(
        "a store of a newer version is left alone, with the word to upgrade",
        newer,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "a store on a read-only disk lets nobody in until that is writable",
        read_only,
    ),
    Case::new(
        "a store that another process has locked lets nobody in until it is free",
        locked,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "a store that is locked under a running daemon lets nobody in until it is free",
        locked_in_use,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "a store on a full disk lets nobody in until there is room",
        full,
    ),
];

/// `PAM_AUTHINFO_UNAVAIL`: no decision could be reached.
const UNAVAILABLE: i64 = 9;

/// Something wrong with the store.
struct Trouble {
    /// Shell that brings it about.
    inflict: &'static str,
    /// Shell that ends it.
    mend: &'static str,
    /// What an administrator reads about it: the cause, and what to do.
    told: &'static [&'static str],
}

/// On a small disk of its own.
const SMALL_DISK: &str = "cp -a /var/lib/mfa /root/store && mount -t tmpfs -o size=8m,mode=0700,uid=$(id -u mfad),gid=$(id -g mfad) tmpfs /var/lib/mfa && \
     cp -a /root/store/. /var/lib/mfa/";

/// As an administrator's shell does that was left in a transaction.
/// The daemon may be writing just then, and is waited for; the last word comes once the lock is held.
const LOCK: &str = "setsid sh -c \"(printf '.timeout 10000\\nBEGIN IMMEDIATE;\\n.print held\\n'; sleep 600) | \
     runuser -u mfad -- sqlite3 -bail /var/lib/mfa/mfa.db\" >/root/lock 2>&1 </dev/null & disown; \
     for i in $(seq 600); do grep -q held /root/lock && exit; sleep 0.05; done; cat /root/lock; exit 1";
const UNLOCK: &str = "pkill -KILL -x sqlite3";

fn corrupt(host: &Host) -> Outcome {
    at_start(
        host,
        &Trouble {
            inflict: "cp -a /var/lib/mfa /root/good; rm /var/lib/mfa/*-wal; head -c 40960 /dev/urandom | dd of=/var/lib/mfa/mfa.db conv=notrunc status=none",
            mend: "cp -a /root/good/. /var/lib/mfa/",
            told: &["damaged", "/var/lib/mfa/mfa.db", "restore"],
        },
    )
}

fn newer(host: &Host) -> Outcome {
    at_start(
        host,
        &Trouble {
            inflict: "runuser -u mfad -- sqlite3 /var/lib/mfa/mfa.db 'PRAGMA user_version' >/root/version && \
                      runuser -u mfad -- sqlite3 /var/lib/mfa/mfa.db 'PRAGMA user_version = 9'; \
                      cat /var/lib/mfa/mfa.db /var/lib/mfa/mfa.db-wal | sha256sum >/root/newer",
            mend: "[ \"$(cat /var/lib/mfa/mfa.db /var/lib/mfa/mfa.db-wal | sha256sum)\" = \"$(cat /root/newer)\" ] && \
                   runuser -u mfad -- sqlite3 /var/lib/mfa/mfa.db \"PRAGMA user_version = $(cat /root/version)\"",
            told: &["schema 9", "newer", "upgrade"],
        },
    )
}

fn read_only(host: &Host) -> Outcome {
    at_start(
        host,
        &Trouble {
            inflict: "mount -o remount,ro /var/lib/mfa",
            mend: "mount -o remount,rw /var/lib/mfa",
            told: &["/var/lib/mfa/mfa.db", "is read-only; mount it writable"],
        },
    )
}

fn locked(host: &Host) -> Outcome {
    at_start(
        host,
        &Trouble {
            inflict: LOCK,
            mend: UNLOCK,
            told: &["locked by another process"],
        },
    )
}

fn locked_in_use(host: &Host) -> Outcome {
    in_use(
        host,
        &Trouble {
            inflict: LOCK,
            mend: UNLOCK,
            told: &["locked by another process"],
        },
    )
}

fn full(host: &Host) -> Outcome {
    host.put_busdrive()?;
    let unlock = call_of(host, "Administration.UnlockUser", json!(["alice", false]))?;
    // Its log has blocks in advance: records, until those are used up.
    host.write("/tmp/fill", "0644", &format!("{unlock}\n").repeat(3000))?;
    in_use(
        host,
        &Trouble {
            inflict: "cat /dev/zero >/var/lib/mfa/filler 2>/dev/null; busdrive bus </tmp/fill >/tmp/filled; \
                      tail -n 1 /tmp/filled | grep -q 'disk is full'",
            mend: "rm /var/lib/mfa/filler",
            told: &["disk is full", "Make room"],
        },
    )
}

/// The daemon finds it so when it starts.
fn at_start(host: &Host, trouble: &Trouble) -> Outcome {
    suffer(host, trouble, true)
}

/// The daemon is running, and has let somebody in.
fn in_use(host: &Host, trouble: &Trouble) -> Outcome {
    suffer(host, trouble, false)
}

fn suffer(host: &Host, trouble: &Trouble, at_start: bool) -> Outcome {
    host.use_drive()?;
    host.person("bob")?;
    let (_, totp) = host.enrolled("alice")?;
    host.stop_daemon()?;
    host.ok(SMALL_DISK)?;
    host.drive("alice", &format!("--answer {}", totp.code(-1)?))?
        .all_granted(1)?;
    let before = host.user("alice")?;
    if at_start {
        host.stop_daemon()?;
    }
    host.ok(trouble.inflict)?;
    let code = totp.code(0)?;
    // Where looking up still works, bob is known to have no factor, and the policy lets him in without.
    let refused: &[&str] = if at_start {
        &["alice", "bob"]
    } else {
        &["alice"]
    };
    for user in refused {
        let report = host.drive(user, &format!("--answer {code}"))?;
        let result = &report.transactions()[0]["auth"];
        ensure(*result == UNAVAILABLE, || {
            format!("{user}'s login came to {result}")
        })?;
    }
    let doctor = host.sh("mfactl doctor")?;
    ensure(
        doctor.status == 1
            && trouble.told.iter().all(|word| doctor.stdout.contains(word))
            // Where it could not start to work it knows no number, and must not say none.
            && !(at_start && doctor.stdout.contains(" enrolled")),
        || format!("the doctor says ({}): {}", doctor.status, doctor.stdout),
    )?;
    host.ok(trouble.mend)?;
    // No restart and no command: where it could not start to work, it tries again every three seconds, or leaves.
    if at_start {
        host.ok("for i in $(seq 60); do mfactl doctor | grep -q ' enrolled' && exit; sleep 0.5; done; mfactl doctor; exit 1")?;
    }
    // The very code that could not be spent.
    host.drive("alice", &format!("--answer {code}"))?
        .all_granted(1)?;
    let doctor = host.sh("mfactl doctor")?;
    ensure(
        !trouble.told.iter().any(|word| doctor.stdout.contains(word)),
        || format!("the doctor still says: {}", doctor.stdout),
    )?;
    let after = host.user("alice")?;
    ensure(
        before["credentials"][0]["id"] == after["credentials"][0]["id"],
        || format!("alice had {before}, and has {after}"),
    )
}
