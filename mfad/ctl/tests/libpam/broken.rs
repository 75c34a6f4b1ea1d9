//! What can go wrong with a machine, one thing at a time, and which finding must tell of it.

mod elsewhere;
mod files;
mod guards;

use std::fmt::Write as _;

use mfactl::pam::Severity::{self, Hole, Risk};

use crate::{good, machine::Machine, seeded::Seeded};

/// All of them.
pub(crate) fn all() -> impl Iterator<Item = &'static Mistake> {
    IN_AUTH
        .iter()
        .chain(guards::MISTAKES)
        .chain(elsewhere::MISTAKES)
        .chain(files::MISTAKES)
}

/// One mistake.
pub(crate) struct Mistake {
    pub(crate) name: &'static str,
    /// The machine on which it is made.
    pub(crate) on: fn() -> Machine,
    pub(crate) make: fn(&mut Machine, &mut Seeded),
    /// Any of these findings tells of it…
    pub(crate) rules: &'static [&'static str],
    /// … if it is at least so bad.
    pub(crate) severity: Severity,
}

const fn mistake(
    name: &'static str,
    on: fn() -> Machine,
    make: fn(&mut Machine, &mut Seeded),
    rules: &'static [&'static str],
    severity: Severity,
) -> Mistake {
    Mistake {
        name,
        on,
        make,
        rules,
        severity,
    }
}

/// Services of the machine with every stack whose auth phase has a password before the code.
const AFTER_A_PASSWORD: [&str; 4] = ["sudo", "sudo-i", "su", "login"];
/// Modules that agree without having asked anybody.
const EASY: [&str; 5] = [
    "pam_localuser.so",
    "pam_permit.so",
    "pam_shells.so",
    "pam_succeed_if.so quiet user ingroup trusted",
    "pam_listfile.so item=user sense=allow file=/etc/trusted",
];
const OURS: &str = "pam_mfa.so";

const IN_AUTH: &[Mistake] = &[
    mistake(
        "sufficient before the module",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "su", "login", "sshd", "sudo-critical"]);
            let module = *seeded.pick(&EASY);
            machine.insert_before(service, "auth", OURS, &format!("auth sufficient {module}"));
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "the password is sufficient",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            machine.replace(
                service,
                "@include common-auth",
                "auth sufficient pam_unix.so",
            );
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "done for a right password in a file that is included",
        good::debian_all,
        |machine, _| {
            machine.replace("common-auth", "success=1", "success=done");
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "the module is optional",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(machine, service, "auth", "optional");
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "default=ignore",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(machine, service, "auth", "[success=ok default=ignore]");
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "one kind of refusal is ignored",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(
                machine,
                service,
                "auth",
                "[success=ok authinfo_unavail=ignore default=die]",
            );
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "the module is sufficient",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            change_control(machine, service, "auth", "sufficient");
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "a jump past the module",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            let module = *seeded.pick(&EASY);
            machine.insert_before(
                service,
                "auth",
                OURS,
                &format!("auth [success=1 default=ignore] {module}"),
            );
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "one jump too far",
        good::fedora,
        |machine, _| {
            machine.replace(
                "system-auth",
                "[success=2 default=ignore]",
                "[success=3 default=ignore]",
            );
        },
        &["way-around", "locked-out"],
        Risk,
    ),
    mistake(
        "a reset takes the refusal back",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&AFTER_A_PASSWORD);
            let line = machine.remove(service, "auth", OURS);
            machine.stacks.insert(
                "second".to_owned(),
                format!("{line}auth [default=reset] pam_warn.so\n"),
            );
            let at = machine
                .stack(service)
                .find("@include common-auth\n")
                .unwrap()
                + "@include common-auth\n".len();
            machine
                .stack(service)
                .insert_str(at, "auth substack second\n");
        },
        &["refusal-ignored"],
        Hole,
    ),
    mistake(
        "done in a substack ends only that",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "login"]);
            let line = machine.remove(service, "auth", OURS);
            machine.stacks.insert(
                "second".to_owned(),
                format!("auth sufficient pam_localuser.so\n{line}"),
            );
            machine.replace(
                service,
                "@include common-auth\n",
                "@include common-auth\nauth substack second\n",
            );
        },
        &["way-around"],
        Hole,
    ),
    mistake(
        "a module that always agrees beside ours, and no password",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "login"]);
            let module = *seeded.pick(&[
                "pam_permit.so",
                "pam_shells.so",
                "pam_nologin.so successok",
                "pam_cap.so",
            ]);
            machine.replace(
                service,
                "@include common-auth",
                &format!("auth required {module}"),
            );
            machine.replace(service, "pam_mfa.so after=password", OURS);
        },
        &["no-first-factor", "code-alone"],
        Hole,
    ),
    mistake(
        "after=password without a password",
        good::debian_all,
        |machine, seeded| {
            let service = *seeded.pick(&["sudo", "sudo-i", "login"]);
            machine.replace(service, "@include common-auth\n", "");
        },
        &["after-password-untrue"],
        Hole,
    ),
    mistake(
        "the decoy is forgotten",
        good::debian_password,
        |machine, _| {
            machine.remove("sshd", "auth", "decoy");
        },
        &["no-first-factor", "code-alone"],
        Hole,
    ),
    mistake(
        "sshd-key, and sshd demands no key",
        good::debian_key,
        |machine, seeded| {
            let methods = *seeded.pick(&[
                "any",
                "keyboard-interactive",
                "publickey,keyboard-interactive keyboard-interactive:pam",
            ]);
            machine.set_sshd("authenticationmethods", methods);
        },
        &["code-alone"],
        Hole,
    ),
    mistake(
        "a Match block lets a code alone in",
        good::debian_key,
        |machine, seeded| {
            let who = *seeded.pick(&[
                "User backup",
                "Group staff",
                "Address 10.0.0.0/8",
                "User * Address *",
                "all",
            ]);
            let _ = write!(
                machine.sshd_config,
                "Match {who}\n  AuthenticationMethods keyboard-interactive\n"
            );
        },
        &["code-alone"],
        Hole,
    ),
];

fn keys_alone(machine: &mut Machine) {
    machine.set_sshd("authenticationmethods", "any");
}

/// Gives the first line of ours in a phase another control field.
fn change_control(machine: &mut Machine, service: &str, phase: &str, control: &str) {
    let text = machine.stack(service);
    let old = ours(text, phase);
    let after = &old[old.find(OURS).unwrap()..];
    let new = format!("{phase} {control} {after}");
    *text = text.replacen(&old, &new, 1);
}

fn change_line(machine: &mut Machine, service: &str, phase: &str, new: &str) {
    let text = machine.stack(service);
    let old = ours(text, phase);
    *text = text.replacen(&old, new, 1);
}

fn ours(text: &str, phase: &str) -> String {
    let found = text
        .lines()
        .find(|line| line.starts_with(phase) && line.contains(OURS));
    found
        .unwrap_or_else(|| panic!("no {phase} line of ours:\n{text}"))
        .to_owned()
}
