//! SSH keys as factors, with the real ssh, ssh-agent, agent forwarding and sudo: the key that opened the login, and step-up
//! through the agent. The keys are those of the tests' own authenticator.

use super::{Case, WITHOUT_SYSTEMD, drive::SERVICE};
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::{PROMPT, command_line},
    totp::Totp,
};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "sudo over ssh is opened by a touch of the key behind the forwarded agent",
        touch,
    ),
    Case::new(
        "sudo without a kept SSH_AUTH_SOCK asks for a code alone",
        not_kept,
    ),
    Case::new(
        "a key that is not touched, or unplugged, leads on to the code",
        untouched,
    ),
    Case::new(
        "a stale socket, as in tmux, is said to be one and leads on to the code",
        stale,
    ),
    Case::new(
        "an agent that somebody else serves is not spoken with",
        foreign,
    ),
    Case::new(
        "an agent without an enrolled key leads on to the code",
        empty,
    ),
    Case::new("a counter that went back is refused, and an alarm", cloned),
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
    Case::new(
        "what the agent's way adds to the time of a touch is a few milliseconds",
        overhead,
    ),
];

const CODE: &str = "Verification code: ";
const CUE: &str = "Press Enter and touch your ssh key \"blue\", or Verification code: ";
/// For those who come without a password: what is tried here is sudo.
const POLICY: &str = "[[rule]]\nname = \"door\"\nwhen = { service = \"sshd\" }\nrequire = \"none\"\n\n\
                      [[rule]]\nname = \"inside\"\nwhen = {}\nrequire = \"any\"\n";

/// Alice, who is a sudoer with a code and, with `kept`, whose agent sudo does not forget.
fn sudoer(host: &Host, kept: bool) -> Result<(Person, Totp), Failure> {
    host.use_stack("sudo")?;
    let (alice, totp) = host.enrolled("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    host.sshd_settings("UsePAM yes\nAllowAgentForwarding yes\nExposeAuthInfo yes")?;
    host.policy(POLICY)?;
    if kept {
        host.write(
            "/etc/sudoers.d/agent",
            "0440",
            "Defaults env_keep += \"SSH_AUTH_SOCK\"\n",
        )?;
    }
    Ok((alice, totp))
}

/// A key of the authenticator's at the desk, which root plays; its public half is `/root/keys/NAME.pub`.
fn make_key(host: &Host, name: &str) -> Outcome {
    let provider = host.put_provider()?;
    host.ok(&format!(
        "ssh-keygen -q -t ed25519-sk -w {provider} -N '' -f /root/keys/{name}"
    ))
    .map(drop)
}

/// The desk's ssh-agent, with these keys in it.
fn start_agent(host: &Host, keys: &[&str]) -> Outcome {
    let provider = host.put_provider()?;
    host.ok("rm -f /root/agent && HOME=/root ssh-agent -a /root/agent >/dev/null")?;
    for key in keys {
        let add = format!("SSH_AUTH_SOCK=/root/agent ssh-add -q -S {provider} /root/keys/{key}");
        host.ok(&add)?;
    }
    Ok(())
}

/// What the person before the authenticator does from now on.
fn script(host: &Host, text: &str) -> Outcome {
    host.write("/root/.mfa-sk", "0600", text)
}

/// Alice's key `blue`, as an administrator enrolls it, and an agent that holds it.
fn with_blue(host: &Host) -> Outcome {
    make_key(host, "blue")?;
    host.ok("mfactl user enroll alice ssh-sk --name blue --file /root/keys/blue.pub --json")?;
    start_agent(host, &["blue"])
}

/// An ssh session with the agent forwarded, in which alice runs this.
fn forwarded(host: &Host, alice: &Person, command: &str) -> Result<Pty, Failure> {
    with_agent(host, alice, "", command)
}

/// The same with more options. ssh forwards an agent only if it has one itself, wherever it is told to find it.
fn with_agent(host: &Host, who: &Person, extra: &str, command: &str) -> Result<Pty, Failure> {
    let line = command_line(who, &format!("-tt -A {extra}"), command);
    host.terminal(&["bash", "-c", &format!("SSH_AUTH_SOCK=/root/agent {line}")])
}

/// sudo's password, and the prompt of the module after it.
fn up_to_the_prompt(screen: &mut Pty, alice: &Person, prompt: &str) -> Result<String, Failure> {
    screen.expect("password for alice: ", PROMPT)?;
    screen.line(&alice.password)?;
    screen.expect(prompt, PROMPT)
}

fn became_root(screen: Pty) -> Outcome {
    let (status, shown) = screen.end(PROMPT)?;
    ensure(status.success() && shown.contains("uid-0"), || {
        format!("{status}: {shown}")
    })
}

const WHO: &str = "sudo sh -c 'echo uid-$(id -u)'";

fn touch(host: &Host) -> Outcome {
    let (alice, _) = sudoer(host, true)?;
    with_blue(host)?;
    let mut screen = forwarded(host, &alice, WHO)?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line("")?;
    became_root(screen)?;
    let user = host.user("alice")?;
    let blue = &user["credentials"][1];
    ensure(blue["name"] == "blue" && blue["last_used"].is_i64(), || {
        format!("not noted: {user}")
    })
}

fn not_kept(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host, false)?;
    with_blue(host)?;
    let mut screen = forwarded(host, &alice, WHO)?;
    let shown = up_to_the_prompt(&mut screen, &alice, CODE)?;
    ensure(!shown.contains("Press Enter"), || {
        format!("a key is offered: {shown}")
    })?;
    screen.line(&totp.code(0)?)?;
    became_root(screen)
}

fn untouched(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host, true)?;
    with_blue(host)?;
    let mut screen = forwarded(host, &alice, WHO)?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    for failing in ["touch=no\n", "unplug=yes\n"] {
        script(host, failing)?;
        screen.line("")?;
        screen.expect(
            &format!("did not sign with \"blue\": is it plugged in? {CUE}"),
            PROMPT,
        )?;
    }
    // Somebody touches it late.
    script(host, "delay=2\n")?;
    screen.line("")?;
    became_root(screen)?;
    let mut screen = forwarded(host, &alice, &format!("sudo -k; {WHO}"))?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line(&totp.code(0)?)?;
    became_root(screen)
}

fn stale(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host, true)?;
    with_blue(host)?;
    // What a window of tmux has in its environment after its ssh connection ended: a socket whose directory is gone, or
    // one on which nobody listens any more.
    host.ok(
        "runuser -u alice -- python3 -c \"import socket; s = socket.socket(socket.AF_UNIX); s.bind('/tmp/nobody')\"",
    )?;
    for socket in ["/tmp/ssh-gone/agent.1", "/tmp/nobody"] {
        let command = format!("SSH_AUTH_SOCK={socket} sh -c \"sudo -k; {WHO}\"");
        let command = command.replace("$(id -u)", "\\$(id -u)");
        let mut screen = host.terminal_as("alice", &command)?;
        up_to_the_prompt(&mut screen, &alice, CUE)?;
        screen.line("")?;
        screen.expect("is gone. In tmux or screen", PROMPT)?;
        screen.expect(CUE, PROMPT)?;
        drop(screen);
    }
    let mut screen = host.terminal_as("alice", &format!("SSH_AUTH_SOCK=/tmp/nobody {WHO}"))?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line(&totp.code(0)?)?;
    became_root(screen)
}

fn foreign(host: &Host) -> Outcome {
    let (alice, _) = sudoer(host, true)?;
    with_blue(host)?;
    host.person("mallory")?;
    // Root's agent is closed to alice, though the module runs as root; mallory opens hers to everybody.
    let hers = "ssh-agent -a /tmp/hers >/dev/null && chmod 0666 /tmp/hers";
    host.ok(&format!("runuser -u mallory -- sh -c '{hers}'"))?;
    for (socket, sentence) in [
        ("/root/agent", "that you may not use"),
        ("/tmp/hers", "of somebody else"),
        ("/run/mfad/pam.sock", "that you may not use"),
    ] {
        let mut screen = host.terminal_as("alice", &format!("SSH_AUTH_SOCK={socket} {WHO}"))?;
        up_to_the_prompt(&mut screen, &alice, CUE)?;
        screen.line("")?;
        let shown = screen.expect(CUE, PROMPT)?;
        ensure(shown.contains(sentence), || format!("{socket}: {shown}"))?;
    }
    Ok(())
}

fn empty(host: &Host) -> Outcome {
    let (alice, totp) = sudoer(host, true)?;
    with_blue(host)?;
    make_key(host, "red")?;
    host.ok("pkill -x ssh-agent")?;
    start_agent(host, &["red"])?;
    let mut screen = forwarded(host, &alice, WHO)?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line("")?;
    screen.expect("holds no key that you have enrolled", PROMPT)?;
    screen.expect(CUE, PROMPT)?;
    screen.line(&totp.code(0)?)?;
    became_root(screen)
}

fn cloned(host: &Host) -> Outcome {
    let (alice, _) = sudoer(host, true)?;
    with_blue(host)?;
    let command = format!("sudo -k; {WHO}");
    script(host, "counter=40\n")?;
    let mut screen = forwarded(host, &alice, &command)?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line("")?;
    became_root(screen)?;
    let mut screen = forwarded(host, &alice, &command)?;
    up_to_the_prompt(&mut screen, &alice, CUE)?;
    screen.line("")?;
    screen.expect("try again", PROMPT)?;
    drop(screen);
    let trail = host.ok("mfactl audit --user alice --json")?;
    ensure(
        trail.contains("\"alarm\"") && trail.contains("\"cloned\""),
        || format!("no alarm: {trail}"),
    )
}

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

/// How many step-ups are timed.
const TIMED: usize = 50;
/// Longest that they may take, in the median, over what the agent alone takes, in microseconds.
const MOST_ADDED: u64 = 5_000;
/// Asks an agent for its keys and for one signature, as the daemon does, so many times; prints the microseconds of each.
const ALONE: &str = r#"
import base64, os, socket, struct, sys, time
blob = base64.b64decode(open(sys.argv[1]).read().split()[1])
message = b"SSHSIG" + b"".join(struct.pack(">I", len(p)) + p for p in (b"mfa@pam_mfa", b"", b"sha512", bytes(64)))
string = lambda part: struct.pack(">I", len(part)) + part
def ask(agent, request):
    agent.sendall(string(request))
    length = struct.unpack(">I", agent.recv(4, socket.MSG_WAITALL))[0]
    return agent.recv(length, socket.MSG_WAITALL)
for _ in range(int(sys.argv[2])):
    begun = time.monotonic()
    with socket.socket(socket.AF_UNIX) as agent:
        agent.connect(os.environ["SSH_AUTH_SOCK"])
        assert ask(agent, b"\x0b")[0] == 12
        assert ask(agent, b"\x0d" + string(blob) + string(message) + bytes(4))[0] == 14
    print(round(1e6 * (time.monotonic() - begun)))
"#;

fn overhead(host: &Host) -> Outcome {
    host.use_drive()?;
    host.put_pamdrive()?;
    host.person("alice")?;
    let provider = host.put_provider()?;
    // At this machine's own desk: the agent is alice's, and the tests' host runs as sudo does, for her and as root.
    host.ok(&format!(
        "cd /home/alice && runuser -u alice -- env HOME=/home/alice sh -ec 'ssh-keygen -q -t ed25519-sk -w {provider} -N \"\" -f blue; \
         ssh-agent -a /home/alice/agent >/dev/null; SSH_AUTH_SOCK=/home/alice/agent ssh-add -q -S {provider} blue' && \
         mfactl user enroll alice ssh-sk --name blue --file blue.pub"
    ))?;
    host.write("/tmp/alone.py", "0644", ALONE)?;
    let alone = format!(
        "runuser -u alice -- env SSH_AUTH_SOCK=/home/alice/agent python3 /tmp/alone.py /home/alice/blue.pub {TIMED}"
    );
    let drive = format!(
        "SSH_AUTH_SOCK=/home/alice/agent setpriv --ruid alice --rgid alice --keep-groups \
         pamdrive --service {SERVICE} --user alice --phases auth,account --answer '' --repeat {TIMED}"
    );
    // Before and after, so that a busy minute counts for both.
    let mut by_agent = numbers(&host.ok(&alone)?);
    let report = host.ok(&drive)?;
    by_agent.extend(numbers(&host.ok(&alone)?));
    let (mut by_us, mut granted) = (Vec::new(), 0);
    for line in report.lines() {
        let line: serde_json::Value = serde_json::from_str(line)?;
        if line.get("memory-after").is_some() {
            ensure(line["before"] == line["after"], || {
                format!("the host is left otherwise: {line}")
            })?;
            continue;
        }
        granted += usize::from(line["auth"] == 0 && line["account"] == 0);
        by_us.extend(line["micros"].as_u64());
    }
    ensure(granted == TIMED, || format!("{granted} granted: {report}"))?;
    let (ours, theirs) = (median(by_us), median(by_agent));
    host.note(&format!("step-up {ours} us, the agent alone {theirs} us"));
    println!(
        "    a step-up takes {ours} µs in the median of {TIMED}, of which the agent {theirs} µs"
    );
    ensure(ours <= theirs + MOST_ADDED, || {
        format!("{ours} us, and the agent alone {theirs} us")
    })
}

fn numbers(text: &str) -> Vec<u64> {
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

fn median(mut of: Vec<u64>) -> u64 {
    of.sort_unstable();
    of.get(of.len() / 2).copied().unwrap_or(u64::MAX)
}
