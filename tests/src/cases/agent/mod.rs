//! SSH keys as factors, with the real ssh, ssh-agent, agent forwarding and sudo. Here: what a desk and a sudoer are, and step-up
//! through the agent. The keys are those of the tests' own authenticator.

use super::Case;
use crate::{
    Failure, Outcome,
    failure::ensure,
    host::{Host, Person},
    pty::Pty,
    ssh::{PROMPT, command_line},
    totp::Totp,
};

mod keys;
mod overhead;
mod preferred;

/// The tables.
pub const CASES: [&[Case]; 4] = [OF_AN_AGENT, keys::CASES, overhead::CASES, preferred::CASES];

const OF_AN_AGENT: &[Case] = &[
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
        "runuser -u alice -- sh -c 'eval $(ssh-agent -a /tmp/nobody) && kill -9 $SSH_AGENT_PID'",
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
