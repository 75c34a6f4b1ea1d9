//! Many who are not root, at once: what they have asked on their behalf is bounded, and root's logins are served.

use std::{
    future::Future,
    os::fd::OwnedFd,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use mfad::{
    logind::Sessions,
    session::{Caller, Connection, whereabouts::Whereabouts},
};

use mfad_protocol::State;

use crate::support::{ALICE, Bench, process, root, ssh};

/// A logind that never answers, and counts who asks.
#[derive(Default)]
struct Stuck(AtomicUsize);

impl Sessions for Stuck {
    fn whereabouts<'a>(
        &'a self,
        _process: OwnedFd,
    ) -> Pin<Box<dyn Future<Output = Whereabouts> + Send + 'a>> {
        self.0.fetch_add(1, Ordering::SeqCst);
        Box::pin(std::future::pending())
    }
}

/// The bus lets the daemon have 128 unanswered questions; those of root's logins must be among them.
#[tokio::test]
async fn few_of_those_who_are_not_root_have_logind_asked_at_once() {
    let placed =
        "[[rule]]\nname = \"near\"\nwhen = { network = [\"10.0.0.0/8\"] }\nrequire = \"any\"\n";
    let stuck = Arc::<Stuck>::default();
    let bench = Bench::with_policy(placed);
    let engine = Arc::new(bench.engine.asking(Arc::<Stuck>::clone(&stuck)));
    let begin = |caller: Caller| {
        let engine = Arc::clone(&engine);
        tokio::spawn(async move { engine.begin(&caller, ssh(ALICE.0), Some(process())).await })
    };
    let mut all = Vec::new();
    for number in 0..40 {
        let connection = Connection::Peer(number);
        all.push(begin(Caller {
            uid: ALICE.1,
            connection,
        }));
    }
    let settled = async |asked| {
        let until = Instant::now() + Duration::from_secs(10);
        while stuck.0.load(Ordering::SeqCst) < asked && Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        stuck.0.load(Ordering::SeqCst)
    };
    assert_eq!(settled(8).await, 8);
    all.push(begin(root(99)));
    assert_eq!(settled(9).await, 9, "root's is asked");
    for begun in all {
        begun.abort();
    }
}

/// A user with subordinate uids has thousands, and could hold the dialogues and connections of as many.
#[tokio::test]
async fn a_uid_that_no_account_has_is_asked_nothing() {
    let bench = Bench::with_policy(crate::ENROLL);
    bench.enroll(ALICE.0).await;
    let state = async |uid| {
        let caller = Caller {
            uid,
            connection: Connection::Peer(1),
        };
        bench
            .engine
            .begin(&caller, ssh(ALICE.0), None)
            .await
            .1
            .state
    };
    assert_eq!(state(3_000_000_000).await, State::Denied);
    assert_eq!(state(ALICE.1).await, State::Continue);
    assert_eq!(
        state(2).await,
        State::Continue,
        "another account asks in vain"
    );
}
