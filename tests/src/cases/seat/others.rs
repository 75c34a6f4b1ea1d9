//! A security key at the seat of a machine beside other programs: one that keeps it busy, polkit and its agent, libfido2 and
//! pam_u2f; and a person who has thought better of it.

use std::time::{Duration, Instant};

use super::{CODE, DONE, LONG, SHELL, SUDO, TOUCH, at_the_seat, case};
use crate::{Outcome, cases::Case, failure::ensure, host::Host, ssh::PROMPT};

/// The table.
pub const CASES: &[Case] = &[
    case(
        "Ctrl-C at the touch ends sudo and the blinking at once, and a virtual key that is busy elsewhere is waited for",
        stopped_and_busy,
    ),
    case(
        "pkexec at the seat takes a touch of the virtual key, which pam_u2f and libfido2 know by the same credential",
        polkit_and_peers,
    ),
];

/// How long sudo may take to end at Ctrl-C; a touch is waited for five times as long.
const AT_ONCE: Duration = Duration::from_secs(5);

/// pkexec with an agent for this terminal that is there before it, in one process group: another's may not hide the input.
const PKEXEC: &str = "#!/bin/bash
cd $(mktemp -d)
mkfifo registered
pkttyagent --process $$ --notify-fd 3 3>registered &
cat registered
pkexec sh -c 'echo now-$(id -un)-so'
kill $!
";

/// Waits until the console does not show what is typed: pkttyagent hides every answer, and throws away what comes before that.
fn hides_typing(host: &Host) -> Outcome {
    host.ok(
        "for i in $(seq 200); do stty --file /dev/tty1 --all | grep -qw -e '-echo' && exit 0; sleep 0.05; done; exit 1",
    )
    .map(drop)
}

fn blinks(host: &Host, whether: bool) -> Outcome {
    host.ok(&format!(
        "for i in $(seq 100); do vkey tell blue status | grep -q blinks={whether} && exit 0; sleep 0.1; done; exit 1"
    ))
    .map(drop)
}

fn stopped_and_busy(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        seat.tell("up=wait")?;
        seat.enter()?;
        blinks(host, true)?;
        let begun = Instant::now();
        seat.screen.send("\u{3}")?;
        seat.screen.expect(SHELL, LONG)?;
        ensure(begun.elapsed() < AT_ONCE, || {
            format!("sudo ended {:?} after Ctrl-C", begun.elapsed())
        })?;
        blinks(host, false)?;
        seat.tell("up=auto")?;
        seat.enter()?;
        seat.done()?;

        // Another program, which waits for a touch of the same key.
        seat.tell("up=wait")?;
        host.ok(
            "printf '%s\n' AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= host.example alice YWxpY2U= >/root/request && \
             systemd-run --quiet --unit=browser fido2-cred -M -i /root/request -o /root/made \
             $(fido2-token -L | sed 's/: .*//')",
        )?;
        blinks(host, true)?;
        seat.enter()?;
        seat.screen.expect(
            "Your security key is busy in another program. Waiting for it.",
            LONG,
        )?;
        seat.screen.expect(CODE, PROMPT)?;
        seat.tell("touch up=auto")?;
        host.ok("for i in $(seq 100); do [ -s /root/made ] && exit 0; sleep 0.1; done; exit 1")?;
        seat.screen.line("")?;
        seat.done()
    })
}

fn polkit_and_peers(host: &Host) -> Outcome {
    at_the_seat(host, |seat| {
        host.use_stack("polkit-1")?;
        host.write("/usr/local/bin/as-root", "0755", PKEXEC)?;
        seat.screen.line("as-root")?;
        seat.screen.expect("Password: ", PROMPT)?;
        hides_typing(host)?;
        seat.screen.line(&seat.alice.password)?;
        seat.screen.expect(TOUCH, PROMPT)?;
        seat.screen.expect(": ", PROMPT)?;
        hides_typing(host)?;
        seat.screen.line("")?;
        seat.done()?;

        let ours = host.ok("cat /etc/pam.d/sudo")?;
        host.write(
            "/etc/pam.d/sudo",
            "0644",
            "auth required pam_u2f.so authfile=/root/u2f_mappings origin=pam://bed appid=pam://bed\n\
             account required pam_permit.so\nsession required pam_permit.so\n",
        )?;
        seat.screen.line(SUDO)?;
        seat.screen.expect(DONE, LONG)?;
        seat.screen.expect(SHELL, PROMPT)?;
        let list = host.ok("fido2-token -L")?;
        ensure(
            list.lines().count() == 1 && list.contains("vendor=0x1209"),
            || list.clone(),
        )?;
        host.write("/etc/pam.d/sudo", "0644", &ours)?;
        seat.enter()?;
        seat.done()
    })
}
