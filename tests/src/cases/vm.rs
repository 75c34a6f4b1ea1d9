//! Cases of the virtual machine and its virtual security keys, against tools and a module that are known to work: when
//! one fails, distrust the others that use a key.

use std::time::Duration;

use super::{Case, IN_A_MACHINE};
use crate::{Failure, Outcome, failure::ensure, host::Host};

/// The table.
pub const CASES: &[Case] = &[
    Case::new(
        "the virtual machine has Debian's kernel and a systemd without failed units, and holds a unit to its limit",
        machine,
    )
    .of_the_bed()
    .on(IN_A_MACHINE),
    Case::new(
        "libfido2 sees the virtual key, makes credentials of both algorithms and gets assertions that it verifies",
        libfido2,
    )
    .of_the_bed()
    .on(IN_A_MACHINE),
    Case::new(
        "libfido2 hears of a touch denied, a key unplugged, another key, and a key that misbehaves",
        refusals,
    )
    .of_the_bed()
    .on(IN_A_MACHINE),
    Case::new(
        "libfido2 sets the virtual key's PIN, and gets a verified assertion by it and none by a wrong one",
        pin,
    )
    .of_the_bed()
    .on(IN_A_MACHINE),
    Case::new(
        "pam_u2f lets sudo in by a touch of the virtual key, and not by a denied one or without the key",
        pam_u2f,
    )
    .of_the_bed()
    .on(IN_A_MACHINE),
    Case::new(
        "the provisioning script makes a demo user of whom sudo asks a code",
        demo,
    )
    .on(IN_A_MACHINE),
];

const WAIT: Duration = Duration::from_secs(15);

/// Shell functions: `make DEVICE TYPE` makes a credential, verified into the files `id` and `public`; `assert DEVICE TYPE
/// OPTIONS` gets and verifies an assertion.
const TOOLS: &str = r#"
set -e
hash=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=
first() { fido2-token -L | sed -n 's/: .*//p;q'; }
make() {
    printf '%s\n' $hash host.example alice YWxpY2U= >request
    fido2-cred -M -i request -o made "$1" "$2"
    fido2-cred -V -i made -o verified "$2"
    sed -n 1p verified >id
    sed 1d verified >public
}
assert() {
    device=$1 type=$2
    shift 2
    printf '%s\n' $hash host.example "$(cat id)" >request
    fido2-assert -G "$@" -i request -o assertion "$device"
    fido2-assert -V -p -i assertion public "$type"
}
"#;

fn machine(host: &Host) -> Outcome {
    let kernel = host.ok("uname -r")?;
    ensure(kernel.contains("cloud-amd64"), || format!("runs {kernel}"))?;
    host.ok("[ \"$(systemctl is-system-running)\" = running ]")?;
    // Filled from a pipe, so that no file's cache counts.
    let hog = host.sh(
        "systemd-run --wait -p MemoryMax=20M -p MemorySwapMax=0 sh -c 'head -c 200M /dev/zero | tail -c 200M >/dev/null' 2>&1",
    )?;
    ensure(hog.status != 0 && hog.stdout.contains("oom-kill"), || {
        format!("200 MB fitted into 20: {}", hog.stdout)
    })
}

fn libfido2(host: &Host) -> Outcome {
    let list = host.ok("fido2-token -L")?;
    ensure(list.lines().count() == 1, || {
        format!("not one key: {list:?}")
    })?;
    let info = host.ok(&format!("{TOOLS} fido2-token -I $(first)"))?;
    ensure(
        info.contains("clientPin") && info.contains("FIDO_2_1"),
        || info.clone(),
    )?;
    for algorithm in ["es256", "eddsa"] {
        host.ok(&format!(
            "{TOOLS} make $(first) {algorithm}; assert $(first) {algorithm}"
        ))?;
    }
    Ok(())
}

fn refusals(host: &Host) -> Outcome {
    host.ok(&format!("{TOOLS} make $(first) es256"))?;
    let refused = |orders: &str, why: &str| -> Outcome {
        host.ok(&format!("vkey tell blue {orders}"))?;
        let tried = host.sh(&format!("{TOOLS} assert $(first) es256"))?;
        ensure(tried.status != 0 && tried.stderr.contains(why), || {
            format!("{orders}: {tried:?}")
        })
    };
    refused("up=deny", "FIDO_ERR_OPERATION_DENIED")?;
    refused("up=auto fault=error-0", "FIDO_ERR_RX")?;
    refused("fault=short-auth-data", "FIDO_ERR_")?;
    refused("fault=no-touch-flag", "FIDO_ERR_")?;
    refused("fault=wrong-rp", "FIDO_ERR_")?;
    refused("fault=wrong-signature", "FIDO_ERR_INVALID_SIG")?;
    // Another key knows nothing of the credential; together they are two.
    host.ok("vkey tell blue fault=none unplug && systemctl start vkey@red")?;
    let other = host.sh(&format!("{TOOLS} assert $(first) es256"))?;
    ensure(other.stderr.contains("FIDO_ERR_NO_CREDENTIALS"), || {
        format!("the red key: {other:?}")
    })?;
    host.ok("vkey tell blue plug && [ $(fido2-token -L | wc -l) = 2 ]")?;
    // What is waited for takes its time.
    host.ok("vkey tell red unplug && vkey tell blue up=delay:3")?;
    host.ok(&format!(
        "{TOOLS} begun=$(date +%s); assert $(first) es256; [ $(($(date +%s) - begun)) -ge 3 ]"
    ))
    .map(drop)
}

/// Runs `script` with the tools on a terminal, types `answers` at its prompts, and returns whether it succeeded.
fn dialogue(host: &Host, script: &str, answers: &[(&str, &str)]) -> Result<bool, Failure> {
    let mut screen = host.terminal(&["bash", "-c", &format!("{TOOLS} {script}")])?;
    for (prompt, answer) in answers {
        screen.expect(prompt, WAIT)?;
        screen.line(answer)?;
    }
    let (status, shown) = screen.end(WAIT)?;
    host.note(&shown);
    Ok(status.success())
}

fn pin(host: &Host) -> Outcome {
    host.ok(&format!("{TOOLS} make $(first) es256"))?;
    let set = dialogue(
        host,
        "fido2-token -S $(first)",
        &[("new PIN", "271828"), ("again", "271828")],
    )?;
    ensure(set, || "the PIN was not set".to_owned())?;
    let status = host.ok("vkey tell blue status")?;
    ensure(status.contains("pin=true"), || status.clone())?;
    let wrong = dialogue(host, "assert $(first) es256 -v", &[("Enter PIN", "314159")])?;
    ensure(!wrong, || "a wrong PIN did".to_owned())?;
    let status = host.ok("vkey tell blue status")?;
    ensure(status.contains("pin-retries=7"), || status.clone())?;
    let right = dialogue(
        host,
        "assert $(first) es256 -v && base64 -d <<<$(sed -n 3p assertion) | od -An -tx1 -j34 -N1 | grep -q 05",
        &[("Enter PIN", "271828")],
    )?;
    ensure(right, || {
        "the right PIN brought no verified assertion".to_owned()
    })
}

fn pam_u2f(host: &Host) -> Outcome {
    host.person("alice")?;
    host.ok("usermod --append --groups sudo alice")?;
    host.ok("pamu2fcfg --origin=pam://bed --appid=pam://bed --username=alice >/etc/u2f_mappings")?;
    host.write(
        "/etc/pam.d/sudo",
        "0644",
        "auth required pam_u2f.so authfile=/etc/u2f_mappings origin=pam://bed appid=pam://bed cue\n\
         account required pam_permit.so\nsession required pam_permit.so\n",
    )?;
    let sudo = |orders: &str| -> Result<bool, Failure> {
        host.ok(&format!("vkey tell blue {orders}"))?;
        let screen = host.terminal_as("alice", "sudo -k; sudo id -un")?;
        let (status, shown) = screen.end(Duration::from_secs(30))?;
        host.note(&shown);
        Ok(status.success() && shown.contains("root"))
    };
    for (orders, expected) in [
        ("up=auto", true),
        ("up=deny", false),
        ("unplug", false),
        ("plug up=delay:2", true),
    ] {
        let admitted = sudo(orders)?;
        ensure(admitted == expected, || {
            format!("with {orders}: let in is {admitted}")
        })?;
    }
    Ok(())
}

fn demo(host: &Host) -> Outcome {
    host.ok("provision.sh demo")?;
    let code = host.ok("demo-code")?;
    let mut screen = host.terminal_as("demo", "sudo id -un")?;
    screen.expect("assword", WAIT)?;
    screen.line("demo")?;
    screen.expect("code", WAIT)?;
    screen.line(code.trim())?;
    let (status, shown) = screen.end(WAIT)?;
    ensure(status.success() && shown.contains("root"), || {
        format!("{status}: {shown}")
    })
}
