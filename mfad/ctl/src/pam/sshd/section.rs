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
        found.extend(self.touch_waived());
        self.judge_limits(found);
    }

    /// Whether a user can waive the touch of their own security key. An sshd before 8.2 knows no such keys, and does not
    /// show the setting.
    fn touch_waived(&self) -> Option<Finding> {
        let options = self.value("pubkeyauthoptions");
        let enforced = |word| options.split([' ', ',']).any(|option| option == word);
        let takes_keys = self.ways().iter().any(|way| way.contains(&"publickey"));
        if !takes_keys || options.is_empty() || enforced("touch-required") {
            return None;
        }
        let finding = self.finding(
            "touch-waived",
            Severity::Note,
            "pubkeyauthoptions",
            "sshd lets users waive the touch of their security keys",
        );
        Some(
            finding
                .how(
                    "With no-touch-required in a user's authorized_keys, the key of a login that counts as ssh-sk was \
                     plugged in, and maybe not touched.",
                )
                .instead(
                    "PubkeyAuthOptions touch-required; with verify-required, sshd also wants the key's PIN or finger",
                ),
        )
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

#[cfg(test)]
mod tests {
    use super::super::parse;
    use super::*;

    fn rules(options: &str) -> Vec<&'static str> {
        let section = Section {
            values: parse(&format!(
                "usepam yes\npubkeyauthentication yes\nkbdinteractiveauthentication yes\n{options}"
            )),
            ..Section::default()
        };
        let mut found = Vec::new();
        section.judge(&mut found);
        found.iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn a_touch_that_users_can_waive_is_told() {
        for waived in [
            "pubkeyauthoptions none\n",
            "pubkeyauthoptions verify-required\n",
        ] {
            assert!(rules(waived).contains(&"touch-waived"), "{waived}");
        }
        for enforced in [
            "pubkeyauthoptions touch-required\n",
            "pubkeyauthoptions touch-required,verify-required\n",
            "",
        ] {
            assert!(!rules(enforced).contains(&"touch-waived"), "{enforced}");
        }
        let no_keys = "pubkeyauthoptions none\nauthenticationmethods keyboard-interactive:pam\n";
        assert!(!rules(no_keys).contains(&"touch-waived"));
    }
}
