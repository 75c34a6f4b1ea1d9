//! Conditions on where somebody comes from, met by clients in network namespaces of their own.

use super::{CODE, by_key_alone, number, rule, use_places};
use crate::{
    Failure, Outcome,
    cases::Case,
    failure::ensure,
    host::Host,
    mmdb::{Database, Value},
    network::{Line, Network},
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "a network and a country open the login from one network namespace, and not from another, by IPv4 and IPv6",
        places,
    ),
    Case::new(
        "new-network shows a client in another network namespace than the one of the first login",
        new_network,
    ),
];

/// Addresses that are somebody's elsewhere: the bed's network ends at these namespaces.
const FIRST: Line = Line {
    client: "8.8.1.2",
    server: "8.8.1.1",
};
const FIRST_BY_SIX: Line = Line {
    client: "2001:4860:1::2",
    server: "2001:4860:1::1",
};
const SECOND: Line = Line {
    client: "8.8.2.2",
    server: "8.8.2.1",
};

fn two(host: &Host) -> Result<(Network<'_>, Network<'_>), Failure> {
    Ok((
        Network::new(host, "first", &[FIRST, FIRST_BY_SIX])?,
        Network::new(host, "second", &[SECOND])?,
    ))
}

fn places(host: &Host) -> Outcome {
    let (first, second) = two(host)?;
    let (alice, _) = by_key_alone(host)?;
    let database = Database {
        ip_version: 4,
        record_size: 24,
        built: number(&host.ok("date +%s")?)?,
        kind: "GeoLite2-Country",
        networks: vec![
            ([8, 8, 1, 0].into(), 24, Value::geolite2_country("CH")),
            ([8, 8, 2, 0].into(), 24, Value::geolite2_country("LI")),
        ],
    };
    use_places(host, &database)?;
    // Each with whom it lets in: the first client, the first by IPv6, the second.
    for (when, here, by_six, there) in [
        ("{ network = \"8.8.1.0/24\" }", true, false, false),
        ("{ network = \"8.8.2.2\" }", false, false, true),
        ("{ network = \"2001:4860:1::/64\" }", false, true, false),
        ("{ not = { network = \"8.8.1.0/24\" } }", false, true, true),
        ("{ country = \"CH\" }", true, false, false),
        ("{ country = \"LI\" }", false, false, true),
    ] {
        host.policy(&rule(when, "require = \"none\""))?;
        for (client, line, admit) in [
            (&first, FIRST, here),
            (&first, FIRST_BY_SIX, by_six),
            (&second, SECOND, there),
        ] {
            let tried = client.must(&alice, line, admit);
            tried.map_err(|failure| Failure::new(format!("{when}: {failure}")))?;
        }
    }
    Ok(())
}

fn new_network(host: &Host) -> Outcome {
    const SIGN: &str = "{ signal = \"new-network\" }";
    let (first, second) = two(host)?;
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.write("/etc/mfa/mfad.toml", "0644", "[risk]\nlearn = 1\n")?;
    host.policy(&rule(SIGN, "require = \"any\""))?;
    let taught = first.admits(&alice, FIRST, &[(CODE, &totp.code(0)?)])?;
    ensure(taught, || "the first login was refused".to_owned())?;
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    // What is refused leaves no trace, and so comes before what is let in.
    host.policy(&rule(SIGN, "require = \"none\""))?;
    first.must(&alice, FIRST, false)?;
    host.policy(&rule(&format!("{{ not = {SIGN} }}"), "require = \"none\""))?;
    second.must(&alice, SECOND, false)?;
    first.must(&alice, FIRST, true)?;
    host.policy(&rule(SIGN, "require = \"none\""))?;
    second.must(&alice, SECOND, true)
}
