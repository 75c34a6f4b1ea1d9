//! What is judged beside the stacks: their files, sshd, sudoers, and services that belong together.

use super::{Check, LOGINS, TWINS, has_ours};
use crate::pam::control::{Action, Code};
use crate::pam::dispatch::Step;
use crate::pam::finding::{Finding, Severity};
use crate::pam::judge::{self, Use};
use crate::pam::module;
use crate::pam::sshd::Sshd;
use crate::pam::stack::{Entry, Phase, Place, Service};
use crate::pam::sudoers;

impl Check<'_> {
    /// Modules that are missing, and whatever others could change.
    pub(super) fn files(&mut self) {
        let mut found = Vec::new();
        for service in self.services.iter().filter(|service| has_ours(service)) {
            for file in &service.files {
                if let Some(what) = &file.unsafe_writer {
                    let place = Place {
                        file: file.path.clone(),
                        line: 0,
                    };
                    found.push(
                        Finding::new("file-unsafe", Severity::Hole, &service.name, Some(&place))
                            .what(what.clone())
                            .how("Whoever can write a stack logs in as they like.")
                            .instead("root:root, mode 0644; look at what is in it first"),
                    );
                }
            }
            for entry in Phase::ALL
                .into_iter()
                .flat_map(|phase| service.stack(phase))
            {
                found.extend(self.module(service, entry));
            }
        }
        self.found.append(&mut found);
    }

    fn module(&self, service: &Service, entry: &Entry) -> Option<Finding> {
        if !self.is_there(entry) {
            let expected =
                entry.quiet || entry.control().at(Code::MODULE_UNKNOWN) == Action::Ignore;
            if expected && !module::is_ours(entry) {
                return None;
            }
            let finding = Finding::new(
                "module-missing",
                Severity::Risk,
                &service.name,
                Some(&entry.place),
            )
            .what(format!(
                "{} does not exist",
                mfad_protocol::printable(&entry.module)
            ))
            .how("Where the line counts, it refuses everybody.")
            .instead("the module's name as in the directory of pam_unix.so");
            return Some(if module::is_ours(entry) {
                finding.locks_out()
            } else {
                finding
            });
        }
        let unsafe_one = self
            .paths(entry)
            .into_iter()
            .find_map(|path| self.tree.unsafe_writer(&path).map(|what| (path, what)))?;
        Some(
            Finding::new(
                "module-unsafe",
                Severity::Hole,
                &service.name,
                Some(&entry.place),
            )
            .what(format!(
                "{} {}",
                mfad_protocol::printable(&unsafe_one.0),
                unsafe_one.1
            ))
            .how("Whoever can write a module runs as root in every login.")
            .instead("the module of its package, root:root, mode 0644"),
        )
    }

    pub(super) fn sshd(&mut self) {
        let name = match &self.sshd {
            Sshd::Known(settings) => settings.service().to_owned(),
            _ => "sshd".to_owned(),
        };
        if !self.named(&name).is_some_and(has_ours) {
            return;
        }
        match &self.sshd {
            Sshd::Absent => {}
            Sshd::Unknown(what) => self.found.push(
                Finding::new("sshd-unknown", Severity::Risk, "sshd", None)
                    .what(format!("sshd's settings cannot be read: {what}"))
                    .how("Whether it demands a key before the code cannot be told.")
                    .instead("sudo sshd -T"),
            ),
            Sshd::Known(settings) => {
                let mut found = settings.judge();
                self.found.append(&mut found);
            }
        }
    }

    /// `sudo -i` and `su -` have stacks of their own.
    pub(super) fn twins(&mut self) {
        for (one, other) in TWINS {
            let asks = |name: &str| {
                let service = Service::read(self.tree, name);
                (judge::names_ours(&service, Phase::Auth), service)
            };
            let ((first, one), (second, other)) = (asks(one), asks(other));
            if first == second {
                continue;
            }
            let (with, without) = if first { (one, other) } else { (other, one) };
            if !judge::lets_in(&without, Use::plain(true), &|entry| self.is_there(entry)) {
                continue;
            }
            let place = without.stack(Phase::Auth).first().map(|entry| &entry.place);
            self.found.push(
                Finding::new("twin-unprotected", Severity::Hole, &without.name, place)
                    .what(format!(
                        "{} asks for no code, though {} does",
                        without.name, with.name
                    ))
                    .how(format!(
                        "Whoever may use {} uses {} instead.",
                        with.name, without.name
                    ))
                    .instead(format!(
                        "the stack {} from /usr/share/mfa/pam too",
                        without.name
                    )),
            );
        }
    }

    pub(super) fn sudo(&mut self) {
        let asks = ["sudo", "sudo-i"].iter().any(|name| {
            self.named(name)
                .is_some_and(|service| judge::names_ours(service, Phase::Auth))
        });
        let stepped_up = self.sudoers.services().any(|setting| {
            self.named(&setting.value.to_ascii_lowercase())
                .is_some_and(has_ours)
        });
        if !asks && !stepped_up {
            return;
        }
        let mut found = self.sudoers.judge();
        for setting in self.sudoers.services() {
            found.extend(self.sudo_service(setting));
        }
        self.found.append(&mut found);
    }

    fn sudo_service(&self, setting: &sudoers::Setting) -> Option<Finding> {
        let name = setting.value.to_ascii_lowercase();
        let service = self.named(&name)?;
        if judge::names_ours(service, Phase::Auth) && service.own {
            return None;
        }
        let written = mfad_protocol::printable(&setting.value);
        let (rule, what) = if service.own {
            (
                "step-up-unprotected",
                format!("the stack {written} that it names asks for no code"),
            )
        } else if self.tree.exists(&format!("/etc/pam.d/{}", setting.value)) {
            let what = format!(
                "PAM looks for {name} in small letters and never finds /etc/pam.d/{written}: it takes “other”"
            );
            ("service-case", what)
        } else {
            (
                "service-missing",
                format!("there is no /etc/pam.d/{name}: PAM takes “other”"),
            )
        };
        Some(
            Finding::new(rule, Severity::Hole, "sudo", Some(&setting.place))
                .what(what)
                .how("These commands are run with the password alone, or not at all.")
                .instead(format!("/etc/pam.d/{name}, a copy of the stack sudo")),
        )
    }

    /// Services that ask for nothing: by choice, so only a note.
    pub(super) fn unprotected(&mut self) {
        let names: Vec<&str> = self
            .services
            .iter()
            .filter(|service| service.own && LOGINS.contains(&service.name.as_str()))
            .filter(|service| !judge::names_ours(service, Phase::Auth))
            .map(|service| service.name.as_str())
            .collect();
        if names.is_empty() {
            return;
        }
        self.found.push(
            Finding::new("unprotected", Severity::Note, &names.join(", "), None)
                .what("no code is asked there")
                .instead("mfactl pam install, where it should"),
        );
    }
}
