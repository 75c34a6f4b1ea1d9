//! A login's dialogue at this terminal: for the proof that a change needs, and for `mfactl test`. It only renders
//! what the daemon sends and returns what the person types.

use std::os::fd::AsFd;
use std::time::Duration;

use mfad_protocol::{Context, Hook, Message, PROTOCOL, State, Step, Style, limits, printable};
use nix::unistd::{User, getuid, ttyname};
use zbus::OwnedFd;
use zeroize::Zeroizing;

use crate::client::{AuthenticationProxy, Client, failure};
use crate::failure::{Failure, Refusal};
use crate::kernel;
use crate::render;
use crate::ssh_agent;
use crate::terminal::{Echo, Terminal};

/// The service of the dialogue that proves a person before their factors change.
pub const SERVICE: &str = "mfactl";

/// Longest pause between two steps that the daemon may ask for.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Most lines of one message that are shown.
const LINES: usize = 128;

/// Who runs this.
pub fn caller() -> Result<String, Failure> {
    let uid = getuid();
    match User::from_uid(uid) {
        Ok(Some(user)) => Ok(user.name),
        Ok(None) | Err(_) => Err(Failure::Stopped(format!(
            "Your uid {uid} has no name on this machine (see `getent passwd {uid}`)."
        ))),
    }
}

/// Proves the caller to the daemon and returns the grant that a change of their factors needs.
pub async fn prove(client: &Client, terminal: &mut Terminal) -> Result<String, Failure> {
    terminal.remark("You have a second factor already: prove it first.")?;
    let end = run(client, terminal, SERVICE).await?;
    match (end.state, end.grant) {
        (State::Granted | State::NotRequired, Some(grant)) => Ok(grant),
        (State::Unavailable, _) => Err(Failure::Refused(
            Refusal::Unavailable,
            "The daemon could not decide. An administrator finds out why: sudo mfactl doctor"
                .to_owned(),
        )),
        _ => Err(Failure::Refused(
            Refusal::Denied,
            "Not proven: nothing was changed. A code works once; wait for the next one, or see `mfactl status` \
             whether codes are delayed."
                .to_owned(),
        )),
    }
}

/// Runs a dialogue for `service` to its end.
pub async fn run(client: &Client, terminal: &mut Terminal, service: &str) -> Result<Step, Failure> {
    let proxy = client.authentication().await?;
    let (session, first) = proxy
        .begin(context(service)?, own_process())
        .await
        .map_err(failure)?;
    client.dialogue_begun(&session);
    let end = answer(&proxy, terminal, &session, first).await;
    match end {
        Ok(_) => client.dialogue_over(&session),
        Err(_) => {
            client.abandon().await;
        }
    }
    end
}

/// By its session the daemon knows whether we sit at the machine, where its security keys are. Without it they are not asked.
fn own_process() -> Vec<OwnedFd> {
    kernel::own_process()
        .map(OwnedFd::from)
        .into_iter()
        .collect()
}

fn context(service: &str) -> Result<Context, Failure> {
    Ok(Context {
        protocol: PROTOCOL,
        hook: Some(Hook::Auth),
        service: service.to_owned(),
        user: caller()?,
        real_uid: Some(getuid().as_raw()),
        tty: ttyname(std::io::stdin().as_fd())
            .ok()
            .map(|path| path.to_string_lossy().into_owned()),
        agent: Some(ssh_agent::is_named()),
        ..Context::default()
    })
}

async fn answer(
    proxy: &AuthenticationProxy<'_>,
    terminal: &mut Terminal,
    session: &str,
    first: Step,
) -> Result<Step, Failure> {
    let mut step = first;
    for _ in 0..limits::STEPS {
        let answers = show(terminal, &step.messages).await?;
        if step.state.is_final() {
            return Ok(step);
        }
        if step.state == State::Wait {
            let asked = Duration::from_millis(step.retry_after_ms.unwrap_or(1000).into());
            tokio::time::sleep(asked.min(LONGEST_WAIT)).await;
        }
        let mut answers: Vec<Vec<u8>> = answers
            .iter()
            .map(|answer| answer.as_bytes().to_vec())
            .collect();
        let mut agent = Vec::new();
        if step.wants_fd == Some(true) {
            match ssh_agent::connect() {
                Ok(socket) => agent.push(socket.into()),
                Err(trouble) => answers.push(trouble.word().into()),
            }
        }
        step = proxy
            .respond(session, answers, agent)
            .await
            .map_err(failure)?;
    }
    Err(Failure::Refused(
        Refusal::Other,
        "The daemon asked more often than it may.".to_owned(),
    ))
}

/// Shows a step's messages and collects an answer for each prompt.
pub(crate) async fn show(
    terminal: &mut Terminal,
    messages: &[Message],
) -> Result<Vec<Zeroizing<String>>, Failure> {
    let mut answers = Vec::new();
    for message in messages.iter().take(limits::MESSAGES) {
        let echo = match message.style {
            Style::Secret => Echo::Off,
            Style::Visible => Echo::On,
            Style::Info | Style::Error => {
                terminal.remark(&lines(&message.text))?;
                continue;
            }
        };
        let Some(mut answer) = terminal.ask(&lines(&message.text), echo).await? else {
            return Err(Failure::Stopped(
                "The input ended before an answer: nothing was changed.".to_owned(),
            ));
        };
        bound(&mut answer);
        answers.push(answer);
    }
    Ok(answers)
}

/// A message's lines, each made printable: an enrollment in the dialogue draws its QR code in one message.
fn lines(text: &str) -> String {
    let lines: Vec<String> = text.split('\n').take(LINES).map(render::shown).collect();
    lines.join("\n")
}

/// Cuts an answer where the daemon would; so long a one can match nothing.
fn bound(answer: &mut String) {
    if answer.len() > limits::ANSWER {
        answer.truncate(answer.floor_char_boundary(limits::ANSWER));
    }
}

/// `mfactl test`: a dialogue without a login behind it.
pub async fn test(
    client: &Client,
    terminal: &mut Terminal,
    service: &str,
    json: bool,
) -> Result<(), Failure> {
    let end = run(client, terminal, service).await?;
    let verdict = verdict(end.state, service);
    if json {
        let value = serde_json::json!({"service": service, "state": word(end.state)});
        terminal.line(&render::shown_json(value).to_string())?;
    } else if verdict.is_good {
        terminal.line(&verdict.text)?;
    }
    match (verdict.is_good, json) {
        (true, _) => Ok(()),
        (false, true) => Err(Failure::Reported),
        (false, false) => Err(Failure::Stopped(verdict.text)),
    }
}

/// What a test's end means for a login.
#[derive(Debug, PartialEq, Eq)]
struct Verdict {
    is_good: bool,
    text: String,
}

fn verdict(state: State, service: &str) -> Verdict {
    let service = printable(service);
    let (is_good, text) = match state {
        State::Granted => (
            true,
            if service == SERVICE {
                "Right. A code that you typed is used up; wait for the next one.".to_owned()
            } else {
                format!(
                    "Right: “{service}” would have let you in. A code that you typed is used up; wait for the next one."
                )
            },
        ),
        State::NotRequired => (
            true,
            format!(
                "“{service}” would have asked you for no second factor: the policy does not want one here."
            ),
        ),
        State::Unavailable => (
            false,
            format!(
                "No decision: “{service}” would have refused you. An administrator finds out why: sudo mfactl doctor"
            ),
        ),
        State::Denied | State::Continue | State::Wait => (
            false,
            format!(
                "Refused: “{service}” would not have let you in. Is the clock right (`timedatectl`), and the code a \
                 new one? `mfactl status` shows failures and delays."
            ),
        ),
    };
    Verdict { is_good, text }
}

const fn word(state: State) -> &'static str {
    match state {
        State::Continue => "continue",
        State::Wait => "wait",
        State::Granted => "granted",
        State::Denied => "denied",
        State::Unavailable => "unavailable",
        State::NotRequired => "not-required",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_login_that_would_succeed_is_good_news() {
        for state in [
            State::Continue,
            State::Wait,
            State::Denied,
            State::Unavailable,
        ] {
            assert!(!verdict(state, "sudo").is_good, "{state:?}");
        }
        for state in [State::Granted, State::NotRequired] {
            assert!(verdict(state, "sudo").is_good, "{state:?}");
        }
    }

    #[test]
    fn a_message_keeps_its_lines_and_nothing_else_that_moves_the_cursor() {
        assert_eq!(lines("a\nb\u{1b}[2J\rc"), "a\nb\u{fffd}[2J\u{fffd}c");
        assert_eq!(lines(&"\n".repeat(10_000)).len(), LINES - 1);
    }

    #[test]
    fn a_long_answer_is_cut_between_characters() {
        let mut answer = "é".repeat(limits::ANSWER);
        bound(&mut answer);
        assert_eq!(answer.len(), limits::ANSWER);
        let mut answer = format!("x{}", "é".repeat(limits::ANSWER));
        bound(&mut answer);
        assert_eq!(answer.len(), limits::ANSWER - 1);
    }
}
