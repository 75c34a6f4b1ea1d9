//! What the settings of one section mean for the second factor.

use mfad_protocol::{limits, printable};

use super::{SERVICE, Section};
use crate::pam::finding::{Finding, Severity};
use crate::pam::stack::Place;

impl Section {
    fn place(&self, name: &str) -> Option<&Place> {
        let written = self.written.iter().find(|setting| setting.name == name);
        written
            .map(|setting| &setting.place)
            .or(self.place.as_ref())
    }

    fn finding(
        &self,
        rule: &'static str,
        severity: Severity,
        setting: &str,
        what: &str,
    ) -> Finding {
        let within = if self.criteria.is_empty() {
            String::new()
        } else {
            format!(" ({})", printable(&self.criteria))
        };
        Finding::new(rule, severity, SERVICE, self.place(setting)).what(format!("{what}{within}"))
    }

    pub(super) fn judge(&self, found: &mut Vec<Finding>) {
        if !self.is_on("usepam") {
            found.push(
                self.finding(
                    "usepam-off",
                    Severity::Hole,
                    "usepam",
                    "UsePAM is off: sshd asks for no second factor",
                )
                .how("sshd checks passwords and keys by itself, and asks none of these stacks.")
                .instead("UsePAM yes"),
            );
            return;
        }
        let ways = self.ways();
        let interactive = ways.iter().any(|way| way.contains(&"keyboard-interactive"));
        if !interactive {
            found.push(
                self.finding(
                    "kbdinteractive-off",
                    Severity::Risk,
                    "kbdinteractiveauthentication",
                    "no login uses keyboard-interactive: nobody can be asked for a code",
                )
                .how("Whoever must give a code is refused.")
                .instead("KbdInteractiveAuthentication yes, and keyboard-interactive:pam in AuthenticationMethods"),
            );
        }
        if self.key_alone() {
            let methods = self.value("authenticationmethods");
            let methods = if methods.is_empty() { "any" } else { methods };
            let what = format!(
                "AuthenticationMethods is “{}”: a login by public key alone meets no prompt",
                printable(methods)
            );
            found.push(
                self.finding("key-alone", Severity::Risk, "authenticationmethods", &what)
                    .how("The account guard refuses it where a code is needed; without that guard it goes around the code.")
                    .instead("AuthenticationMethods publickey,keyboard-interactive:pam"),
            );
        }
        if ways.iter().any(|way| way.contains(&"password")) {
            found.push(
                self.finding(
                    "password-method",
                    Severity::Risk,
                    "passwordauthentication",
                    "PasswordAuthentication is on: that method cannot ask for a code",
                )
                .how("Such logins are refused where a code is needed, and each spends a try.")
                .instead("PasswordAuthentication no (keyboard-interactive asks for the password)"),
            );
        }
        self.judge_limits(found);
    }

    fn judge_limits(&self, found: &mut Vec<Finding>) {
        if self.is_on("permitemptypasswords") {
            found.push(
                self.finding(
                    "empty-passwords",
                    Severity::Risk,
                    "permitemptypasswords",
                    "PermitEmptyPasswords is on",
                )
                .how("For accounts without a password the code is the only factor.")
                .instead("PermitEmptyPasswords no"),
            );
        }
        if self.number("maxauthtries").is_some_and(|tries| tries < 2) {
            found.push(
                self.finding(
                    "few-tries",
                    Severity::Risk,
                    "maxauthtries",
                    "MaxAuthTries leaves no second try after a mistyped code",
                )
                .instead("MaxAuthTries 4"),
            );
        }
        let dialogue = limits::DIALOGUE.as_secs();
        let what = match self.number("logingracetime") {
            Some(0) => "LoginGraceTime is unlimited: unfinished logins pile up".to_owned(),
            Some(grace) if grace <= dialogue => {
                format!(
                    "LoginGraceTime ({grace} s) ends before a person's {dialogue} s for the code are over"
                )
            }
            _ => return,
        };
        found.push(
            self.finding("grace-time", Severity::Risk, "logingracetime", &what)
                .instead("LoginGraceTime 60"),
        );
    }
}
