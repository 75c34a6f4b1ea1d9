//! A daemon and a host made of lists: what the loop does with each answer, and with none.

use std::{cell::RefCell, collections::VecDeque};

use mfad_protocol::Hook;
use zeroize::Zeroizing;

use super::*;

/// Answers each call from a list, and notes what it was sent.
#[derive(Default)]
struct Script {
    replies: VecDeque<Result<Step, Failure>>,
    sent: Vec<Vec<Vec<u8>>>,
    /// With which answers a descriptor came.
    connections: Vec<bool>,
    cancelled: bool,
    /// Which answers would have been waited for.
    patient: Vec<bool>,
}

impl Script {
    fn of(replies: impl IntoIterator<Item = Result<Step, Failure>>) -> Self {
        Self {
            replies: replies.into_iter().collect(),
            ..Self::default()
        }
    }

    fn next(&mut self) -> Result<Step, Failure> {
        self.replies
            .pop_front()
            .expect("the module asked once more than the script answers")
    }
}

impl Transport for Script {
    fn begin(&mut self, _: &Context, _: &mut Patience) -> Result<(String, Step), Failure> {
        self.next().map(|step| ("s1".to_owned(), step))
    }

    fn respond(
        &mut self,
        session: &str,
        answers: &[Answer],
        descriptor: Option<OwnedFd>,
        patience: &mut Patience,
    ) -> Result<Step, Failure> {
        assert_eq!(session, "s1");
        self.patient.push(patience.piece().is_some());
        self.connections.push(descriptor.is_some());
        self.sent.push(answers.iter().map(|a| a.to_vec()).collect());
        self.next()
    }

    fn cancel(&mut self, session: &str) {
        assert_eq!(session, "s1");
        self.cancelled = true;
    }
}

/// Types from a list, and notes what it is shown.
#[derive(Default)]
struct Person {
    types: RefCell<VecDeque<Option<&'static [u8]>>>,
    saw: RefCell<Vec<(Style, String)>>,
    takes: Duration,
    has_agent: bool,
}

impl Person {
    fn typing(lines: impl IntoIterator<Item = Option<&'static [u8]>>) -> Self {
        Self {
            types: RefCell::new(lines.into_iter().collect()),
            ..Self::default()
        }
    }
}

impl Screen for Person {
    fn ask(&self, style: Style, text: &str) -> Option<Answer> {
        self.saw.borrow_mut().push((style, text.to_owned()));
        sleep(self.takes);
        let typed = self.types.borrow_mut().pop_front().flatten()?;
        Some(Zeroizing::new(typed.to_vec()))
    }

    fn tell(&self, style: Style, text: &str) {
        self.saw.borrow_mut().push((style, text.to_owned()));
    }

    fn agent(&self, _: Instant) -> Result<OwnedFd, AgentTrouble> {
        let null = std::fs::File::open("/dev/null").expect("every system has it");
        let connection = self.has_agent.then(|| null.into());
        connection.ok_or(AgentTrouble::Stale)
    }
}

fn step(state: State, messages: &[(Style, &str)]) -> Step {
    Step {
        messages: messages
            .iter()
            .map(|(style, text)| Message {
                style: *style,
                text: (*text).to_owned(),
            })
            .collect(),
        ..Step::of(state)
    }
}

fn prompt() -> Step {
    step(State::Continue, &[(Style::Secret, "Verification code: ")])
}

fn granted() -> Step {
    Step {
        grant: Some("g-1".into()),
        ..Step::of(State::Granted)
    }
}

fn run_within(script: &mut Script, person: &dyn Screen, time: Duration) -> Ended {
    let context = Context {
        hook: Some(Hook::Auth),
        ..Context::default()
    };
    run(
        script,
        person,
        &context,
        Instant::now() + time,
        &Log::new("test", "auth"),
    )
}

fn run_with(script: &mut Script, person: &dyn Screen) -> Ended {
    run_within(script, person, Duration::from_secs(5))
}

#[test]
fn a_code_is_asked_for_sent_and_granted() {
    let mut script = Script::of([
        Ok(step(
            State::Continue,
            &[
                (Style::Info, "Scan this."),
                (Style::Secret, "Verification code: "),
            ],
        )),
        Ok(granted()),
    ]);
    let person = Person::typing([Some(&b"123456"[..])]);
    let ended = run_with(&mut script, &person);
    assert_eq!(
        ended,
        Ended {
            outcome: Outcome::Granted,
            grant: Some("g-1".into())
        }
    );
    assert_eq!(script.sent, [vec![b"123456".to_vec()]]);
    assert!(!script.cancelled);
    let saw = person.saw.borrow();
    assert_eq!(saw[0], (Style::Info, "Scan this.".to_owned()));
    assert_eq!(saw[1], (Style::Secret, "Verification code: ".to_owned()));
}

#[test]
fn each_prompt_has_one_answer_in_order() {
    let mut script = Script::of([
        Ok(step(
            State::Continue,
            &[
                (Style::Visible, "a"),
                (Style::Info, "i"),
                (Style::Secret, "b"),
            ],
        )),
        Ok(granted()),
    ]);
    let person = Person::typing([Some(&b"1"[..]), Some(&b""[..])]);
    run_with(&mut script, &person);
    assert_eq!(script.sent, [vec![b"1".to_vec(), b"".to_vec()]]);
}

#[test]
fn sshd_s_junk_is_sent_as_it_is() {
    let junk: &[u8] = b"\x08\n\r\x7fINCORRECT";
    let mut script = Script::of([Ok(prompt()), Ok(Step::of(State::Denied))]);
    let ended = run_with(&mut script, &Person::typing([Some(junk)]));
    assert_eq!(ended.outcome, Outcome::Denied);
    assert_eq!(script.sent, [vec![junk.to_vec()]]);
}

#[test]
fn no_answer_is_not_an_empty_answer() {
    let mut script = Script::of([Ok(prompt())]);
    let ended = run_with(&mut script, &Person::typing([None]));
    assert_eq!(ended, Ended::without_grant(Outcome::Denied));
    assert!(script.sent.is_empty());
    assert!(script.cancelled);
}

#[test]
fn a_host_that_cannot_be_asked_is_denied() {
    let mut script = Script::of([Ok(prompt())]);
    let person = Person::typing([Some(&b"123456"[..])]);
    let ended = run_with(&mut script, &Mute(&person));
    assert_eq!(ended.outcome, Outcome::Denied);
    assert!(script.sent.is_empty() && script.cancelled);
}

#[test]
fn an_answer_after_the_deadline_is_not_sent() {
    let mut script = Script::of([Ok(prompt())]);
    let person = Person {
        takes: Duration::from_millis(40),
        ..Person::typing([Some(&b"123456"[..])])
    };
    let ended = run_within(&mut script, &person, Duration::from_millis(20));
    assert_eq!(ended.outcome, Outcome::Denied);
    assert!(script.sent.is_empty() && script.cancelled);
}

#[test]
fn each_final_state_has_its_outcome_and_shows_its_lines() {
    for (state, outcome) in [
        (State::Granted, Outcome::Granted),
        (State::Denied, Outcome::Denied),
        (State::Unavailable, Outcome::Unavailable),
        (State::NotRequired, Outcome::NotRequired),
    ] {
        let mut script = Script::of([Ok(step(state, &[(Style::Error, "line")]))]);
        let person = Person::default();
        assert_eq!(run_with(&mut script, &person).outcome, outcome);
        assert_eq!(
            *person.saw.borrow(),
            [(Style::Error, "line".to_owned())],
            "{state:?}"
        );
        assert!(!script.cancelled);
    }
}

#[test]
fn what_went_wrong_at_the_start_is_told_apart() {
    for (failure, outcome) in [
        (Failure::Unreachable("x".into()), Outcome::Unavailable),
        (Failure::Elapsed, Outcome::Unavailable),
        (Failure::Refused("x".into()), Outcome::Denied),
        (Failure::Malformed("x".into()), Outcome::Lost),
    ] {
        let mut script = Script::of([Err(failure)]);
        assert_eq!(
            run_with(&mut script, &Person::default()),
            Ended::without_grant(outcome)
        );
    }
}

#[test]
fn a_daemon_that_goes_away_in_the_middle_is_lost_and_never_merely_unavailable() {
    for failure in [
        Failure::Unreachable("x".into()),
        Failure::Elapsed,
        Failure::Malformed("x".into()),
    ] {
        let mut script = Script::of([Ok(prompt()), Err(failure)]);
        let ended = run_with(&mut script, &Person::typing([Some(&b"1"[..])]));
        assert_eq!(ended.outcome, Outcome::Lost);
        assert!(script.cancelled);
    }
    let mut script = Script::of([Ok(prompt()), Err(Failure::Refused("x".into()))]);
    let ended = run_with(&mut script, &Person::typing([Some(&b"1"[..])]));
    assert_eq!(ended.outcome, Outcome::Denied);
}

#[test]
fn waiting_asks_again_after_the_pause_with_no_answers() {
    let wait = Step {
        retry_after_ms: Some(60),
        ..step(State::Wait, &[(Style::Info, "Touch your key.")])
    };
    let mut script = Script::of([Ok(wait), Ok(granted())]);
    let start = Instant::now();
    let ended = run_with(&mut script, &Person::default());
    assert_eq!(ended.outcome, Outcome::Granted);
    assert!(start.elapsed() >= Duration::from_millis(60));
    assert_eq!(script.sent, [Vec::<Vec<u8>>::new()]);
}

#[test]
fn waiting_ends_at_the_deadline() {
    let wait = Step {
        retry_after_ms: Some(u32::MAX),
        ..Step::of(State::Wait)
    };
    let mut script = Script::of([Ok(wait)]);
    let start = Instant::now();
    let ended = run_within(&mut script, &Person::default(), Duration::from_millis(80));
    assert_eq!(ended.outcome, Outcome::Denied);
    assert!(start.elapsed() < Duration::from_secs(2));
    assert!(script.cancelled);
}

#[test]
fn a_dialogue_without_end_is_ended() {
    let endless = std::iter::repeat_with(|| Ok(Step::of(State::Continue)));
    let mut script = Script::of(endless.take(limits::STEPS + 5));
    let ended = run_with(&mut script, &Person::default());
    assert_eq!(ended.outcome, Outcome::Lost);
    assert_eq!(script.sent.len(), limits::STEPS);
    assert!(script.cancelled);
}

#[test]
fn a_step_outside_the_protocol_s_bounds_is_not_shown() {
    let long = "x".repeat(limits::MESSAGE + 1);
    let many = [(Style::Info, "x"); limits::MESSAGES + 1];
    for bad in [
        step(State::Continue, &[(Style::Info, &long)]),
        step(State::Continue, &many),
        step(State::Granted, &[(Style::Secret, "more?")]),
        step(State::Wait, &[(Style::Visible, "more?")]),
        Step {
            wants_fd: Some(true),
            ..Step::of(State::Continue)
        },
    ] {
        let mut script = Script::of([Ok(bad)]);
        let person = Person::default();
        assert_eq!(run_with(&mut script, &person).outcome, Outcome::Lost);
        assert!(person.saw.borrow().is_empty() && script.cancelled);
    }
}

fn wants_agent() -> Step {
    Step {
        wants_fd: Some(true),
        retry_after_ms: Some(0),
        ..Step::of(State::Wait)
    }
}

/// A login with a connection to the agent, and how long it took.
fn with_an_agent() -> Duration {
    let waiting = Step {
        wants_fd: None,
        ..wants_agent()
    };
    let mut script = Script::of([Ok(prompt()), Ok(wants_agent()), Ok(waiting), Ok(granted())]);
    let person = Person {
        has_agent: true,
        ..Person::typing([Some(&b""[..])])
    };
    let begun = Instant::now();
    assert_eq!(run_with(&mut script, &person).outcome, Outcome::Granted);
    assert_eq!(script.sent, [vec![Vec::new()], vec![], vec![]]);
    assert_eq!(script.connections, [false, true, false]);
    begun.elapsed()
}

#[test]
fn a_connection_to_the_agent_goes_along_once() {
    with_an_agent();
}

#[test]
fn no_pause_is_made_where_the_daemon_holds_back() {
    // A busy machine may be slow at any one of them; a pause would be in each.
    let quickest = (0..20).map(|_| with_an_agent()).min().unwrap();
    assert!(quickest < PAUSE.0, "{quickest:?}");
}

#[test]
fn why_there_is_no_agent_is_said_in_a_word() {
    let mut script = Script::of([Ok(prompt()), Ok(wants_agent()), Ok(granted())]);
    let person = Person::typing([Some(&b""[..])]);
    assert_eq!(run_with(&mut script, &person).outcome, Outcome::Granted);
    assert_eq!(script.sent[1], [b"stale".to_vec()]);
    assert_eq!(script.connections, [false, false]);
}

#[test]
fn a_daemon_that_lets_the_module_wait_for_ever_is_left() {
    let waiting = || {
        Ok(Step {
            retry_after_ms: Some(0),
            ..Step::of(State::Wait)
        })
    };
    let mut script = Script::of((0..=limits::STEPS).map(|_| waiting()));
    assert_eq!(
        run_with(&mut script, &Person::default()).outcome,
        Outcome::Lost
    );
}

#[test]
fn ctrl_c_ends_a_wait_denied_and_is_no_failure_of_the_daemon_s() {
    crate::stop::tests::with_ctrl_c(|| {
        let waiting = Step {
            retry_after_ms: Some(0),
            ..Step::of(State::Wait)
        };
        let mut script = Script::of([Ok(prompt()), Ok(waiting), Err(Failure::Elapsed)]);
        let person = Person::typing([Some(&b""[..])]);
        let ended = run_with(&mut script, &person);
        assert_eq!(ended.outcome, Outcome::Denied);
        assert!(script.cancelled);
        assert_eq!(script.patient, [true, false]);
    });
}
