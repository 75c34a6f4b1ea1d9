//! Conditions on what sshd has verified: a key of a FIDO authenticator, a certificate, and who signed it.

use super::{CODE, by_key_alone, rule};
use crate::{
    Failure, Outcome,
    cases::Case,
    host::{Host, Person},
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "a rule for sk-key opens the login by a FIDO authenticator's key, and by no other",
        sk_key,
    ),
    Case::new(
        "a rule for certificate opens the login by a certificate, and not by its bare key",
        certificate,
    ),
    Case::new(
        "a rule for a ca opens the login by its certificate, and not by another trusted one's",
        authority,
    ),
    Case::new(
        "a rule for password opens the login by it, and asks for a code after a key",
        password,
    ),
    Case::new(
        "a rule for a known device opens the login by a key that came with a code, and by no other",
        known_device,
    ),
    Case::new(
        "a rule for a group opens the login of a member by one more group, and asks others",
        group,
    ),
];

const QUIET: &str = "-o BatchMode=yes";

fn opens(host: &Host, when: &str) -> Outcome {
    host.policy(&rule(when, "require = \"none\""))
}

fn sk_key(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    let provider = host.put_provider()?;
    for kind in ["ed25519-sk", "ecdsa-sk"] {
        host.ok(&format!(
            "ssh-keygen -q -t {kind} -w {provider} -N '' -f /root/keys/{kind} && \
             cat /root/keys/{kind}.pub >>~alice/.ssh/authorized_keys"
        ))?;
        let touching = Person {
            key: format!("/root/keys/{kind}"),
            ..alice.clone()
        };
        let quiet = format!("{QUIET} -o SecurityKeyProvider={provider}");
        opens(host, "{ first-factor = \"sk-key\" }")?;
        host.ssh_in(&touching, &quiet, &[])?;
        host.ssh_refused(&alice, &quiet, &[])?;
        opens(host, "{ not = { first-factor = \"sk-key\" } }")?;
        host.ssh_refused(&touching, &quiet, &[])?;
        host.ssh_in(&alice, &quiet, &[])?;
    }
    Ok(())
}

/// Makes sshd trust these new authorities, each of which signs alice's key: `/root/keys/NAME-cert.pub`.
fn certify(host: &Host, authorities: &[&str]) -> Outcome {
    for name in authorities {
        host.ok(&format!(
            "cd /root/keys && ssh-keygen -q -t ed25519 -N '' -f {name} && cat {name}.pub >>/etc/ssh/authorities && \
             cp alice.pub of-{name}.pub && ssh-keygen -q -s {name} -I alice -n alice of-{name}.pub && \
             mv of-{name}-cert.pub {name}-cert.pub"
        ))?;
    }
    host.sshd_settings(
        "UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey\n\
         TrustedUserCAKeys /etc/ssh/authorities",
    )
}

fn with_certificate(authority: &str) -> String {
    format!("{QUIET} -o CertificateFile=/root/keys/{authority}-cert.pub")
}

fn certificate(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    certify(host, &["authority"])?;
    opens(host, "{ first-factor = \"certificate\" }")?;
    host.ssh_in(&alice, &with_certificate("authority"), &[])?;
    host.ssh_refused(&alice, QUIET, &[])?;
    // A certificate is a public key, too.
    opens(host, "{ first-factor = \"publickey\" }")?;
    host.ssh_in(&alice, &with_certificate("authority"), &[])?;
    host.ssh_in(&alice, QUIET, &[])
}

fn authority(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    certify(host, &["one", "two"])?;
    opens(host, &by_authority(host, "one")?)?;
    host.ssh_in(&alice, &with_certificate("one"), &[])?;
    host.ssh_refused(&alice, &with_certificate("two"), &[])?;
    host.ssh_refused(&alice, QUIET, &[])
}

fn by_authority(host: &Host, name: &str) -> Result<String, Failure> {
    let fingerprint = host.ok(&format!(
        "ssh-keygen -l -f /root/keys/{name}.pub | cut -d ' ' -f 2"
    ))?;
    Ok(format!("{{ ca = \"{}\" }}", fingerprint.trim()))
}

fn password(host: &Host) -> Outcome {
    let (alice, _) = host.enrolled("alice")?;
    opens(host, "{ first-factor = \"password\" }")?;
    host.use_stack("sshd-password")?;
    host.ssh_in(&alice, "", &[("Password: ", &alice.password)])?;
    host.use_stack("sshd-key")?;
    host.ssh_refused(&alice, "", &[(CODE, "")])
}

fn known_device(host: &Host) -> Outcome {
    host.use_stack("sshd-key")?;
    let (alice, totp) = host.enrolled("alice")?;
    let other = host.another_key(&alice)?;
    opens(host, "{ device = \"known\" }")?;
    host.ssh_in(&alice, "", &[(CODE, &totp.code(0)?)])?;
    host.ssh_in(&alice, "", &[])?;
    host.ssh_refused(&other, "", &[(CODE, "")])
}

fn group(host: &Host) -> Outcome {
    let (alice, _) = by_key_alone(host)?;
    let (bob, _) = host.enrolled("bob")?;
    host.ok("groupadd operators && usermod --append --groups operators alice")?;
    opens(host, "{ group = \"oper*\" }")?;
    host.ssh_in(&alice, QUIET, &[])?;
    host.ssh_refused(&bob, QUIET, &[])
}
