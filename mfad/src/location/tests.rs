//! Databases of both schemas and all shapes, and damaged ones.

use std::{fs, net::IpAddr, os::unix::fs::PermissionsExt, time::Duration};

use super::{database::Database as Parsed, *};

#[allow(
    unreachable_pub,
    reason = "a module of the end-to-end suites, where it is public"
)]
#[path = "../../../tests/src/mmdb.rs"]
mod mmdb;

use mmdb::{Database, Value};

const NOW: i64 = 1_800_000_000;

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// What is in every database of these tests, with what a record is.
fn networks(record: fn(&str) -> Value) -> Vec<(IpAddr, usize, Value)> {
    [
        ("192.0.2.0", 24, "CH"),
        ("198.51.100.0", 24, "US"),
        ("198.51.100.128", 25, "AU"),
        ("32.1.0.0", 16, "BR"),
        ("36.0.0.0", 8, "JP"),
    ]
    .into_iter()
    .map(|(first, prefix, code)| (address(first), prefix, record(code)))
    .collect()
}

fn v4(record_size: u16) -> Database {
    Database {
        ip_version: 4,
        record_size,
        built: NOW.unsigned_abs() - 86_400,
        kind: "Test-Country",
        networks: networks(Value::geolite2_country),
    }
}

fn v6(record_size: u16) -> Database {
    let mut database = v4(record_size);
    database.ip_version = 6;
    for (first, prefix, code) in [
        ("2001:db8:1::", 48, "DE"),
        ("2001:db8:2::", 48, "FR"),
        ("2400::", 12, "CN"),
    ] {
        let record = Value::geolite2_country(code);
        database.networks.push((address(first), prefix, record));
    }
    database
}

fn country(database: &Parsed, text: &str) -> Known<Option<Country>> {
    database.find(address(text)).country
}

fn is(code: &str) -> Known<Option<Country>> {
    Known::Is(Country::new(code))
}

/// Addresses and their countries in [`v6`]; the first five in [`v4`] too.
const TRUTH: [(&str, Option<&str>); 9] = [
    ("192.0.2.7", Some("CH")),
    ("198.51.100.1", Some("US")),
    ("198.51.100.200", Some("AU")),
    ("203.0.113.1", None),
    ("36.1.2.3", Some("JP")),
    ("2001:db8:1:ffff::1", Some("DE")),
    ("2001:db8:2::1", Some("FR")),
    ("2001:db8:3::1", None),
    ("2401::1", Some("CN")),
];

#[test]
fn a_country_is_found_in_databases_of_every_shape() {
    for record_size in [24, 28, 32] {
        for (database, known) in [(v4(record_size), 5), (v6(record_size), 9)] {
            let parsed = Parsed::parse(database.write()).unwrap();
            for (text, code) in &TRUTH[..known] {
                let expected = code.map_or(Known::Unknown, is);
                assert_eq!(country(&parsed, text), expected, "{text} {record_size}");
            }
            for (text, _) in &TRUTH[known..] {
                assert_eq!(country(&parsed, text), Known::Unknown, "{text}");
            }
        }
    }
}

#[test]
fn both_schemas_are_read() {
    let of = |record: Value| {
        let mut database = v6(24);
        database.networks.push((address("203.0.113.0"), 24, record));
        Parsed::parse(database.write())
            .unwrap()
            .find(address("203.0.113.9"))
    };
    let city = of(Value::geolite2_city("CH", 47.37, 8.54, 20));
    assert_eq!(city.country, is("CH"));
    assert_eq!(
        city.position,
        Position::of(47.37, 8.54, 50),
        "no better than 50 km"
    );
    let rough = of(Value::geolite2_city("US", 37.75, -97.82, 1000));
    assert_eq!(rough.position, Position::of(37.75, -97.82, 1000));
    let flat = of(Value::flat("ch"));
    assert_eq!(
        (flat.country, flat.position),
        (is("CH"), centres::of(Country::new("CH").unwrap()))
    );
    let flat_city = of(Value::Map(vec![
        ("country_code", Value::text("AU")),
        ("latitude", Value::Double(-33.9)),
        ("longitude", Value::Double(151.2)),
    ]));
    assert_eq!(flat_city.position, Position::of(-33.9, 151.2, 100));
    let coarse = of(Value::Map(vec![
        ("country_code", Value::text("AU")),
        ("latitude", Value::Float(-33.5)),
        ("longitude", Value::Float(151.25)),
    ]));
    assert_eq!(coarse.position, Position::of(-33.5, 151.25, 100));
}

#[test]
fn a_record_that_tells_no_country_is_unknown() {
    for record in [
        Value::text("CH"),
        Value::Map(vec![]),
        Value::Map(vec![("country", Value::Map(vec![]))]),
        Value::flat(""),
        Value::flat("Switzerland"),
        Value::flat("C1"),
        Value::Map(vec![("country_code", Value::Number(16, 756))]),
        Value::Map(vec![("country", Value::text("CH"))]),
        // Where it is registered is not where it is.
        Value::Map(vec![(
            "registered_country",
            Value::Map(vec![("iso_code", Value::text("CH"))]),
        )]),
    ] {
        let mut database = v6(24);
        let shown = format!("{record:?}");
        database.networks.push((address("203.0.113.0"), 24, record));
        let parsed = Parsed::parse(database.write()).unwrap();
        assert_eq!(
            parsed.find(address("203.0.113.9")),
            Whereabouts::UNKNOWN,
            "{shown}"
        );
    }
}

#[test]
fn a_database_of_ipv6_alone_knows_nothing_of_ipv4() {
    let mut database = v6(24);
    database.networks.drain(..5);
    let parsed = Parsed::parse(database.write()).unwrap();
    assert_eq!(country(&parsed, "2001:db8:1::1"), is("DE"));
    assert_eq!(country(&parsed, "36.1.2.3"), Known::Unknown);
}

/// Byte ranges of the whole file to mutate: from the metadata's marker on, or everything.
fn header_of(bytes: &[u8]) -> usize {
    let marker = b"\xab\xcd\xefMaxMind.com";
    bytes
        .windows(marker.len())
        .rposition(|window| window == marker)
        .unwrap()
}

/// A damaged header makes a database unusable, or changes nothing. It never makes a country of another one.
#[test]
fn no_byte_of_a_header_makes_a_wrong_country() {
    let (mut refused, mut unharmed) = (0, 0);
    for database in [v4(24), v4(28), v4(32), v6(24), v6(28), v6(32)] {
        let bytes = database.write();
        for at in header_of(&bytes)..bytes.len() {
            for value in 0..=255 {
                let mut damaged = bytes.clone();
                damaged[at] = value;
                let Ok(parsed) = Parsed::parse(damaged) else {
                    refused += 1;
                    continue;
                };
                unharmed += 1;
                for (text, code) in TRUTH {
                    let found = country(&parsed, text);
                    let expected = code.map_or(Known::Unknown, is);
                    assert!(
                        found == Known::Unknown || found == expected,
                        "{text}: {found:?} with {value} at {at}"
                    );
                }
            }
        }
    }
    assert!(refused > 10_000 && unharmed > 1_000, "{refused} {unharmed}");
}

/// A small generator of our own, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % sides
    }
}

#[test]
fn no_damage_makes_it_panic() {
    let mut dice = Dice(7);
    let originals: Vec<Vec<u8>> = [v4(24), v6(24), v6(28), v6(32)]
        .map(|database| database.write())
        .to_vec();
    let mut usable = 0;
    for round in 0..8_000 {
        let mut bytes = originals[round % originals.len()].clone();
        for _ in 0..=dice.roll(6) {
            let at = dice.roll(bytes.len());
            match dice.roll(8) {
                0 => bytes.truncate(at),
                1 => bytes.insert(at, u8::try_from(dice.roll(256)).unwrap()),
                2 => drop(bytes.remove(at)),
                _ => bytes[at] = u8::try_from(dice.roll(256)).unwrap(),
            }
            if bytes.is_empty() {
                break;
            }
        }
        if let Ok(parsed) = Parsed::parse(bytes) {
            usable += 1;
            for (text, _) in TRUTH {
                let _total = parsed.find(address(text));
            }
        }
    }
    assert!(usable > 100, "{usable}");
    for nothing in [&b""[..], b"\0", b"\xab\xcd\xefMaxMind.com", &[0; 4096]] {
        assert!(Parsed::parse(nothing.to_vec()).is_err());
    }
}

/// A directory with a database in it.
struct Host {
    directory: tempfile::TempDir,
    risk: Risk,
}

impl Host {
    fn new() -> Self {
        let directory = tempfile::TempDir::new().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let file = directory.path().join("places.mmdb");
        let mut risk = crate::config::Settings::defaults("host").risk;
        risk.location_database = Some(file);
        risk.location_max_age = Duration::from_hours(90 * 24);
        let host = Self { directory, risk };
        host.put(&v6(24).write());
        host
    }

    fn put(&self, bytes: &[u8]) {
        let file = self.directory.path().join("places.mmdb");
        fs::write(&file, bytes).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn places(&self) -> Places {
        Places::new(&self.risk, &Paths::under(self.directory.path()))
    }

    /// Checks that nobody's country is known, and why.
    fn fails(&self, now: i64, because: &str) {
        let places = self.places();
        assert_eq!(places.find(address("192.0.2.7"), now), Whereabouts::UNKNOWN);
        assert_eq!(places.find(address("10.0.0.7"), now), Whereabouts::NOWHERE);
        let problem = places.problem(now).unwrap();
        assert!(
            problem.contains("places.mmdb") && problem.contains(because),
            "{problem}"
        );
        assert_eq!(places.news(now), Some(problem));
        assert_eq!(places.news(now), None, "said once");
    }
}

#[test]
fn a_sound_database_serves() {
    let host = Host::new();
    let places = host.places();
    assert_eq!(places.find(address("192.0.2.7"), NOW).country, is("CH"));
    assert_eq!(
        places.find(address("::ffff:192.0.2.7"), NOW).country,
        is("CH")
    );
    assert_eq!((places.problem(NOW), places.news(NOW)), (None, None));
}

#[test]
fn without_a_database_nothing_is_known_and_nothing_is_wrong() {
    let mut host = Host::new();
    host.risk.location_database = None;
    let places = host.places();
    assert_eq!(places.find(address("192.0.2.7"), NOW), Whereabouts::UNKNOWN);
    assert_eq!(places.find(address("127.0.0.1"), NOW), Whereabouts::NOWHERE);
    assert_eq!(places.problem(NOW), None);
}

#[test]
fn an_old_database_is_not_believed() {
    let host = Host::new();
    let places = host.places();
    assert_eq!(places.problem(NOW + 88 * 86_400), None);
    host.fails(
        NOW + 90 * 86_400,
        "was made 91 days ago, and 90 are believed",
    );
}

#[test]
fn a_database_that_is_missing_damaged_or_anybodys_is_not_used() {
    let host = Host::new();
    let file = host.directory.path().join("places.mmdb");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    host.fails(NOW, "can be written by others");
    host.put(&v6(24).write()[1..]);
    host.fails(NOW, "the search tree does not end where the header says");
    host.put(b"not a database");
    host.fails(NOW, "put a sound one in its place");
    fs::remove_file(&file).unwrap();
    host.fails(NOW, "no such file");
    std::os::unix::fs::symlink("elsewhere", &file).unwrap();
    host.fails(NOW, "symbolic link");
    fs::remove_file(&file).unwrap();
    let sparse = fs::File::create(&file).unwrap();
    sparse.set_len(MOST_BYTES as u64 + 1).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    host.fails(NOW, "is larger than");
}

#[test]
fn addresses_of_no_country_are_known_to_have_none() {
    let host = Host::new();
    let places = host.places();
    for private in [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "169.254.1.1",
        "100.64.0.1",
        "100.127.255.255",
        "::1",
        "fe80::1",
        "fd00::1",
        "fc00::1",
        "::ffff:10.0.0.1",
    ] {
        assert_eq!(
            places.find(address(private), NOW),
            Whereabouts::NOWHERE,
            "{private}"
        );
    }
    for public in [
        "172.32.0.1",
        "100.128.0.1",
        "100.63.255.255",
        "2001:db8:9::1",
        "0.0.0.0",
        "::",
    ] {
        assert_eq!(
            places.find(address(public), NOW),
            Whereabouts::UNKNOWN,
            "{public}"
        );
    }
}
