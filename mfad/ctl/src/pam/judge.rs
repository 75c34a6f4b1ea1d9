//! Which ways through a service's stacks lead around the second factor, or around the first. It reads no file: the
//! service is read, and sshd's settings are told.

mod guards;

use std::collections::HashSet;

use super::control::{Action, Code};
use super::dispatch::Step;
use super::finding::{Finding, Severity};
use super::module::{self, Arguments, Surroundings};
use super::paths::{self, First, Second, Way, Ways};
use super::stack::{Entry, Phase, Service};

/// How a host uses its stacks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Use {
    /// It keeps the caller's real uid: `pam_rootok` tells who called.
    pub(super) setuid: bool,
    /// Public keys log in, and skip the auth phase (sshd).
    pub(super) takes_keys: bool,
    /// Some way of logging in skips the auth phase altogether.
    pub(super) key_alone: bool,
    /// A key or the like is proven before every auth phase.
    pub(super) key_first: bool,
}

impl Use {
    /// A host that asks its auth phase every time.
    pub(super) const fn plain(setuid: bool) -> Self {
        Self {
            setuid,
            takes_keys: false,
            key_alone: false,
            key_first: false,
        }
    }

    /// How bad it is if the account or session phase does not guard.
    const fn unguarded(self) -> Severity {
        if self.key_alone {
            Severity::Hole
        } else {
            Severity::Risk
        }
    }
}

/// Whether our module stands in a phase.
pub(super) fn names_ours(service: &Service, phase: Phase) -> bool {
    service.stack(phase).iter().any(module::is_ours)
}

/// Judges the stacks of a service that has our module somewhere.
pub(super) fn service(
    service: &Service,
    used: Use,
    there: &dyn Fn(&Entry) -> bool,
) -> Vec<Finding> {
    let mut judge = Judge {
        service,
        used,
        there,
        found: Vec::new(),
    };
    judge.arguments();
    judge.auth();
    judge.account();
    judge.session();
    judge.password();
    let mut known = HashSet::new();
    judge
        .found
        .retain(|finding| known.insert((finding.rule, finding.severity, finding.place.clone())));
    judge.found
}

/// Whether a service's auth phase lets anybody in but root.
pub(super) fn lets_in(service: &Service, used: Use, there: &dyn Fn(&Entry) -> bool) -> bool {
    let around = Surroundings {
        setuid: used.setuid,
        key_first: false,
    };
    let ways = paths::explore(service.stack(Phase::Auth), Phase::Auth, around, there);
    let opens = |way: &Way| way.is_in(Phase::Auth) && !way.facts.root;
    !service.aborts() && (ways.too_many || ways.ends.iter().any(opens))
}

struct Judge<'a> {
    service: &'a Service,
    used: Use,
    there: &'a dyn Fn(&Entry) -> bool,
    found: Vec<Finding>,
}

/// What a finding of the auth phase says.
struct Words {
    rule: &'static str,
    what: &'static str,
    instead: &'static str,
}

impl Judge<'_> {
    fn finding(&self, rule: &'static str, severity: Severity, entry: Option<&Entry>) -> Finding {
        Finding::new(
            rule,
            severity,
            &self.service.name,
            entry.map(|entry| &entry.place),
        )
    }

    fn explore(&mut self, phase: Phase) -> Option<Ways> {
        let stack = self.service.stack(phase);
        let around = Surroundings {
            setuid: self.used.setuid,
            key_first: phase == Phase::Auth && self.used.key_first,
        };
        let ways = paths::explore(stack, phase, around, self.there);
        if ways.too_many {
            let finding = self
                .finding("too-complex", Severity::Hole, stack.first())
                .what(format!(
                    "its {} stack has more ways than can be looked at",
                    phase.word()
                ))
                .how("What is not looked at may let anybody in.")
                .instead("fewer jumps and substacks");
            self.found.push(finding);
            return None;
        }
        Some(ways)
    }

    /// Arguments that our module refuses, or that open something.
    fn arguments(&mut self) {
        for phase in Phase::ALL {
            for entry in self
                .service
                .stack(phase)
                .iter()
                .filter(|entry| module::is_ours(entry))
            {
                let finding = match Arguments::read(&entry.arguments) {
                    Err(what) => self
                        .finding("bad-argument", Severity::Risk, Some(entry))
                        .what(what)
                        .how("The module refuses every login that comes to this line.")
                        .instead("the arguments of pam_mfa(8)")
                        .locks_out(),
                    Ok(arguments) if arguments.decoy && phase != Phase::Auth => self
                        .finding("bad-argument", Severity::Risk, Some(entry))
                        .what("decoy is for auth lines only")
                        .how("The module refuses every login that comes to this line.")
                        .instead("no decoy here")
                        .locks_out(),
                    Ok(arguments) if arguments.defer && phase != Phase::Account => self
                        .finding("bad-argument", Severity::Risk, Some(entry))
                        .what("defer=session is for account lines only")
                        .how("The module refuses every login that comes to this line.")
                        .instead("no defer=session here")
                        .locks_out(),
                    Ok(arguments) if arguments.breakglass => self
                        .finding("breakglass", Severity::Note, Some(entry))
                        .what("root gets in by password alone at the console while mfad cannot decide")
                        .how("By your choice; such a login is logged at alert."),
                    Ok(_) => continue,
                };
                self.found.push(finding);
            }
        }
    }

    fn auth(&mut self) {
        if self.service.is_borrowed(Phase::Auth) && !names_ours(self.service, Phase::Auth) {
            // passwd and the like never authenticate.
            if !self.used.takes_keys {
                return;
            }
        }
        let Some(ways) = self.explore(Phase::Auth) else {
            return;
        };
        let stack = self.service.stack(Phase::Auth);
        for way in ways
            .ends
            .iter()
            .filter(|way| way.is_in(Phase::Auth) && !way.facts.root)
        {
            self.way_in(stack, way);
        }
        for (at, first) in &ways.too_early {
            self.too_early(stack, *at, *first);
        }
        let opens = |way: &Way| {
            way.is_in(Phase::Auth)
                && way.facts.second == Second::Granted
                && (way.facts.first == First::Right || way.facts.strange)
        };
        if names_ours(self.service, Phase::Auth)
            && !ways.ends.iter().any(opens)
            && !self.has_holes()
        {
            let finding = self
                .finding(
                    "locked-out",
                    Severity::Risk,
                    stack.iter().find(|entry| module::is_ours(entry)),
                )
                .what("no way through the auth stack ends in success after a right code")
                .how("Everybody who must give a code is kept out.")
                .instead("a stack from /usr/share/mfa/pam")
                .locks_out();
            self.found.push(finding);
        }
    }

    fn has_holes(&self) -> bool {
        self.found
            .iter()
            .any(|finding| finding.severity == Severity::Hole)
    }

    /// A way that lets somebody in.
    fn way_in(&mut self, stack: &[Entry], way: &Way) {
        let proven = way.facts.first == First::Right;
        let doubtful = if way.facts.strange {
            Severity::Risk
        } else {
            Severity::Hole
        };
        let last_of_ours = stack.iter().rposition(module::is_ours);
        let (words, severity, at) = match way.facts.second {
            Second::Passed if last_of_ours.is_none() => {
                (AUTH_MISSING, Severity::Hole, way.turning(stack, None))
            }
            Second::Passed => (AROUND, Severity::Hole, way.turning(stack, last_of_ours)),
            Second::Refused => (REFUSAL_IGNORED, Severity::Hole, ignored_refusal(stack, way)),
            Second::Open if proven => (OPEN, Severity::Risk, last_of_ours),
            Second::Open => (OPEN, doubtful, last_of_ours),
            Second::NotRequired if !proven => (NO_FIRST, doubtful, last_of_ours),
            Second::Granted if !proven => (CODE_ALONE, doubtful, last_of_ours),
            Second::NotRequired | Second::Granted => return,
        };
        let instead = if self.used.takes_keys
            && matches!(words.rule, "code-alone" | "no-first-factor")
        {
            "AuthenticationMethods publickey,keyboard-interactive:pam in sshd_config (in every Match block that sets it \
             too), or the stack sshd-password"
        } else {
            words.instead
        };
        let finding = self
            .finding(words.rule, severity, at.and_then(|at| stack.get(at)))
            .what(words.what)
            .how(format!("This way succeeds: {}.", way.told(stack)))
            .way(Phase::Auth, way, stack)
            .instead(instead);
        self.found.push(finding);
    }

    /// Our module runs although no first factor was right.
    fn too_early(&mut self, stack: &[Entry], at: usize, first: First) {
        let entry = &stack[at];
        let after_password =
            Arguments::read(&entry.arguments).is_ok_and(|known| known.after_password);
        let later = stack[at..].iter().any(module::is_first_factor);
        let finding = match first {
            First::Wrong => self
                .finding("wrong-password-spends", Severity::Risk, Some(entry))
                .what("it asks for a code after a wrong password too")
                .how(
                    "Whoever knows a name and no password spends the owner's guesses and can lock the owner out; \
                     and may be told whether the owner has a factor at all.",
                )
                .instead(
                    "requisite for the password, or the lines with a decoy from /usr/share/mfa/pam/sshd-password; in \
                     substacks (Fedora's password-auth) the module belongs inside, after the password",
                ),
            First::Unasked | First::Right if later => self
                .finding("code-before-password", Severity::Risk, Some(entry))
                .what("it asks for the code before the password")
                .how("Whoever knows a name spends the owner's guesses and can lock the owner out.")
                .instead("the pam_mfa line after the password's"),
            First::Unasked | First::Right if after_password => {
                let opens = self.found.iter().any(|one| one.rule == "no-first-factor");
                let severity = if opens { Severity::Hole } else { Severity::Risk };
                self.finding("after-password-untrue", severity, Some(entry))
                    .what("after=password, and no password is asked before it")
                    .how("The module agrees where the policy asks for no code: then nothing at all was asked.")
                    .instead("a password's line before it, or no after=password")
            }
            First::Unasked | First::Right => return,
        };
        self.found.push(finding);
    }
}

/// Where a refusal of ours is lost: our line, unless its control field refuses and a later line takes that back.
fn ignored_refusal(stack: &[Entry], way: &Way) -> Option<usize> {
    let refused = way.answers.iter().find(|answer| {
        module::is_ours(&stack[answer.at])
            && answer.code != Code::SUCCESS
            && answer.code != Code::IGNORE
    })?;
    let action = stack[refused.at].control().at(refused.code);
    if !matches!(action, Action::Bad | Action::Die) {
        return Some(refused.at);
    }
    let takes_back = |answer: &&super::paths::Answer| {
        answer.at > refused.at && stack[answer.at].control().at(answer.code) == Action::Reset
    };
    way.answers
        .iter()
        .find(takes_back)
        .map_or(Some(refused.at), |answer| Some(answer.at))
}

const AUTH_MISSING: Words = Words {
    rule: "auth-missing",
    what: "its auth stack has no pam_mfa line, though others have one",
    instead: "the whole stack from /usr/share/mfa/pam",
};
const AROUND: Words = Words {
    rule: "way-around",
    what: "from here the login succeeds without a code",
    instead: "requisite for a condition; for a password [success=N default=ignore] that jumps to the pam_mfa line; an \
              exemption belongs into the policy",
};
const REFUSAL_IGNORED: Words = Words {
    rule: "refusal-ignored",
    what: "a refusal by pam_mfa does not count: a wrong code logs in",
    instead: "required",
};
const OPEN: Words = Words {
    rule: "unreachable-ignore",
    what: "the login goes on without a code while mfad cannot be reached (unreachable=ignore)",
    instead: "no unreachable=ignore; breakglass=console at the console for emergencies",
};
const NO_FIRST: Words = Words {
    rule: "no-first-factor",
    what: "where the policy asks for no code, nothing at all is asked",
    instead: "a password's line before pam_mfa; no line that succeeds by itself (pam_permit, pam_shells, …) as required \
              beside it",
};
const CODE_ALONE: Words = Words {
    rule: "code-alone",
    what: "a code alone logs in: neither a password nor a key is asked",
    instead: "a password's line before pam_mfa",
};
