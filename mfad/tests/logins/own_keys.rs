//! A user's own SSH keys: enrolled only once they have signed, through an agent of theirs.

use std::os::unix::net::UnixStream;

use mfad::session::{Caller, Connection};
use mfad_protocol::{EnrollmentOptions, factors};

use crate::{
    agent::{owner, pair_of},
    signer::{Manner, SoftKey, TOUCHED, serve},
    support::Bench,
};

fn alice() -> Caller {
    Caller {
        uid: owner().1,
        connection: Connection::Bus(":1.7".into()),
    }
}

fn agent(keys: Vec<SoftKey>, manner: Manner) -> UnixStream {
    let (ours, theirs) = pair_of(owner().1);
    serve(theirs, keys, manner);
    ours
}

fn signs() -> Manner {
    Manner::Signs {
        flags: TOUCHED,
        counter: 41,
    }
}

async fn offer(bench: &Bench, kind: &str, key: Option<&SoftKey>) -> Result<String, String> {
    let options = EnrollmentOptions {
        key: key.map(SoftKey::line),
        ..EnrollmentOptions::default()
    };
    let offer = bench.engine.offer_own(&alice(), kind, options, "").await;
    offer
        .map(|offer| offer.id)
        .map_err(|refusal| format!("{refusal:?}"))
}

#[tokio::test]
async fn the_first_new_key_of_the_agent_is_enrolled_once_it_has_signed() {
    let bench = Bench::with_policy(crate::ENROLL);
    let id = offer(&bench, "ssh-sk", None).await.unwrap();
    let socket = agent(vec![SoftKey::plain(3), SoftKey::sk(1)], signs());
    let added = bench
        .engine
        .confirm_own_key(&alice(), &id, Some(socket.into()))
        .await;
    let added = added.unwrap();
    assert_eq!(
        (added.kind.as_str(), added.name.as_str()),
        ("ssh-sk", "ssh-sk")
    );
    assert!(
        added
            .detail
            .unwrap()
            .starts_with("sk-ssh-ed25519@openssh.com SHA256:")
    );
    let person = bench.engine.store.find_person("local", owner().0).await;
    assert_eq!(person.unwrap().unwrap().credentials[0].moving, 41);
}

#[tokio::test]
async fn nothing_is_stored_without_a_right_signature_of_the_right_key() {
    let bench = Bench::with_policy(crate::ENROLL);
    let id = offer(&bench, "ssh-sk", Some(&SoftKey::sk(1)))
        .await
        .unwrap();
    let untouched = Manner::Signs {
        flags: 0,
        counter: 1,
    };
    for (keys, manner, why) in [
        (vec![SoftKey::sk(2)], signs(), "does not hold"),
        (vec![SoftKey::sk(1)], Manner::Refuses, "did not sign"),
        (vec![SoftKey::sk(1)], untouched, "without a touch"),
        (
            vec![SoftKey::sk(1)],
            Manner::SignsWith(Box::new(SoftKey::sk(2))),
            "does not verify",
        ),
    ] {
        let socket = agent(keys, manner);
        let refused = bench
            .engine
            .confirm_own_key(&alice(), &id, Some(socket.into()))
            .await;
        let refused = format!("{:?}", refused.unwrap_err());
        assert!(refused.contains(why), "{why}: {refused}");
    }
    let null = std::fs::File::open("/dev/null").unwrap();
    let refused = bench
        .engine
        .confirm_own_key(&alice(), &id, Some(null.into()))
        .await;
    assert!(format!("{:?}", refused.unwrap_err()).contains("somebody else"));
    assert_eq!(
        bench
            .engine
            .store
            .find_person("local", owner().0)
            .await
            .unwrap(),
        None
    );
    let refused = bench.engine.confirm_own(&alice(), &id, "123456").await;
    assert!(refused.is_err(), "no code stands for a signature");
}

#[tokio::test]
async fn a_key_is_enrolled_as_what_it_is_and_once() {
    let bench = Bench::with_policy(crate::ENROLL);
    assert!(
        offer(&bench, "ssh-sk", Some(&SoftKey::plain(1)))
            .await
            .unwrap_err()
            .contains("ssh-agent")
    );
    assert!(
        offer(&bench, "ssh-agent", Some(&SoftKey::plain(1)))
            .await
            .unwrap_err()
            .contains("another factor first")
    );
    let id = offer(&bench, "ssh-sk", Some(&SoftKey::sk(1)))
        .await
        .unwrap();
    let socket = agent(vec![SoftKey::sk(1)], signs());
    bench
        .engine
        .confirm_own_key(&alice(), &id, Some(socket.into()))
        .await
        .unwrap();
    assert!(
        offer(&bench, "ssh-sk", Some(&SoftKey::sk(2)))
            .await
            .unwrap_err()
            .contains("NeedsGrant")
    );
    let again = EnrollmentOptions {
        key: Some(SoftKey::sk(1).line()),
        ..EnrollmentOptions::default()
    };
    let root = crate::support::root(0);
    let again = bench
        .engine
        .enroll_user(&root, owner().0, "ssh-sk", again)
        .await;
    assert!(format!("{:?}", again.unwrap_err()).contains("enrolled already"));
}

#[tokio::test]
async fn a_kind_is_enrolled_in_its_own_way_only() {
    let bench = Bench::with_policy(crate::ENROLL);
    for kind in factors::ALL {
        let id = offer(&bench, kind, None).await;
        if kind == "totp" || kind == "hotp" {
            let socket = agent(vec![SoftKey::sk(1)], signs());
            let refused = bench
                .engine
                .confirm_own_key(&alice(), &id.unwrap(), Some(socket.into()))
                .await;
            assert!(refused.is_err(), "{kind}");
        }
    }
}
