//! Who may present a grant, when, and how often.

use super::*;

const NOW: Now = Now {
    wall: 1000,
    steady: 1000,
    boot: 1000,
};

fn alices() -> Grant {
    Grant {
        caller_uid: 0,
        user: "alice".into(),
        switch: None,
        service: "sshd".into(),
        earned: Earned::NotRequired(None),
        committed: false,
    }
}

fn claim<'a>(reference: &'a str, caller_uid: u32, user: &'a str, service: &'a str) -> Claim<'a> {
    Claim {
        reference,
        caller_uid,
        user,
        service,
        real_uid: Some(0),
    }
}

#[test]
fn a_grant_of_su_is_bound_to_who_switches_and_to_whom() {
    let grants = Grants::default();
    let by_bob = Grant {
        user: "bob".into(),
        switch: Some(("root".into(), Some(1001))),
        service: "su".into(),
        ..alices()
    };
    let reference = grants.issue(by_bob, NOW).unwrap();
    let present = |user, real_uid| {
        let claim = Claim {
            real_uid: Some(real_uid),
            ..claim(&reference, 0, user, "su")
        };
        grants.present(&claim, NOW).is_some()
    };
    assert!(present("root", 1001));
    assert!(!present("root", 1000), "somebody else switches");
    assert!(!present("alice", 1001), "to somebody else");
    assert!(!present("bob", 1001), "the host names the target");
}

#[test]
fn a_grant_serves_its_own_caller_user_and_service_only() {
    let grants = Grants::default();
    let reference = grants.issue(alices(), NOW).unwrap();
    assert!(
        grants
            .present(&claim(&reference, 0, "alice", "sshd"), NOW)
            .is_some()
    );
    assert!(
        grants
            .present(&claim(&reference, 1000, "alice", "sshd"), NOW)
            .is_none()
    );
    assert!(
        grants
            .present(&claim(&reference, 0, "bob", "sshd"), NOW)
            .is_none()
    );
    assert!(
        grants
            .present(&claim(&reference, 0, "alice", "sudo"), NOW)
            .is_none()
    );
    assert!(
        grants
            .present(&claim("0123", 0, "alice", "sshd"), NOW)
            .is_none()
    );
}

#[test]
fn a_grant_expires_and_a_retired_one_is_gone() {
    let grants = Grants::default();
    let reference = grants.issue(alices(), NOW).unwrap();
    let later = Now {
        steady: NOW.steady + lifetime(),
        ..NOW
    };
    assert!(
        grants
            .present(&claim(&reference, 0, "alice", "sshd"), later)
            .is_none()
    );
    assert_eq!((grants.waiting(NOW), grants.waiting(later)), (1, 0));
    let reference = grants.issue(alices(), NOW).unwrap();
    grants.retire(&reference);
    assert!(
        grants
            .present(&claim(&reference, 0, "alice", "sshd"), NOW)
            .is_none()
    );
}

#[test]
fn grants_are_bounded_and_nobody_s_push_out_another_s() {
    let grants = Grants::default();
    let roots = grants.issue(alices(), NOW).unwrap();
    let of_user = |uid| Grant {
        caller_uid: uid,
        ..alices()
    };
    let only = grants.issue(of_user(999), NOW).unwrap();
    for uid in 1..=300 {
        for _ in 0..20 {
            grants.issue(of_user(uid), NOW).unwrap();
        }
    }
    assert_eq!(grants.waiting(NOW), 1 + OF_USERS);
    assert!(
        grants
            .present(&claim(&roots, 0, "alice", "sshd"), NOW)
            .is_some()
    );
    assert!(
        grants
            .present(&claim(&only, 999, "alice", "sshd"), NOW)
            .is_some()
    );
    for _ in 0..CAPACITY {
        grants.issue(alices(), NOW).unwrap();
    }
    assert_eq!(grants.waiting(NOW), CAPACITY + OF_USERS);
}

#[test]
fn grants_that_were_retired_leave_no_trace() {
    let grants = Grants::default();
    let first = grants.issue(alices(), NOW).unwrap();
    for _ in 0..10 * CAPACITY {
        let reference = grants.issue(alices(), NOW).unwrap();
        grants.retire(&reference);
    }
    assert!(
        grants
            .present(&claim(&first, 0, "alice", "sshd"), NOW)
            .is_some()
    );
    assert!(grants.live().of_root.order.len() <= 2 * CAPACITY + 1);
}

#[test]
fn what_a_rush_took_is_given_back_once_it_is_over_and_who_is_still_logging_in_stays() {
    let grants = Grants::default();
    for _ in 0..CAPACITY {
        grants.issue(alices(), NOW).unwrap();
    }
    let later = Now {
        steady: NOW.steady + lifetime() / 2,
        ..NOW
    };
    let late = grants.issue(alices(), later).unwrap();
    let over = Now {
        steady: NOW.steady + lifetime(),
        ..NOW
    };
    grants.tidy(over);
    let room = {
        let live = grants.live();
        live.of_root.grants.capacity() + live.of_root.order.capacity()
    };
    assert!(room < 16, "{room}");
    let claim = claim(&late, 0, "alice", "sshd");
    assert!(grants.present(&claim, over).is_some());
}
