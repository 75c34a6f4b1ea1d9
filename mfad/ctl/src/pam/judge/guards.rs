//! The phases after the code: account and session, which must not be skipped or overruled, and changing a password.

use super::{AROUND, Judge, OPEN, REFUSAL_IGNORED, ignored_refusal, names_ours};
use crate::pam::finding::{Finding, Severity};
use crate::pam::module::{self, Arguments};
use crate::pam::paths::{Second, Way, Ways};
use crate::pam::stack::{Entry, Phase};

impl Judge<'_> {
    pub(super) fn account(&mut self) {
        let asked = names_ours(self.service, Phase::Auth);
        let stack = self.service.stack(Phase::Account);
        if !names_ours(self.service, Phase::Account) {
            if asked || (self.used.takes_keys && names_ours(self.service, Phase::Session)) {
                let severity = if self.used.takes_keys {
                    self.used.unguarded()
                } else {
                    Severity::Risk
                };
                let how = if severity == Severity::Hole {
                    "A login by public key skips the auth phase, and nobody asks for the code."
                } else {
                    "What the auth phase leaves pending (an enrollment made in the login, the last login) is never stored."
                };
                let finding = self
                    .finding("account-missing", severity, stack.first())
                    .what("its account stack has no pam_mfa line")
                    .how(how)
                    .instead("account required pam_mfa.so, as the first account line");
                self.found.push(finding);
            }
            return;
        }
        let Some(ways) = self.explore(Phase::Account) else {
            return;
        };
        self.guard_phase(Phase::Account, &ways);
        if self.used.takes_keys {
            self.guard_argument(Phase::Account);
        }
    }

    pub(super) fn session(&mut self) {
        // Hosts that ask every time lose information without it, and no safety.
        if !self.used.takes_keys {
            return;
        }
        let stack = self.service.stack(Phase::Session);
        if !names_ours(self.service, Phase::Session) {
            let finding = self
                .finding("session-missing", self.used.unguarded(), stack.first())
                .what("its session stack has no pam_mfa line")
                .how("A login whose key decides (a security key, a device remembered by key) is not refused where it must be.")
                .instead("session required pam_mfa.so");
            self.found.push(finding);
            return;
        }
        if let Some(ways) = self.explore(Phase::Session) {
            self.guard_phase(Phase::Session, &ways);
        }
        self.guard_argument(Phase::Session);
        self.own_environment();
    }

    /// sshd says in PAM's environment which key it has verified, and a file of the user's own can say something else there.
    fn own_environment(&mut self) {
        let stack = self.service.stack(Phase::Session);
        let ours = stack.iter().rposition(module::is_ours).unwrap_or(0);
        let earlier = stack.iter().take(ours);
        let Some(reader) = earlier
            .into_iter()
            .find(|entry| module::reads_own_environment(entry))
        else {
            return;
        };
        let finding = self
            .finding("own-environment", self.used.unguarded(), Some(reader))
            .what("it reads the user's own ~/.pam_environment before the pam_mfa line")
            .how(
                "Whoever can write that file says in it which key logs in (SSH_AUTH_INFO_0), and so that it is one that \
                 needs no code.",
            )
            .instead("the session's pam_mfa line before it, as in /usr/share/mfa/pam, or no user_readenv=1");
        self.found.push(finding);
    }

    /// In account and session our line must run on every way in, and its refusal must count.
    fn guard_phase(&mut self, phase: Phase, ways: &Ways) {
        let severity = if self.used.takes_keys {
            self.used.unguarded()
        } else {
            Severity::Risk
        };
        let stack = self.service.stack(phase);
        let ours = stack.iter().rposition(module::is_ours);
        for way in ways
            .ends
            .iter()
            .filter(|way| way.is_in(phase) && !way.facts.root)
        {
            let found = self.overruled(phase, way, severity);
            self.found.extend(found);
        }
        let passes = |way: &Way| way.is_in(phase) && way.facts.second == Second::Granted;
        if !ways.ends.iter().any(passes) {
            let finding = self
                .finding(
                    "locked-out",
                    Severity::Risk,
                    ours.and_then(|at| stack.get(at)),
                )
                .what(format!(
                    "no way through the {} stack ends in success",
                    phase.word()
                ))
                .how("Everybody is kept out.")
                .instead("a stack from /usr/share/mfa/pam")
                .locks_out();
            self.found.push(finding);
        }
    }

    /// What a way tells that gets in without our line, or against it.
    fn overruled(&self, phase: Phase, way: &Way, severity: Severity) -> Option<Finding> {
        let (skipped, ignored) = match phase {
            Phase::Account => ("account-skipped", "account-refusal-ignored"),
            _ => ("session-skipped", "session-refusal-ignored"),
        };
        let stack = self.service.stack(phase);
        let ours = stack.iter().rposition(module::is_ours);
        let found = match way.facts.second {
            Second::Passed => {
                let at = way.turning(stack, ours).and_then(|at| stack.get(at));
                self.finding(skipped, severity, at)
                    .what(format!(
                        "its {} stack can end before the pam_mfa line",
                        phase.word()
                    ))
                    .how(format!("It is not run on this way: {}.", way.told(stack)))
                    .way(phase, way, stack)
                    .instead(format!("the pam_mfa line as the first of {}", phase.word()))
            }
            Second::Refused => {
                let at = ignored_refusal(stack, way).and_then(|at| stack.get(at));
                self.finding(ignored, severity, at)
                    .what(format!(
                        "a refusal by pam_mfa does not count in the {} stack",
                        phase.word()
                    ))
                    .how(format!("This way succeeds: {}.", way.told(stack)))
                    .way(phase, way, stack)
                    .instead(format!("{} required pam_mfa.so", phase.word()))
            }
            Second::Open => {
                let at = ours.and_then(|at| stack.get(at));
                self.finding("unreachable-ignore", Severity::Risk, at)
                    .what(OPEN.what)
                    .how(format!("In {} too.", phase.word()))
                    .instead(OPEN.instead)
            }
            Second::NotRequired | Second::Granted => return None,
        };
        Some(found)
    }

    /// A line that guards no service does not judge public-key logins.
    fn guard_argument(&mut self, phase: Phase) {
        let stack = self.service.stack(phase);
        let guards = |entry: &&Entry| {
            Arguments::read(&entry.arguments).is_ok_and(|known| {
                known
                    .guard
                    .iter()
                    .any(|name| name.eq_ignore_ascii_case(&self.service.name))
            })
        };
        let ours: Vec<&Entry> = stack
            .iter()
            .filter(|entry| module::is_ours(entry))
            .collect();
        if !ours.is_empty() && !ours.iter().any(guards) {
            let finding = self
                .finding("guard-off", self.used.unguarded(), ours.first().copied())
                .what(format!(
                    "its {} line guards other services, or none (guard=)",
                    phase.word()
                ))
                .how("A login by public key skips the auth phase, and nobody asks for the code.")
                .instead("no guard= there: the default is sshd");
            self.found.push(finding);
        }
    }

    pub(super) fn password(&mut self) {
        if !names_ours(self.service, Phase::Password) {
            return;
        }
        let stack = self.service.stack(Phase::Password);
        let changes = |entry: &Entry| module::is_first_factor(entry) || module::is_strange(entry);
        if !stack.iter().any(changes) {
            let finding = self
                .finding("password-alone", Severity::Risk, stack.first())
                .what("its password stack changes no password")
                .how("A change is reported as done, and the old password stays.")
                .instead("the stack passwd from /usr/share/mfa/pam");
            self.found.push(finding);
        }
        let Some(ways) = self.explore(Phase::Password) else {
            return;
        };
        let last = stack.iter().rposition(module::is_ours);
        for way in ways
            .ends
            .iter()
            .filter(|way| way.is_in(Phase::Password) && !way.facts.root)
        {
            let (words, at) = match way.facts.second {
                Second::Passed => (AROUND, way.turning(stack, last)),
                Second::Refused => (REFUSAL_IGNORED, ignored_refusal(stack, way)),
                Second::Open => (OPEN, last),
                Second::NotRequired | Second::Granted => continue,
            };
            let severity = if words.rule == OPEN.rule {
                Severity::Risk
            } else {
                Severity::Hole
            };
            let finding = self
                .finding(words.rule, severity, at.and_then(|at| stack.get(at)))
                .what(words.what)
                .how(format!(
                    "A password is changed on this way: {}.",
                    way.told(stack)
                ))
                .way(Phase::Password, way, stack)
                .instead(words.instead);
            self.found.push(finding);
        }
        for (at, first) in &ways.too_early {
            self.too_early(stack, *at, *first);
        }
    }
}
