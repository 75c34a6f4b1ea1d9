//! The daemon away, cold, killed or without a bus; and hosts that never ask anybody.

use std::time::{Duration, Instant};

use super::{Case, WITH_SYSTEMD};
use crate::{Outcome, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "a login without the daemon is refused within 3 seconds",
        away,
    ),
    Case::new("the first login starts the daemon", cold),
    Case::new("the first login after an idle exit starts the daemon", idle).on(WITH_SYSTEMD),
    Case::new(
        "a daemon killed in a dialogue ends that login, and serves the next",
        killed,
    ),
    Case::new("logins go on while the bus is down", no_bus),
    Case::new("a code used before a kill -9 is refused after it", durable),
    Case::new(
        "another sealing key takes over, and the old one can go",
        another_key,
    ),
    Case::new(
        "a daemon that starts with a broken policy keeps the last good one",
        last_good,
    ),
    Case::new("cron runs an enrolled user's job without a code", cron).within(100),
    Case::new("pamtester is let in with a right code", pamtester),
    Case::new(
        "the daemon runs as its own user, with no capability",
        unprivileged,
    ),
];

const CODE: &str = "Verification code: ";

fn away(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, _) = host.enrolled("alice")?;
    host.disable_daemon()?;
    let begun = Instant::now();
    host.ssh_refused(&alice, "", &[])?;
    let took = begun.elapsed();
    // It gives up after two seconds; a person would be given 45.
    ensure(took < Duration::from_secs(20), || {
        format!("refused after {took:?}")
    })
}

fn cold(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn idle(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[daemon]\nidle-exit = \"5s\"\n",
    )?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("systemctl restart mfad.service")?;
    host.ok(
        "for i in $(seq 600); do systemctl is-active --quiet mfad.service || break; sleep 0.1; done; \
         ! systemctl is-active mfad.service && [ \"$(systemctl show -P Result mfad.service)\" = success ]",
    )?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn killed(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let mut screen = host.ssh(&alice, "", "echo in")?;
    screen.expect(CODE, PROMPT)?;
    host.ok("pkill -KILL -x mfad")?;
    screen.line(&totp.code(-1)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(!status.success(), || format!("{status}: {shown}"))?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn no_bus(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(-1)?)])?;
    // pam_systemd waits for logind over the bus, half a minute: that is its matter.
    host.ok("sed -i /pam_systemd/d /etc/pam.d/common-session")?;
    // Frozen, not dead: the worse case, for a connection to it hangs.
    host.ok("pkill -STOP -u messagebus dbus-daemon")?;
    let begun = Instant::now();
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    let took = begun.elapsed();
    host.ok("pkill -CONT -u messagebus dbus-daemon")?;
    ensure(took < Duration::from_secs(30), || {
        format!("let in after {took:?}")
    })
}

fn durable(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let code = totp.code(-1)?;
    host.ssh_in(&alice, "", &[(CODE, &code)])?;
    host.ok("pkill -KILL -x mfad")?;
    host.ssh_refused(&alice, "", &[(CODE, &code)])?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])
}

fn another_key(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(-1)?)])?;
    host.ok("/usr/libexec/mfa/mfad --add-key /etc/mfa/mfad.key; [ \"$(stat -c %U:%a /etc/mfa/mfad.key)\" = root:600 ]")?;
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    host.ok("for i in $(seq 300); do mfactl audit | grep -q 'sealed with key 2' && exit; sleep 0.1; done; mfactl audit; exit 1")?;
    host.ok("sed -i '/^mfad-key 1 /d' /etc/mfa/mfad.key")?;
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(1)?)])
}

fn last_good(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let bob = host.person("bob")?;
    host.policy(
        "[[rule]]\nname = \"robots\"\nwhen = { user = \"bob\" }\nrequire = \"none\"\n[unenrolled]\naction = \"deny\"\n",
    )?;
    // Nobody has asked for a reload: the next start finds it.
    host.write("/etc/mfa/policy.toml", "0644", "[[rule]\n")?;
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    host.ssh_in(&bob, "", &[])?;
    let status = host.sh("mfactl status")?.stdout;
    ensure(status.contains("/etc/mfa/policy.toml:1:"), || {
        format!("no place in {status:?}")
    })?;
    // One that was never good is not kept, and neither is one that somebody else has put there.
    host.stop_daemon()?;
    host.ok("chown root: /var/lib/mfa/last-good.json && chmod 0644 /var/lib/mfa/last-good.json")?;
    host.ssh_refused(&bob, "", &[])?;
    host.ok("rm /etc/mfa/policy.toml && mfactl policy reload")?;
    host.ok("[ \"$(stat -c '%U %a' /var/lib/mfa/last-good.json)\" = 'mfad 600' ]")
        .map(drop)
}

fn cron(host: &Host) -> Outcome {
    host.enrolled("alice")?;
    host.ok("sed -i '1i account required pam_mfa.so' /etc/pam.d/cron")?;
    host.write(
        "/etc/cron.d/case",
        "0644",
        "* * * * * alice touch /tmp/cron-ran\n",
    )?;
    host.ok("setsid cron -f >/dev/null 2>&1 </dev/null & disown")?;
    for _ in 0..2 {
        if host
            .sh("for i in $(seq 450); do [ -e /tmp/cron-ran ] && exit; sleep 0.1; done; exit 1")?
            .status
            == 0
        {
            return Ok(());
        }
    }
    ensure(false, || "the job did not run".to_owned())
}

fn pamtester(host: &Host) -> Outcome {
    host.use_stack("su")?;
    let (alice, totp) = host.enrolled("alice")?;
    // As somebody else: pam_rootok would let root pass.
    let mut stack = host.ok("cat /etc/pam.d/su")?;
    stack = stack.replace("auth       sufficient   pam_rootok.so\n", "");
    host.write("/etc/pam.d/tested", "0644", &stack)?;
    let mut screen =
        host.terminal(&["pamtester", "tested", "alice", "authenticate", "acct_mgmt"])?;
    screen.expect("Password: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(
        status.success() && shown.contains("successfully authenticated"),
        || format!("{status}: {shown}"),
    )
}

fn unprivileged(host: &Host) -> Outcome {
    host.enrolled("alice")?;
    let status = host.ok("cat /proc/$(pgrep -x mfad)/status; stat -c %U /proc/$(pgrep -x mfad)")?;
    for line in ["CapInh", "CapPrm", "CapEff", "CapAmb"] {
        ensure(
            status.contains(&format!("{line}:\t0000000000000000")),
            || format!("{line} is not empty: {status}"),
        )?;
    }
    ensure(status.contains("NoNewPrivs:\t1"), || {
        format!("new privileges are possible: {status}")
    })?;
    let uid = host.ok("id -u mfad")?;
    let all = format!("Uid:\t{0}\t{0}\t{0}\t{0}", uid.trim());
    ensure(status.contains(&all), || {
        format!("not wholly the user mfad: {status}")
    })
}
