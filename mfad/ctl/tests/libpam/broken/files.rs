//! Mistakes in the files themselves: what cannot be read, who may write it, passwd's stack, and what pam-auth-update and
//! authselect have made. One table.

use std::fmt::Write as _;

use mfactl::pam::Severity::{Hole, Risk};

use super::{AFTER_A_PASSWORD, Mistake, OURS, change_control, mistake};
use crate::good;

pub(super) const MISTAKES: &[Mistake] = &[
    mistake(
        "files in a circle",
        good::debian_all,
        |machine, seeded| {
            let line = *seeded.pick(&[
                "@include common-auth\n",
                "auth include common-auth\n",
                "auth substack common-auth\n",
            ]);
            machine.stack("common-auth").push_str(line);
        },
        &["include-cycle"],
        Risk,
    ),
    mistake(
        "@include of nothing",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "login", "sshd"]);
            machine.stack(service).push_str("@include common-extra\n");
        },
        &["does-not-start"],
        Risk,
    ),
    mistake(
        "a control word that is none",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(
                machine,
                service,
                "auth",
                seeded.pick::<&str>(&["requird", "[success=OK default=die]", "[success=ok"]),
            );
        },
        &["broken-line"],
        Risk,
    ),
    mistake(
        "an argument of another module",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            let argument = *seeded.pick(&["nullok", "after=key", "guard=", "timeout=1"]);
            machine.replace(
                service,
                "pam_mfa.so after=password",
                &format!("pam_mfa.so {argument}"),
            );
        },
        &["bad-argument"],
        Risk,
    ),
    mistake(
        "a password stack with our module alone",
        good::debian_all,
        |machine, _| {
            machine.replace("passwd", "@include common-password\n", "");
        },
        &["password-alone"],
        Risk,
    ),
    mistake(
        "passwd's code does not count",
        good::debian_all,
        |machine, seeded| {
            let control = *seeded.pick(&["optional", "sufficient", "[default=ignore]"]);
            change_control(machine, "passwd", "password", control);
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "passwd's password is sufficient",
        good::debian_all,
        |machine, _| {
            machine.replace(
                "passwd",
                "@include common-password",
                "password sufficient pam_unix.so",
            );
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "a stack that others may write",
        good::debian_all,
        |machine, seeded| {
            let file = *seeded.pick(&["sudo", "common-auth", "sshd"]);
            machine.modes.push((format!("etc/pam.d/{file}"), 0o666));
        },
        &["file-unsafe"],
        Hole,
    ),
    mistake(
        "a module that others may write",
        good::debian_all,
        |machine, _| {
            machine.modes.push((
                "usr/lib/x86_64-linux-gnu/security/pam_env.so".to_owned(),
                0o666,
            ));
        },
        &["module-unsafe"],
        Hole,
    ),
    mistake(
        "a line longer than libpam reads",
        good::debian_all,
        |machine, _| {
            let long = "x".repeat(1200);
            let _ = writeln!(machine.stack("sudo"), "auth required pam_env.so {long}");
        },
        &["unclear"],
        Hole,
    ),
    mistake(
        "the profile, with its line turned sufficient",
        good::profile,
        |machine, _| {
            machine.replace(
                "common-auth",
                "auth required pam_mfa.so",
                "auth sufficient pam_mfa.so",
            );
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "the profile, and its line jumped over",
        good::profile,
        |machine, _| {
            machine.replace(
                "common-auth",
                "auth required pam_permit.so\n",
                "auth [default=1] pam_permit.so\nauth required pam_permit.so\n",
            );
            machine.replace("common-auth", "success=1", "success=2");
            machine.insert_before(
                "common-auth",
                "auth",
                OURS,
                "auth [success=1 default=ignore] pam_localuser.so",
            );
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "Fedora, a local user's password is sufficient",
        good::fedora,
        |machine, seeded| {
            let file = *seeded.pick(&["system-auth", "password-auth"]);
            machine.replace(file, "[success=2 default=ignore]", "sufficient");
        },
        &["way-around"],
        Hole,
    ),
];
