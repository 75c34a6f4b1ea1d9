//! The bed with a kernel of its own: Debian's, in QEMU. Booted once and stopped in mid-run; every case then goes on from
//! there with a machine of its own, which takes seconds where a boot takes half a minute.

mod image;
mod line;

use std::{
    fs::{self, File},
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

pub use image::{Image, Made, image};
pub use line::Line;

use super::{Bed, Init, Kind, Way};
use crate::Failure;

/// How long a machine may take until it can be entered.
const START: Duration = Duration::from_mins(5);

/// How much slower than elsewhere things may be: without KVM, an emulated processor does the work.
pub const SLOWNESS: u32 = 5;

/// A directory for one machine's socket and log.
fn scratch() -> Result<PathBuf, Failure> {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let directory = std::env::temp_dir().join(format!("mfa-vm-{}-{number}", std::process::id()));
    fs::create_dir(&directory)?;
    Ok(directory)
}

/// A port of the loopback that is free now.
fn free_port() -> Result<u16, Failure> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// QEMU with the machine of `image`, its console in `scratch`, its sshd at `port`. Dies with the thread that starts it.
fn qemu(image: &Image, scratch: &Path, port: u16) -> Command {
    let mut qemu = Command::new("setpriv");
    qemu.args(["--pdeathsig", "KILL", "qemu-system-x86_64"])
        .args(["-machine", "q35", "-cpu", "max", "-smp", "2", "-m", "768"])
        .args(["-accel", image.acceleration()])
        .args(["-display", "none", "-no-reboot"])
        .arg("-serial")
        .arg(format!("file:{}", scratch.join("console").display()))
        .arg("-kernel")
        .arg(image.file("vmlinuz"))
        .arg("-initrd")
        .arg(image.file("initrd.gz"))
        .args([
            "-append",
            "console=ttyS0 root=/dev/vda rw quiet mitigations=off net.ifnames=0 random.trust_cpu=on audit=0",
        ])
        // Shut off from every network but for the way in.
        .arg("-nic")
        .arg(format!(
            "user,model=virtio-net-pci,restrict=on,hostfwd=tcp:127.0.0.1:{port}-10.0.2.15:22"
        ));
    qemu
}

/// Starts one with virtual keys, by the program `vkey`, and with the product from `tree` installed, or without it.
pub fn start(image: &Image, vkey: &Path, tree: Option<&Path>) -> Result<Bed, Failure> {
    let scratch = scratch()?;
    let line = Line::new(image, &scratch, free_port()?);
    let errors = File::create(scratch.join("qemu"))?;
    let keeper = qemu(image, &scratch, line.port())
        .arg("-drive")
        .arg(image.drive("snapshot=on"))
        .arg("-incoming")
        .arg(format!("exec:cat {}", image.file("state").display()))
        .args(["-monitor", "none"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(errors)
        .spawn()?;
    let mut bed = Bed {
        kind: Kind::Vm,
        init: Init::of(keeper.id()).ok_or_else(|| Failure::new("the bed did not start"))?,
        keeper,
        left: vec![scratch.clone()],
        way: Way::Line(line.clone()),
    };
    await_line(&mut bed.keeper, &line, &scratch)?;
    // It comes from the past.
    let now = crate::totp::now()?;
    line.run(&format!("date --set=@{now} >/dev/null"), None)?;
    provision(&line, vkey, tree)?;
    Ok(bed)
}

/// Waits until the machine can be entered; fails with what it and QEMU said.
fn await_line(qemu: &mut Child, line: &Line, scratch: &Path) -> Result<(), Failure> {
    let deadline = Instant::now() + START;
    while !line.open() {
        let ended = qemu.try_wait()?.is_some();
        if ended || Instant::now() >= deadline {
            let mut said = String::new();
            for file in ["qemu", "console"] {
                let text = fs::read(scratch.join(file)).unwrap_or_default();
                let text = String::from_utf8_lossy(&text);
                let from = text.len().saturating_sub(4000);
                said.push_str(text.get(from..).unwrap_or(&text));
            }
            return Err(Failure::new(format!("the bed did not start:\n{said}")));
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    Ok(())
}

/// As the provisioning script does it.
fn provision(line: &Line, vkey: &Path, tree: Option<&Path>) -> Result<(), Failure> {
    line.run(
        "cat >/run/vkey.new && provision.sh keys /run/vkey.new",
        Some(File::open(vkey)?.into()),
    )?;
    let Some(tree) = tree else { return Ok(()) };
    let mut tar = Command::new("tar")
        .arg("--directory")
        .arg(tree)
        .args(["--create", "."])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let outcome = line.run(
        "mkdir /run/tree && tar --directory=/run/tree --extract --no-same-owner && provision.sh product /run/tree",
        tar.stdout.take().map(Stdio::from),
    );
    let _ = tar.wait();
    outcome
}
