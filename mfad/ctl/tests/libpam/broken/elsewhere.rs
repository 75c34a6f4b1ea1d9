//! Mistakes beside the ways through a stack: sshd, order, modules, sudo and su. One table.

use std::fmt::Write as _;

use mfactl::pam::Severity::{Hole, Risk};

use super::{AFTER_A_PASSWORD, Mistake, OURS, change_control, keys_alone, mistake};
use crate::good::{self, shipped};

pub(super) const MISTAKES: &[Mistake] = &[
    mistake(
        "sshd with PAM off",
        good::debian_key,
        |machine, _| {
            machine.set_sshd("usepam", "no");
        },
        &["usepam-off"],
        Hole,
    ),
    mistake(
        "sshd without keyboard-interactive",
        good::debian_password,
        |machine, _| {
            machine.set_sshd("kbdinteractiveauthentication", "no");
        },
        &["kbdinteractive-off"],
        Risk,
    ),
    mistake(
        "sshd with its password method",
        good::debian_password,
        |machine, _| {
            machine.set_sshd("passwordauthentication", "yes");
            machine.set_sshd("authenticationmethods", "any");
        },
        &["password-method"],
        Risk,
    ),
    mistake(
        "keys alone",
        good::debian_password,
        |machine, _| keys_alone(machine),
        &["key-alone"],
        Risk,
    ),
    mistake(
        "required for the password",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "sudo-i", "login"]);
            machine.replace(service, "@include common-auth", "auth required pam_unix.so");
        },
        &["wrong-password-spends"],
        Risk,
    ),
    mistake(
        "Fedora's substack before the module",
        good::fedora,
        |machine, _| {
            let line = machine.remove("password-auth", "auth", OURS);
            machine.replace(
                "sshd",
                "auth substack password-auth\n",
                &format!("auth substack password-auth\n{line}"),
            );
            machine.replace(
                "password-auth",
                "requisite                                    pam_deny",
                "required pam_deny",
            );
            machine.replace("password-auth", "[success=2 default=ignore]", "sufficient");
            machine.replace(
                "password-auth",
                "[success=1 default=ignore]                   pam_sss",
                "sufficient pam_sss",
            );
        },
        &["wrong-password-spends"],
        Risk,
    ),
    mistake(
        "the code before the password",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "sudo-i", "login"]);
            let line = machine.remove(service, "auth", OURS);
            machine.replace(
                service,
                "@include common-auth\n",
                &format!("{line}@include common-auth\n"),
            );
        },
        &["code-before-password"],
        Risk,
    ),
    mistake(
        "unreachable=ignore",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            machine.replace(
                service,
                "pam_mfa.so after=password",
                "pam_mfa.so after=password unreachable=ignore",
            );
        },
        &["unreachable-ignore"],
        Risk,
    ),
    mistake(
        "unreachable=ignore, and after=password without one",
        good::debian_all,
        |machine, _| {
            machine.replace("login", "@include common-auth\n", "");
            machine.replace(
                "login",
                "pam_mfa.so after=password",
                "pam_mfa.so after=password unreachable=ignore",
            );
        },
        &["unreachable-ignore"],
        Hole,
    ),
    mistake(
        "a module path that does not exist",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            let path = *seeded.pick(&["/lib/security/pam_mfa.so", "mfa/pam_mfa.so"]);
            machine.replace(
                service,
                "pam_mfa.so after=password",
                &format!("{path} after=password"),
            );
        },
        &["module-missing"],
        Risk,
    ),
    mistake(
        "a module that does not exist, and is ignored",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(
                machine,
                service,
                "auth",
                "[success=ok module_unknown=ignore default=die]",
            );
            machine.replace(
                service,
                "pam_mfa.so after=password",
                "/opt/pam_mfa.so after=password",
            );
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "a misspelt module",
        good::debian_all,
        |machine, _| {
            machine.insert_before("sudo", "auth", OURS, "auth required pam_unixx.so");
        },
        &["module-missing"],
        Risk,
    ),
    mistake(
        "rootok in a daemon's stack",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["login", "sshd"]);
            machine.insert_before(service, "auth", OURS, "auth sufficient pam_rootok.so");
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "sudo -i is forgotten",
        good::debian_sudo,
        |machine, _| {
            machine.replace(
                "sudo-i",
                "auth       required   pam_mfa.so after=password\n",
                "",
            );
            machine.replace("sudo-i", "account    required   pam_mfa.so\n", "");
        },
        &["twin-unprotected"],
        Hole,
    ),
    mistake(
        "the auth line is forgotten",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["login", "sudo-critical"]);
            machine.remove(service, "auth", OURS);
        },
        &["auth-missing"],
        Hole,
    ),
    mistake(
        "pam_service in capitals",
        good::debian_all,
        |machine, _| {
            machine
                .stacks
                .insert("Sudo-Critical".to_owned(), shipped("sudo"));
            machine.stacks.remove("sudo-critical");
            machine.sudoers = machine.sudoers.replace("sudo-critical", "Sudo-Critical");
        },
        &["service-case"],
        Hole,
    ),
    mistake(
        "pam_service without a file",
        good::debian_all,
        |machine, _| {
            machine.stacks.remove("sudo-critical");
        },
        &["service-missing"],
        Hole,
    ),
    mistake(
        "pam_service with a plain stack",
        good::debian_all,
        |machine, _| {
            machine.stacks.insert(
                "sudo-critical".to_owned(),
                "@include common-auth\n@include common-account\n".to_owned(),
            );
        },
        &["step-up-unprotected"],
        Hole,
    ),
    mistake(
        "a step-up that the timestamp skips",
        good::debian_all,
        |machine, seeded| {
            let left = *seeded.pick(&["", ", timestamp_timeout=5", ", !authenticate"]);
            machine.sudoers = machine.sudoers.replace(", timestamp_timeout=0", left);
        },
        &["timestamp-skips"],
        Hole,
    ),
    mistake(
        "NOPASSWD",
        good::debian_sudo,
        |machine, _| {
            machine.sudoers.push_str("deploy ALL=(ALL) NOPASSWD: ALL\n");
        },
        &["nopasswd"],
        Risk,
    ),
    mistake(
        "a timestamp that lasts",
        good::debian_sudo,
        |machine, seeded| {
            let setting = *seeded.pick(&[
                "timestamp_timeout=-1",
                "timestamp_timeout=600",
                "timestamp_type=global",
            ]);
            let _ = writeln!(machine.sudoers, "Defaults {setting}");
        },
        &["timestamp-forever", "timestamp-long", "timestamp-global"],
        Risk,
    ),
];
