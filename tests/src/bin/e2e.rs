//! The end-to-end runner: picks cases and beds, gets what they need, and reports. See `e2e --help`.

use std::{
    env,
    os::unix::process::CommandExt,
    process::{Command, ExitCode},
    thread,
};

use mfa_tests::{
    Failure,
    bed::{self, Kind, nspawn::Rootfs, vm::Made},
    build::{self, Artifacts},
    cases,
    runner::{self, Job, Stage, Tally},
};

const USAGE: &str = "\
usage: e2e [--list] [--filter TEXT] [--bed ns|nspawn|vm] [--jobs N]

Logs in for real: sshd, sudo, su, login and the rest, each case on a machine that is thrown away after it.
  --list         name the cases, run none
  --filter TEXT  only cases whose name contains TEXT
  --bed BED      only on this bed: ns (namespaces, no systemd), nspawn (a container with systemd) or vm (QEMU: a kernel
                 of its own, virtual security keys)
  --jobs N       so many at once (default: one a processor)

Builds the product first, or takes it from MFA_TREE (what `make install DESTDIR=…` made). Beds need root: called by
somebody else, it builds as them and goes on through sudo. Root file systems are kept in MFA_TEST_CACHE (target/beds);
where one has to be made and no Debian mirror answers, the cases on nspawn and vm are skipped. The virtual machine runs
under KVM where that works, else under TCG, which is slow; MFA_VM_ACCEL=kvm|tcg decides for you.
";

#[derive(Debug, Default)]
struct Options {
    list: bool,
    filter: String,
    bed: Option<Kind>,
    jobs: Option<usize>,
    /// Hidden: what the unprivileged half of this program built.
    built: Option<Artifacts>,
}

fn options(mut arguments: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options::default();
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--list" => options.list = true,
            "--filter" => options.filter = arguments.next()?,
            "--bed" => {
                options.bed = Some(match arguments.next()?.as_str() {
                    "ns" => Kind::Namespaces,
                    "nspawn" => Kind::Nspawn,
                    "vm" => Kind::Vm,
                    _ => return None,
                });
            }
            "--jobs" => options.jobs = Some(arguments.next()?.parse().ok()?),
            "--built" => {
                options.built = Some(Artifacts {
                    tree: arguments.next()?.into(),
                    pamdrive: arguments.next()?.into(),
                    busdrive: arguments.next()?.into(),
                    fidodrive: arguments.next()?.into(),
                    vkey: arguments.next()?.into(),
                    provider: arguments.next()?.into(),
                    faulty: arguments.next()?.into(),
                });
            }
            _ => return None,
        }
    }
    Some(options)
}

fn main() -> ExitCode {
    let Some(options) = options(env::args().skip(1)) else {
        eprint!("{USAGE}");
        return ExitCode::from(2);
    };
    let jobs = selected(&options, env::var_os("MFA_PROVE").is_some());
    if options.list {
        for job in jobs {
            println!("{}", job.name());
        }
        return ExitCode::SUCCESS;
    }
    match perform(options, &jobs) {
        Ok(tally) => {
            println!(
                "{} passed, {} failed, {} skipped",
                tally.passed, tally.failed, tally.skipped
            );
            ExitCode::from(u8::from(
                // A suite that passed nothing has shown nothing.
                tally.failed > 0 || tally.passed == 0,
            ))
        }
        Err(failure) => {
            println!("FAIL the suite could not be set up: {failure}");
            println!("0 passed, 1 failed, 0 skipped");
            ExitCode::FAILURE
        }
    }
}

fn selected(options: &Options, full: bool) -> Vec<Job> {
    [Kind::Namespaces, Kind::Nspawn, Kind::Vm]
        .into_iter()
        .filter(|kind| options.bed.is_none_or(|wanted| wanted == *kind))
        .flat_map(|kind| {
            cases::all()
                .filter(move |case| case.beds.contains(&kind) && (full || !case.only_in_full))
                .map(move |case| Job { case, kind })
        })
        .filter(|job| job.name().contains(&options.filter))
        .collect()
}

fn perform(options: Options, jobs: &[Job]) -> Result<Tally, Failure> {
    let artifacts = match options.built {
        Some(built) => built,
        None => build::artifacts()?,
    };
    if !nix::unistd::geteuid().is_root() {
        return become_root(&artifacts, jobs);
    }
    let mut jobs = jobs.to_vec();
    let (mut rootfs, mut skipped) = (None, 0);
    let lacking: Vec<Job> = jobs.extract_if(.., |job| lacks(job).is_some()).collect();
    for job in &lacking {
        let program = lacks(job).unwrap_or_default();
        skipped += skip(&[*job], &format!("{program} is not installed"));
    }
    if jobs.iter().any(on_nspawn) {
        match bed::nspawn::rootfs()? {
            Rootfs::Ready(made) => rootfs = Some(made),
            Rootfs::NoMirror(reason) => {
                let unmade: Vec<Job> = jobs.extract_if(.., |job| on_nspawn(job)).collect();
                skipped += skip(&unmade, &reason);
            }
        }
    }
    let mut vm = None;
    if jobs.iter().any(on_vm) {
        match bed::vm::image()? {
            Made::Ready(image) => {
                println!("{}", image.history());
                vm = Some(image);
            }
            Made::Impossible(reason) => {
                let unmade: Vec<Job> = jobs.extract_if(.., |job| on_vm(job)).collect();
                skipped += skip(&unmade, &reason);
            }
        }
    }
    let at_once = options
        .jobs
        .or_else(|| thread::available_parallelism().map(Into::into).ok())
        .unwrap_or(1);
    let stage = Stage {
        artifacts,
        rootfs,
        vm,
    };
    let mut tally = runner::run(&stage, &jobs, at_once);
    tally.skipped += skipped;
    Ok(tally)
}

/// The program that a case needs and this machine has not got.
fn lacks(job: &Job) -> Option<&'static str> {
    job.case
        .program
        .filter(|program| !build::installed(program))
}

fn on_nspawn(job: &Job) -> bool {
    job.kind == Kind::Nspawn
}

fn on_vm(job: &Job) -> bool {
    job.kind == Kind::Vm
}

/// Says of each of `jobs` that it is not run, and why; returns how many.
fn skip(jobs: &[Job], reason: &str) -> usize {
    for job in jobs {
        println!("SKIP {}: {reason}", job.name());
    }
    jobs.len()
}

/// Goes on as root with what was built. Returns only if that is not possible.
fn become_root(artifacts: &Artifacts, jobs: &[Job]) -> Result<Tally, Failure> {
    let error = Command::new("sudo")
        .arg("--")
        .arg(env::current_exe()?)
        .args(env::args().skip(1))
        .arg("--built")
        .args([
            &artifacts.tree,
            &artifacts.pamdrive,
            &artifacts.busdrive,
            &artifacts.fidodrive,
            &artifacts.vkey,
            &artifacts.provider,
            &artifacts.faulty,
        ])
        .exec();
    let reason = format!("the beds need root, and sudo does not run ({error})");
    Ok(Tally {
        skipped: skip(jobs, &reason),
        ..Tally::default()
    })
}
