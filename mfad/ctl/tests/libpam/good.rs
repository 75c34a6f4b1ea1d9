//! Machines as they should be: the stacks that are shipped, the profile applied, and layouts of other distributions.

use std::{collections::BTreeMap, fs, path::Path};

use crate::machine::Machine;

const COMMON_AUTH: &str = "\
auth [success=1 default=ignore] pam_unix.so nullok
auth requisite pam_deny.so
auth required pam_permit.so
auth optional pam_cap.so
";
const COMMON_ACCOUNT: &str = "\
account [success=1 new_authtok_reqd=done default=ignore] pam_unix.so
account requisite pam_deny.so
account required pam_permit.so
";
const COMMON_PASSWORD: &str = "\
password [success=1 default=ignore] pam_unix.so obscure yescrypt
password requisite pam_deny.so
password required pam_permit.so
";
const COMMON_SESSION: &str = "\
session [default=1] pam_permit.so
session requisite pam_deny.so
session required pam_permit.so
session required pam_unix.so
";
/// What Debian 12 has, shortened to the lines that decide.
const DEBIAN: [(&str, &str); 13] = [
    ("common-auth", COMMON_AUTH),
    ("common-account", COMMON_ACCOUNT),
    ("common-password", COMMON_PASSWORD),
    ("common-session-noninteractive", COMMON_SESSION),
    (
        "other",
        "@include common-auth\n@include common-account\n@include common-password\n@include common-session\n",
    ),
    (
        "sshd",
        "@include common-auth\naccount required pam_nologin.so\n@include common-account\nsession required pam_loginuid.so\n\
         @include common-session\nsession required pam_limits.so\n@include common-password\n",
    ),
    (
        "sudo",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n\
         @include common-session-noninteractive\n",
    ),
    (
        "sudo-i",
        "session required pam_limits.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
    (
        "su",
        "auth sufficient pam_rootok.so\nsession required pam_env.so readenv=1\n@include common-auth\n\
         @include common-account\n@include common-session\n",
    ),
    (
        "su-l",
        "auth include su\naccount include su\npassword include su\nsession include su\n",
    ),
    (
        "login",
        "auth optional pam_faildelay.so delay=3000000\nauth requisite pam_nologin.so\n@include common-auth\n\
         auth optional pam_group.so\nsession required pam_limits.so\n@include common-account\n@include common-session\n\
         @include common-password\n",
    ),
    ("passwd", "@include common-password\n"),
    (
        "chsh",
        "auth required pam_shells.so\nauth sufficient pam_rootok.so\n@include common-auth\n@include common-account\n@include common-session\n",
    ),
];
const CRON: &str = "@include common-auth\nsession required pam_loginuid.so\nsession required pam_env.so\n\
    @include common-account\n@include common-session-noninteractive\n";

/// Settings for a key and a code.
const KEY_THEN_CODE: &str = "publickey,keyboard-interactive:pam";

fn settings(methods: &str) -> String {
    format!(
        "port 22\nusepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\npasswordauthentication no\n\
         hostbasedauthentication no\ngssapiauthentication no\npermitemptypasswords no\nmaxauthtries 6\nlogingracetime 120\n\
         authenticationmethods {methods}\n"
    )
}

fn debian() -> Machine {
    let mut stacks: BTreeMap<String, String> = DEBIAN
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.to_owned()))
        .collect();
    stacks.insert(
        "common-session".to_owned(),
        format!("{COMMON_SESSION}session optional pam_systemd.so\n"),
    );
    stacks.insert("cron".to_owned(), CRON.to_owned());
    Machine {
        stacks,
        sshd: Some(settings("any")),
        sshd_config: "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM yes\n".to_owned(),
        sudoers: "Defaults env_reset\nroot ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL:ALL) ALL\n".to_owned(),
        modes: Vec::new(),
    }
}

/// A stack as it is shipped.
pub(crate) fn shipped(name: &str) -> String {
    let place = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../packaging/pam")
        .join(name);
    fs::read_to_string(place).unwrap()
}

pub(crate) fn debian_key() -> Machine {
    let mut machine = debian();
    machine
        .stacks
        .insert("sshd".to_owned(), shipped("sshd-key"));
    machine.sshd = Some(settings(KEY_THEN_CODE));
    machine
}

pub(crate) fn debian_password() -> Machine {
    let mut machine = debian();
    machine
        .stacks
        .insert("sshd".to_owned(), shipped("sshd-password"));
    machine.sshd = Some(settings("keyboard-interactive:pam"));
    machine
}

/// Both, and a code for each login: a key and password and code.
pub(crate) fn debian_key_and_password() -> Machine {
    let mut machine = debian_password();
    machine.sshd = Some(settings(KEY_THEN_CODE));
    machine
}

pub(crate) fn debian_sudo() -> Machine {
    let mut machine = debian();
    for name in ["sudo", "sudo-i"] {
        machine.stacks.insert(name.to_owned(), shipped(name));
    }
    machine
}

/// Every stack that is shipped.
pub(crate) fn debian_all() -> Machine {
    let mut machine = debian_key();
    for name in ["sudo", "sudo-i", "su", "login", "passwd"] {
        machine.stacks.insert(name.to_owned(), shipped(name));
    }
    let critical = shipped("sudo");
    machine.stacks.insert("sudo-critical".to_owned(), critical);
    machine
        .sudoers
        .push_str("Defaults!/usr/sbin/reboot pam_service=sudo-critical, timestamp_timeout=0\n");
    machine
}

/// `pam-auth-update --enable mfa`.
pub(crate) fn profile() -> Machine {
    let mut machine = debian();
    machine.replace(
        "common-auth",
        "auth optional pam_cap.so\n",
        "auth required pam_mfa.so after=password\nauth optional pam_cap.so\n",
    );
    let account = machine.stack("common-account");
    account.insert_str(0, "account required pam_mfa.so\n");
    machine
        .stack("common-session")
        .push_str("session required pam_mfa.so\n");
    machine.sshd = Some(settings("keyboard-interactive:pam"));
    // With the profile a wrong password ends at pam_deny, before any code.
    machine
}

const SYSTEM_AUTH: &str = "\
auth        required                                     pam_env.so
auth        required                                     pam_faildelay.so delay=2000000
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        [default=1 ignore=ignore success=ok]         pam_localuser.so
auth        [success=2 default=ignore]                   pam_unix.so nullok
auth        [success=1 default=ignore]                   pam_sss.so forward_pass
auth        requisite                                    pam_deny.so
auth        required                                     pam_mfa.so after=password
account     required                                     pam_mfa.so
account     required                                     pam_unix.so
account     sufficient                                   pam_localuser.so
account     sufficient                                   pam_usertype.so issystem
account     [default=bad success=ok user_unknown=ignore] pam_sss.so
account     required                                     pam_permit.so
password    requisite                                    pam_pwquality.so local_users_only
password    sufficient                                   pam_unix.so yescrypt shadow nullok use_authtok
password    sufficient                                   pam_sss.so use_authtok
password    required                                     pam_deny.so
session     optional                                     pam_keyinit.so revoke
session     required                                     pam_limits.so
-session    optional                                     pam_systemd.so
session     [success=1 default=ignore]                   pam_succeed_if.so service in crond quiet use_uid
session     required                                     pam_unix.so
session     required                                     pam_mfa.so
session     optional                                     pam_sss.so
";

/// Fedora's files, with the module inside of system-auth and password-auth, after the password.
pub(crate) fn fedora() -> Machine {
    let service = |kind: &str, from: &str| {
        format!(
            "auth {kind} {from}\naccount include {from}\npassword include {from}\nsession include {from}\n"
        )
    };
    let mut machine = debian();
    machine.stacks = [
        ("system-auth", SYSTEM_AUTH.to_owned()),
        ("password-auth", SYSTEM_AUTH.to_owned()),
        ("postlogin", "session optional pam_lastlog.so silent noupdate\n".to_owned()),
        (
            "sshd",
            "auth substack password-auth\nauth include postlogin\naccount required pam_sepermit.so\n\
             account required pam_nologin.so\naccount include password-auth\npassword include password-auth\n\
             session required pam_loginuid.so\nsession include password-auth\nsession include postlogin\n"
                .replace("account required pam_sepermit.so\n", ""),
        ),
        ("sudo", service("include", "system-auth")),
        ("sudo-i", "auth include sudo\naccount include sudo\npassword include sudo\nsession include sudo\n".to_owned()),
        (
            "su",
            format!("auth sufficient pam_rootok.so\n{}", service("substack", "system-auth").replace(
                "account include",
                "account sufficient pam_succeed_if.so uid = 0 use_uid quiet\naccount include",
            )),
        ),
        (
            "su-l",
            "auth include su\naccount include su\npassword include su\nsession include su\n".to_owned(),
        ),
        (
            "login",
            format!("{}session include postlogin\n", service("substack", "system-auth")),
        ),
        ("passwd", "auth include system-auth\naccount include system-auth\npassword substack system-auth\n".to_owned()),
        ("other", "auth required pam_deny.so\naccount required pam_deny.so\npassword required pam_deny.so\nsession required pam_deny.so\n".to_owned()),
    ]
    .into_iter()
    .map(|(name, text)| (name.to_owned(), text))
    .collect();
    machine.sshd = Some(settings("keyboard-interactive:pam"));
    machine
}

/// Fedora's files as they are, and a key and a code in sshd.
pub(crate) fn fedora_key() -> Machine {
    let mut machine = fedora();
    for name in ["system-auth", "password-auth"] {
        for phase in ["auth", "account", "session"] {
            machine.remove(name, phase, "pam_mfa.so");
        }
        machine.replace(
            name,
            "auth        requisite                                    pam_deny.so",
            "auth required pam_deny.so",
        );
        machine.replace(name, "[success=2 default=ignore]", "sufficient");
        machine.replace(
            name,
            "[success=1 default=ignore]                   pam_sss",
            "sufficient pam_sss",
        );
    }
    machine.stacks.insert(
        "sshd".to_owned(),
        "auth required pam_mfa.so\naccount required pam_mfa.so\naccount required pam_nologin.so\n\
         account include password-auth\npassword include password-auth\nsession required pam_loginuid.so\n\
         session required pam_mfa.so\nsession include password-auth\nsession include postlogin\n"
            .to_owned(),
    );
    machine.sshd = Some(settings(KEY_THEN_CODE));
    machine
}

/// Makes a machine.
type Make = fn() -> Machine;

/// All of them, by name.
pub(crate) const ALL: &[(&str, Make)] = &[
    ("Debian, sshd-key", debian_key),
    ("Debian, sshd-password", debian_password),
    ("Debian, key, password and code", debian_key_and_password),
    ("Debian, sudo", debian_sudo),
    ("Debian, all stacks", debian_all),
    ("Debian, the profile", profile),
    ("Fedora, inside of system-auth", fedora),
    ("Fedora, key and code", fedora_key),
];
