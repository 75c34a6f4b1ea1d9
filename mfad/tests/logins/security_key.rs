//! Security keys of this machine: where they are offered, what a signature grants, and that every failure says what it was
//! and leads to the other factors.

mod pin;

use std::time::{Duration, Instant};

use mfad::{
    session::{
        Caller,
        whereabouts::{Session, Whereabouts},
    },
    store::{Kind, Person},
};
use mfad_protocol::{
    Context, EnrollmentOptions, State, Step,
    fido::{Failure, Progress, Request},
};

use crate::{
    desk::{Act, Desk, ORIGIN, PRESENT, VERIFIED},
    support::{ALICE, Bench, START, process, root, session, ssh, sudo},
};

pub(crate) const ANY: &str = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n";
pub(crate) const OFFERED: &str = "Press Enter and touch your security key \"blue\": ";

/// login(1) on a virtual console.
pub(crate) fn at_console() -> Context {
    Context {
        service: "login".into(),
        rhost: None,
        tty: Some("/dev/tty1".into()),
        ssh_auth_info: None,
        after_password: Some(true),
        ..ssh(ALICE.0)
    }
}

async fn import(bench: &Bench, name: &str, record: String) {
    let options = EnrollmentOptions {
        name: Some(name.into()),
        key: Some(record),
        rp_id: Some(ORIGIN.into()),
        ..EnrollmentOptions::default()
    };
    let administrator = root(0);
    let enrolled = bench
        .engine
        .enroll_user(&administrator, ALICE.0, "fido2", options);
    enrolled.await.unwrap();
}

pub(crate) async fn bench_with(policy: &str, attributes: &str) -> (Bench, Desk) {
    let desk = Desk::new();
    let bench = Bench::with_policy(policy).reaching(desk.socket.clone());
    import(&bench, "blue", desk.record(attributes)).await;
    (bench, desk)
}

pub(crate) async fn person(bench: &Bench) -> Person {
    let found = bench.engine.store.find_person("local", ALICE.0).await;
    found.unwrap().unwrap()
}

pub(crate) fn text(step: &Step) -> &str {
    step.messages.last().map_or("", |message| &message.text)
}

/// A dialogue, answer by answer.
pub(crate) struct Dialogue<'b> {
    bench: &'b Bench,
    caller: Caller,
    session: String,
    pub(crate) step: Step,
    told: Vec<String>,
}

impl<'b> Dialogue<'b> {
    pub(crate) async fn begin(bench: &'b Bench, context: Context) -> Self {
        let caller = root(7);
        let (session, step) = bench.engine.begin(&caller, context, Some(process())).await;
        Self {
            bench,
            caller,
            session,
            step,
            told: Vec::new(),
        }
    }

    /// Answers, and waits as a module does.
    pub(crate) async fn answer(&mut self, answer: &str) -> State {
        let mut answers = vec![answer.as_bytes().to_vec()];
        loop {
            let engine = &self.bench.engine;
            self.step = engine.respond(&self.caller, &self.session, answers).await;
            if self.step.state != State::Wait {
                return self.step.state;
            }
            let told = self.step.messages.iter();
            self.told.extend(told.map(|message| message.text.clone()));
            answers = Vec::new();
        }
    }
}

#[tokio::test]
async fn enter_and_a_touch_let_in_who_sits_here() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    assert_eq!(text(&dialogue.step), OFFERED);
    assert_eq!(desk.asked(), 0, "nothing is asked before Enter");
    desk.then(&[Act::Tell(Progress::Touch), Act::Sign(PRESENT, 9)]);
    assert_eq!(dialogue.answer("").await, State::Granted);
    assert!(dialogue.told.is_empty(), "the prompt has said it all");
    let key = &person(&bench).await.credentials[0];
    assert_eq!(
        (key.kind, key.moving, key.last_used),
        (Kind::Fido2, 9, Some(START))
    );
}

#[tokio::test]
async fn it_meets_what_only_such_a_key_can() {
    let requirement =
        "require = { any = [\"fido2\"], phishing-resistant = true, user-verified = true }";
    let policy = format!("[[rule]]\nname = \"all\"\nwhen = {{}}\n{requirement}\n");
    let (bench, desk) = bench_with(&policy, "+presence").await;
    for (flags, state) in [
        (PRESENT, State::Denied),
        (PRESENT | VERIFIED, State::Granted),
    ] {
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        desk.then(&[Act::Sign(flags, u32::from(flags))]);
        assert_eq!(dialogue.answer("").await, state);
        let Request::Assert(asked) = desk.last() else {
            panic!("another question");
        };
        assert!(asked.verify);
    }
}

#[tokio::test]
async fn only_the_key_that_must_know_its_user_each_time_is_told_to() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    // The same key by another credential.
    let other = desk.record("+presence+pin").replacen("HR0d", "AAAA", 1);
    import(&bench, "red", other).await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    desk.then(&[Act::Sign(PRESENT, 3)]);
    assert_eq!(dialogue.answer("").await, State::Granted);
    let Request::Assert(asked) = desk.last() else {
        panic!("another question");
    };
    assert!(!asked.verify);
    let each: Vec<bool> = asked.wanted.iter().map(|one| one.verify).collect();
    assert_eq!(each, [false, true]);
}

#[tokio::test]
async fn it_is_offered_to_nobody_else_and_nothing_is_asked_for_them() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let phone = bench.enroll(ALICE.0).await;
    bench.sessions.say(session("3", ALICE.1));
    let elsewhere = [
        ssh(ALICE.0),
        sudo(ALICE.0, ALICE.1),
        Context {
            rhost: Some("192.0.2.10".into()),
            ..at_console()
        },
        Context {
            tty: Some("/dev/pts/3".into()),
            ..at_console()
        },
        Context {
            tty: None,
            ..at_console()
        },
    ];
    for context in elsewhere {
        let dialogue = Dialogue::begin(&bench, context.clone()).await;
        assert_eq!(text(&dialogue.step), "Verification code: ", "{context:?}");
        let mut dialogue = dialogue;
        dialogue.answer("").await;
    }
    bench.clock.advance(30);
    let mut dialogue = Dialogue::begin(&bench, ssh(ALICE.0)).await;
    assert_eq!(
        dialogue.answer(&phone.code(START + 30)).await,
        State::Granted
    );
    assert_eq!(desk.started(), 0);
}

#[tokio::test]
async fn sudo_in_a_session_at_a_seat_offers_it() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let Whereabouts::In(session) = session("3", ALICE.1) else {
        panic!("a session");
    };
    bench.sessions.say(Whereabouts::In(Session {
        seat: Some("seat0".into()),
        remote: false,
        host: None,
        ..session
    }));
    desk.then(&[Act::Sign(PRESENT, 1)]);
    let mut dialogue = Dialogue::begin(&bench, sudo(ALICE.0, ALICE.1)).await;
    assert_eq!(text(&dialogue.step), OFFERED);
    assert_eq!(dialogue.answer("").await, State::Granted);
}

#[tokio::test]
async fn without_the_helper_s_socket_there_is_no_word_of_keys() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    bench.enroll(ALICE.0).await;
    std::fs::remove_file(&desk.socket).unwrap();
    let dialogue = Dialogue::begin(&bench, at_console()).await;
    assert_eq!(text(&dialogue.step), "Verification code: ");
}

#[tokio::test]
async fn a_wrong_signature_is_refused_and_a_copied_key_raises_the_alarm() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let all_wrong = [
        Act::SignOther,
        Act::Sign(0, 5),
        Act::Sign(VERIFIED, 5),
        Act::Sign(PRESENT | 0x40, 5),
    ];
    for act in all_wrong {
        desk.then(std::slice::from_ref(&act));
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        assert_eq!(dialogue.answer("").await, State::Denied, "{act:?}");
    }
    assert_eq!(person(&bench).await.credentials[0].moving, 0);
    for (counter, state) in [
        (5, State::Granted),
        (5, State::Denied),
        (4, State::Denied),
        (0, State::Denied),
    ] {
        desk.then(&[Act::Sign(PRESENT, counter)]);
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        assert_eq!(dialogue.answer("").await, state, "{counter}");
    }
    let records = bench.engine.store.audit(mfad::store::AuditFilter {
        limit: 50,
        ..Default::default()
    });
    let cloned = records
        .await
        .unwrap()
        .into_iter()
        .filter(|(_, _, json)| json.contains("\"cloned\""));
    assert_eq!(cloned.count(), 3);
}

#[tokio::test]
async fn every_failure_has_its_sentence_and_leaves_the_way_to_a_code() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let phone = bench.enroll(ALICE.0).await;
    let failures = [
        (
            Failure::Absent,
            "Your security key \"blue\" is not plugged in.",
        ),
        (
            Failure::Foreign,
            "The key that is plugged in is not your security key \"blue\".",
        ),
        (
            Failure::Timeout,
            "Your security key \"blue\" was not touched in time.",
        ),
        (Failure::Denied, "Your security key \"blue\" said no."),
        (
            Failure::Busy,
            "Your security key \"blue\" is busy in another program.",
        ),
        (
            Failure::PinBlocked,
            "The PIN of your security key \"blue\" is blocked;",
        ),
        (Failure::PinPaused, "Too many wrong PINs: unplug the key"),
        (
            Failure::NoVerification,
            "Your security key \"blue\" has no PIN",
        ),
        (
            Failure::Broken,
            "Your security key \"blue\" does not answer as it should.",
        ),
    ];
    for (number, (failure, sentence)) in failures.into_iter().enumerate() {
        let step = 30 * i64::try_from(number + 1).unwrap();
        bench.clock.advance(30);
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        desk.then(&[Act::Fail(failure)]);
        assert_eq!(dialogue.answer("").await, State::Continue, "{failure:?}");
        let shown = text(&dialogue.step);
        assert!(
            shown.starts_with(sentence) && shown.ends_with(", or Verification code: "),
            "{shown}"
        );
        let code = phone.code(START + step);
        assert_eq!(dialogue.answer(&code).await, State::Granted, "{failure:?}");
    }
    for acts in [
        &[Act::Die][..],
        &[Act::Tell(Progress::Touch), Act::Die],
        &[],
    ] {
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        desk.then(acts);
        assert_eq!(dialogue.answer("").await, State::Continue);
        assert!(
            text(&dialogue.step).starts_with("The security key cannot be asked. "),
            "{:?}",
            dialogue.step
        );
    }
}

#[tokio::test]
async fn what_happens_meanwhile_is_told_at_once() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let mut dialogue = Dialogue::begin(&bench, at_console()).await;
    let pause = Act::Wait(Duration::from_millis(50));
    desk.then(&[
        Act::Tell(Progress::Absent),
        pause.clone(),
        Act::Tell(Progress::Foreign),
        pause.clone(),
        Act::Tell(Progress::Touch),
        pause,
        Act::Sign(PRESENT, 1),
    ]);
    assert_eq!(dialogue.answer("").await, State::Granted);
    assert_eq!(
        dialogue.told,
        [
            "Plug in your security key.",
            "The key that is plugged in is none of yours. Plug in your own.",
            "Now touch it.",
        ]
    );
}

#[tokio::test]
async fn a_host_that_shows_prompts_alone_is_told_at_the_next_one() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let silent = Context {
        silent: Some(true),
        ..at_console()
    };
    let mut dialogue = Dialogue::begin(&bench, silent).await;
    desk.then(&[
        Act::Tell(Progress::Absent),
        Act::Wait(Duration::from_secs(20)),
    ]);
    let begun = Instant::now();
    assert_eq!(dialogue.answer("").await, State::Continue);
    assert!(begun.elapsed() < Duration::from_secs(5));
    assert_eq!(
        text(&dialogue.step),
        "Plug in your security key. Press Enter and touch your security key \"blue\": "
    );
    desk.then(&[Act::Sign(PRESENT, 1)]);
    assert_eq!(dialogue.answer("").await, State::Granted);
}

/// What the daemon adds to the time of the helper and its key.
#[tokio::test]
async fn the_daemon_s_own_part_is_small() {
    let (bench, desk) = bench_with(ANY, "+presence").await;
    let mut took = Vec::new();
    for counter in 1..=15 {
        desk.then(&[Act::Sign(PRESENT, counter)]);
        let mut dialogue = Dialogue::begin(&bench, at_console()).await;
        let begin = Instant::now();
        assert_eq!(dialogue.answer("").await, State::Granted);
        took.push(begin.elapsed());
    }
    took.sort();
    println!(
        "from Enter to the grant, with a key that signs at once: median {:?}",
        took[7]
    );
    assert!(took[0] < Duration::from_millis(250), "{took:?}");
}
