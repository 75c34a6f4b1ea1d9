//! What the policy's conditions, remembered devices and proofs of a session do to real logins: each alone changes one.

mod demand;
mod keys;
mod networks;
mod presets;
mod seat;
mod shadow;
mod signals;
mod silent;
mod times;

use super::Case;
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    mmdb::{Database, Value},
    ssh::PROMPT,
    totp::Totp,
};

/// The tables.
pub const CASES: [&[Case]; 10] = [
    OF_ALL,
    demand::CASES,
    keys::CASES,
    networks::CASES,
    presets::CASES,
    seat::CASES,
    shadow::CASES,
    signals::CASES,
    silent::CASES,
    times::CASES,
];

const OF_ALL: &[Case] = &[
    Case::new(
        "each condition alone opens a login by key to the enrolled",
        conditions,
    )
    .within(180),
    Case::new(
        "a country and a network open the login from there, and no country does while none is known",
        country,
    ),
    Case::new(
        "a rule for one key opens the login by it, and not by another key of the same person",
        by_key,
    ),
    Case::new(
        "a device is remembered by its key once its person says yes, until it is revoked",
        remembered,
    ),
    Case::new(
        "neither a no nor a yes after a wrong password remembers a device",
        not_remembered,
    ),
    Case::new(
        "with su's subject the caller, it is the caller's code that su takes",
        su_by_caller,
    ),
    Case::new(
        "what a user demands beyond the policy holds, and opens nothing",
        own_additions,
    ),
];

const CODE: &str = "Verification code: ";
const REMEMBER: &str = "Remember this device for 12 hours? [y/N] ";

fn rule(when: &str, rest: &str) -> String {
    format!("[[rule]]\nname = \"the case's\"\nwhen = {when}\n{rest}\n")
}

/// Has the daemon look addresses up in this database.
fn use_places(host: &Host, database: &Database) -> Outcome {
    host.write_bytes("/etc/mfa/places.mmdb", &database.write())?;
    host.write(
        "/etc/mfa/mfad.toml",
        "0644",
        "[risk]\nlocation-database = \"/etc/mfa/places.mmdb\"\n",
    )
}

/// An enrolled person, at an sshd that is content with a key: whether they come in is the account line's affair.
fn by_key_alone(host: &Host) -> Result<(Person, Totp), Failure> {
    host.use_stack("sshd-key")?;
    let enrolled = host.enrolled("alice")?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    Ok(enrolled)
}

/// Each condition, once as it is true of this login and once as it is not.
const TRUE_AND_FALSE: &[(&str, &str)] = &[
    ("{ user = \"ali*\" }", "{ user = \"bob\" }"),
    ("{ group = \"alice\" }", "{ group = \"root\" }"),
    ("{ service = \"sshd\" }", "{ service = \"sudo\" }"),
    (
        "{ network = \"127.0.0.0/8\" }",
        "{ network = \"10.0.0.0/8\" }",
    ),
    ("{ tty = \"ssh\" }", "{ tty = \"pts/*\" }"),
    (
        "{ time = \"Mon..Sun 00:00-24:00 UTC\" }",
        "{ time = \"YESTERDAY 00:00-24:00 UTC\" }",
    ),
    (
        "{ first-factor = \"publickey\" }",
        "{ first-factor = \"password\" }",
    ),
    (
        "{ first-factor = \"publickey\", not = { first-factor = \"sk-key\" } }",
        "{ first-factor = \"sk-key\" }",
    ),
    ("{ last-mfa = \"> 30d\" }", "{ last-mfa = \"< 30d\" }"),
    ("{ not = { dormant = \"90d\" } }", "{ dormant = \"90d\" }"),
    ("{ risk = \"none\" }", "{ risk = \">= low\" }"),
    (
        "{ not = { signal = \"new-country\" } }",
        "{ signal = \"new-country\" }",
    ),
    // The other side, of a device that is not known: it has never come with a proof.
    ("{ device = \"new\" }", "{ device = \"known\" }"),
    (
        "{ any = [{ user = \"bob\" }, { all = [{ user = \"alice\" }, { service = \"sshd\" }] }] }",
        "{ all = [{ user = \"alice\" }, { service = \"sudo\" }] }",
    ),
];

fn conditions(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    let uid = host.ok("id -u alice")?;
    let uid = number(&uid)?;
    let by_uid = (
        format!("{{ uid = \"{uid}\" }}"),
        format!("{{ uid = \"{}..{}\" }}", uid + 1, uid + 99),
    );
    let table = TRUE_AND_FALSE
        .iter()
        .map(|(is, is_not)| ((*is).to_owned(), (*is_not).to_owned()));
    // In whichever zone: a day that is two away is neither today nor about to be.
    let yesterday = host.ok("LC_ALL=C date --utc --date='2 days ago' +%a")?;
    for (is, is_not) in table.chain([by_uid]) {
        host.policy(&rule(&is, "require = \"none\""))?;
        host.ssh_in(&alice, "-o BatchMode=yes", &[])
            .map_err(|failure| Failure::new(format!("{is}: {failure}")))?;
        let is_not = is_not.replace("YESTERDAY", yesterday.trim());
        refused_by(host, &alice, "", &is_not)?;
    }
    Ok(())
}

fn number(text: &str) -> Result<u64, Failure> {
    let number = text.trim().parse();
    number.map_err(|error| Failure::new(format!("{text:?}: {error}")))
}

fn refused_by(host: &Host, person: &Person, from: &str, when: &str) -> Outcome {
    host.policy(&rule(when, "require = \"none\""))?;
    host.ssh_refused(person, &format!("-o BatchMode=yes {from}"), &[])
        .map_err(|failure| Failure::new(format!("{when}: {failure}")))
}

/// A day's login from an address that is nobody's here: the bed's network ends at its own loopback.
const ABROAD: &str = "-b 8.8.8.8";
const SWISS: &str = "{ country = \"CH\" }";
const NOT_SWISS: &str = "{ not = { country = \"CH\" } }";

fn country(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    host.ok("ip address add 8.8.8.8/32 dev lo")?;
    let opened_by = |from: &str, when: &str| {
        host.policy(&rule(when, "require = \"none\""))?;
        host.ssh_in(&alice, &format!("-o BatchMode=yes {from}"), &[])
            .map_err(|failure| Failure::new(format!("{when}: {failure}")))
    };
    opened_by(ABROAD, "{ network = \"8.8.8.0/24\" }")?;
    refused_by(host, &alice, "", "{ network = \"8.8.8.0/24\" }")?;
    // Without a database a country is not known, and neither it nor its opposite opens anything.
    refused_by(host, &alice, ABROAD, SWISS)?;
    refused_by(host, &alice, ABROAD, NOT_SWISS)?;
    let now = host.ok("date +%s")?;
    let built = number(&now)?;
    let database = Database {
        ip_version: 4,
        record_size: 24,
        built,
        kind: "GeoLite2-Country",
        networks: vec![([8, 8, 8, 0].into(), 24, Value::geolite2_country("CH"))],
    };
    use_places(host, &database)?;
    opened_by(ABROAD, SWISS)?;
    refused_by(host, &alice, ABROAD, NOT_SWISS)?;
    // This machine's own address is in no country, and that is known.
    refused_by(host, &alice, "", SWISS)?;
    opened_by("", NOT_SWISS)?;
    // Broken or too old, it tells nothing.
    host.ok("truncate -s 40 /etc/mfa/places.mmdb")?;
    refused_by(host, &alice, ABROAD, SWISS)?;
    let stale = Database {
        built: built - 100 * 86_400,
        ..database
    };
    host.write_bytes("/etc/mfa/places.mmdb", &stale.write())?;
    refused_by(host, &alice, ABROAD, SWISS)
}

fn by_key(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    let other = host.another_key(&alice)?;
    let fingerprint = host.ok(&format!(
        "ssh-keygen -l -f {}.pub | cut -d ' ' -f 2",
        other.key
    ))?;
    host.policy(&rule(
        &format!("{{ key = \"{}\" }}", fingerprint.trim()),
        "require = \"none\"",
    ))?;
    host.ssh_in(&other, "-o BatchMode=yes", &[])?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    // A stack that does not promise a session line leaves nothing to it.
    host.ok("sed -i 's/ defer=session//' /etc/pam.d/sshd")?;
    host.ssh_refused(&other, "-o BatchMode=yes", &[])
}

const BY_KEY: &str = "require = \"any\"\nremember = { for = \"12h\", bind = [\"ssh-key\"] }";

fn devices(host: &Host) -> Result<usize, Failure> {
    let listed = host.json("mfactl user trust list alice --json")?;
    listed
        .as_array()
        .map(Vec::len)
        .ok_or_else(|| Failure::new(format!("no list: {listed}")))
}

fn remembered(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule("{ service = \"sshd\" }", BY_KEY))?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(-1)?), (REMEMBER, "y")])?;
    ensure(devices(host)? == 1, || "not one device".to_owned())?;
    // Where logind does not run, nobody tries to start it for a login.
    let log = host.auth_log()?;
    ensure(
        !log.contains("Activating service name='org.freedesktop.login1'"),
        || format!("logind was to be started: {log}"),
    )?;
    host.ssh_in(&alice, "", &[])?;
    // Memory outlives the daemon.
    host.stop_daemon()?;
    host.ssh_in(&alice, "", &[])?;
    // Another key of the same person is another device.
    let other = host.another_key(&alice)?;
    host.ssh_refused(&other, "", &[(CODE, "")])?;
    host.ok("mfactl user trust revoke alice --all --yes")?;
    ensure(devices(host)? == 0, || "still there".to_owned())?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?), (REMEMBER, "n")])
}

fn not_remembered(host: &Host) -> Outcome {
    host.use_stack("sshd-password")?;
    // A stack that goes on after a wrong password, as many are written.
    host.write(
        "/etc/pam.d/sshd",
        "0644",
        "auth required pam_unix.so\nauth required pam_mfa.so after=password\n\
         account required pam_mfa.so\naccount required pam_unix.so\nsession required pam_mfa.so\n",
    )?;
    let (alice, totp) = host.enrolled("alice")?;
    host.policy(&rule(
        "{ service = \"sshd\" }",
        "require = \"any\"\nremember = { for = \"12h\", bind = [\"address\", \"service\", \"tty\"] }",
    ))?;
    let (first, second, third) = (totp.code(-1)?, totp.code(0)?, totp.code(1)?);
    let dialogue =
        |password, code, remember| [("Password: ", password), (CODE, code), (REMEMBER, remember)];
    host.ssh_refused(&alice, "", &dialogue("not my password", &first, "y"))?;
    ensure(devices(host)? == 0, || {
        "a stranger's device is remembered".to_owned()
    })?;
    host.ssh_in(&alice, "", &dialogue(&alice.password, &second, "n"))?;
    ensure(devices(host)? == 0, || {
        "a device is remembered against a no".to_owned()
    })?;
    host.ssh_in(&alice, "", &dialogue(&alice.password, &third, "yes"))?;
    ensure(devices(host)? == 1, || "a yes is not kept".to_owned())?;
    host.ssh_in(&alice, "", &[("Password: ", &alice.password)])
}

fn su_by_caller(host: &Host) -> Outcome {
    host.use_stack("su")?;
    let (alice, alices) = host.enrolled("alice")?;
    let (bob, bobs) = host.enrolled("bob")?;
    host.policy("[subject]\nsu = \"caller\"\n")?;
    let su = |code: &str| {
        let mut screen = host.terminal_as("alice", "su bob -c 'echo uid-$(id -un)'")?;
        screen.expect("Password: ", PROMPT)?;
        screen.line(&bob.password)?;
        screen.expect(CODE, PROMPT)?;
        screen.line(code)?;
        screen.end(PROMPT)
    };
    let (status, shown) = su(&bobs.code(0)?)?;
    ensure(!status.success() && !shown.contains("uid-bob"), || {
        format!("the target's code was taken: {shown}")
    })?;
    let (status, shown) = su(&alices.code(0)?)?;
    ensure(status.success() && shown.contains("uid-bob"), || {
        format!("{}'s code was refused: {status}: {shown}", alice.name)
    })
}

fn own_additions(host: &Host) -> Outcome {
    let (alice, totp) = by_key_alone(host)?;
    host.policy(&rule("{ service = \"sshd\" }", "require = \"none\""))?;
    host.ssh_in(&alice, "-o BatchMode=yes", &[])?;
    // A proof first, as for every change of what guards an account.
    let mut screen = host.terminal_as("alice", "mfactl require any --service sshd")?;
    screen.expect("ode: ", PROMPT)?;
    screen.line(&totp.code(0)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success(), || format!("{status}: {shown}"))?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    // More than that is no less of what the policy demands of others.
    host.policy(&rule("{ service = \"sshd\" }", "require = \"deny\""))?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])
}
