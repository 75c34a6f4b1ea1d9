//! What sudoers says about PAM: Defaults that choose a stack or lengthen the timestamp, and rules that skip the password.
//! It reads those lines only, and decides about no command.

use super::finding::{Finding, Severity};
use super::stack::Place;
use super::tree::Tree;

const MAIN: &str = "/etc/sudoers";
/// sudo's own limit on files that include one another is 128; nobody nests so deep.
const DEEPEST: usize = 16;
/// Most files that are read.
const MOST_FILES: usize = 512;
const SERVICE: &str = "sudo";

/// One option of a Defaults line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// For whom or what: nothing (all), `:user`, `@host`, `>runas` or `!command`.
    pub(super) binding: String,
    pub(super) name: String,
    /// Nothing for a plain flag; `!` for one that is switched off.
    pub(super) value: String,
    pub(super) place: Place,
}

/// A rule whose commands need no password, and so no code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Free {
    pub(super) rule: String,
    pub(super) place: Place,
}

/// All that concerns PAM.
#[derive(Debug, Clone, Default)]
pub(super) struct Sudoers {
    pub(super) settings: Vec<Setting>,
    pub(super) free: Vec<Free>,
    /// Files that are there and could not be read.
    files: usize,
}

/// Reads sudoers and what it includes.
pub(super) fn read(tree: &Tree) -> Sudoers {
    let mut sudoers = Sudoers::default();
    sudoers.file(tree, MAIN, 0);
    sudoers
}

impl Sudoers {
    fn file(&mut self, tree: &Tree, path: &str, depth: usize) {
        self.files += 1;
        if depth > DEEPEST || self.files > MOST_FILES {
            return;
        }
        let Some(text) = tree.read(path) else {
            return;
        };
        for (number, line) in joined(&text.text) {
            let place = Place {
                file: path.to_owned(),
                line: number,
            };
            self.line(tree, &line, place, depth);
        }
    }

    fn line(&mut self, tree: &Tree, line: &str, place: Place, depth: usize) {
        let line = line.trim();
        if let Some((directory, what)) = included(line) {
            let path = if what.starts_with('/') {
                what
            } else {
                format!("/etc/{what}")
            };
            if !directory {
                return self.file(tree, &path, depth + 1);
            }
            for name in tree.names(&path) {
                // As sudo: no editor's leavings, nothing with a dot.
                if !name.ends_with('~') && !name.contains('.') {
                    self.file(tree, &format!("{path}/{name}"), depth + 1);
                }
            }
            return;
        }
        let line = without_comment(line);
        if let Some(rest) = line.strip_prefix("Defaults")
            && rest.starts_with([' ', '\t', ':', '@', '>', '!'])
        {
            let (binding, options) = bound(rest);
            for (name, value) in options_of(options) {
                self.settings.push(Setting {
                    binding: binding.clone(),
                    name,
                    value,
                    place: place.clone(),
                });
            }
        } else if line.contains("NOPASSWD:") || line.contains("NOPASSWD :") {
            self.free.push(Free {
                rule: line.split_whitespace().collect::<Vec<_>>().join(" "),
                place,
            });
        }
    }

    /// The PAM services that sudo asks for besides `sudo` and `sudo-i`, as they are written.
    pub(super) fn services(&self) -> impl Iterator<Item = &Setting> {
        self.settings.iter().filter(|setting| {
            matches!(setting.name.as_str(), "pam_service" | "pam_login_service")
                && setting.value != "!"
        })
    }

    fn has(&self, binding: &str, name: &str, value: &str) -> bool {
        self.settings.iter().any(|setting| {
            setting.binding == binding && setting.name == name && setting.value == value
        })
    }

    /// What is wrong by itself, whatever the stacks say.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for setting in self.services() {
            let bound = setting.binding.starts_with('!');
            let each_time = |binding: &str| self.has(binding, "timestamp_timeout", "0");
            if bound && !each_time(&setting.binding) && !each_time("") {
                found.push(
                    Finding::new("timestamp-skips", Severity::Hole, SERVICE, Some(&setting.place))
                        .what(format!(
                            "Defaults{} has pam_service={} without timestamp_timeout=0",
                            mfad_protocol::printable(&setting.binding),
                            mfad_protocol::printable(&setting.value)
                        ))
                        .how("After any other sudo the command runs for 15 minutes without PAM, and so without its step-up.")
                        .instead("pam_service=…, timestamp_timeout=0 on the same line"),
                );
            }
        }
        for setting in &self.settings {
            found.extend(judge_setting(setting));
        }
        for free in &self.free {
            found.push(
                Finding::new("nopasswd", Severity::Risk, SERVICE, Some(&free.place))
                    .what(format!("no password, and so no code: {}", mfad_protocol::printable(&free.rule)))
                    .how("Whoever gets at such an account, or at its session, runs these commands at once.")
                    .instead("PASSWD, or as few commands as possible"),
            );
        }
        found
    }
}

fn judge_setting(setting: &Setting) -> Option<Finding> {
    let off = setting.value == "!";
    let minutes: Option<f64> = setting.value.parse().ok();
    let (rule, severity, what, instead) = match setting.name.as_str() {
        "authenticate" if off => (
            "nopasswd",
            Severity::Risk,
            "!authenticate: no password, and so no code",
            "authenticate",
        ),
        "timestamp_timeout" if minutes.is_some_and(|minutes| minutes < 0.0) => (
            "timestamp-forever",
            Severity::Risk,
            "timestamp_timeout is negative: one code is good until the next start",
            "timestamp_timeout=15 or less",
        ),
        "timestamp_timeout" if minutes.is_some_and(|minutes| minutes > 60.0) => (
            "timestamp-long",
            Severity::Risk,
            "timestamp_timeout: one code is good for more than an hour",
            "timestamp_timeout=15 or less",
        ),
        "timestamp_type" if setting.value == "global" => (
            "timestamp-global",
            Severity::Risk,
            "timestamp_type=global: one code serves every session of the user, those of a thief too",
            "timestamp_type=tty",
        ),
        "exempt_group" if !off => (
            "exempt-group",
            Severity::Risk,
            "exempt_group: its members are asked neither password nor code",
            "no exempt_group",
        ),
        "pam_acct_mgmt" if off => (
            "account-missing",
            Severity::Risk,
            "!pam_acct_mgmt: what the code leaves pending is never stored",
            "pam_acct_mgmt",
        ),
        "rootpw" | "targetpw" | "runaspw" if !off => (
            "other-password",
            Severity::Note,
            "rootpw, targetpw or runaspw: it is that user who is asked, for the code too",
            "",
        ),
        _ => return None,
    };
    Some(
        Finding::new(rule, severity, SERVICE, Some(&setting.place))
            .what(what)
            .instead(instead),
    )
}

/// Lines, joined where a backslash ends them, with the number of the first.
fn joined(text: &str) -> Vec<(u32, String)> {
    let mut lines: Vec<(u32, String)> = Vec::new();
    let mut goes_on = false;
    for (number, raw) in (1..).zip(text.lines()) {
        let (kept, more) = raw
            .strip_suffix('\\')
            .map_or((raw, false), |kept| (kept, true));
        match lines.last_mut() {
            Some((_, line)) if goes_on => {
                line.push(' ');
                line.push_str(kept);
            }
            _ => lines.push((number, kept.to_owned())),
        }
        goes_on = more;
    }
    lines
}

/// `@include FILE`, `#includedir DIRECTORY` and the like: whether it is a directory, and which.
fn included(line: &str) -> Option<(bool, String)> {
    let rest = line.strip_prefix(['@', '#'])?;
    let (word, path) = rest.split_once([' ', '\t'])?;
    let directory = match word {
        "include" => false,
        "includedir" => true,
        _ => return None,
    };
    let path = path.trim().trim_matches('"').replace("\\ ", " ");
    Some((directory, path))
}

/// Without a comment: a `#` outside of quotes that begins no uid.
fn without_comment(line: &str) -> &str {
    let mut quoted = false;
    let mut before = ' ';
    for (at, letter) in line.char_indices() {
        let digit = line[at..]
            .chars()
            .nth(1)
            .is_some_and(|next| next.is_ascii_digit());
        match letter {
            '"' if before != '\\' => quoted = !quoted,
            '#' if !quoted && before != '\\' && !digit => return line[..at].trim_end(),
            _ => {}
        }
        before = letter;
    }
    line
}

/// Splits what follows `Defaults` into its binding and its options.
fn bound(rest: &str) -> (String, &str) {
    if rest.starts_with([' ', '\t']) {
        return (String::new(), rest.trim());
    }
    // A list of names or commands goes on after a comma, blanks or not.
    let mut before = ' ';
    let mut quoted = false;
    for (at, letter) in rest.char_indices() {
        match letter {
            '"' => quoted = !quoted,
            ' ' | '\t' if !quoted && before != '\\' => {
                let (left, right) = (rest[..at].trim_end(), rest[at..].trim_start());
                if !left.ends_with(',') && !right.starts_with(',') {
                    let binding: String = left.split_whitespace().collect();
                    return (binding, right);
                }
            }
            _ => {}
        }
        before = letter;
    }
    (rest.to_owned(), "")
}

/// `a, !b, c=d, e="f, g"`, each with its value.
fn options_of(text: &str) -> Vec<(String, String)> {
    let mut parts = vec![String::new()];
    let mut quoted = false;
    for letter in text.chars() {
        match letter {
            '"' => quoted = !quoted,
            ',' if !quoted => parts.push(String::new()),
            _ => {
                if let Some(part) = parts.last_mut() {
                    part.push(letter);
                }
            }
        }
    }
    parts
        .iter()
        .map(|part| part.trim())
        .filter(|part| !part.is_empty())
        .map(
            |part| match (part.strip_prefix('!'), part.split_once('=')) {
                (Some(name), _) => (name.trim().to_owned(), "!".to_owned()),
                (None, Some((name, value))) => (
                    name.trim().trim_end_matches(['+', '-']).to_owned(),
                    value.trim().to_owned(),
                ),
                (None, None) => (part.to_owned(), String::new()),
            },
        )
        .collect()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sudoers(text: &str) -> Sudoers {
        let root = tempfile::tempdir().unwrap();
        let directory = root.path().join("etc/sudoers.d");
        fs::create_dir_all(&directory).unwrap();
        fs::write(root.path().join("etc/sudoers"), text).unwrap();
        fs::write(directory.join("extra"), "Defaults timestamp_timeout=-1\n").unwrap();
        fs::write(directory.join("off.dpkg-old"), "Defaults !authenticate\n").unwrap();
        read(&Tree::new(root.path()))
    }

    #[test]
    fn defaults_are_read_with_whom_they_are_for() {
        let found = sudoers(
            "Defaults env_reset, secure_path=\"/a:/b, c\" # pam_service=no\n\
             Defaults!/sbin/reboot, /sbin/halt pam_service=critical, \\\n  timestamp_timeout=0\n\
             Defaults:alice !authenticate\n#includedir /etc/sudoers.d\n#1000 ALL=(ALL) NOPASSWD: ALL\n",
        );
        let told: Vec<String> = found
            .settings
            .iter()
            .map(|one| format!("{}|{}|{}|{}", one.place, one.binding, one.name, one.value))
            .chain(
                found
                    .free
                    .iter()
                    .map(|one| format!("{}|{}", one.place, one.rule)),
            )
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }

    #[test]
    fn a_command_of_its_own_needs_both() {
        let rules = |text: &str| -> Vec<&'static str> {
            sudoers(text).judge().iter().map(|one| one.rule).collect()
        };
        assert_eq!(
            rules("Defaults!/sbin/reboot pam_service=critical\n"),
            ["timestamp-skips"]
        );
        assert_eq!(
            rules(
                "Defaults!/sbin/reboot pam_service=critical\nDefaults!/sbin/halt timestamp_timeout=0\n"
            ),
            ["timestamp-skips"]
        );
        assert!(
            rules("Defaults!/sbin/reboot pam_service=critical, timestamp_timeout=0\n").is_empty()
        );
        assert!(
            rules("Defaults timestamp_timeout=0\nDefaults!/sbin/reboot pam_service=critical\n")
                .is_empty()
        );
        assert_eq!(rules("@includedir /etc/sudoers.d\n"), ["timestamp-forever"]);
    }
}
