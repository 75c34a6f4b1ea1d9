//! What the way through the module and the daemon adds to the time that an agent takes by itself.

use crate::{
    Outcome,
    cases::{Case, WITHOUT_SYSTEMD, drive::SERVICE},
    failure::ensure,
    host::Host,
};

/// The table.
pub(super) const CASES: &[Case] = &[Case::new(
    "what the agent's way adds to the time of a touch is a few milliseconds",
    overhead,
)
.on(WITHOUT_SYSTEMD)
.with_program("python3")];

/// How many step-ups are timed: a person's keys are asked 30 times a minute at most.
const TIMED: usize = 25;
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
