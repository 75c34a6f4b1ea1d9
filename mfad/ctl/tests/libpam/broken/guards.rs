//! Mistakes in the phases after the code: account and session lines that are missing, skipped or overruled. One table.

use mfactl::pam::Severity::{Hole, Risk};

use super::{Mistake, OURS, change_control, change_line, keys_alone, mistake};
use crate::good;

pub(super) const MISTAKES: &[Mistake] = &[
    mistake(
        "keys alone, and no account line",
        good::debian_password,
        |machine, _| {
            keys_alone(machine);
            machine.remove("sshd", "account", OURS);
        },
        &["account-missing"],
        Hole,
    ),
    mistake(
        "a Match block with keys alone, and no account line",
        good::debian_key,
        |machine, _| {
            machine
                .sshd_config
                .push_str("Match User deploy\n  AuthenticationMethods publickey\n");
            machine.remove("sshd", "account", OURS);
        },
        &["account-missing"],
        Hole,
    ),
    mistake(
        "keys alone, and guard=none",
        good::debian_password,
        |machine, seeded| {
            keys_alone(machine);
            let guard = *seeded.pick(&["guard=none", "guard=vpn"]);
            change_line(
                machine,
                "sshd",
                "account",
                &format!("account required pam_mfa.so {guard}"),
            );
        },
        &["guard-off"],
        Hole,
    ),
    mistake(
        "keys alone, and the account line last",
        good::debian_password,
        |machine, _| {
            keys_alone(machine);
            let line = machine.remove("sshd", "account", OURS);
            machine.replace(
                "sshd",
                "@include common-account\n",
                &format!("@include common-account\n{line}"),
            );
        },
        &["account-skipped"],
        Hole,
    ),
    mistake(
        "keys alone, and the account line optional",
        good::debian_password,
        |machine, seeded| {
            keys_alone(machine);
            let control = *seeded.pick(&["optional", "sufficient", "[success=ok default=ignore]"]);
            change_control(machine, "sshd", "account", control);
        },
        &["account-refusal-ignored"],
        Hole,
    ),
    mistake(
        "the account line last",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "sudo-i", "su", "login", "sshd"]);
            let line = machine.remove(service, "account", OURS);
            machine.replace(
                service,
                "@include common-account\n",
                &format!("@include common-account\n{line}"),
            );
        },
        &["account-skipped"],
        Risk,
    ),
    mistake(
        "no account line",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "sudo-i", "su", "login"]);
            machine.remove(service, "account", OURS);
        },
        &["account-missing"],
        Risk,
    ),
    mistake(
        "keys alone, and no session line",
        good::debian_password,
        |machine, _| {
            keys_alone(machine);
            machine.remove("sshd", "session", OURS);
        },
        &["session-missing"],
        Hole,
    ),
    mistake(
        "no session line",
        good::debian_key,
        |machine, _| {
            machine.remove("sshd", "session", OURS);
        },
        &["session-missing"],
        Risk,
    ),
    mistake(
        "keys alone, and the session line optional",
        good::debian_password,
        |machine, _| {
            keys_alone(machine);
            change_control(machine, "sshd", "session", "optional");
        },
        &["session-refusal-ignored"],
        Hole,
    ),
    mistake(
        "keys alone, and the session line after a file of the user's own",
        good::debian_password,
        |machine, _| {
            keys_alone(machine);
            let line = machine.remove("sshd", "session", OURS);
            let own =
                "session    required     pam_env.so user_readenv=1 envfile=/etc/default/locale\n";
            machine.replace("sshd", own, &format!("{own}{line}"));
        },
        &["own-environment"],
        Hole,
    ),
];
