//! Step-up through the person's SSH agent: what is offered, what is granted, and that every failure is over soon, says what it
//! was, and leads to the other factors.

mod hostile;
mod offering;

use std::{
    os::{fd::OwnedFd, unix::net::UnixStream},
    sync::LazyLock,
    time::{Duration, Instant},
};

use mfad::{
    session::{Caller, Connection},
    ssh::sshsig::Purpose,
    store::{Kind, Person},
};
use mfad_protocol::{Context, EnrollmentOptions, State, Step};

use crate::{
    signer::{Manner, SoftKey, TOUCHED, VERIFIED, serve},
    support::{ALICE, Bench, Phone, START, root, sudo},
};

const ANY: &str = "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = \"any\"\n";

fn requiring(requirement: &str) -> String {
    format!("[[rule]]\nname = \"all\"\nwhen = {{}}\nrequire = {requirement}\n")
}

fn at_sudo() -> Context {
    Context {
        agent: Some(true),
        ..sudo(owner().0, owner().1)
    }
}

/// Whose agents these are: root, which has none, stands in for somebody; anybody else is themselves.
pub(crate) fn owner() -> (&'static str, u32) {
    static OWNER: LazyLock<(String, u32)> = LazyLock::new(|| {
        let uid = nix::unistd::getuid();
        if uid.is_root() {
            (ALICE.0.to_owned(), ALICE.1)
        } else {
            let account = nix::unistd::User::from_uid(uid).unwrap().unwrap();
            (account.name, uid.as_raw())
        }
    });
    (&OWNER.0, OWNER.1)
}

/// The two ends of a connection on which this uid listens, by the kernel's word: credentials are a thread's own, if the
/// kernel is asked and not libc.
pub(crate) fn pair_of(uid: u32) -> (UnixStream, UnixStream) {
    let thread = std::thread::spawn(move || {
        if nix::unistd::getuid().as_raw() != uid {
            // SAFETY: a plain system call; it changes the ids of this thread alone, which makes a socket and ends.
            let changed = unsafe { libc::syscall(libc::SYS_setresuid, u32::MAX, uid, u32::MAX) };
            assert!(changed == 0, "only root's tests can be somebody else");
        }
        UnixStream::pair().unwrap()
    });
    thread.join().unwrap()
}

async fn enroll_key(bench: &Bench, key: &SoftKey, kind: &str, name: &str) {
    let options = EnrollmentOptions {
        key: Some(key.line()),
        name: Some(name.into()),
        ..EnrollmentOptions::default()
    };
    let administrator = root(0);
    let enrolled = bench
        .engine
        .enroll_user(&administrator, owner().0, kind, options);
    enrolled.await.unwrap();
}

async fn person(bench: &Bench) -> Person {
    let found = bench.engine.store.find_person("local", owner().0).await;
    found.unwrap().unwrap()
}

fn prompt(step: &Step) -> &str {
    assert_eq!(step.messages.len(), 1, "{step:?}");
    &step.messages[0].text
}

/// A dialogue at its first prompt.
struct Dialogue<'b> {
    bench: &'b Bench,
    caller: Caller,
    session: String,
    step: Step,
}

impl<'b> Dialogue<'b> {
    async fn begin(bench: &'b Bench, context: Context) -> Self {
        let caller = root(7);
        let (session, step) = bench.engine.begin(&caller, context, None).await;
        Self {
            bench,
            caller,
            session,
            step,
        }
    }

    async fn respond(&mut self, answers: &[&str], descriptor: Option<OwnedFd>) {
        let answers = answers.iter().map(|text| text.as_bytes().to_vec());
        let answers = answers.collect::<Vec<_>>();
        self.step = self
            .bench
            .engine
            .respond_with(&self.caller, &self.session, answers.into(), descriptor)
            .await;
    }

    /// Presses Enter, connects to an agent of that manner, and waits for what comes of it.
    async fn enter(&mut self, uid: u32, keys: Vec<SoftKey>, manner: Manner) {
        self.respond(&[""], None).await;
        assert_eq!(
            (self.step.state, self.step.wants_fd),
            (State::Wait, Some(true))
        );
        let (ours, theirs) = pair_of(uid);
        serve(theirs, keys, manner);
        self.respond(&[], Some(ours.into())).await;
        while self.step.state == State::Wait {
            assert_eq!(self.step.retry_after_ms, Some(0));
            self.respond(&[], None).await;
        }
    }

    async fn code(&mut self, phone: &Phone) -> State {
        self.respond(&[&phone.code(START)], None).await;
        self.step.state
    }
}

fn touched(counter: u32) -> Manner {
    Manner::Signs {
        flags: TOUCHED,
        counter,
    }
}

#[tokio::test]
async fn a_touch_grants_and_its_counter_is_kept() {
    let bench = Bench::with_policy(ANY);
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    assert_eq!(
        prompt(&dialogue.step),
        "Press Enter and touch your ssh key \"blue\": "
    );
    dialogue
        .enter(owner().1, vec![SoftKey::sk(2), SoftKey::sk(1)], touched(9))
        .await;
    assert_eq!(dialogue.step.state, State::Granted);
    assert!(dialogue.step.grant.is_some());
    let key = &person(&bench).await.credentials[0];
    assert_eq!(
        (key.kind, key.moving, key.last_used),
        (Kind::SshSk, 9, Some(START))
    );
}

/// Longer than an answer may take on its way, and than the daemon holds its own back.
#[tokio::test]
async fn a_touch_may_take_its_time() {
    let bench = Bench::with_policy(ANY);
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    let late = Manner::SignsAfter(Duration::from_secs(6));
    dialogue.enter(owner().1, vec![SoftKey::sk(1)], late).await;
    assert_eq!(dialogue.step.state, State::Granted);
}

#[tokio::test]
async fn nobody_has_their_agent_asked_without_end() {
    let bench = Bench::with_policy(ANY);
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut asked = 0;
    let last = 'asking: loop {
        let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
        for _ in 0..8 {
            dialogue.respond(&[""], None).await;
            if dialogue.step.state != State::Wait {
                break 'asking dialogue.step;
            }
            asked += 1;
            assert!(asked < 100);
            dialogue.respond(&["stale"], None).await;
        }
    };
    assert_eq!(asked, 30);
    assert_eq!(
        prompt(&last),
        "Your keys have been asked too often in this minute. Press Enter and touch your ssh key \"blue\": "
    );
    bench.clock.advance(60);
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    dialogue
        .enter(owner().1, vec![SoftKey::sk(1)], touched(1))
        .await;
    assert_eq!(dialogue.step.state, State::Granted);
}

#[tokio::test]
async fn a_key_that_must_know_its_user_says_so_in_its_signature() {
    let bench = Bench::with_policy(&requiring("{ user-verified = true }"));
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    dialogue
        .enter(owner().1, vec![SoftKey::sk(1)], touched(1))
        .await;
    assert_eq!(dialogue.step.state, State::Continue);
    assert!(prompt(&dialogue.step).contains("did not ask for its PIN or finger"));
    let verified = Manner::Signs {
        flags: TOUCHED | VERIFIED,
        counter: 2,
    };
    dialogue
        .enter(owner().1, vec![SoftKey::sk(1)], verified)
        .await;
    assert_eq!(dialogue.step.state, State::Granted);
}

#[tokio::test]
async fn a_counter_that_goes_back_is_refused() {
    let bench = Bench::with_policy(ANY);
    enroll_key(&bench, &SoftKey::sk_ecdsa(), "ssh-sk", "red").await;
    let key = SoftKey::sk(1);
    enroll_key(&bench, &key, "ssh-sk", "blue").await;
    for (counter, expected) in [
        (9, State::Granted),
        (9, State::Denied),
        (8, State::Denied),
        (10, State::Granted),
    ] {
        let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
        dialogue
            .enter(owner().1, vec![SoftKey::sk(1)], touched(counter))
            .await;
        assert_eq!(dialogue.step.state, expected, "{counter}");
    }
}

/// What a hostile or broken agent brings: over within 5 s, nothing granted, and the code still opens, unless a signature was
/// wrong, which uses up the dialogue's one try.
#[tokio::test]
async fn keys_are_not_asked_for_ever() {
    let bench = Bench::with_policy(ANY);
    let phone = bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    for _ in 0..8 {
        dialogue.respond(&[""], None).await;
        assert_eq!(dialogue.step.state, State::Wait);
        dialogue.respond(&["stale"], None).await;
        assert_eq!(dialogue.step.state, State::Continue);
    }
    assert_eq!(dialogue.code(&phone).await, State::Granted);
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    for _ in 0..8 {
        dialogue.respond(&[""], None).await;
        dialogue.respond(&["stale"], None).await;
    }
    dialogue.respond(&[""], None).await;
    assert_eq!(dialogue.step.state, State::Denied);
}

#[tokio::test]
async fn two_factors_may_be_a_key_and_a_code() {
    let bench = Bench::with_policy(&requiring("{ any = [\"ssh-sk\", \"totp\"], count = 2 }"));
    let phone = bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    dialogue
        .enter(owner().1, vec![SoftKey::sk(1)], touched(1))
        .await;
    assert_eq!(
        prompt(&dialogue.step),
        "One more, of another kind. Verification code: "
    );
    assert_eq!(dialogue.code(&phone).await, State::Granted);
}

/// The daemon holds its answer back while a key is waited for: the dialogue is not there to be ended then.
#[tokio::test]
async fn a_code_whose_factor_is_removed_while_a_key_is_waited_for_counts_no_more() {
    let bench = Bench::with_policy(&requiring("{ any = [\"ssh-sk\", \"totp\"], count = 2 }"));
    let phone = bench.enroll(owner().0).await;
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    assert_eq!(dialogue.code(&phone).await, State::Continue);
    dialogue.respond(&[""], None).await;
    assert_eq!(dialogue.step.wants_fd, Some(true));
    let (ours, theirs) = pair_of(owner().1);
    let touched_later = Manner::SignsAfter(Duration::from_millis(500));
    serve(theirs, vec![SoftKey::sk(1)], touched_later);
    let administrator = root(0);
    let (removed, ()) = tokio::join!(
        biased;
        async {
            // Once the dialogue is out.
            tokio::task::yield_now().await;
            bench
                .engine
                .remove_credential_of(&administrator, owner().0, "totp")
                .await
        },
        dialogue.respond(&[], Some(ours.into())),
    );
    removed.unwrap();
    while dialogue.step.state == State::Wait {
        dialogue.respond(&[], None).await;
    }
    assert_eq!(dialogue.step.state, State::Denied);
    assert_eq!(dialogue.step.grant, None);
}

/// Ctrl-C closes the host's connection while the daemon holds its answer back.
#[tokio::test]
async fn a_key_is_not_waited_for_once_its_dialogue_has_ended() {
    let bench = Bench::with_policy(&requiring("{ any = [\"ssh-sk\"] }"));
    enroll_key(&bench, &SoftKey::sk(1), "ssh-sk", "blue").await;
    let mut dialogue = Dialogue::begin(&bench, at_sudo()).await;
    dialogue.respond(&[""], None).await;
    let (ours, theirs) = pair_of(owner().1);
    serve(
        theirs,
        vec![SoftKey::sk(1)],
        Manner::SignsAfter(Duration::from_mins(1)),
    );
    let caller = dialogue.caller.clone();
    let asked = std::time::Instant::now();
    tokio::join!(
        biased;
        async {
            tokio::task::yield_now().await;
            bench.engine.registry.disconnected(&caller.connection);
        },
        dialogue.respond(&[], Some(ours.into())),
    );
    // An answer is held back for five seconds, if nothing ends it.
    assert!(asked.elapsed() < Duration::from_secs(5));
    assert_eq!(dialogue.step.state, State::Denied);
}
