//! Which keys count, and for what: those that a user enrolls, plain ones, gpg's, and the key of the login.

use super::{
    CODE, CUE, POLICY, WHO, became_root, forwarded, make_key, start_agent, sudoer,
    up_to_the_prompt, with_agent,
};
use crate::{
    Failure, Outcome,
    cases::{Case, WITHOUT_SYSTEMD},
    failure::ensure,
    host::{Host, Person},
    ssh::PROMPT,
};

/// The table.
pub(super) const CASES: &[Case] = &[
    Case::new(
        "a plain key in the agent opens only what a policy names it for",
        plain,
    ),
    Case::new("gpg-agent's ssh socket is asked as any other", gpg)
        .on(WITHOUT_SYSTEMD)
        .with_program("gpg-agent"),
    Case::new(
        "a user enrolls the key of their session, and of their agent, by one touch",
        enroll,
    ),
    Case::new(
        "the enrolled key of an ssh login counts as the factor, and another sk key does not",
        login_key,
    ),
];

fn plain(host: &Host) -> Outcome {
    let (alice, _) = sudoer(host, true)?;
    host.ok("ssh-keygen -q -t ed25519 -N '' -f /root/keys/laptop")?;
    host.ok("mfactl user enroll alice ssh-agent --name laptop --file /root/keys/laptop.pub")?;
    start_agent(host, &["laptop"])?;
    let mut screen = forwarded(host, &alice, WHO)?;
    let shown = up_to_the_prompt(&mut screen, &alice, CODE)?;
    ensure(!shown.contains("Press Enter"), || {
        format!("a plain key is offered: {shown}")
    })?;
    drop(screen);
    host.policy(&POLICY.replace("\"any\"", "{ any = [\"ssh-agent\"] }"))?;
    let mut screen = forwarded(host, &alice, WHO)?;
    up_to_the_prompt(
        &mut screen,
        &alice,
        "Press Enter to use your ssh key \"laptop\": ",
    )?;
    screen.line("")?;
    became_root(screen)
}

/// A key of gpg's own, without a passphrase that somebody would be asked for; prints where its agent listens, and the key.
const GPG: &str = "cd && export HOME=$(pwd) && mkdir -m 0700 .gnupg && echo enable-ssh-support >.gnupg/gpg-agent.conf && \
    gpg --quiet --batch --pinentry-mode loopback --passphrase '' --quick-generate-key alice ed25519 cert,auth never 2>/dev/null && \
    gpg --list-secret-keys --with-keygrip --with-colons | sed -n 's/^grp:*\\([0-9A-F]*\\):.*/\\1/p' >.gnupg/sshcontrol && \
    gpgconf --launch gpg-agent && gpgconf --list-dirs agent-ssh-socket && \
    SSH_AUTH_SOCK=$(gpgconf --list-dirs agent-ssh-socket) ssh-add -L";

fn gpg(host: &Host) -> Outcome {
    let (alice, _) = sudoer(host, true)?;
    host.policy(&POLICY.replace("\"any\"", "{ any = [\"ssh-agent\"] }"))?;
    let made = host.sh_as("alice", &GPG.replace("cd &&", "cd ~alice &&"))?;
    let (socket, key) = made
        .stdout
        .trim()
        .split_once('\n')
        .ok_or_else(|| Failure::new(format!("gpg-agent has no key: {made:?}")))?;
    host.write("/root/keys/laptop.pub", "0644", key)?;
    host.ok("mfactl user enroll alice ssh-agent --name laptop --file /root/keys/laptop.pub")?;
    let mut screen = host.terminal_as("alice", &format!("SSH_AUTH_SOCK={socket} {WHO}"))?;
    up_to_the_prompt(
        &mut screen,
        &alice,
        "Press Enter to use your ssh key \"laptop\": ",
    )?;
    screen.line("")?;
    became_root(screen)
}

fn enroll(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host, true)?;
    make_key(host, "blue")?;
    make_key(host, "red")?;
    start_agent(host, &["blue", "red"])?;
    host.ok("cat /root/keys/blue.pub >>~alice/.ssh/authorized_keys")?;
    let touching = Person {
        key: "/root/keys/blue".into(),
        ..alice.clone()
    };
    // A factor that she has is proven first.
    let provider = format!("-o SecurityKeyProvider={}", host.put_provider()?);
    let enroll = "mfactl enroll ssh-sk --name blue --session";
    let mut screen = with_agent(host, &touching, &provider, enroll)?;
    screen.expect(CODE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    screen.expect("touch your security key when it blinks", PROMPT)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("Stored"), || {
        format!("{status}: {shown}")
    })?;
    // The next is the agent's first that is not enrolled, and the first one proves who she is.
    let mut screen = with_agent(
        host,
        &touching,
        &provider,
        "mfactl enroll ssh-sk --name red",
    )?;
    screen.expect(CUE, PROMPT)?;
    screen.line("")?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("Stored"), || {
        format!("{status}: {shown}")
    })?;
    let user = host.user("alice")?;
    let red = host.ok("ssh-keygen -l -f /root/keys/red.pub | cut -d ' ' -f 2")?;
    let told = user["credentials"][2]["detail"]
        .as_str()
        .unwrap_or_default();
    ensure(told.ends_with(red.trim()), || {
        format!("another key: {user}")
    })?;
    let mut screen = with_agent(host, &alice, &provider, "mfactl enroll ssh-sk --name none")?;
    screen.expect(
        "Press Enter and touch your ssh key \"blue\" or \"red\"",
        PROMPT,
    )?;
    screen.line(&totp.code(1)?)?;
    let (status, shown) = screen.end(PROMPT)?;
    ensure(
        !status.success() && shown.contains("no key of that kind that is not enrolled"),
        || format!("{status}: {shown}"),
    )
}

fn login_key(host: &Host) -> Outcome {
    let alice = host.person("alice")?;
    host.use_stack("sshd-key")?;
    host.policy("[[rule]]\nname = \"all\"\nwhen = {}\nrequire = { phishing-resistant = true }\n")?;
    make_key(host, "blue")?;
    make_key(host, "red")?;
    host.ok("cat /root/keys/blue.pub /root/keys/red.pub >>~alice/.ssh/authorized_keys")?;
    host.ok("mfactl user enroll alice ssh-sk --name blue --file /root/keys/blue.pub")?;
    let provider = format!("-o SecurityKeyProvider={}", host.put_provider()?);
    let by = |name: &str| Person {
        key: format!("/root/keys/{name}"),
        ..alice.clone()
    };
    // In the auth phase after the key: nothing more is asked, even where nobody could be.
    host.ssh_in(&by("blue"), &provider, &[])?;
    host.ssh_refused(&by("red"), &provider, &[(CODE, "123456")])?;
    host.ssh_refused(&alice, "", &[(CODE, "123456")])?;
    // By public key alone: in the session phase.
    host.sshd_settings("UsePAM yes\nPasswordAuthentication no\nAuthenticationMethods publickey")?;
    let quiet = format!("{provider} -o BatchMode=yes");
    host.ssh_in(&by("blue"), &quiet, &[])?;
    host.ssh_refused(&by("red"), &quiet, &[])?;
    host.ssh_refused(&alice, "-o BatchMode=yes", &[])?;
    let trail = host.ok("mfactl audit --user alice --json")?;
    ensure(trail.contains("ssh-sk blue"), || {
        format!("the key is not told: {trail}")
    })
}
