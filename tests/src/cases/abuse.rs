//! Those who cheat: with the same code many times, with names, with sockets, with the bus, with files.

use std::time::{Duration, Instant};

use super::{Case, drive::SERVICE};
use crate::{Outcome, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "of 64 identical codes at once exactly one is accepted",
        race,
    )
    .within(3_600),
    Case::new(
        "hostile user names are refused, and none reaches the log raw",
        names,
    ),
    Case::new(
        "a socket that another user serves is told nothing",
        fake_daemon,
    ),
    Case::new("another user's D-Bus calls are refused", foreign_calls),
    Case::new(
        "garbage on the login socket harms nobody else's login",
        garbage,
    ),
    Case::new("a code accepted on a full disk is none", full_disk),
    Case::new("a policy that others may write is refused", writable_policy),
    Case::new(
        "an unknown module argument denies, and says so in the log",
        unknown_argument,
    ),
];

const CODE: &str = "Verification code: ";

fn race(host: &Host) -> Outcome {
    const AT_ONCE: usize = 64;
    let rounds = if std::env::var_os("MFA_PROVE").is_some() {
        1_000
    } else {
        20
    };
    host.use_drive()?;
    host.person("alice")?;
    for code in host.enroll_token("alice", rounds)? {
        let report = host.drive(
            "alice",
            &format!("--phases auth --answer {code} --at-once {AT_ONCE}"),
        )?;
        ensure(
            report.transactions().len() == AT_ONCE && report.granted() == 1,
            || {
                format!(
                    "{} of {} were accepted",
                    report.granted(),
                    report.transactions().len()
                )
            },
        )?;
        host.ok("mfactl user unlock alice")?;
    }
    // 3/N bounds the rate of double acceptance at 95 % (the rule of three).
    println!(
        "  {rounds} rounds of {AT_ONCE}: at most one round in {} doubles, at 95 %",
        rounds / 3
    );
    Ok(())
}

fn names(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    let code = totp.code(0)?;
    let long = "a".repeat(4096);
    for name in [
        "",
        "alice\n",
        "alice\nroot",
        "alice:x",
        "../alice",
        "..",
        "alice/",
        " alice",
        "alice ",
        "ALICE",
        "alice\u{202e}",
        "\u{1b}[31malice",
        "alice\r",
        "-alice",
        long.as_str(),
    ] {
        let report = host.drive(name, &format!("--answer {code}"))?;
        ensure(report.granted() == 0, || format!("{name:?} was let in"))?;
    }
    let journal = host.auth_log()?;
    ensure(!journal.contains(['\u{1b}', '\u{202e}', '\r']), || {
        "a control character is in the log".to_owned()
    })?;
    host.drive("alice", &format!("--answer {code}"))?
        .all_granted(1)
}

/// A listener that notes how many bytes it is sent.
const LISTENER: &str = "use IO::Socket::UNIX; unlink $ARGV[0]; \
    my $in = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => $ARGV[0], Listen => 8) or die; chmod 0666, $ARGV[0]; \
    while (my $peer = $in->accept) { open my $log, '>>', '/tmp/heard'; print $log \"connected\\n\"; close $log; \
    while (sysread($peer, my $bytes, 4096)) { open my $log, '>>', '/tmp/heard'; print $log \"bytes\\n\"; close $log } }";

fn fake_daemon(host: &Host) -> Outcome {
    host.use_drive()?;
    host.person("bob")?;
    let (_, totp) = host.enrolled("alice")?;
    let code = totp.code(0)?;
    host.disable_daemon()?;
    // bob's process behind a socket in root's directory, and then in a directory of bob's own.
    host.ok(&format!(
        "rm -f /run/mfad/*; chown bob /run/mfad; runuser -u bob -- setsid perl -e {} /run/mfad/pam.sock >/dev/null 2>&1 </dev/null & \
         for i in $(seq 600); do [ -S /run/mfad/pam.sock ] && break; sleep 0.05; done; chown root /run/mfad /run/mfad/pam.sock",
        crate::host::quoted(LISTENER)
    ))?;
    for owner in ["root", "bob"] {
        host.ok(&format!("chown {owner} /run/mfad"))?;
        let begun = Instant::now();
        let report = host.drive("alice", &format!("--answer {code}"))?;
        ensure(report.granted() == 0, || {
            "the fake daemon let somebody in".to_owned()
        })?;
        // It gives up after two seconds; a person would be given 45.
        ensure(begun.elapsed() < Duration::from_secs(20), || {
            format!("refused after {:?}", begun.elapsed())
        })?;
    }
    let heard = host.ok("cat /tmp/heard 2>/dev/null || true")?;
    ensure(!heard.contains("bytes"), || {
        format!("the fake daemon was told something: {heard}")
    })
}

fn foreign_calls(host: &Host) -> Outcome {
    host.person("bob")?;
    host.enrolled("alice")?;
    for command in [
        "mfactl user list",
        "mfactl user show alice",
        "mfactl user enroll alice totp --json",
        "mfactl user unlock alice",
        "mfactl --yes user reset alice",
        "mfactl policy reload",
        "mfactl audit",
    ] {
        let output = host.sh_as("bob", &format!("timeout 10 {command}"))?;
        ensure(output.status == 1, || {
            format!("`{command}` ended with {}", output.status)
        })?;
    }
    let status = host.user("alice")?;
    ensure(
        status["credentials"]
            .as_array()
            .is_some_and(|all| all.len() == 1),
        || format!("alice's factors changed: {status}"),
    )
}

fn garbage(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    host.drive("alice", &format!("--answer {}", totp.code(-1)?))?
        .all_granted(1)?;
    let before = host.ok("pgrep -x mfad")?;
    let send = "use IO::Socket::UNIX; $SIG{PIPE} = 'IGNORE'; \
        my $s = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => '/run/mfad/pam.sock') or die;";
    host.ok(&format!(
        "perl -e \"{send} print \\$s 'x' x 1000000\"; perl -e \"{send} print \\$s qq(l\\1\\0\\1\\377\\377\\377\\177) . qq(\\0) x 100000000\"; \
         for i in 1 2 3 4 5; do setsid perl -e \"{send} syswrite \\$s, qq(l\\1); sleep 60\" >/dev/null 2>&1 </dev/null & done; disown -a; true"
    ))?;
    host.drive("alice", &format!("--answer {}", totp.code(0)?))?
        .all_granted(1)?;
    let after = host.ok("pgrep -x mfad")?;
    ensure(before == after, || "the daemon died of it".to_owned())
}

fn full_disk(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    host.stop_daemon()?;
    host.ok(
        "cp -a /var/lib/mfa /root/store && mount -t tmpfs -o size=8m,mode=0700,uid=$(id -u mfad),gid=$(id -g mfad) tmpfs /var/lib/mfa && \
         cp -a /root/store/. /var/lib/mfa/",
    )?;
    // The daemon opens its store, and only then is there no room.
    host.drive("alice", &format!("--answer {}", totp.code(-1)?))?
        .all_granted(1)?;
    host.sh("cat /dev/zero >/var/lib/mfa/filler")?;
    let mut codes = Vec::new();
    // A write-ahead log may have room left in its file: what is accepted must still be refused the second time.
    let code = totp.code(0)?;
    for _ in 0..2 {
        codes.push(host.drive("alice", &format!("--answer {code}"))?.granted());
        // What was accepted must be on the disk, not in the daemon's memory.
        host.sh("pkill -KILL -x mfad")?;
    }
    ensure(codes.iter().sum::<usize>() <= 1, || {
        format!("accepted {codes:?} times")
    })?;
    host.ok("rm /var/lib/mfa/filler; mfactl user unlock alice")?;
    host.drive("alice", &format!("--answer {}", totp.code(1)?))?
        .all_granted(1)
}

fn writable_policy(host: &Host) -> Outcome {
    host.person("bob")?;
    for spoil in [
        "chmod 0666 /etc/mfa/policy.toml",
        "chmod 0644 /etc/mfa/policy.toml; chown bob /etc/mfa/policy.toml",
        "mv /etc/mfa/policy.toml /etc/mfa/other; chown root /etc/mfa/other; ln -s other /etc/mfa/policy.toml",
    ] {
        host.write(
            "/etc/mfa/policy.toml",
            "0644",
            "[unenrolled]\naction = \"deny\"\n",
        )?;
        host.ok("chown root /etc/mfa/policy.toml; mfactl policy reload")?;
        host.ok(spoil)?;
        let reload = host.sh("mfactl policy reload")?;
        ensure(reload.status == 1, || {
            format!("after `{spoil}` reload ended with {}", reload.status)
        })?;
        host.ok("rm -f /etc/mfa/policy.toml")?;
    }
    Ok(())
}

fn unknown_argument(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    host.ok(&format!(
        "sed -i 's/after=password/after=password nulok/' /etc/pam.d/{SERVICE}"
    ))?;
    let report = host.drive("alice", &format!("--answer {}", totp.code(0)?))?;
    ensure(report.granted() == 0, || "let in".to_owned())?;
    let log = host.auth_log()?;
    ensure(log.contains("nulok"), || {
        format!("the log does not name it: {log}")
    })?;
    // The same stack, mended, and on a terminal.
    host.ok(&format!("sed -i 's/ nulok//' /etc/pam.d/{SERVICE}"))?;
    let mut screen = host.terminal(&["pamtester", SERVICE, "alice", "authenticate"])?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || format!("{status}: {shown}"))
}
