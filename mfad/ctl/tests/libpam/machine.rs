//! Machines to check: files of `/etc/pam.d`, sshd and sudoers, put below a directory. What is on them is `good` and
//! `broken`'s matter.

use std::{
    collections::BTreeMap,
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt,
    path::Path,
};

use crate::seeded::Seeded;

/// What a machine consists of, for PAM.
#[derive(Debug, Clone)]
pub(crate) struct Machine {
    /// Files of `/etc/pam.d`.
    pub(crate) stacks: BTreeMap<String, String>,
    /// What `sshd -T` prints; without it, there is no sshd.
    pub(crate) sshd: Option<String>,
    /// `/etc/ssh/sshd_config`.
    pub(crate) sshd_config: String,
    pub(crate) sudoers: String,
    /// Files with another mode than 0644.
    pub(crate) modes: Vec<(String, u32)>,
}

/// Where the modules are.
const MODULES: &str = "usr/lib/x86_64-linux-gnu/security";
/// Modules that every machine has.
const THERE: &str = "access cap deny echo env exec faildelay faillock fprintd group keyinit lastlog limits listfile \
    localuser loginuid mail mfa mkhomedir motd nologin permit pwquality rootok securetty selinux shells sss succeed_if \
    systemd time umask unix usertype warn wheel";

impl Machine {
    pub(crate) fn stack(&mut self, service: &str) -> &mut String {
        self.stacks
            .get_mut(service)
            .unwrap_or_else(|| panic!("no stack {service}"))
    }

    /// Replaces in one stack, where there must be something to replace.
    pub(crate) fn replace(&mut self, service: &str, from: &str, to: &str) {
        let text = self.stack(service);
        assert!(text.contains(from), "{service} has no {from:?}:\n{text}");
        *text = text.replacen(from, to, 1);
    }

    /// Puts a line before the first of `service` that begins with `phase` and names `module`.
    pub(crate) fn insert_before(&mut self, service: &str, phase: &str, module: &str, line: &str) {
        let text = self.stack(service);
        let at =
            line_of(text, phase, module).unwrap_or_else(|| panic!("no {phase} {module}:\n{text}"));
        text.insert_str(at, &format!("{line}\n"));
    }

    /// Takes the first line of a phase with a module away.
    pub(crate) fn remove(&mut self, service: &str, phase: &str, module: &str) -> String {
        let text = self.stack(service);
        let at =
            line_of(text, phase, module).unwrap_or_else(|| panic!("no {phase} {module}:\n{text}"));
        let end = text[at..].find('\n').map_or(text.len(), |end| at + end + 1);
        let line = text[at..end].to_owned();
        text.replace_range(at..end, "");
        line
    }

    pub(crate) fn set_sshd(&mut self, name: &str, value: &str) {
        let settings = self.sshd.as_mut().unwrap();
        let kept: Vec<&str> = settings
            .lines()
            .filter(|line| line.split(' ').next() != Some(name))
            .collect();
        *settings = format!("{}\n{name} {value}\n", kept.join("\n"));
    }

    /// Writes it below `root`, which must be empty.
    pub(crate) fn write(&self, root: &Path) {
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, text).unwrap();
        };
        for (name, text) in &self.stacks {
            put(&format!("etc/pam.d/{name}"), text);
        }
        for name in THERE.split_whitespace() {
            put(&format!("{MODULES}/pam_{name}.so"), "");
        }
        put("etc/ssh/sshd_config", &self.sshd_config);
        put("etc/sudoers", &self.sudoers);
        if let Some(settings) = &self.sshd {
            put("sshd-T", settings);
            // It answers for no single connection: the blocks' own lines are judged.
            let script = format!(
                "#!/bin/sh\n[ $# = 1 ] && exec cat {}\nexit 1\n",
                root.join("sshd-T").display()
            );
            put("usr/sbin/sshd", &script);
            fs::set_permissions(root.join("usr/sbin/sshd"), Permissions::from_mode(0o755)).unwrap();
        }
        for (path, mode) in &self.modes {
            fs::set_permissions(root.join(path), Permissions::from_mode(*mode)).unwrap();
        }
    }
}

fn line_of(text: &str, phase: &str, module: &str) -> Option<usize> {
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let first = line.split_whitespace().next().unwrap_or_default();
        let include = first == "@include";
        if (first.eq_ignore_ascii_case(phase) || include) && line.contains(module) {
            return Some(at);
        }
        at += line.len();
    }
    None
}

/// Writes the same machine in another way: nothing of what it means changes.
pub(crate) fn redress(machine: &mut Machine, seeded: &mut Seeded) {
    for (name, text) in &mut machine.stacks {
        let mut new = String::new();
        for line in text.lines() {
            if seeded.one_in(8) {
                new.push_str("# auth sufficient pam_permit.so\n\n");
            }
            new.push_str(&redressed(line, name, seeded));
            new.push('\n');
        }
        *text = new;
    }
}

fn redressed(line: &str, file: &str, seeded: &mut Seeded) -> String {
    let words: Vec<&str> = line.split_whitespace().collect();
    let phase = words.first().copied().unwrap_or_default();
    if !["auth", "account", "session", "password"].contains(&phase) {
        return line.to_owned();
    }
    let mut line = line.to_owned();
    match seeded.below(9) {
        0 => line = line.replacen(phase, &phase.to_uppercase(), 1),
        1 if words.get(1) == Some(&"required") => {
            let pairs = "[success=ok new_authtok_reqd=ok ignore=ignore default=bad]";
            line = line.replacen("required", pairs, 1);
        }
        2 if words.get(1) == Some(&"required") => line = line.replacen("required", "REQUIRED", 1),
        3 => line = format!("  {}", words.join("\t")),
        4 if !line.contains('#') => line.push_str("  # as ever"),
        // Beside what is there, it changes nothing: it never agrees and never refuses.
        5 if phase == "auth" && !counted(file) && !line.contains('[') => {
            line.push_str("\nauth optional pam_faildelay.so delay=2000000");
        }
        // A line that jumps counts those that follow.
        6 if phase == "session" && !line.contains('[') => {
            line.push_str("\nsession optional pam_keyinit.so revoke");
        }
        _ => {}
    }
    line
}

/// Files in whose auth lines somebody counts, so that a line more would change what they mean.
fn counted(file: &str) -> bool {
    file.starts_with("sshd") || file.contains("-auth")
}
