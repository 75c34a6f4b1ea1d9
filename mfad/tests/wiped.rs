//! That the daemon wipes what a person typed, from the socket to the store and to the helper.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]
#![allow(unsafe_code, reason = "a heap of its own")]

#[path = "../protocol/tests/heap/mod.rs"]
mod heap;
#[path = "logins/support.rs"]
#[allow(dead_code, reason = "of the bench, this needs a part")]
mod support;

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    sync::Arc,
    time::{Duration, Instant},
};

use heap::{Heap, TYPED, left_by};
use mfad::{
    audit::Trail,
    bus::listener::{Door, Listener},
    clock::SystemClock,
    config::Paths,
    core::Core,
    helper::{Helper, Warm},
};
use mfad_protocol::{
    State,
    fido::{Assert, Pin, Request},
    names,
    wire::{Outgoing, ROOM},
};
use support::{ALICE, Bench, ssh};
use zeroize::Zeroizing;

#[global_allocator]
static HEAP: Heap = Heap;

const ANY: &str =
    "[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { any = [\"totp\", \"backup-codes\"] }\n";

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_current_thread();
    builder.enable_all().build().unwrap()
}

#[test]
fn an_answer_is_wiped_once_it_is_judged() {
    let runtime = runtime();
    let bench = Bench::with_policy(ANY);
    runtime.block_on(bench.enroll(ALICE.0));
    for typed in [TYPED.to_owned(), format!("{}-x", TYPED.to_lowercase())] {
        let caller = support::root(1);
        let begun = bench.engine.begin(&caller, ssh(ALICE.0), None);
        let (session, step) = runtime.block_on(begun);
        assert_eq!(step.state, State::Continue);
        let answers = vec![typed.into_bytes()];
        let (left, _step) =
            left_by(|| runtime.block_on(bench.engine.respond(&caller, &session, answers)));
        assert_eq!(left, 0);
    }
}

#[test]
fn an_answer_is_wiped_where_it_comes_in() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("door.sock");
    let listening = UnixListener::bind(&socket).unwrap();
    let paths = Paths::under(directory.path());
    let sent = Outgoing::call(
        zbus::Message::method_call(names::OBJECT, "Respond").interface(names::AUTHENTICATION),
        &(
            "nosuchsession",
            vec![TYPED.as_bytes(); 3],
            Vec::<zbus::Fd<'_>>::new(),
        ),
        ROOM,
    );
    let sent = sent.unwrap();
    let (left, answered) = left_by(|| {
        runtime().block_on(async {
            let nothing = Box::new(|_| Err(vec!["no engine in this test".to_owned()]));
            let clock = Arc::new(SystemClock::start());
            let owner = paths.owner;
            let core = Core::start(paths, nothing, clock, Trail::to("/nonexistent/log"));
            let listener = Listener::new(listening, Door::Pam, Arc::new(core), owner).unwrap();
            let (stop, stopped) = tokio::sync::watch::channel(false);
            let serving = tokio::spawn(listener.run(stopped));
            let called = tokio::task::spawn_blocking(move || {
                let mut stream = UnixStream::connect(socket).unwrap();
                for part in sent.parts() {
                    stream.write_all(part).unwrap();
                }
                let mut reply = [0; 16];
                stream.read_exact(&mut reply).map(|()| reply[1])
            });
            let answered = called.await.unwrap().unwrap();
            drop(stop);
            serving.await.unwrap();
            answered
        })
    });
    assert_eq!((left, answered), (0, 2), "a method's return");
}

#[test]
fn a_pin_is_wiped_once_the_helper_has_it() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("helper.sock");
    let listening = UnixListener::bind(&socket).unwrap();
    let reading = std::thread::spawn(move || {
        let mut stream = listening.accept().unwrap().0;
        let mut length = [0; 4];
        stream.read_exact(&mut length).unwrap();
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap();
        let mut text = Zeroizing::new(vec![0; length]);
        stream.read_exact(&mut text).unwrap();
        let request: Request = serde_json::from_slice(&text).unwrap();
        matches!(request, Request::Assert(Assert { pin: Some(pin), .. }) if pin.reveal() == TYPED)
    });
    let (left, came) = left_by(|| {
        let request = Request::Assert(Assert {
            wanted: Vec::new(),
            verify: true,
            pin: Some(Pin::new(Zeroizing::new(TYPED.to_owned()))),
            timeout_ms: 1,
        });
        let until = Instant::now() + Duration::from_mins(1);
        let (news, _) = tokio::sync::mpsc::channel(1);
        let helper = Helper::at(socket);
        let asked = runtime().block_on(helper.ask(&request, &Warm::default(), until, &news));
        assert!(asked.is_err(), "the helper left");
        reading.join().unwrap()
    });
    assert!(came);
    assert_eq!(left, 0);
}
