//! Budgets, delays and sources, as they reach whoever tries.

use std::sync::{Arc, atomic::Ordering};

use mfad::{
    audit::Event,
    store::{Attempt, Judgement, Kind, Login, Person, Store},
    throttle::{Class, Lane, Place, Refusal},
};

use crate::rig::*;

const HOUR: i64 = 3600;

/// Makes `count` failures, each as soon as it is allowed; returns when the last was.
async fn fail(store: &dyn Store, person: &Person, place: Place, count: u32, from: i64) -> i64 {
    let mut seconds = from;
    let mut made = 0;
    while made < count {
        match judge(store, person, place, at(seconds), Says::wrong()).await {
            Judgement::Wrong => made += 1,
            Judgement::NotEvaluated(Refusal::Delayed(until)) => seconds = until - START,
            other => panic!("{other:?} after {made} failures"),
        }
    }
    seconds
}

async fn log_in(store: &dyn Store, person: &Person, place: Place, seconds: i64) {
    store
        .record_login(Login::proven(person.id, place, at(seconds)))
        .await
        .unwrap();
    // A login may be written later, but before whatever is asked for after it.
    store
        .append_audit(record("alice", Event::Alarm))
        .await
        .unwrap();
}

pub(crate) async fn the_third_failure_delays_and_a_delayed_code_is_not_looked_at(
    store: Arc<dyn Store>,
) {
    let alice = enroll(&*store, "alice").await;
    fail(&*store, &alice, from(1), 3, 0).await;
    let right = Says::step(50);
    let judgement = judge(&*store, &alice, from(1), at(29), right.clone()).await;
    assert_eq!(
        judgement,
        Judgement::NotEvaluated(Refusal::Delayed(START + 30))
    );
    assert_eq!(
        (
            right.looked.load(Ordering::Relaxed),
            right.decoys.load(Ordering::Relaxed)
        ),
        (0, 1)
    );
    assert!(accepted(
        &judge(&*store, &alice, from(1), at(30), right).await
    ));
}

pub(crate) async fn failures_of_one_lane_delay_no_other(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    log_in(&*store, &alice, from(1), 0).await;
    let places = [from(1), from(2), Place::Local, Place::SelfService];
    for place in places {
        fail(&*store, &alice, place, 6, 0).await;
    }
    let budgets = store.budgets(alice.id, at(500)).await.unwrap();
    assert_eq!(budgets[0].delays.len(), 0);
    let now = at(450);
    let budgets = store.budgets(alice.id, now).await.unwrap();
    assert_eq!(
        (budgets[0].class, budgets[0].spent, budgets[0].disabled),
        (Class::Otp, 24, false)
    );
    assert_eq!(budgets[0].delays, Vec::<(Lane, i64)>::new());
    assert_eq!(budgets[1].spent, 0);
    fail(&*store, &alice, from(2), 1, 450).await;
    assert_eq!(
        store.budgets(alice.id, now).await.unwrap()[0].delays,
        [(Lane::Other, START + 450 + 480)]
    );
    for (step, place) in [(1, from(1)), (2, Place::Local), (3, Place::SelfService)] {
        assert!(
            accepted(&judge(&*store, &alice, place, now, Says::step(step)).await),
            "{place:?}"
        );
    }
    assert!(!accepted(
        &judge(&*store, &alice, from(2), now, Says::step(4)).await
    ));
}

pub(crate) async fn a_login_makes_its_source_trusted_for_30_days(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    fail(&*store, &alice, from(2), 9, 0).await;
    let blocked = |seconds| {
        let (store, alice) = (Arc::clone(&store), alice.clone());
        async move {
            !accepted(&judge(&*store, &alice, from(1), at(seconds), Says::step(seconds)).await)
        }
    };
    assert!(
        blocked(2000).await,
        "from(1) shares the lane of other sources"
    );
    log_in(&*store, &alice, from(1), 2000).await;
    assert!(!blocked(2001).await);
    let later = 2000 + 30 * DAY;
    fail(&*store, &alice, from(2), 5, later - 3 * HOUR).await;
    assert!(!blocked(later - 3 * HOUR + 215).await);
    fail(&*store, &alice, from(2), 9, later).await;
    assert!(blocked(later + 2000).await, "30 days are over");
}

pub(crate) async fn strangers_cannot_exhaust_what_is_reserved(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    log_in(&*store, &alice, from(1), 0).await;
    let mut seconds = 0;
    for source in 0..10 {
        seconds = fail(&*store, &alice, from(100 + source), 8, seconds).await;
    }
    assert!(seconds < 10 * DAY);
    let refused = judge(&*store, &alice, from(99), at(seconds + DAY), Says::step(1)).await;
    assert_eq!(refused, Judgement::NotEvaluated(Refusal::Exhausted));
    let refused = judge(
        &*store,
        &alice,
        Place::SelfService,
        at(seconds + DAY),
        Says::step(1),
    )
    .await;
    assert_eq!(refused, Judgement::NotEvaluated(Refusal::Exhausted));
    assert!(
        accepted(&judge(&*store, &alice, from(1), at(seconds), Says::step(1)).await),
        "the owner's own source"
    );
    seconds = fail(&*store, &alice, from(1), 10, seconds).await;
    let refused = judge(&*store, &alice, from(1), at(seconds + HOUR), Says::step(2)).await;
    assert_eq!(refused, Judgement::NotEvaluated(Refusal::Exhausted));
    assert!(
        accepted(&judge(&*store, &alice, Place::Local, at(seconds), Says::step(2)).await),
        "the seat"
    );
    seconds = fail(&*store, &alice, Place::Local, 10, seconds).await;
    let budget = store
        .budgets(alice.id, at(seconds))
        .await
        .unwrap()
        .remove(0);
    assert_eq!((budget.spent, budget.disabled), (100, true));
    assert_eq!(
        outcomes(&*store).await.last().map(String::as_str),
        Some("wrong")
    );
    judge(
        &*store,
        &alice,
        Place::Local,
        at(seconds + HOUR),
        Says::step(3),
    )
    .await;
    assert_eq!(
        outcomes(&*store).await.last().map(String::as_str),
        Some("exhausted")
    );
}

pub(crate) async fn an_answer_costs_what_the_guess_says(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let wide = Says {
        cost: 30,
        ..Says::wrong()
    };
    for hour in 0..3 {
        let judgement = judge(
            &*store,
            &alice,
            Place::SelfService,
            at(hour * HOUR),
            wide.clone(),
        )
        .await;
        assert_eq!(
            judgement == Judgement::Wrong,
            hour < 2,
            "two fit into 80, three do not"
        );
    }
    assert_eq!(store.budgets(alice.id, at(0)).await.unwrap()[0].spent, 60);
}

pub(crate) async fn a_success_clears_the_delay_but_not_the_budget(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let seconds = fail(&*store, &alice, from(1), 5, 0).await + 120;
    assert!(accepted(
        &judge(&*store, &alice, from(1), at(seconds), Says::step(1)).await
    ));
    assert_eq!(
        judge(&*store, &alice, from(1), at(seconds), Says::wrong()).await,
        Judgement::Wrong
    );
    assert_eq!(
        judge(&*store, &alice, from(1), at(seconds), Says::wrong()).await,
        Judgement::Wrong
    );
    assert_eq!(
        store.budgets(alice.id, at(seconds)).await.unwrap()[0].spent,
        7
    );
}

pub(crate) async fn backup_codes_are_never_disabled(store: Arc<dyn Store>) {
    let alice = add(&*store, "alice", new(Kind::BackupCodes, 2)).await;
    let mut seconds = 0;
    for failures in 0..150 {
        let attempt = Attempt {
            class: Class::BackupCodes,
            ..attempt(Some(alice.id), Place::Local, at(seconds))
        };
        let judgement = store.judge(attempt, Box::new(Says::wrong())).await.unwrap();
        assert_eq!(judgement, Judgement::Wrong, "{failures}");
        seconds += HOUR;
    }
    let budgets = store.budgets(alice.id, at(seconds)).await.unwrap();
    assert_eq!(
        (budgets[1].spent, budgets[1].disabled, budgets[0].spent),
        (150, false, 0)
    );
}

pub(crate) async fn a_source_is_limited_over_all_people_but_not_where_it_is_trusted(
    store: Arc<dyn Store>,
) {
    let owner = enroll(&*store, "owner").await;
    log_in(&*store, &owner, from(1), 0).await;
    let mut wrong = 0;
    for number in 0..30 {
        let victim = enroll(&*store, &format!("victim{number}")).await;
        match judge(&*store, &victim, from(1), at(number * 100), Says::wrong()).await {
            Judgement::Wrong => wrong += 1,
            refused => assert_eq!(refused, Judgement::NotEvaluated(Refusal::Source)),
        }
    }
    assert!((11..=20).contains(&wrong), "{wrong} in an hour");
    let victim = enroll(&*store, "another").await;
    let spray = || judge(&*store, &victim, from(1), at(2950), Says::wrong());
    while spray().await == Judgement::Wrong {}
    assert_eq!(spray().await, Judgement::NotEvaluated(Refusal::Source));
    let unknown = store
        .judge(attempt(None, from(1), at(2950)), Box::new(Says::wrong()))
        .await
        .unwrap();
    assert_eq!(
        unknown,
        Judgement::NotEvaluated(Refusal::Source),
        "unknown people draw on the same limit"
    );
    assert!(
        accepted(&judge(&*store, &owner, from(1), at(2950), Says::step(1)).await),
        "trusted by its owner"
    );
    assert!(
        accepted(&judge(&*store, &victim, from(2), at(2950 + HOUR), Says::step(1)).await),
        "another source"
    );
}

pub(crate) async fn unlock_clears_delays_and_failures(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    fail(&*store, &alice, from(1), 7, 0).await;
    store
        .unlock(
            alice.id,
            false,
            at(500),
            record("alice", Event::Administration),
        )
        .await
        .unwrap();
    let budget = store.budgets(alice.id, at(500)).await.unwrap().remove(0);
    assert_eq!((budget.spent, budget.delays.len()), (0, 0));
    assert!(accepted(
        &judge(&*store, &alice, from(1), at(500), Says::step(1)).await
    ));
}

pub(crate) async fn a_clock_set_back_locks_nobody_out(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    fail(&*store, &alice, from(1), 3, 365 * DAY).await;
    assert!(
        !accepted(&judge(&*store, &alice, from(1), at(0), Says::step(1)).await),
        "the delay counts from now"
    );
    let elsewhere = judge(&*store, &alice, from(2), at(30), Says::step(1)).await;
    assert!(accepted(&elsewhere), "and then ends");
    assert!(
        accepted(&judge(&*store, &alice, from(1), at(361), Says::step(2)).await),
        "and so does the source's"
    );
}
