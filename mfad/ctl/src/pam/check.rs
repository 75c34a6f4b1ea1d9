//! `mfactl pam check`: every service, sshd and sudoers together. It reads and asks sshd; it changes nothing.

mod machine;

use std::fmt::Write as _;
use std::time::Duration;

use nix::unistd::geteuid;
use serde_json::{Value, json};

use super::finding::{Finding, Severity};
use super::judge::{self, Use};
use super::module;
use super::sshd::{self, Sshd};
use super::stack::{Entry, Fault, Phase, Place, Service};
use super::sudoers::{self, Sudoers};
use super::tree::Tree;
use crate::command::Console;
use crate::failure::Failure;

/// Most services that are looked at.
const MOST_SERVICES: usize = 500;
/// Services by which people log in, or become somebody: worth a note if they ask for no code.
const LOGINS: [&str; 14] = [
    "sshd",
    "sudo",
    "su",
    "login",
    "polkit-1",
    "gdm-password",
    "lightdm",
    "sddm",
    "cockpit",
    "xrdp-sesman",
    "vsftpd",
    "proftpd",
    "remote",
    "xscreensaver",
];
/// Each pair is one service to whoever uses it.
const TWINS: [(&str, &str); 2] = [("sudo", "sudo-i"), ("su", "su-l")];
/// Hosts that run account and session alone, or for root.
const WITHOUT_AUTH: [&str; 9] = [
    "cron",
    "crond",
    "atd",
    "systemd-user",
    "runuser",
    "runuser-l",
    "chpasswd",
    "newusers",
    "passwd",
];

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// The worst first.
    pub findings: Vec<Finding>,
    /// Services that ask for a second factor.
    pub services: Vec<String>,
    /// Files that could not be read, and why.
    pub unread: Vec<(String, String)>,
}

impl Report {
    /// Whether there is a way around.
    pub fn has_holes(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Hole)
    }

    fn json(&self) -> Value {
        let findings: Vec<Value> = self.findings.iter().map(Finding::json).collect();
        let unread: Vec<Value> = self
            .unread
            .iter()
            .map(|(file, why)| json!({"file": file, "why": why}))
            .collect();
        json!({"ok": !self.has_holes(), "services": self.services, "findings": findings, "unread": unread})
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings
            .iter()
            .filter(|finding| finding.severity == severity)
            .count()
    }
}

/// `mfactl pam check`.
pub fn run(console: &mut Console<'_>) -> Result<(), Failure> {
    let tree = Tree::new(&console.root);
    let report = examine(&tree, sshd::PATIENCE);
    let mut text = String::new();
    for finding in &report.findings {
        text.push_str(&finding.text(console.terminal));
    }
    for (file, why) in &report.unread {
        let _ = writeln!(text, "not read: {}: {why}", mfad_protocol::printable(file));
    }
    if !geteuid().is_root() {
        text.push_str("Run it as root to have sshd's settings and sudoers looked at.\n");
    }
    let asking = if report.services.is_empty() {
        "no service".to_owned()
    } else {
        report.services.join(", ")
    };
    let _ = writeln!(
        text,
        "Holes: {}, risks: {}, notes: {}. A second factor is asked in: {asking}.",
        report.count(Severity::Hole),
        report.count(Severity::Risk),
        report.count(Severity::Note),
    );
    console.show(&report.json(), &text)?;
    if report.has_holes() {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

/// Looks at the machine.
pub fn examine(tree: &Tree, patience: Duration) -> Report {
    let mut check = Check {
        tree,
        services: services(tree),
        directories: tree.module_directories(),
        sshd: Sshd::Absent,
        sudoers: sudoers::read(tree),
        found: Vec::new(),
    };
    check.add_sudo_services();
    if check.services.iter().any(has_ours) {
        check.sshd = sshd::examine(tree, patience);
        check.stacks();
        check.files();
        check.sshd();
        check.twins();
        check.sudo();
    }
    check.unprotected();
    let services = check
        .services
        .iter()
        .filter(|service| {
            judge::names_ours(service, Phase::Auth) || judge::names_ours(service, Phase::Password)
        })
        .map(|service| mfad_protocol::printable(&service.name))
        .collect();
    Report {
        findings: merged(check.found),
        services,
        unread: tree.unread(),
    }
}

fn has_ours(service: &Service) -> bool {
    Phase::ALL
        .into_iter()
        .any(|phase| judge::names_ours(service, phase))
}

/// Every file that a host may ask for; not those that only others include.
fn services(tree: &Tree) -> Vec<Service> {
    let mut names = tree.names("/etc/pam.d");
    names.extend(tree.names("/usr/lib/pam.d"));
    if names.is_empty() {
        // Without directories, the lines of /etc/pam.conf.
        names = tree
            .read("/etc/pam.conf")
            .map(|text| {
                text.text
                    .lines()
                    .filter_map(|line| line.split_whitespace().next().map(str::to_owned))
                    .collect()
            })
            .unwrap_or_default();
        names.retain(|name| !name.starts_with('#'));
    }
    names.sort();
    names.dedup();
    names.retain(|name| is_service(name));
    names.truncate(MOST_SERVICES);
    let all: Vec<Service> = names.iter().map(|name| Service::read(tree, name)).collect();
    let included: Vec<String> = all
        .iter()
        .flat_map(|service| service.included.clone())
        .collect();
    all.into_iter()
        .filter(|service| {
            let known = LOGINS.contains(&service.name.as_str())
                || module::SETUID.contains(&service.name.as_str());
            known || !included.contains(&service.name)
        })
        .collect()
}

/// Neither an editor's nor a packager's leavings, nor a name that no host can ask for.
fn is_service(name: &str) -> bool {
    let leaving = name.contains(".dpkg-")
        || name.contains(".rpm")
        || name.contains(".pam-")
        || name.contains(".ucf-");
    let shared = name.starts_with("common-") || name == "other";
    !leaving
        && !shared
        && !name.starts_with('.')
        && !name.ends_with('~')
        && !name.contains(char::is_uppercase)
}

struct Check<'a> {
    tree: &'a Tree,
    services: Vec<Service>,
    directories: Vec<String>,
    sshd: Sshd,
    sudoers: Sudoers,
    found: Vec<Finding>,
}

impl Check<'_> {
    fn named(&self, name: &str) -> Option<&Service> {
        self.services.iter().find(|service| service.name == name)
    }

    /// Stacks that sudoers names are services although no file may be there.
    fn add_sudo_services(&mut self) {
        let names: Vec<String> = self
            .sudoers
            .services()
            .map(|setting| setting.value.to_ascii_lowercase())
            .collect();
        for name in names {
            if self.named(&name).is_none() && !name.is_empty() && !name.contains('/') {
                self.services.push(Service::read(self.tree, &name));
            }
        }
    }

    fn is_sudo(&self, name: &str) -> bool {
        self.sudoers
            .services()
            .any(|setting| setting.value.eq_ignore_ascii_case(name))
    }

    /// How the host behind a service uses its stacks.
    fn used(&self, name: &str) -> Use {
        let setuid = module::SETUID.contains(&name) || self.is_sudo(name);
        match &self.sshd {
            Sshd::Known(settings) if settings.service() == name => Use {
                setuid: false,
                takes_keys: true,
                key_alone: settings.key_alone(),
                key_first: settings.key_first(),
            },
            // Not known: the worst, for whoever could know; for others, nothing to be alarmed about.
            Sshd::Unknown(_) if name == "sshd" => Use {
                setuid: false,
                takes_keys: true,
                key_alone: geteuid().is_root(),
                key_first: !geteuid().is_root(),
            },
            Sshd::Absent if name == "sshd" => Use {
                setuid: false,
                takes_keys: true,
                key_alone: false,
                key_first: true,
            },
            _ => Use::plain(setuid),
        }
    }

    fn is_there(&self, entry: &Entry) -> bool {
        if entry.module.is_empty() || self.directories.is_empty() {
            return true;
        }
        self.paths(entry).iter().any(|path| self.tree.exists(path))
    }

    fn paths(&self, entry: &Entry) -> Vec<String> {
        if entry.module.starts_with('/') {
            return vec![entry.module.clone()];
        }
        self.directories
            .iter()
            .map(|directory| format!("{directory}/{}", entry.module))
            .collect()
    }

    fn stacks(&mut self) {
        let mut found = Vec::new();
        for service in self.services.iter().filter(|service| has_ours(service)) {
            found.extend(
                service
                    .faults
                    .iter()
                    .map(|(place, fault)| told(service, place, fault)),
            );
            if service.aborts() {
                continue;
            }
            let used = self.used(&service.name);
            let mut own = judge::service(service, used, &|entry| self.is_there(entry));
            if WITHOUT_AUTH.contains(&service.name.as_str()) {
                own.retain(|finding| !matches!(finding.rule, "auth-missing" | "locked-out"));
            }
            found.append(&mut own);
        }
        self.found.append(&mut found);
    }
}

fn told(service: &Service, place: &Place, fault: &Fault) -> Finding {
    let finding = |rule, severity| Finding::new(rule, severity, &service.name, Some(place));
    match fault {
        Fault::Abort(what) => finding("does-not-start", Severity::Risk)
            .what(what.clone())
            .how("Nobody gets in by this service.")
            .locks_out(),
        Fault::Cycle(what) => finding("include-cycle", Severity::Risk)
            .what(what.clone())
            .how("libpam follows the circle until the host program crashes (include) or gives up (substack).")
            .instead("no file that includes itself")
            .locks_out(),
        Fault::Line(what) => finding("broken-line", Severity::Risk)
            .what(what.clone())
            .how("libpam takes such a line for one that refuses.")
            .instead("type, control, module, arguments: pam.conf(5)"),
        Fault::Unclear(what) => finding("unclear", Severity::Hole)
            .what(what.clone())
            .how("What cannot be told may let anybody in.")
            .instead("short plain lines"),
        Fault::Unread => finding("unread", Severity::Risk)
            .what("it cannot be read by you, so what it does cannot be told")
            .instead("sudo mfactl pam check"),
    }
}

/// The worst first; the same finding in several services once.
fn merged(found: Vec<Finding>) -> Vec<Finding> {
    let mut merged: Vec<Finding> = Vec::new();
    for finding in found {
        let same = |known: &&mut Finding| {
            known.rule == finding.rule
                && known.severity == finding.severity
                && known.place == finding.place
                && known.what == finding.what
        };
        match merged.iter_mut().find(same) {
            Some(known) if finding.place.is_some() => {
                if !known
                    .service
                    .split(", ")
                    .any(|name| name == finding.service)
                {
                    known.service = format!("{}, {}", known.service, finding.service);
                }
                known.locks_out |= finding.locks_out;
            }
            _ => merged.push(finding),
        }
    }
    merged.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    merged
}
