//! Each sign of risk by itself: nothing but that sign changes, and it opens a login or refuses it. Then what signs add up to,
//! and what they do to a remembered device.

use super::{BY_KEY, CODE, REMEMBER, devices, rule};
use crate::{
    Failure, Outcome,
    cases::{Case, WITHOUT_SYSTEMD},
    failure::ensure,
    host::{Host, Person},
    mmdb::{Database, Value},
    ssh::PROMPT,
    totp::Totp,
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "new-device shows a key that has never come with a code, and none that has",
        new_device,
    ),
    Case::new("new-network shows an address of another /24, and no other of the same", new_network),
    Case::new(
        "new-country shows another country in the same network",
        new_country,
    ),
    Case::new(
        "impossible-travel shows who is in New York and ten minutes later in Los Angeles, not six hours later",
        impossible_travel,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "unusual-hour shows who comes at noon and now at three",
        unusual_hour,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "unusual-rate shows the third login of an hour of who comes once",
        unusual_rate,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "recent-failures-user shows a wrong code of the same person from elsewhere, and nobody else's",
        failures_user,
    ),
    Case::new(
        "recent-failures-source shows somebody else's wrong code from that address, and not from its neighbour",
        failures_source,
    ),
    Case::new(
        "recent-failures-everywhere shows somebody else's wrong code from somewhere else",
        failures_everywhere,
    ),
    Case::new("dormant shows who comes after 91 days, not after 10", dormant).on(WITHOUT_SYSTEMD),
    Case::new(
        "a journey between countries is measured from their middles, in a database with country_code alone",
        between_countries,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new("the level of risk is that of the signs' weights together", level),
    Case::new(
        "a sign of risk ends a remembered device, and so does a changed password where that is asked for",
        device_ends,
    ),
];

const MINUTE: i64 = 60;
const HOUR: i64 = 60 * MINUTE;
const DAY: i64 = 24 * HOUR;
/// 2027-01-15, a Friday, at noon by UTC: ahead of every enrollment.
const NOON: i64 = 1_800_014_400;

/// Somebody of whom one login is known, by key and code, and a sign that is watched.
struct Watch<'a> {
    host: &'a Host,
    alice: Person,
    totp: Totp,
    /// The condition that is watched.
    sign: String,
}

impl<'a> Watch<'a> {
    /// At an sshd that wants key and code. `risk` are lines of `[risk]`; one login is enough to learn from.
    fn new(host: &'a Host, signal: &str, risk: &str) -> Result<Self, Failure> {
        Self::of(host, format!("{{ signal = \"{signal}\" }}"), risk)
    }

    fn of(host: &'a Host, sign: String, risk: &str) -> Result<Self, Failure> {
        host.use_stack("sshd-key")?;
        let (alice, totp) = host.enrolled("alice")?;
        host.write(
            "/etc/mfa/mfad.toml",
            "0644",
            &format!("[risk]\nlearn = 1\n{risk}\n"),
        )?;
        host.policy(&rule(&sign, "require = \"any\""))?;
        Ok(Self {
            host,
            alice,
            totp,
            sign,
        })
    }

    /// That one login, by its own clock if that is another; from then on, a key alone opens what a rule exempts.
    fn teach(&self, from: &str, at: Option<i64>) -> Outcome {
        let code = match at {
            Some(at) => {
                self.host.daemon_at(at)?;
                self.totp.code_at(at)?
            }
            None => self.totp.code(0)?,
        };
        self.host.ssh_in(&self.alice, from, &[(CODE, &code)])?;
        self.host
            .sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")
    }

    /// Whether a login by key alone is let in by a rule for the sign and refused by a rule for its absence, or the other
    /// way round. What is refused comes first: it leaves no trace.
    fn shows(&self, shows: bool, person: &Person, from: &str) -> Outcome {
        let sign = self.sign.clone();
        let none = format!("{{ not = {sign} }}");
        let (refusing, opening) = if shows { (none, sign) } else { (sign, none) };
        let extra = format!("-o BatchMode=yes {from}");
        self.host.policy(&rule(&refusing, "require = \"none\""))?;
        let refused = self.host.ssh_refused(person, &extra, &[]);
        refused.map_err(|failure| Failure::new(format!("{refusing}: {failure}")))?;
        self.host.policy(&rule(&opening, "require = \"none\""))?;
        let admitted = self.host.ssh_in(person, &extra, &[]);
        admitted.map_err(|failure| Failure::new(format!("{opening}: {failure}")))
    }
}

fn new_device(host: &Host) -> Outcome {
    let watch = Watch::new(host, "new-device", "")?;
    watch.teach("", None)?;
    let other = host.another_key(&watch.alice)?;
    watch.shows(false, &watch.alice, "")?;
    watch.shows(true, &other, "")
}

fn new_network(host: &Host) -> Outcome {
    let watch = Watch::new(host, "new-network", "")?;
    watch.teach("-b 127.0.0.1", None)?;
    watch.shows(false, &watch.alice, "-b 127.0.0.200")?;
    watch.shows(true, &watch.alice, "-b 127.0.1.1")
}

/// Two addresses of one network, and nobody's here: the bed's network ends at its own loopback.
const HERE: &str = "-b 8.8.8.1";
const THERE: &str = "-b 8.8.8.201";
const DATABASE: &str = "location-database = \"/etc/mfa/places.mmdb\"";

/// Puts the two halves of that network elsewhere.
fn places(host: &Host, kind: &'static str, here: Value, there: Value) -> Outcome {
    let now = host.ok("date +%s")?;
    let database = Database {
        ip_version: 4,
        record_size: 24,
        built: super::number(&now)?,
        kind,
        networks: vec![
            ([8, 8, 8, 0].into(), 25, here),
            ([8, 8, 8, 128].into(), 25, there),
        ],
    };
    host.write_bytes("/etc/mfa/places.mmdb", &database.write())?;
    host.ok("ip address add 8.8.8.1/32 dev lo && ip address add 8.8.8.201/32 dev lo")
        .map(drop)
}

fn new_country(host: &Host) -> Outcome {
    places(
        host,
        "GeoLite2-Country",
        Value::geolite2_country("CH"),
        Value::geolite2_country("LI"),
    )?;
    let watch = Watch::new(host, "new-country", DATABASE)?;
    watch.teach(HERE, None)?;
    watch.shows(false, &watch.alice, HERE)?;
    watch.shows(true, &watch.alice, THERE)
}

fn impossible_travel(host: &Host) -> Outcome {
    places(
        host,
        "GeoLite2-City",
        Value::geolite2_city("US", 40.71, -74.01, 20),
        Value::geolite2_city("US", 34.05, -118.24, 20),
    )?;
    // The database is older than that clock by weeks.
    let risk = format!("{DATABASE}\nlocation-max-age = \"3650d\"");
    let watch = Watch::new(host, "impossible-travel", &risk)?;
    watch.teach(HERE, Some(NOON))?;
    host.daemon_at(NOON + 10 * MINUTE)?;
    watch.shows(true, &watch.alice, THERE)?;
    host.daemon_at(NOON + 6 * HOUR)?;
    watch.shows(false, &watch.alice, THERE)
}

fn unusual_hour(host: &Host) -> Outcome {
    let watch = Watch::new(host, "unusual-hour", "hour-days = 1")?;
    watch.teach("", Some(NOON))?;
    host.daemon_at(NOON + DAY + 10 * MINUTE)?;
    watch.shows(false, &watch.alice, "")?;
    host.daemon_at(NOON + DAY + 15 * HOUR)?;
    watch.shows(true, &watch.alice, "")
}

fn unusual_rate(host: &Host) -> Outcome {
    let watch = Watch::new(host, "unusual-rate", "rate-factor = 2\nrate-floor = 1")?;
    watch.teach("", Some(NOON))?;
    host.daemon_at(NOON + DAY)?;
    watch.shows(false, &watch.alice, "")?;
    watch.shows(false, &watch.alice, "")?;
    watch.shows(true, &watch.alice, "")
}

fn wrong_code(host: &Host, name: &str, totp: &Totp, from: &str) -> Outcome {
    host.use_drive()?;
    // Without a rule, everybody is asked.
    host.policy("")?;
    let answer = format!("--rhost {from} --answer {}", totp.wrong_code()?);
    let report = host.drive(name, &answer)?;
    ensure(report.granted() == 0, || {
        "a wrong code was accepted".to_owned()
    })
}

fn failures_user(host: &Host) -> Outcome {
    let watch = Watch::new(host, "recent-failures-user", "failures-user = 1")?;
    watch.teach("", None)?;
    let (_, bobs) = host.enrolled("bob")?;
    wrong_code(host, "bob", &bobs, "127.0.7.7")?;
    watch.shows(false, &watch.alice, "")?;
    wrong_code(host, "alice", &watch.totp, "127.0.7.7")?;
    watch.shows(true, &watch.alice, "")
}

fn failures_source(host: &Host) -> Outcome {
    let watch = Watch::new(host, "recent-failures-source", "failures-source = 1")?;
    watch.teach("", None)?;
    let (_, bobs) = host.enrolled("bob")?;
    wrong_code(host, "bob", &bobs, "127.0.7.7")?;
    watch.shows(false, &watch.alice, "-b 127.0.7.8")?;
    watch.shows(true, &watch.alice, "-b 127.0.7.7")
}

fn failures_everywhere(host: &Host) -> Outcome {
    let watch = Watch::new(
        host,
        "recent-failures-everywhere",
        "failures-everywhere = 1",
    )?;
    watch.teach("", None)?;
    let (_, bobs) = host.enrolled("bob")?;
    watch.shows(false, &watch.alice, "")?;
    wrong_code(host, "bob", &bobs, "127.0.7.7")?;
    watch.shows(true, &watch.alice, "")
}

fn dormant(host: &Host) -> Outcome {
    let watch = Watch::new(host, "dormant", "")?;
    watch.teach("", Some(NOON))?;
    host.daemon_at(NOON + 10 * DAY)?;
    watch.shows(false, &watch.alice, "")?;
    host.daemon_at(NOON + 101 * DAY)?;
    watch.shows(true, &watch.alice, "")
}

fn between_countries(host: &Host) -> Outcome {
    // From Portugal to New Zealand no aeroplane flies in an hour, and in three days everybody can.
    places(host, "Countries", Value::flat("PT"), Value::flat("NZ"))?;
    let risk = format!("{DATABASE}\nlocation-max-age = \"3650d\"");
    let watch = Watch::new(host, "impossible-travel", &risk)?;
    watch.teach(HERE, Some(NOON))?;
    host.daemon_at(NOON + HOUR)?;
    watch.shows(true, &watch.alice, THERE)?;
    host.daemon_at(NOON + 3 * DAY)?;
    watch.shows(false, &watch.alice, THERE)
}

fn level(host: &Host) -> Outcome {
    let weights = "weights = { new-device = 20, new-network = 30 }";
    let watch = Watch::of(host, "{ risk = \">= medium\" }".to_owned(), weights)?;
    watch.teach("-b 127.0.0.1", None)?;
    let other = host.another_key(&watch.alice)?;
    // 0, 30 and 20; medium begins at 40.
    watch.shows(false, &watch.alice, "-b 127.0.0.1")?;
    watch.shows(true, &other, "-b 127.0.1.1")?;
    watch.shows(false, &watch.alice, "-b 127.0.2.1")?;
    watch.shows(false, &other, "-b 127.0.0.1")
}

fn device_ends(host: &Host) -> Outcome {
    host.use_stack("passwd")?;
    host.write("/etc/pam.d/chpasswd", "0644", "@include passwd\n")?;
    host.use_stack("sshd-key")?;
    let alice = host.person("alice")?;
    let mut codes = host.enroll_token("alice", 8)?.into_iter();
    let mut code = || codes.next().unwrap_or_default();
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[risk]\nlearn = 1\n[trust]\nrevoke-at = \"low\"\nrevoke-on-password-change = true\n",
    )?;
    host.policy(&rule("{ service = \"sshd\" }", BY_KEY))?;
    let remember =
        |code: &str| host.ssh_in(&alice, "-b 127.0.0.1", &[(CODE, code), (REMEMBER, "y")]);
    remember(&code())?;
    host.ssh_in(&alice, "-b 127.0.0.1", &[])?;
    // The same key in a network where it has never been.
    host.ssh_refused(&alice, "-b 127.0.9.1", &[(CODE, "")])?;
    ensure(devices(host)? == 0, || {
        "it outlasts a sign of risk".to_owned()
    })?;
    host.ok("mfactl user unlock alice")?;
    remember(&code())?;
    ensure(devices(host)? == 1, || {
        "it is not remembered again".to_owned()
    })?;
    let mut screen = host.terminal_as("alice", "passwd")?;
    for (prompt, answer) in [
        ("Current password: ", alice.password.as_str()),
        (CODE, &code()),
        ("New password: ", "an entirely new phrase 7"),
        ("Retype new password: ", "an entirely new phrase 7"),
    ] {
        screen.expect(prompt, PROMPT)?;
        screen.line(answer)?;
    }
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && devices(host)? == 0, || {
        format!("it outlasts a changed password: {status}: {shown}")
    })
}
