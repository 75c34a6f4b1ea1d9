//! The program: arguments and exit code. What it does is in the library.

use std::{
    fs::{File, OpenOptions},
    io::{ErrorKind, Read as _, Write as _},
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, fchown},
    path::{Path, PathBuf},
    process::ExitCode,
};

use mfad::{
    config::Paths,
    daemon::{self, Options},
    store::seal::Keyring,
};
use mfad_protocol::names;
use zeroize::Zeroizing;

const USAGE: &str = "\
mfad: the daemon behind pam_mfa. systemd or the system bus starts it; nobody else needs to.

Usage: mfad [--root DIR] [--bus SOCKET]
       mfad --make-key FILE
       mfad --add-key FILE

  --root DIR       look for etc/mfa, var/lib/mfa, run/mfad and usr/lib/mfa below DIR (for tests)
  --bus SOCKET     the system bus's socket [/run/dbus/system_bus_socket]
  --make-key FILE  write a new sealing key to FILE (mode 0600), which must not exist yet
  --add-key FILE   append a new sealing key to FILE: after a restart it seals, and all that is sealed is sealed anew
  --version        print the version
  --help           print this
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match act(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, message)) => {
            eprintln!("mfad: {message}");
            ExitCode::from(code)
        }
    }
}

/// Exit codes as in `mfactl`: 1 refused, 2 usage.
type Outcome = Result<(), (u8, String)>;

fn act(arguments: &[String]) -> Outcome {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["--help" | "-h"] => {
            print!("{USAGE}");
            Ok(())
        }
        ["--version" | "-V"] => {
            println!("mfad {}", env!("CARGO_PKG_VERSION"));
            Ok(())
        }
        ["--make-key", file] => make_key(Path::new(file)).map_err(|message| (1, message)),
        ["--add-key", file] => add_key(Path::new(file)).map_err(|message| (1, message)),
        words => daemon::run(options(words)?).map_err(|error| (1, error.to_string())),
    }
}

fn options(words: &[&str]) -> Result<Options, (u8, String)> {
    let mut options = Options {
        paths: Paths::system(std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from)),
        bus: PathBuf::from(names::SYSTEM_BUS_SOCKET),
    };
    let mut rest = words;
    while let [word, value, after @ ..] = rest {
        match *word {
            "--root" => options.paths = Paths::under(Path::new(value)),
            "--bus" => options.bus = PathBuf::from(value),
            _ => break,
        }
        rest = after;
    }
    match rest {
        [] => Ok(options),
        [word, ..] => Err((
            2,
            format!("{word}: unknown, or its value is missing\n\n{USAGE}"),
        )),
    }
}

/// Writes a new key. An existing file is never touched: without it, all that it sealed is lost.
fn make_key(file: &Path) -> Result<(), String> {
    let text = Keyring::generate_file().map_err(|error| error.to_string())?;
    let shown = file.display();
    let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(file).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            format!("{shown} exists already and was left alone: it opens everything that is enrolled")
        } else {
            format!("{shown} could not be written: {error}")
        }
    })?;
    let kept = written
        .write_all(text.as_bytes())
        .and_then(|()| written.sync_all());
    kept.map_err(|error| format!("{shown} could not be written: {error}"))
}

/// Appends a key. The file is replaced in one step: half a key file would lock everybody out. What takes its place is made
/// before the file is read, and keeps a second one who does this at the same time from losing the first one's key.
fn add_key(file: &Path) -> Result<(), String> {
    let beside = PathBuf::from(format!("{}.new", file.display()));
    let shown = beside.display();
    let mut creating = OpenOptions::new();
    creating.write(true).create_new(true).mode(0o600);
    let new = creating.open(&beside).map_err(|error| {
        if error.kind() == ErrorKind::AlreadyExists {
            format!(
                "{shown} is there already: somebody else is adding a key; if nobody is, delete it"
            )
        } else {
            format!("{shown} could not be made: {error}")
        }
    })?;
    let added = append_key(file, &beside, new);
    if added.is_err() {
        let _best_effort = std::fs::remove_file(&beside);
    }
    added.map_err(|why| format!("{}: {why}", file.display()))
}

fn append_key(file: &Path, beside: &Path, mut new: File) -> Result<(), String> {
    let unread = |error: std::io::Error| format!("could not be read: {error}");
    let mut reading = OpenOptions::new();
    reading.read(true).custom_flags(libc::O_NOFOLLOW);
    let mut old = reading.open(file).map_err(unread)?;
    let owner = old.metadata().map_err(unread)?;
    let mut text = Zeroizing::new(String::new());
    old.read_to_string(&mut text).map_err(unread)?;
    let keys = Keyring::parse(text.as_bytes()).map_err(|error| error.to_string())?;
    let line = keys
        .generate_successor()
        .map_err(|error| error.to_string())?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    let mut replace = || {
        fchown(&new, Some(owner.uid()), Some(owner.gid()))?;
        new.write_all(text.as_bytes())?;
        new.write_all(line.as_bytes())?;
        new.sync_all()?;
        std::fs::rename(beside, file)?;
        let directory = file
            .parent()
            .filter(|parent| !parent.as_os_str().is_empty());
        File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
    };
    replace().map_err(|error: std::io::Error| format!("could not be replaced: {error}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

    use super::*;

    #[test]
    fn keys_added_at_once_are_all_there_or_were_refused() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mfad.key");
        make_key(&file).unwrap();
        let adding: Vec<_> = (0..16)
            .map(|_| {
                let file = file.clone();
                std::thread::spawn(move || (0..4).filter(|_| add_key(&file).is_ok()).count())
            })
            .collect();
        let added: usize = adding.into_iter().map(|each| each.join().unwrap()).sum();
        let text = std::fs::read_to_string(&file).unwrap();
        Keyring::parse(text.as_bytes()).unwrap();
        assert_eq!(text.lines().count(), 1 + added);
        assert!(added > 0);
        assert_eq!(std::fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_keys_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("mfad.key");
        assert!(add_key(&file).is_err());
        std::fs::write(&file, "no key\n").unwrap();
        assert!(add_key(&file).is_err());
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "no key\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1);
        std::os::unix::fs::symlink(&file, directory.path().join("link")).unwrap();
        assert!(add_key(&directory.path().join("link")).is_err());
    }
}
