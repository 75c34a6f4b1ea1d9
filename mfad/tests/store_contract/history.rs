//! What is learned from completed logins, and what failures are recalled.

use std::{net::IpAddr, sync::Arc};

use mfad::{
    audit::Event,
    clock::Now,
    location::{Country, Position},
    risk::{Circumstances, Failures, Mark, Network, Settings, Signal, assess},
    store::{Lesson, Login, Person, PersonId, Recollection, Store, StoreError},
    throttle::Place,
};

use crate::rig::*;

fn address(third: u8) -> IpAddr {
    std::net::Ipv4Addr::new(198, 51, third, 9).into()
}

/// A login from the 198.51.`third`.0/24 network, with a key, in Switzerland.
fn circumstances(third: u8) -> Circumstances {
    Circumstances {
        network: Some(Network::of(address(third))),
        country: Country::new("CH"),
        position: Position::of(47.0, 8.0, 50),
        device: Some(Mark::of("ssh-key", "SHA256:a")),
    }
}

fn login(person: &Person, lesson: Lesson, circumstances: Circumstances, now: Now) -> Login {
    Login {
        lesson,
        circumstances,
        ..Login::proven(person.id, Place::Local, now)
    }
}

/// Notes a login and waits until it is written.
async fn note(store: &dyn Store, login: Login) {
    let now = login.now;
    store.record_login(login).await.unwrap();
    flush(store, now).await;
}

/// A completed login waits for the next commit to ride on.
async fn flush(store: &dyn Store, now: Now) {
    let mut ride = record("alice", Event::Authentication);
    ride.time = now.wall;
    store.append_audit(ride).await.unwrap();
}

async fn recall(store: &dyn Store, person: &Person, now: Now) -> Recollection {
    store.recall(person.id, Place::Local, now).await.unwrap()
}

pub(crate) async fn a_login_is_recalled(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let bob = enroll(&*store, "bob").await;
    assert_eq!(
        recall(&*store, &alice, at(0)).await,
        Recollection::default()
    );
    note(
        &*store,
        login(&alice, Lesson::Proven, circumstances(1), at(60)),
    )
    .await;
    let history = recall(&*store, &alice, at(61)).await.history;
    assert_eq!(history.networks, [Network::of(address(1))]);
    assert_eq!(history.countries, [Country::new("CH").unwrap()]);
    assert!(history.knows(Mark::of("ssh-key", "SHA256:a")));
    assert_eq!(history.habit.logins(START), 1);
    assert_eq!(
        history.habit.seen(),
        Some((Position::of(47.0, 8.0, 50).unwrap(), START + 60))
    );
    assert_eq!(
        (history.last_login, history.last_mfa),
        (Some(START + 60), Some(START + 60))
    );
    assert_eq!(recall(&*store, &bob, at(61)).await, Recollection::default());
    store
        .reset_person(alice.id, record("alice", Event::Enrollment))
        .await
        .unwrap();
    let again = enroll(&*store, "alice").await;
    assert_eq!(
        recall(&*store, &again, at(62)).await,
        Recollection::default()
    );
}

pub(crate) async fn what_expires_is_not_recalled(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    note(
        &*store,
        login(&alice, Lesson::Proven, circumstances(1), at(0)),
    )
    .await;
    let later = recall(&*store, &alice, at(91 * DAY)).await.history;
    assert!(later.networks.is_empty() && later.countries.is_empty() && later.devices.is_empty());
    assert_eq!(later.habit.logins(START + DAY), 0);
    assert_eq!(
        later.last_login,
        Some(START),
        "a date stays, to tell a dormant account"
    );
    // Seen again every month, it stays.
    for month in 1..6 {
        note(
            &*store,
            login(
                &alice,
                Lesson::Usual,
                circumstances(1),
                at(month * 30 * DAY),
            ),
        )
        .await;
    }
    let kept = recall(&*store, &alice, at(180 * DAY)).await.history;
    assert_eq!(kept.networks.len(), 1);
    assert!(kept.knows(Mark::of("ssh-key", "SHA256:a")));
    // Once expired, a proof from before counts no more.
    note(
        &*store,
        login(&alice, Lesson::Usual, circumstances(1), at(300 * DAY)),
    )
    .await;
    let anew = recall(&*store, &alice, at(300 * DAY)).await.history;
    assert!(anew.devices.len() == 1 && !anew.knows(Mark::of("ssh-key", "SHA256:a")));
}

pub(crate) async fn only_a_proof_makes_a_device_known(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let device = Mark::of("ssh-key", "SHA256:a");
    note(
        &*store,
        login(&alice, Lesson::Usual, circumstances(1), at(0)),
    )
    .await;
    assert!(!recall(&*store, &alice, at(1)).await.history.knows(device));
    note(
        &*store,
        login(&alice, Lesson::Proven, circumstances(1), at(2)),
    )
    .await;
    assert!(recall(&*store, &alice, at(3)).await.history.knows(device));
    note(
        &*store,
        login(&alice, Lesson::Usual, circumstances(1), at(4)),
    )
    .await;
    assert!(recall(&*store, &alice, at(5)).await.history.knows(device));
}

pub(crate) async fn a_login_that_teaches_nothing_leaves_its_date_only(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let login = Login {
        place: from(9),
        ..login(&alice, Lesson::Nothing, circumstances(1), at(60))
    };
    note(&*store, login).await;
    let history = recall(&*store, &alice, at(61)).await.history;
    assert_eq!(
        (history.last_login, history.last_mfa),
        (Some(START + 60), None)
    );
    assert!(history.networks.is_empty() && history.devices.is_empty());
    assert_eq!((history.habit.logins(0), history.habit.seen()), (0, None));
    assert_eq!(history.habit.in_hour(START + 61), 1, "its number counts");
    // Its source has not become a trusted one: there the source's limit would not apply.
    for second in 0..3 {
        judge(&*store, &alice, from(9), at(100 + second), Says::wrong()).await;
    }
    let failures = store
        .recall(alice.id, from(9), at(110))
        .await
        .unwrap()
        .failures;
    assert_eq!(failures.source, 3);
}

pub(crate) async fn networks_are_bounded_and_proven_ones_stay(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for number in 0..10 {
        let login = login(
            &alice,
            Lesson::Proven,
            circumstances(number),
            at(i64::from(number)),
        );
        store.record_login(login).await.unwrap();
    }
    for number in 10..=200 {
        let login = login(
            &alice,
            Lesson::Usual,
            circumstances(number),
            at(i64::from(number)),
        );
        store.record_login(login).await.unwrap();
    }
    flush(&*store, at(300)).await;
    let networks = recall(&*store, &alice, at(300)).await.history.networks;
    assert_eq!(networks.len(), 64);
    for kept in (0..10).chain(147..=200) {
        assert!(networks.contains(&Network::of(address(kept))), "{kept}");
    }
}

pub(crate) async fn the_same_login_many_times_within_a_second_is_counted(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for _ in 0..500 {
        let login = login(&alice, Lesson::Proven, circumstances(1), at(0));
        store.record_login(login).await.unwrap();
    }
    flush(&*store, at(1)).await;
    let habit = recall(&*store, &alice, at(1)).await.history.habit;
    assert_eq!((habit.logins(0), habit.in_hour(START)), (500, 500));
}

pub(crate) async fn different_logins_within_a_second_are_all_learned_from(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for number in 0..20 {
        let login = login(&alice, Lesson::Proven, circumstances(number), at(0));
        store.record_login(login).await.unwrap();
    }
    flush(&*store, at(1)).await;
    let history = recall(&*store, &alice, at(1)).await.history;
    assert_eq!((history.networks.len(), history.habit.logins(0)), (20, 20));
}

pub(crate) async fn what_was_learned_is_not_new_any_more(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    for day in 0..10 {
        note(
            &*store,
            login(&alice, Lesson::Proven, circumstances(1), at(day * DAY)),
        )
        .await;
    }
    let elsewhere = Circumstances {
        network: Some(Network::of("2001:db8:1::1".parse().unwrap())),
        country: Country::new("AU"),
        position: Position::of(-33.0, 151.0, 50),
        device: Some(Mark::of("ssh-key", "SHA256:b")),
    };
    let fired = async |now: Now| -> Vec<Signal> {
        let known = recall(&*store, &alice, now).await;
        let assessed = assess(
            &known.history,
            &elsewhere,
            known.failures,
            &Settings::default(),
            now.wall,
        );
        assessed.signals.iter().map(|fired| fired.signal).collect()
    };
    let soon = at(9 * DAY + 600);
    assert_eq!(
        fired(soon).await,
        [
            Signal::NewDevice,
            Signal::NewNetwork,
            Signal::NewCountry,
            Signal::ImpossibleTravel
        ]
    );
    note(&*store, login(&alice, Lesson::Nothing, elsewhere, soon)).await;
    assert_eq!(
        fired(soon).await.len(),
        4,
        "who proves nothing makes nothing usual"
    );
    note(&*store, login(&alice, Lesson::Proven, elsewhere, soon)).await;
    assert_eq!(fired(soon).await, []);
}

pub(crate) async fn failures_are_recalled_of_person_source_and_everybody(store: Arc<dyn Store>) {
    let alice = enroll(&*store, "alice").await;
    let bob = enroll(&*store, "bob").await;
    for second in 0..2 {
        judge(&*store, &alice, from(1), at(second), Says::wrong()).await;
    }
    judge(&*store, &bob, from(1), at(2), Says::wrong()).await;
    judge(&*store, &bob, Place::Local, at(2), Says::wrong()).await;
    store
        .judge(attempt(None, from(2), at(3)), Box::new(Says::wrong()))
        .await
        .unwrap();
    let of = async |person: PersonId, place: Place, now: Now| {
        store.recall(person, place, now).await.unwrap().failures
    };
    let expected = |user, source, everywhere| Failures {
        user,
        source,
        everywhere,
    };
    assert_eq!(of(alice.id, from(1), at(4)).await, expected(2, 3, 5));
    assert_eq!(of(bob.id, from(1), at(4)).await, expected(2, 3, 5));
    assert_eq!(of(alice.id, from(2), at(4)).await, expected(2, 1, 5));
    assert_eq!(of(alice.id, Place::Local, at(4)).await, expected(2, 0, 5));
    assert_eq!(
        of(alice.id, Place::Remote(None), at(4)).await,
        expected(2, 0, 5)
    );
    // An hour later only what runs off more slowly is left; a day later nothing is.
    assert_eq!(
        of(alice.id, Place::Local, at(3_660)).await,
        expected(0, 0, 0)
    );
    assert_eq!(of(alice.id, from(1), at(DAY)).await, expected(0, 0, 0));
    // A clock set back makes nothing forgotten of the person.
    assert_eq!(of(alice.id, Place::Local, at(-DAY)).await.user, 2);
}

pub(crate) async fn nobody_has_no_history(store: Arc<dyn Store>) {
    for nobody in [PersonId(0), PersonId(77)] {
        assert_eq!(
            store.recall(nobody, Place::Local, at(0)).await,
            Err(StoreError::NotFound)
        );
    }
}
