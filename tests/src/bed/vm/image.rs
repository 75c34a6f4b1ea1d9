//! The virtual machine that all cases start from: its disk, its kernel, and its memory as it was right after the boot.
//! Made once, kept, and never changed.

use std::{
    env,
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{Read, Write},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    super::{mirror, nspawn},
    Line, await_line, free_port, qemu, scratch,
};
use crate::{Failure, build};

/// What is in it beside what the container with systemd has.
const MORE: &str = "kmod,linux-image-cloud-amd64";
const CUSTOMIZE: &str = include_str!("customize.sh");
const INIT: &str = include_str!("init.sh");
const INITRD: &str = include_str!("initrd.sh");
/// The programs that making and running it takes.
const PROGRAMS: &[&str] = &[
    "qemu-system-x86_64",
    "mmdebstrap",
    "mke2fs",
    "busybox",
    "cpio",
    "ssh",
];

/// A machine to go on from.
#[derive(Debug, Clone)]
pub struct Image {
    directory: PathBuf,
    accelerated: bool,
}

/// What came of asking for the machine.
#[derive(Debug)]
pub enum Made {
    /// It is here.
    Ready(Image),
    /// It cannot be had on this machine: why.
    Impossible(String),
}

impl Image {
    pub(super) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    pub(super) fn drive(&self, how: &str) -> String {
        let disk = self.file("disk");
        format!("file={},if=virtio,format=raw,{how}", disk.display())
    }

    pub(super) const fn acceleration(&self) -> &'static str {
        if self.accelerated {
            "kvm"
        } else {
            "tcg,thread=multi,tb-size=256"
        }
    }

    /// How it runs, and how long its boot took, in words.
    pub fn history(&self) -> String {
        let took = fs::read_to_string(self.file("boot")).unwrap_or_default();
        let how = if self.accelerated { "KVM" } else { "TCG" };
        format!(
            "the virtual machine runs under {how}; its boot took {} s",
            took.trim()
        )
    }
}

/// The machine, made if it is not there yet (some minutes, and it needs a Debian mirror). Where everything for it is
/// there, whatever then goes wrong is a failure.
pub fn image() -> Result<Made, Failure> {
    if let Some(program) = PROGRAMS.iter().find(|program| !build::installed(program)) {
        return Ok(Made::Impossible(format!("{program} is not installed")));
    }
    let version = Command::new("qemu-system-x86_64")
        .arg("--version")
        .output()?;
    let provision = build::repository()?.join("vagrant/provision.sh");
    let forced = env::var("MFA_VM_ACCEL").ok();
    let mut recipe = DefaultHasher::new();
    (
        nspawn::SUITE,
        nspawn::PACKAGES,
        MORE,
        CUSTOMIZE,
        INIT,
        INITRD,
    )
        .hash(&mut recipe);
    (
        version.stdout,
        fs::read(&provision)?,
        &forced,
        Path::new("/dev/kvm").exists(),
    )
        .hash(&mut recipe);
    let cache = build::cache()?;
    let ready = cache.join(format!("vm-{:016x}", recipe.finish()));
    if ready.is_dir() {
        let accelerated = ready.join("kvm").exists();
        return Ok(Made::Ready(Image {
            directory: ready,
            accelerated,
        }));
    }
    fs::create_dir_all(&cache)?;
    let sources = mirror::sources();
    if let Some(reason) = mirror::silent(nspawn::SUITE, sources, &cache)? {
        return Ok(Made::Impossible(reason));
    }
    eprintln!("making the virtual machine {} (once)", ready.display());
    // Made beside its place and renamed: half a machine is never taken for a whole one.
    let new = ready.with_extension("new");
    let _ = fs::remove_dir_all(&new);
    fs::create_dir(&new)?;
    make_disk(&new, &provision, sources)?;
    let accelerated = match forced.as_deref() {
        Some(word) => word == "kvm",
        None => kvm_works(&new)?,
    };
    if accelerated {
        File::create(new.join("kvm"))?;
    }
    let image = Image {
        directory: new.clone(),
        accelerated,
    };
    boot(&image)?;
    fs::rename(&new, &ready)?;
    Ok(Made::Ready(Image {
        directory: ready,
        accelerated,
    }))
}

/// Its key, root file system, kernel and initial RAM disk.
fn make_disk(new: &Path, provision: &Path, sources: Option<&str>) -> Result<(), Failure> {
    let (root, key, init) = (new.join("root"), new.join("key"), new.join("init"));
    must(
        Command::new("ssh-keygen")
            .args(["-q", "-t", "ed25519", "-N", "", "-f"])
            .arg(&key),
    )?;
    must(
        Command::new("mmdebstrap")
            .args(["--quiet", "--mode=root", "--variant=minbase"])
            .arg(format!("--include={},{MORE}", nspawn::PACKAGES))
            .arg(format!("--customize-hook={CUSTOMIZE}"))
            .arg(nspawn::SUITE)
            .arg(&root)
            .args(sources)
            .env("KEY", key.with_extension("pub"))
            .env("PROVISION", provision)
            .env("DEBIAN_FRONTEND", "noninteractive"),
    )?;
    fs::write(&init, INIT)?;
    must(
        Command::new("sh")
            .args(["-c", INITRD, "sh"])
            .arg(&root)
            .arg(&init)
            .arg(new.join("initrd.gz"))
            .arg(new.join("vmlinuz")),
    )?;
    must(
        Command::new("mke2fs")
            .args(["-q", "-t", "ext4", "-d"])
            .arg(&root)
            .arg(new.join("disk"))
            .arg("2G"),
    )?;
    fs::remove_dir_all(&root)?;
    Ok(())
}

/// Whether a kernel says a word under KVM. That the device is there does not mean that it works.
fn kvm_works(new: &Path) -> Result<bool, Failure> {
    if !Path::new("/dev/kvm").exists() {
        return Ok(false);
    }
    let said = Command::new("timeout")
        .args(["--kill-after=1", "20", "qemu-system-x86_64"])
        .args([
            "-accel", "kvm", "-machine", "q35", "-cpu", "max", "-m", "256",
        ])
        .args([
            "-display",
            "none",
            "-no-reboot",
            "-serial",
            "stdio",
            "-monitor",
            "none",
        ])
        .args(["-append", "console=ttyS0 panic=-1", "-kernel"])
        .arg(new.join("vmlinuz"))
        .stdin(Stdio::null())
        .output()?;
    Ok(String::from_utf8_lossy(&said.stdout).contains("Kernel panic"))
}

/// Boots it, and writes its memory to a file once everything is up.
fn boot(image: &Image) -> Result<(), Failure> {
    let scratch = scratch()?;
    let line = Line::new(image, &scratch, free_port()?);
    let begun = Instant::now();
    let mut qemu = qemu(image, &scratch, line.port())
        .arg("-drive")
        .arg(image.drive("snapshot=off"))
        .args(["-monitor", "stdio"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(scratch.join("qemu"))?)
        .spawn()?;
    let outcome = await_line(&mut qemu, &line, &scratch)
        .and_then(|()| {
            line.run(
                "case $(systemctl is-system-running --wait) in running) ;; *) systemctl --failed; exit 1 ;; esac; sync",
                None,
            )
        })
        .and_then(|()| {
            let took = begun.elapsed().as_secs_f32();
            fs::write(image.file("boot"), format!("{took:.1}\n"))?;
            freeze(&mut qemu, &image.file("state"))
        });
    let _ = qemu.kill();
    let _ = qemu.wait();
    let _ = fs::remove_dir_all(&scratch);
    outcome
}

/// Has QEMU write the machine's memory to `state` and end.
fn freeze(qemu: &mut Child, state: &Path) -> Result<(), Failure> {
    let mut monitor = qemu
        .stdin
        .take()
        .ok_or_else(|| Failure::new("QEMU has no monitor"))?;
    // The machine stops where its state ends: its disk stays as the state knows it.
    writeln!(monitor, "migrate_set_parameter max-bandwidth 10G")?;
    writeln!(monitor, "migrate \"exec:cat >{}\"", state.display())?;
    writeln!(monitor, "info migrate")?;
    writeln!(monitor, "quit")?;
    let deadline = Instant::now() + Duration::from_mins(2);
    while qemu.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Err(Failure::new("QEMU does not end"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let mut said = String::new();
    if let Some(output) = &mut qemu.stdout {
        output.take(64 * 1024).read_to_string(&mut said)?;
    }
    if said.contains("Migration status: completed") {
        return Ok(());
    }
    Err(Failure::new(format!(
        "the machine's state was not written:\n{said}"
    )))
}

fn must(command: &mut Command) -> Result<(), Failure> {
    let output = command.stdin(Stdio::null()).output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{} failed:\n{}{}",
        command.get_program().display(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
