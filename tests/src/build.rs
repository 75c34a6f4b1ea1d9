//! What has to be built before a case can run: the product as `make install` lays it out, and the tests' own PAM host
//! and D-Bus client. Runs as whoever calls the tests; nothing here needs root.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::Failure;

/// What the cases put into a bed.
#[derive(Debug, Clone)]
pub struct Artifacts {
    /// What `make install DESTDIR=…` made.
    pub tree: PathBuf,
    /// The tests' PAM host.
    pub pamdrive: PathBuf,
    /// The tests' D-Bus client.
    pub busdrive: PathBuf,
    /// What looks at the helper of security keys.
    pub fidodrive: PathBuf,
    /// The tests' FIDO authenticator for OpenSSH (`SecurityKeyProvider`).
    pub provider: PathBuf,
    /// The virtual security key.
    pub vkey: PathBuf,
    /// The module with its failpoints, which panics where an argument says.
    pub faulty: PathBuf,
}

/// The top of the source tree.
pub fn repository() -> Result<PathBuf, Failure> {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .map(Path::to_owned)
        .ok_or_else(|| Failure::new("this crate lies in no repository"))
}

/// Where beds keep what can be made again: `MFA_TEST_CACHE`, else below `target`.
pub fn cache() -> Result<PathBuf, Failure> {
    match env::var_os("MFA_TEST_CACHE") {
        Some(directory) => Ok(directory.into()),
        None => Ok(repository()?.join("target/beds")),
    }
}

/// Whether this machine has a program, by its name.
pub fn installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|directory| directory.join(program).is_file())
}

/// Builds all. With `MFA_TREE` in the environment the product is taken from there instead.
pub fn artifacts() -> Result<Artifacts, Failure> {
    let top = repository()?;
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut host = Command::new(&cargo);
    host.current_dir(&top).args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "mfa-tests",
        "--bin",
        "pamdrive",
        "--bin",
        "busdrive",
        "--bin",
        "fidodrive",
        "--package",
        "vkey",
        "--bin",
        "vkey",
        "--package",
        "mfa-sk-provider",
        "--lib",
    ]);
    // Into the directory where this program lies.
    if !cfg!(debug_assertions) {
        host.arg("--release");
    }
    run(&mut host)?;
    // Built as the module's own suite builds it, and like the shipped one never together with the daemon.
    run(Command::new(&cargo).current_dir(&top).args([
        "build",
        "--quiet",
        "--locked",
        "--package",
        "pam_mfa",
        "--features",
        "failpoints",
        "--target-dir",
        "target/failpoints",
    ]))?;
    let here = env::current_exe()?;
    let (pamdrive, busdrive, fidodrive, vkey, provider) = (
        here.with_file_name("pamdrive"),
        here.with_file_name("busdrive"),
        here.with_file_name("fidodrive"),
        here.with_file_name("vkey"),
        here.with_file_name("libmfa_sk_provider.so"),
    );
    let tree = if let Some(tree) = env::var_os("MFA_TREE") {
        tree.into()
    } else {
        let tree = cache()?.join("tree");
        if tree.exists() {
            fs::remove_dir_all(&tree)?;
        }
        eprintln!("building the product in release: a few minutes, the first time");
        run(Command::new("make")
            .current_dir(&top)
            .args(["--silent", "build"]))?;
        run(Command::new("make")
            .current_dir(&top)
            .args(["--silent", "install", "PREFIX=/usr"])
            .arg(format!("DESTDIR={}", tree.display())))?;
        tree
    };
    Ok(Artifacts {
        tree,
        pamdrive,
        busdrive,
        fidodrive,
        vkey,
        provider,
        faulty: top.join("target/failpoints/debug/libpam_mfa.so"),
    })
}

fn run(command: &mut Command) -> Result<(), Failure> {
    let output = command.output()?;
    if output.status.success() {
        return Ok(());
    }
    Err(Failure::new(format!(
        "{command:?} failed:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )))
}
