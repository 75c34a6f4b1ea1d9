//! What the store's verbs cost on the disk below `DIRECTORY`, with `PEOPLE` enrolled:
//! `cargo bench -p mfad --bench store -- [PEOPLE [DIRECTORY]]`. It measures the store alone: no codes, no bus.

#![allow(
    clippy::unwrap_used,
    reason = "a measurement that cannot be made should stop"
)]

use std::{
    os::unix::fs::PermissionsExt,
    path::PathBuf,
    sync::Arc,
    time::{Duration, Instant},
};

use mfad::{
    audit::{Event, Record},
    clock::Now,
    location::{Country, Position},
    risk::{Circumstances, Mark, Network},
    store::{
        Attempt, BindKind, Binding, Credential, CredentialId, DeviceId, Guess, Judgement, Kind,
        Login, Match, NewCredential, NewDevice, Options, PersonId, PersonKey, SessionKey, Standing,
        Store, sqlite::SqliteStore,
    },
    throttle::{Class, Place},
};

const START: i64 = 1_800_000_000;
/// How many people have as much behind them as anybody can.
const SOME: u32 = 500;

struct Right(i64);

impl Guess for Right {
    fn examine(&mut self, credentials: &[Credential]) -> Option<Match> {
        credentials.first().map(|credential| Match::Advance {
            credential: credential.id,
            to: self.0,
        })
    }

    fn cost(&self, _credentials: &[Credential]) -> u32 {
        1
    }
}

fn now(tick: i64) -> Now {
    Now {
        wall: START + tick,
        steady: START + tick,
        boot: tick,
    }
}

fn record(user: &str) -> Record {
    Record {
        time: START,
        event: Event::Authentication,
        outcome: String::new(),
        user: Some(user.into()),
        service: Some("sshd".into()),
        rhost: Some("203.0.113.9".into()),
        tty: Some("ssh".into()),
        factor: None,
        rule: Some("operators, from anywhere".into()),
        grounds: mfad::audit::Grounds::default(),
        by: None,
        detail: None,
    }
}

fn name(number: u32) -> String {
    format!("user{number:07}")
}

/// Spreads consecutive ticks over all people.
fn pick(tick: i64, people: u32) -> u32 {
    u32::try_from(tick.wrapping_mul(7_919).rem_euclid(i64::from(people))).unwrap()
}

async fn enroll(store: &SqliteStore, people: u32) {
    let mut waiting = Vec::new();
    for number in 0..people {
        let key = PersonKey {
            realm: "local".into(),
            name: name(number),
            uid: number,
        };
        let new = NewCredential {
            id: CredentialId(u128::from(number).to_be_bytes()),
            kind: Kind::Totp,
            name: None,
            standing: Standing::Active,
            only_first: false,
            sealed: vec![0x5A; 71],
            moving: -1,
            codes: Vec::new(),
        };
        waiting.push(store.add_credential(key, new, now(0), record(&name(number))));
        if waiting.len() == 256 || number + 1 == people {
            for answer in waiting.drain(..) {
                answer.await.unwrap();
            }
        }
    }
}

async fn judge(store: &SqliteStore, person: PersonId, user: &str, tick: i64) {
    let place = Place::Remote(Some(std::net::Ipv4Addr::new(203, 0, 113, 9).into()));
    let attempt = Attempt {
        completes: true,
        person: Some(person),
        class: Class::Otp,
        place,
        now: now(tick),
        record: record(user),
    };
    let judgement = store.judge(attempt, Box::new(Right(tick))).await.unwrap();
    assert!(
        matches!(judgement, Judgement::Accepted { .. }),
        "{judgement:?}"
    );
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let at = |permille: usize| times[(times.len() - 1) * permille / 1000].as_secs_f64() * 1e6;
    println!(
        "{what:<44} median {:>7.1}   p90 {:>7.1}   p99 {:>7.1} µs   n {}",
        at(500),
        at(900),
        at(990),
        times.len()
    );
}

/// One after the other; with a pause between them, as logins come.
async fn one_by_one(
    store: &SqliteStore,
    people: u32,
    tick: &mut i64,
    count: u32,
    pause: Duration,
    what: &str,
) {
    let (mut judged, mut whole) = (Vec::new(), Vec::new());
    for _ in 0..count {
        *tick += 1;
        let user = name(pick(*tick, people));
        tokio::time::sleep(pause).await;
        let start = Instant::now();
        let person = store.find_person("local", &user).await.unwrap().unwrap();
        let found = Instant::now();
        judge(store, person.id, &user, *tick).await;
        judged.push(found.elapsed());
        whole.push(start.elapsed());
        store
            .record_login(Login::proven(person.id, Place::Local, now(*tick)))
            .await
            .unwrap();
    }
    report(&format!("judge, accepted, {what}"), judged);
    report(&format!("find_person + judge, accepted, {what}"), whole);
}

/// `width` clients, each with people of its own, so that no two use the same person's codes.
async fn at_once(store: &Arc<SqliteStore>, people: u32, tick: &mut i64, width: u32, count: u32) {
    let start = Instant::now();
    let mut tasks = Vec::new();
    for lane in 0..width {
        let store = Arc::clone(store);
        let first = *tick;
        tasks.push(tokio::spawn(async move {
            for turn in 0..count / width {
                let number = (lane + width * (turn % (people / width).max(1))) % people;
                let tick = first + 1 + i64::from(turn);
                judge(&store, PersonId(i64::from(number) + 1), &name(number), tick).await;
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
    let rate = f64::from(count) / start.elapsed().as_secs_f64();
    println!("judge, accepted, {width:>2} at once {rate:>8.0} a second");
    *tick += i64::from(count / width) + 1;
}

fn look_ups(store: &SqliteStore, people: u32, runtime: &tokio::runtime::Runtime) {
    let mut times = Vec::new();
    for tick in 0..20_000 {
        let user = name(pick(tick, people));
        let start = Instant::now();
        let found = runtime.block_on(store.find_person("local", &user)).unwrap();
        times.push(start.elapsed());
        assert!(found.is_some());
    }
    report("find_person", times);
}

/// What a decision may need besides, of people who have as much behind them as anybody can.
fn decisions(store: &SqliteStore, people: u32, runtime: &tokio::runtime::Runtime) {
    let place = Place::Remote(Some(std::net::Ipv4Addr::new(203, 0, 113, 9).into()));
    let asked: Vec<DeviceId> = (0..4).map(|number| device(number).binding.id()).collect();
    let session = SessionKey::of("7", 1, 1);
    let (mut recalled, mut found, mut proven) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..5_000 {
        let number = pick(turn % i64::from(people.min(SOME)), people);
        let person = PersonId(i64::from(number) + 1);
        let start = Instant::now();
        let memory = runtime
            .block_on(store.recall(person, place, now(1)))
            .unwrap();
        recalled.push(start.elapsed());
        assert_eq!(memory.history.networks.len(), 64);
        let start = Instant::now();
        let devices = runtime.block_on(store.find_devices(person, asked.clone(), now(1)));
        found.push(start.elapsed());
        assert_eq!(devices.unwrap().len(), 4);
        let start = Instant::now();
        let proofs = runtime.block_on(store.proofs(person, session, now(1)));
        proven.push(start.elapsed());
        assert_eq!(proofs.unwrap().len(), 1);
    }
    report("recall, 64 networks and devices, 64 days", recalled);
    report("find_devices, 4 of 32", found);
    report("proofs, 1 of 64", proven);
}

/// A login from somewhere, with a key.
fn full_login(number: u32, now: Now) -> Login {
    let address = std::net::IpAddr::from(number.to_be_bytes());
    Login {
        circumstances: Circumstances {
            network: Some(Network::of(address)),
            country: Country::new("CH"),
            position: Position::of(47.0, 8.0, 50),
            device: Some(Mark::of("ssh-key", &name(number))),
        },
        ..Login::proven(PersonId(i64::from(number) + 1), Place::Local, now)
    }
}

fn device(number: u32) -> NewDevice {
    let values = [(BindKind::SshKey, name(number))];
    NewDevice {
        binding: Binding::of(values).unwrap(),
        lifetime: 86_400,
    }
}

/// Everybody has logged in once, and some have as much behind them as anybody can.
async fn remember(store: &SqliteStore, people: u32) {
    for number in 0..people {
        store
            .record_login(full_login(number, now(0)))
            .await
            .unwrap();
        if number % 512 == 0 || number + 1 == people {
            store.append_audit(record("x")).await.unwrap();
        }
    }
    for number in 0..people.min(SOME) {
        let number = pick(i64::from(number), people);
        let mut waiting = Vec::new();
        for turn in (0..64_u8).rev() {
            let day = now(-i64::from(turn) * 86_400);
            let mut login = full_login(number, day);
            login.circumstances.network = Some(Network::of([10, 0, turn, 1].into()));
            login.circumstances.device = Some(Mark([turn; 32]));
            store.record_login(login).await.unwrap();
            let person = PersonId(i64::from(number) + 1);
            if turn < 32 {
                waiting.push(store.remember_device(
                    person,
                    device(turn.into()),
                    now(0),
                    record("x"),
                ));
            }
            let session = SessionKey::of(&turn.to_string(), 1, 1);
            drop(store.record_proof(person, session, vec!["totp".into()], now(0)));
        }
        for answer in waiting {
            answer.await.unwrap();
        }
    }
}

fn main() {
    let arguments: Vec<String> = std::env::args()
        .skip(1)
        .filter(|argument| argument != "--bench")
        .collect();
    let people = arguments
        .first()
        .map_or(100, |people| people.parse().unwrap());
    let below = arguments
        .get(1)
        .map_or_else(std::env::temp_dir, PathBuf::from);
    let private = std::fs::Permissions::from_mode(0o700);
    let directory = tempfile::Builder::new()
        .prefix("mfad-bench-")
        .permissions(private)
        .tempdir_in(below)
        .unwrap();
    let path = directory.path().join("mfa.db");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let start = Instant::now();
    let store = SqliteStore::open(&path, Options::default()).unwrap();
    println!("opened a new file in {:?}", start.elapsed());
    let start = Instant::now();
    runtime.block_on(enroll(&store, people));
    println!("enrolled {people} in {:.1?}", start.elapsed());
    drop(store);
    let start = Instant::now();
    let store = Arc::new(SqliteStore::open(&path, Options::default()).unwrap());
    println!("opened it again in {:?}", start.elapsed());
    look_ups(&store, people, &runtime);
    let start = Instant::now();
    runtime.block_on(remember(&store, people));
    println!("logins of everybody in {:.1?}", start.elapsed());
    decisions(&store, people, &runtime);
    runtime.block_on(async {
        let mut tick = 1;
        one_by_one(
            &store,
            people,
            &mut tick,
            3000,
            Duration::ZERO,
            "back to back",
        )
        .await;
        one_by_one(
            &store,
            people,
            &mut tick,
            200,
            Duration::from_millis(20),
            "50 a second",
        )
        .await;
        for (width, count) in [(1, 2000), (8, 8000), (64, 20_000)] {
            at_once(&store, people, &mut tick, width, count).await;
        }
    });
}
