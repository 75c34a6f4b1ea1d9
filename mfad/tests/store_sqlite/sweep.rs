//! Whoever never comes back is forgotten on disk too, while others log in.

use std::{net::Ipv4Addr, path::Path, time::Duration};

use mfad::{
    clock::Now,
    risk::{Circumstances, Mark, Network},
    store::{
        BindKind, Binding, Login, NewDevice, Options, PersonId, SessionKey, Store,
        sqlite::SqliteStore,
    },
    throttle::Place,
};

use super::{block_on, enroll, place, record};

const DAY: i64 = 86_400;
/// More than one sweep takes.
const GONE: u32 = 300;

fn day(number: i64) -> Now {
    let at = super::START + number * DAY;
    Now {
        wall: at,
        steady: at,
        boot: number * DAY,
    }
}

fn login(person: PersonId, number: u32, now: Now) -> Login {
    Login {
        circumstances: Circumstances {
            network: Some(Network::of(Ipv4Addr::from(number << 8).into())),
            device: Some(Mark::of("ssh-key", &number.to_string())),
            ..Circumstances::default()
        },
        ..Login::proven(person, Place::Local, now)
    }
}

/// Rows of the tables, of everybody but `stays`.
fn rows(path: &Path, stays: PersonId) -> [u32; 4] {
    let connection = rusqlite::Connection::open(path).unwrap();
    ["history", "habit", "device", "proof"].map(|table| {
        let sql = format!("SELECT count(*) FROM {table} WHERE person <> ?1");
        connection
            .query_row(&sql, [stays.0], |row| row.get(0))
            .unwrap()
    })
}

async fn leave_everything(store: &SqliteStore, number: u32) {
    let person = enroll(store, &format!("user{number}")).await.unwrap().id;
    store
        .record_login(login(person, number, day(0)))
        .await
        .unwrap();
    let device = NewDevice {
        binding: Binding::of([(BindKind::Seat, "seat0".to_owned())]).unwrap(),
        lifetime: DAY,
    };
    store
        .remember_device(person, device, day(0), record("x"))
        .await
        .unwrap();
    let session = SessionKey::of("1", 1, 1);
    store
        .record_proof(person, session, vec!["totp".into()], day(0))
        .await
        .unwrap();
}

#[test]
fn what_has_expired_of_people_who_never_come_back_is_deleted() {
    let (_directory, path) = place();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    let stays = block_on(async {
        let stays = enroll(&store, "stays").await.unwrap().id;
        for number in 0..GONE {
            leave_everything(&store, number).await;
        }
        stays
    });
    assert_eq!(rows(&path, stays), [2 * GONE, GONE, GONE, GONE]);
    // 80 days later nothing of the histories has expired, 100 days later all of it.
    for (number, expected) in [(80, [2 * GONE, GONE, 0, 0]), (100, [0; 4])] {
        block_on(async {
            // Many changes, with pauses in which the writer tidies up.
            for round in 0..200_u32 {
                // As many as a fast disk needs, and then until a slow one has done it too.
                if round >= 8 && rows(&path, stays) == expected {
                    break;
                }
                for turn in 0..40 {
                    let login = login(stays, round * 40 + turn, day(number));
                    store.record_login(login).await.unwrap();
                    let mut ride = record("stays");
                    ride.time = day(number).wall;
                    store.append_audit(ride).await.unwrap();
                }
                tokio::time::sleep(Duration::from_millis(250)).await;
            }
        });
        assert_eq!(rows(&path, stays), expected, "day {number}");
    }
}
