//! The RFCs' test vectors, and their moments and counters through the real PAM stack.
//!
//! The product takes no secret from outside, so the vectors reach it in two steps: `oathtool` reproduces the RFC's
//! tables, and the stack accepts what `oathtool` computes for its own secret at the very times of those tables.

use super::{Case, WITHOUT_SYSTEMD};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::Host,
    totp::{self, Totp},
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "oathtool computes the tables of RFC 4226 and RFC 6238",
        tables,
    )
    .of_the_bed()
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "HOTP counters 0 to 9 are accepted in order, each once",
        hotp,
    ),
    Case::new(
        "TOTP is accepted at the times of RFC 6238, from 1970 to 2603",
        times,
    )
    .on(WITHOUT_SYSTEMD),
    Case::new(
        "TOTP of 8 digits with SHA-256 and SHA-512 is accepted",
        algorithms,
    ),
];

/// `12345678901234567890` in Base32.
const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";
/// RFC 4226, appendix D.
const HOTP: [&str; 10] = [
    "755224", "287082", "359152", "969429", "338314", "254676", "287922", "162583", "399871",
    "520489",
];
/// RFC 6238, appendix B, SHA-1: seconds since the epoch, and the code of 8 digits.
const TOTP: [(i64, &str); 6] = [
    (59, "94287082"),
    (1_111_111_109, "07081804"),
    (1_111_111_111, "14050471"),
    (1_234_567_890, "89005924"),
    (2_000_000_000, "69279037"),
    (20_000_000_000, "65353130"),
];

fn tables(_: &Host) -> Outcome {
    let codes = totp::hotp_codes(SECRET, HOTP.len())?;
    ensure(codes == HOTP, || format!("{codes:?} instead of {HOTP:?}"))?;
    let uri = format!("otpauth://totp/x?secret={SECRET}&digits=8");
    let authenticator = Totp::from_uri(&uri)?;
    for (at, code) in TOTP {
        let computed = authenticator.code_at(at)?;
        ensure(computed == code, || {
            format!("{computed} instead of {code} at {at}")
        })?;
    }
    Ok(())
}

fn hotp(host: &Host) -> Outcome {
    host.use_drive()?;
    host.person("alice")?;
    let codes = host.enroll_token("alice", HOTP.len())?;
    // Each is followed by itself: two wrong answers are free, and an unlock makes the next two so again.
    for code in codes {
        let report = host.drive("alice", &format!("--answer {code} --repeat 2"))?;
        ensure(
            report.granted() == 1 && report.transactions()[0]["auth"] == 0,
            || format!("{code} was accepted {} times", report.granted()),
        )?;
        host.ok("mfactl user unlock alice")?;
    }
    Ok(())
}

fn times(host: &Host) -> Outcome {
    host.use_drive()?;
    let (_, totp) = host.enrolled("alice")?;
    for (at, _) in TOTP {
        host.daemon_at(at)?;
        let report = host.drive("alice", &format!("--answer {}", totp.code_at(at)?))?;
        report.all_granted(1)?;
    }
    Ok(())
}

fn algorithms(host: &Host) -> Outcome {
    host.use_drive()?;
    for (name, algorithm) in [("alice", "SHA256"), ("bob", "SHA512")] {
        host.person(name)?;
        let offer = host.json(&format!(
            "mfactl user enroll {name} totp --algorithm {algorithm} --digits 8 --json"
        ))?;
        let uri = offer["uri"]
            .as_str()
            .ok_or_else(|| Failure::new("the offer has no uri"))?;
        let code = Totp::from_uri(uri)?.code(0)?;
        ensure(code.len() == 8, || format!("{code} has not 8 digits"))?;
        host.drive(name, &format!("--answer {code}"))?
            .all_granted(1)?;
    }
    Ok(())
}
