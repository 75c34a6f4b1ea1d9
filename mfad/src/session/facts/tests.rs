//! Tests of `facts`.

use super::*;
use crate::session::{Connection, whereabouts::Session};

fn root() -> Caller {
    Caller {
        uid: 0,
        connection: Connection::Peer(1),
    }
}

fn context(edit: impl FnOnce(&mut Context)) -> Context {
    let mut context = Context {
        protocol: mfad_protocol::PROTOCOL,
        hook: Some(Hook::Auth),
        service: "sshd".into(),
        user: "alice".into(),
        ..Context::default()
    };
    edit(&mut context);
    context
}

fn facts(edit: impl FnOnce(&mut Context)) -> Facts {
    Facts::derive(context(edit), &root()).unwrap()
}

#[test]
fn another_protocol_is_not_served() {
    for protocol in [0, mfad_protocol::PROTOCOL + 1, u32::MAX] {
        let context = context(|c| c.protocol = protocol);
        assert_eq!(
            Facts::derive(context, &root()),
            Err(Unservable::Protocol(protocol))
        );
    }
}

#[test]
fn names_that_are_nobodys_are_no_names() {
    let long = "x".repeat(4096);
    for name in [
        "",
        "a\nb",
        "a:b",
        "../etc",
        "\u{1b}[2J",
        "a\0b",
        "al\u{202E}ice",
        "\u{FFFD}",
        &long,
    ] {
        assert_eq!(facts(|c| c.user = name.into()).user, None, "{name:?}");
    }
    assert_eq!(facts(|_| ()).user.as_deref(), Some("alice"));
}

#[test]
fn mapped_ipv4_is_ipv4_and_ipv6_counts_by_its_64() {
    let mapped = facts(|c| c.rhost = Some("::ffff:192.0.2.7".into()));
    assert_eq!(mapped.address, "192.0.2.7".parse().ok());
    let six = facts(|c| c.rhost = Some("2001:db8:1:2:3:4:5:6".into()));
    assert_eq!(six.place, Place::Remote("2001:db8:1:2::".parse().ok()));
    let named = facts(|c| {
        c.rhost = Some("client.example".into());
        c.ssh_connection = Some("198.51.100.4 5555 192.0.2.1 22".into());
    });
    assert_eq!(named.place, Place::Remote("198.51.100.4".parse().ok()));
    assert_eq!(
        facts(|c| c.rhost = Some("client.example".into())).place,
        Place::Remote(None)
    );
}

#[test]
fn what_sshd_has_verified_is_not_for_others_to_say() {
    let keyed = |real_uid| {
        facts(|c| {
            c.service = "sudo".into();
            c.real_uid = real_uid;
            c.ssh_auth_info = Some("publickey ssh-ed25519 AAAA".into());
            c.ssh_connection = Some("198.51.100.4 5555 192.0.2.1 22".into());
        })
    };
    let sshd = keyed(Some(0));
    assert_eq!(sshd.first_factor, FirstFactor::PublicKey);
    assert_eq!(sshd.address, "198.51.100.4".parse().ok());
    let somebody_s = keyed(Some(1000));
    assert_eq!(somebody_s.first_factor, FirstFactor::Unknown);
    assert_eq!((somebody_s.proven, somebody_s.address), (None, None));
}

#[test]
fn only_a_console_without_a_far_end_is_local() {
    for (tty, local) in [
        ("tty1", true),
        ("/dev/tty63", true),
        ("hvc0", true),
        ("ttyS0", true),
        ("pts/0", false),
        ("/dev/pts/3", false),
        ("ssh", false),
        ("tty", false),
        ("ttyACM0x", false),
    ] {
        assert_eq!(facts(|c| c.tty = Some(tty.into())).local, local, "{tty}");
    }
    let far = facts(|c| {
        c.tty = Some("tty1".into());
        c.rhost = Some("192.0.2.1".into());
    });
    assert!(!far.local);
}

#[test]
fn places_are_settled_by_who_runs_the_host() {
    for (real_uid, subject, place) in [
        (Some(0), Some(1000), Place::Local),
        (Some(1000), Some(1000), Place::SelfService),
        (Some(1001), Some(1000), Place::Remote(None)),
        (Some(1001), None, Place::Remote(None)),
    ] {
        let mut facts = facts(|c| c.real_uid = real_uid);
        facts.settle_place(subject);
        assert_eq!(facts.place, place);
    }
}

#[test]
fn a_caller_that_is_not_root_cannot_state_a_uid() {
    let caller = Caller {
        uid: 1000,
        connection: Connection::Peer(1),
    };
    let facts = Facts::derive(context(|c| c.real_uid = Some(0)), &caller).unwrap();
    assert_eq!(facts.real_uid, Some(1000));
}

#[test]
fn a_caller_that_is_not_root_is_where_the_kernel_says_and_has_proven_nothing() {
    let caller = Caller {
        uid: 1000,
        connection: Connection::Peer(1),
    };
    let forged = context(|c| {
        c.rhost = Some("192.0.2.10".into());
        c.ssh_connection = Some("192.0.2.10 1 192.0.2.1 22".into());
        c.ssh_auth_info = Some("publickey ssh-ed25519 AAAA".into());
        c.tty = Some("tty1".into());
        c.after_password = Some(true);
    });
    let mut facts = Facts::derive(forged, &caller).unwrap();
    facts.settle_place(Some(1000));
    assert_eq!(facts.place, Place::SelfService);
    assert_eq!((facts.address, facts.local), (None, false));
    assert_eq!(facts.first_factor, FirstFactor::Unknown);
    assert_eq!(facts.record(0, Event::Authentication, "x").rhost, None);
}

/// sudo, started on what it says is a console.
fn sudo(uid: u32) -> Facts {
    facts(|c| {
        c.service = "sudo".into();
        c.tty = Some("/dev/tty1".into());
        c.real_uid = Some(uid);
    })
}

fn session(edit: impl FnOnce(&mut Session)) -> Whereabouts {
    let mut session = Session {
        key: crate::store::SessionKey::of("3", 1, 1),
        id: "3".into(),
        uid: 1000,
        seat: None,
        remote: false,
        host: None,
    };
    edit(&mut session);
    Whereabouts::In(session)
}

#[test]
fn where_somebody_sits_is_logind_s_word_and_not_their_terminal_s() {
    let settled = |whereabouts| {
        let mut facts = sudo(1000);
        facts.settle_whereabouts(whereabouts);
        (facts.local, facts.address, facts.seat)
    };
    assert_eq!(
        settled(Whereabouts::Unknown),
        (false, None, Known::Unknown),
        "unknown counts as far"
    );
    let at_seat = settled(session(|s| s.seat = Some("seat0".into())));
    assert_eq!(at_seat, (true, None, Known::Is(Some("seat0".into()))));
    let from_afar = settled(session(|s| {
        s.remote = true;
        s.host = Some("::ffff:192.0.2.7".into());
    }));
    let address = "192.0.2.7".parse().ok();
    assert_eq!(from_afar, (false, address, Known::Is(None)));
    let of_cron = settled(session(|_| ()));
    assert_eq!(of_cron, (false, None, Known::Is(None)));
}

#[test]
fn an_sshd_that_runs_in_a_session_does_not_bring_its_logins_there() {
    let mut facts = facts(|c| {
        c.rhost = Some("192.0.2.7".into());
        c.real_uid = Some(0);
    });
    facts.settle_whereabouts(session(|s| s.seat = Some("seat0".into())));
    assert!(!facts.local);
    assert_eq!(facts.address, "192.0.2.7".parse().ok());
    assert_eq!(facts.seat, Known::Is(None));
}

#[test]
fn a_login_on_a_virtual_console_is_on_the_first_seat() {
    let login = |tty: &str| {
        let mut facts = facts(|c| {
            c.service = "login".into();
            c.tty = Some(tty.into());
            c.real_uid = Some(0);
        });
        facts.settle_whereabouts(Whereabouts::Unknown);
        (facts.local, facts.seat)
    };
    assert_eq!(
        login("/dev/tty1"),
        (true, Known::Is(Some("seat0".to_owned())))
    );
    assert_eq!(login("ttyS0"), (true, Known::Unknown));
    assert_eq!(login("pts/3"), (false, Known::Unknown));
}

#[test]
fn hostile_text_reaches_no_record() {
    let record = facts(|c| {
        c.user = "x\nSep 1 sshd: Accepted".into();
        c.rhost = Some("\u{1b}]0;pwned\u{7}".into());
    })
    .record(0, Event::Authentication, "denied");
    let json = serde_json::to_string(&record).unwrap();
    assert!(!json.chars().any(char::is_control), "{json}");
}
