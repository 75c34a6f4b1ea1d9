//! Whether somebody who administers this machine will get in through the new stacks: root, or a member of sudo or wheel,
//! with a factor, and with what comes before the code. It asks the daemon and changes nothing.

use nix::unistd::{Group, User};

use super::plan::{Choice, Plan};
use super::refused;
use crate::client;
use crate::command::Console;
use crate::failure::{Failure, Refusal};
use crate::pam::sshd::{self, Sshd};
use crate::pam::tree::Tree;

/// Groups whose members may become root on the usual distributions.
const GROUPS: [&str; 2] = ["sudo", "wheel"];
/// Most administrators that are asked about.
const MOST: usize = 200;
const DAY: i64 = 24 * 60 * 60;

/// Refuses unless each service that is changed lets an administrator in.
pub(super) async fn must_get_in(
    console: &Console<'_>,
    tree: &Tree,
    plan: &Plan,
) -> Result<(), Failure> {
    let mut people = Vec::new();
    for name in names() {
        if enrolled(console, &name).await?
            && let Ok(Some(user)) = User::from_name(&name)
        {
            people.push(user);
        }
    }
    let look = Look {
        shadow: tree
            .read("/etc/shadow")
            .map(|text| text.text)
            .unwrap_or_default(),
        today: console.now.as_second() / DAY,
        sshd: sshd::examine(tree, sshd::PATIENCE),
        choice: plan.sshd,
        tree,
    };
    for change in &plan.changes {
        if !people
            .iter()
            .any(|user| look.gets_in(user, &change.service))
        {
            return Err(refused(nobody(&people, &look, &change.service)));
        }
    }
    Ok(())
}

/// Why there is nobody, and what to do.
fn nobody(people: &[User], look: &Look<'_>, service: &str) -> String {
    let whom = look.whom(service);
    if people.is_empty() {
        let root = if service == "su" {
            ", as root (su asks for root's)"
        } else {
            ""
        };
        return format!(
            "No administrator has a factor yet: through {service} nobody could get in ({whom}). Enroll one first: \
             mfactl enroll totp{root}"
        );
    }
    let names: Vec<&str> = people.iter().map(|user| user.name.as_str()).collect();
    format!(
        "No administrator could get in through {service}: that takes {whom}. A factor has: {}. Give one of them what is \
         missing, or enroll somebody who has it: mfactl user enroll USER totp",
        names.join(", ")
    )
}

/// root and the members of the groups.
pub(crate) fn names() -> Vec<String> {
    let mut names = vec!["root".to_owned()];
    for group in GROUPS {
        if let Ok(Some(group)) = Group::from_name(group) {
            names.extend(group.mem);
        }
    }
    names.dedup();
    names.truncate(MOST);
    names
}

async fn enrolled(console: &Console<'_>, name: &str) -> Result<bool, Failure> {
    let proxy = console.client.administration().await?;
    match proxy.show_user(name).await.map_err(client::failure) {
        Ok(info) => Ok(info.enrolled),
        Err(Failure::Refused(Refusal::NotFound, _)) => Ok(false),
        Err(failure) => Err(failure),
    }
}

struct Look<'a> {
    shadow: String,
    today: i64,
    sshd: Sshd,
    choice: Option<Choice>,
    tree: &'a Tree,
}

impl Look<'_> {
    /// Who it would have to be.
    fn whom(&self, service: &str) -> &'static str {
        match service {
            "sudo" | "sudo-i" | "sudo-critical" => "a member of sudo or wheel, with a password",
            "su" => "root, with a password",
            "sshd" if self.choice == Some(Choice::Key) => {
                "root or a member of sudo or wheel, with an SSH key"
            }
            _ => "root or a member of sudo or wheel, with a password",
        }
    }

    fn gets_in(&self, user: &User, service: &str) -> bool {
        let root = user.uid.is_root();
        if !has_shell(user) || self.is_expired(&user.name) {
            return false;
        }
        match service {
            "sudo" | "sudo-i" | "sudo-critical" => !root && self.has_password(&user.name),
            "su" => root && self.has_password(&user.name),
            "sshd" => self.by_ssh(user, root),
            _ => self.has_password(&user.name),
        }
    }

    fn by_ssh(&self, user: &User, root: bool) -> bool {
        let Sshd::Known(settings) = &self.sshd else {
            return false;
        };
        // Anything less than yes refuses keyboard-interactive for root.
        if root && settings.main("permitrootlogin") != "yes" {
            return false;
        }
        if !settings.admits(&user.name) {
            return false;
        }
        match self.choice {
            Some(Choice::Key) => self.has_key(user, settings),
            _ => self.has_password(&user.name),
        }
    }

    /// Keys in the usual file; elsewhere they cannot be counted.
    fn has_key(&self, user: &User, settings: &sshd::Settings) -> bool {
        let usual = settings
            .main("authorizedkeysfile")
            .split_whitespace()
            .all(|file| file.starts_with(".ssh/"));
        if !usual || !matches!(settings.main("authorizedkeyscommand"), "" | "none") {
            return true;
        }
        [".ssh/authorized_keys", ".ssh/authorized_keys2"]
            .iter()
            .any(|file| {
                let path = user.dir.join(file);
                let text = path.to_str().and_then(|path| self.tree.read(path));
                text.is_some_and(|text| {
                    text.text
                        .lines()
                        .any(|line| !line.trim().is_empty() && !line.starts_with('#'))
                })
            })
    }

    /// Somebody whom /etc/shadow does not know has a password elsewhere, or none: that cannot be told.
    fn has_password(&self, name: &str) -> bool {
        self.field(name, 1)
            .is_none_or(|hash| hash.len() > 2 && !hash.starts_with(['!', '*']))
    }

    fn is_expired(&self, name: &str) -> bool {
        let day = self.field(name, 7).and_then(|day| day.parse::<i64>().ok());
        day.is_some_and(|day| day <= self.today)
    }

    fn field(&self, name: &str, number: usize) -> Option<&str> {
        let line = self
            .shadow
            .lines()
            .find(|line| line.split(':').next() == Some(name))?;
        line.split(':').nth(number)
    }
}

fn has_shell(user: &User) -> bool {
    let name = user
        .shell
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    !matches!(name, "nologin" | "false")
}
