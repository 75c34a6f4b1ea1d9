//! Owns the loop of a dialogue: show what the daemon says, send what the person types. It must decide nothing: it
//! passes on the daemon's verdict, or refuses where there is none.

use std::{
    os::fd::OwnedFd,
    thread::sleep,
    time::{Duration, Instant},
};

use mfad_protocol::{AgentTrouble, Context, Message, State, Step, Style, limits};
use zeroize::Zeroizing;

use crate::{
    log::Log,
    outcome::Outcome,
    patience::Patience,
    stop::{self, HeldBack},
    transaction::carried,
    transport::{Answer, Failure, Transport},
};

/// Bounds of one pause between two questions to a daemon that says `Wait`.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(5));

/// Where messages are shown and answers come from: the person's side.
pub(crate) trait Screen {
    /// Shows a prompt. `None` is everything that is not an answer: an error, a NULL, a host that cannot prompt.
    fn ask(&self, style: Style, text: &str) -> Option<Answer>;
    /// Shows a line, if it can be shown.
    fn tell(&self, style: Style, text: &str);
    /// A connection to the person's SSH agent, or why there is none.
    fn agent(&self, deadline: Instant) -> Result<OwnedFd, AgentTrouble>;
}

/// A host that cannot be asked anything: what the account and session phases have.
pub(crate) struct Mute<'a>(pub &'a dyn Screen);

impl Screen for Mute<'_> {
    fn ask(&self, _style: Style, _text: &str) -> Option<Answer> {
        None
    }

    fn tell(&self, style: Style, text: &str) {
        self.0.tell(style, text);
    }

    fn agent(&self, _deadline: Instant) -> Result<OwnedFd, AgentTrouble> {
        Err(AgentTrouble::Unset)
    }
}

/// How a dialogue ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub outcome: Outcome,
    /// What the later phases of this login present.
    pub grant: Option<String>,
}

impl Ended {
    const fn without_grant(outcome: Outcome) -> Self {
        Self {
            outcome,
            grant: None,
        }
    }
}

/// Why the loop was left without a verdict.
enum Broken {
    Call(Failure),
    /// The person did not answer, or took too long.
    Unanswered(&'static str),
    /// The daemon went outside the protocol's bounds.
    Bounds(&'static str),
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self::Call(failure)
    }
}

/// One dialogue, from `Begin` to a verdict. Reaching the daemon is bounded by [`limits::CONNECT`],
/// which is less than any `timeout=`, and does not count what the host was stopped; `deadline` bounds the rest.
pub(crate) fn run(
    transport: &mut dyn Transport,
    screen: &dyn Screen,
    context: &Context,
    deadline: Instant,
    log: &Log,
) -> Ended {
    let mut reach = Patience::of(limits::CONNECT);
    let (session, step) = match transport.begin(context, &mut reach) {
        Ok(begun) => begun,
        Err(failure) => {
            log.error(format_args!("{failure}"));
            return Ended::without_grant(match failure {
                Failure::Unreachable(_) | Failure::Elapsed => Outcome::Unavailable,
                // An answer, if not a step: nobody may turn a refusal into "unreachable".
                Failure::Refused(_) | Failure::Starved(_) => Outcome::Denied,
                Failure::Malformed(_) => Outcome::Lost,
            });
        }
    };
    match converse(transport, screen, &session, step, deadline) {
        Ok(ended) => ended,
        Err(broken) => {
            transport.cancel(&session);
            Ended::without_grant(match broken {
                Broken::Unanswered(why) => {
                    log.debug(format_args!("{why}"));
                    Outcome::Denied
                }
                Broken::Bounds(why) => {
                    log.error(format_args!("mfad broke the protocol ({why})"));
                    Outcome::Lost
                }
                Broken::Call(failure) => {
                    log.error(format_args!("in the middle of a dialogue: {failure}"));
                    match failure {
                        Failure::Refused(_) => Outcome::Denied,
                        _ => Outcome::Lost,
                    }
                }
            })
        }
    }
}

fn converse(
    transport: &mut dyn Transport,
    screen: &dyn Screen,
    session: &str,
    mut step: Step,
    deadline: Instant,
) -> Result<Ended, Broken> {
    for _ in 0..limits::STEPS {
        check(&step)?;
        let mut answers = render(screen, &step.messages, deadline)?;
        if let Some(outcome) = verdict(step.state) {
            return Ok(Ended {
                outcome,
                grant: carried(step.grant),
            });
        }
        if step.state == State::Wait {
            pause(step.retry_after_ms, deadline)?;
        }
        let mut agent = None;
        if step.wants_fd == Some(true) {
            match screen.agent(deadline) {
                Ok(socket) => agent = Some(socket),
                Err(trouble) => answers.push(Zeroizing::new(trouble.word().into())),
            }
        }
        let held = (step.state == State::Wait).then(HeldBack::new);
        let mut patience = Patience::until(deadline);
        if held.is_some() {
            patience = patience.unless(stop::asked);
        }
        step = match transport.respond(session, &answers, agent, &mut patience) {
            // Never as if the daemon had failed: whoever can press Ctrl-C must gain nothing.
            Err(_) if held.is_some() && stop::asked() => {
                return Err(Broken::Unanswered("the host was asked to end"));
            }
            replied => replied?,
        };
    }
    Err(Broken::Bounds("a dialogue without end"))
}

const fn verdict(state: State) -> Option<Outcome> {
    match state {
        State::Continue | State::Wait => None,
        State::Granted => Some(Outcome::Granted),
        State::Denied => Some(Outcome::Denied),
        State::Unavailable => Some(Outcome::Unavailable),
        State::NotRequired => Some(Outcome::NotRequired),
    }
}

fn check(step: &Step) -> Result<(), Broken> {
    if step.messages.len() > limits::MESSAGES {
        return Err(Broken::Bounds("too many messages"));
    }
    if step.messages.iter().any(|m| m.text.len() > limits::MESSAGE) {
        return Err(Broken::Bounds("a message too long"));
    }
    if step.state != State::Continue && step.messages.iter().any(|m| m.style.prompts()) {
        return Err(Broken::Bounds("a prompt outside a question"));
    }
    if step.wants_fd == Some(true) && step.state != State::Wait {
        return Err(Broken::Bounds("a descriptor wanted outside a wait"));
    }
    Ok(())
}

/// Shows each message in its order, and collects one answer for each that prompts.
fn render(
    screen: &dyn Screen,
    messages: &[Message],
    deadline: Instant,
) -> Result<Vec<Answer>, Broken> {
    let mut answers = Vec::new();
    for message in messages {
        if message.style.prompts() {
            let answer = screen
                .ask(message.style, &message.text)
                .ok_or(Broken::Unanswered("the host gave no answer to a prompt"))?;
            // How long a person takes to type is the host's to bound; that it was too long is found out here.
            if Instant::now() >= deadline {
                return Err(Broken::Unanswered("the answer came too late"));
            }
            answers.push(answer);
        } else {
            screen.tell(message.style, &message.text);
        }
    }
    Ok(answers)
}

/// 0 means that the daemon holds its answers back by itself: how often it is asked is bounded by [`limits::STEPS`].
fn pause(retry_after_ms: Option<u32>, deadline: Instant) -> Result<(), Broken> {
    if retry_after_ms == Some(0) {
        return Ok(());
    }
    let asked = Duration::from_millis(retry_after_ms.unwrap_or(0).into());
    let pause = asked.clamp(PAUSE.0, PAUSE.1);
    let left = deadline.saturating_duration_since(Instant::now());
    if left <= pause {
        sleep(left);
        return Err(Broken::Unanswered(
            "what was waited for did not happen in time",
        ));
    }
    sleep(pause);
    Ok(())
}

#[cfg(test)]
mod tests;
