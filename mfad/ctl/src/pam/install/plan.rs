//! What is to be changed: the stacks as they are and as they shall be. It changes nothing.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::diff;
use super::journal::{Item, Moment, Record};
use super::proof;
use super::{about, refused};
use crate::failure::Failure;
use crate::pam::tree::Tree;

/// Where the stacks are that the package brings; the second for `make install PREFIX=/usr/local`.
const SHIPPED: [&str; 2] = ["/usr/share/mfa/pam", "/usr/local/share/mfa/pam"];
/// Services that there is a stack for.
pub(super) const SERVICES: [&str; 9] = [
    "sshd",
    "sudo",
    "sudo-i",
    "sudo-critical",
    "su",
    "login",
    "passwd",
    "chsh",
    "polkit-1",
];

/// Which stack sshd gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Choice {
    /// An SSH key, then a code
    Key,
    /// The password, then a code
    Password,
}

/// One stack.
#[derive(Debug, Clone)]
pub(super) struct Change {
    pub(super) service: String,
    /// Nothing if there was no file.
    pub(super) before: Option<String>,
    pub(super) after: String,
    mode: u32,
    uid: u32,
    gid: u32,
}

/// All of them, and how.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) changes: Vec<Change>,
    /// Which stack sshd gets, if it gets one.
    pub(super) sshd: Option<Choice>,
}

/// Reads what is there and what shall be.
pub(super) fn make(
    tree: &Tree,
    services: &[String],
    sshd: Option<Choice>,
) -> Result<Plan, Failure> {
    let mut names: Vec<&str> = services.iter().map(String::as_str).collect();
    if let Some(unknown) = names.iter().find(|name| !SERVICES.contains(name)) {
        return Err(Failure::Usage(format!(
            "There is no stack for “{}”; there are {}.",
            mfad_protocol::printable(unknown),
            SERVICES.join(", ")
        )));
    }
    // `sudo -i` would go around sudo's code.
    if names.contains(&"sudo") {
        names.push("sudo-i");
    }
    names.sort_unstable();
    names.dedup();
    if names.contains(&"sshd") != sshd.is_some() {
        return Err(Failure::Usage(
            "sshd needs --sshd key (an SSH key, then a code) or --sshd password (the password, then a code).".to_owned(),
        ));
    }
    let mut changes = Vec::new();
    for name in names {
        let shipped = match (name, sshd) {
            ("sshd", Some(Choice::Key)) => "sshd-key",
            ("sshd", _) => "sshd-password",
            _ => name,
        };
        let change = change(tree, name, shipped)?;
        if change.before.as_deref() != Some(change.after.as_str()) {
            changes.push(change);
        }
    }
    Ok(Plan { changes, sshd })
}

fn change(tree: &Tree, service: &str, shipped: &str) -> Result<Change, Failure> {
    let after = SHIPPED
        .iter()
        .find_map(|directory| tree.read(&format!("{directory}/{shipped}")))
        .ok_or_else(|| {
            refused(format!(
                "{}/{shipped} is missing: install the package again.",
                SHIPPED[0]
            ))
        })?;
    if let Some(what) = after.unsafe_writer {
        return Err(refused(format!("{} {what}", after.path)));
    }
    let path = tree.below(&format!("/etc/pam.d/{service}"));
    let (before, mode, uid, gid) = match fs::symlink_metadata(&path) {
        Ok(facts) if !facts.is_file() => {
            return Err(refused(format!("{} is not a plain file.", path.display())));
        }
        Ok(facts) => {
            let text = fs::read_to_string(&path).map_err(about(&path))?;
            (Some(text), facts.mode() & 0o7777, facts.uid(), facts.gid())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (None, 0o644, 0, 0),
        Err(error) => return Err(about(&path)(error)),
    };
    Ok(Change {
        service: service.to_owned(),
        before,
        after: after.text,
        mode,
        uid,
        gid,
    })
}

impl Plan {
    /// Whether a service is changed.
    pub(super) fn has(&self, service: &str) -> bool {
        self.changes.iter().any(|change| change.service == service)
    }

    /// The services that are changed.
    pub(super) fn names(&self) -> Vec<&str> {
        self.changes
            .iter()
            .map(|change| change.service.as_str())
            .collect()
    }

    /// Fails if a stack is no longer what was shown and checked.
    pub(super) fn must_hold(&self, tree: &Tree) -> Result<(), Failure> {
        for change in &self.changes {
            let path = tree.below(&format!("/etc/pam.d/{}", change.service));
            let now = match fs::read_to_string(&path) {
                Ok(text) => Some(text),
                Err(error) if error.kind() == io::ErrorKind::NotFound => None,
                Err(error) => return Err(about(&path)(error)),
            };
            if now != change.before {
                return Err(refused(format!(
                    "{} was changed meanwhile, and nothing was done: run it again to see the difference.",
                    path.display()
                )));
            }
        }
        Ok(())
    }

    /// The differences, for people.
    pub(super) fn text(&self) -> String {
        self.changes
            .iter()
            .map(|change| {
                let before = change.before.as_deref().unwrap_or_default();
                diff::unified(
                    &format!("/etc/pam.d/{}", change.service),
                    before,
                    &change.after,
                )
            })
            .collect()
    }

    /// What is to be remembered of it.
    pub(super) fn record(&self, applied: i64, moment: &Moment, minutes: u32) -> Record {
        Record {
            applied,
            boot: moment.boot.clone(),
            uptime: moment.uptime,
            minutes,
            copies: format!("{applied}-{}", moment.uptime),
            items: self
                .changes
                .iter()
                .map(|change| Item {
                    service: change.service.clone(),
                    existed: change.before.is_some(),
                    mode: change.mode,
                    uid: change.uid,
                    gid: change.gid,
                })
                .collect(),
            ancestors: proof::ancestors(),
        }
    }
}

/// A machine like this one, with the stacks in place: what is checked before anything is changed. Removed when dropped.
pub(super) struct Staged(PathBuf);

impl Staged {
    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Makes it below /run, which only root may write: links to what stays, copies of what changes.
pub(super) fn stage(tree: &Tree, plan: &Plan) -> Result<Staged, Failure> {
    fill(tree, plan).map_err(|error| {
        refused(format!(
            "The new stacks cannot be tried out below {}: {error}.",
            tree.below("/run").display()
        ))
    })
}

fn fill(tree: &Tree, plan: &Plan) -> io::Result<Staged> {
    let parent = tree.below("/run");
    let root = parent.join(format!(".mfa-pam-{}", std::process::id()));
    fs::create_dir_all(&parent)?;
    fs::create_dir(&root)?;
    let staged = Staged(root);
    let link = |path: &str| -> io::Result<()> {
        let at = staged.0.join(path.trim_start_matches('/'));
        if let Some(parent) = at.parent() {
            fs::create_dir_all(parent)?;
        }
        std::os::unix::fs::symlink(tree.below(path), at)
    };
    for path in [
        "/usr",
        "/lib",
        "/lib64",
        "/opt",
        "/run",
        "/etc/ssh",
        "/etc/sudoers",
        "/etc/sudoers.d",
        "/etc/group",
        "/etc/passwd",
        "/etc/pam.conf",
    ] {
        if tree.exists(path) {
            link(path)?;
        }
    }
    let stacks = staged.0.join("etc/pam.d");
    fs::create_dir_all(&stacks)?;
    for name in tree.names("/etc/pam.d") {
        if !plan.has(&name) {
            link(&format!("/etc/pam.d/{name}"))?;
        }
    }
    for change in &plan.changes {
        fs::write(stacks.join(&change.service), &change.after)?;
    }
    Ok(staged)
}
