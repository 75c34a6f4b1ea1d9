//! Checks policy files here, without the daemon: they are read and parsed, never changed or loaded.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mfad_protocol::{factors, names, printable};
use policy::{Policy, Source, Vocabulary};
use serde_json::{Value, json};

use crate::command::Console;
use crate::failure::Failure;

/// A policy file's name and text.
#[derive(Debug)]
pub struct PolicyFile {
    name: String,
    text: String,
}

/// A mistake: where, what, and the line with a caret where there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line:column: what`, or `file: what` where a file cannot be read.
    pub line: String,
    caret: Option<String>,
    json: Value,
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// Files that were read.
    pub files: usize,
    /// Rules in them, if there is no mistake.
    pub rules: usize,
    /// In the order of the files.
    pub mistakes: Vec<Mistake>,
}

/// `mfactl policy check`.
pub fn check(console: &mut Console<'_>, files: &[PathBuf]) -> Result<(), Failure> {
    let report = if files.is_empty() {
        installed(&console.root)
    } else {
        examine(files.iter().map(|path| read(path, None)).collect())
    };
    let errors: Vec<&Value> = report
        .mistakes
        .iter()
        .map(|mistake| &mistake.json)
        .collect();
    let value = json!({
        "ok": report.mistakes.is_empty(),
        "files": report.files,
        "rules": report.rules,
        "errors": errors,
    });
    console.show(&value, &text(&report))?;
    if report.mistakes.is_empty() {
        Ok(())
    } else {
        Err(Failure::Reported)
    }
}

/// The policy that the daemon would load from below `root`.
pub fn installed(root: &Path) -> Report {
    // Files must belong to whom the root directory belongs to: root, but for a test's own directory.
    let owner = fs::metadata(root).map_or(0, |root| root.uid());
    let files = match installed_paths(root) {
        Ok(paths) => paths.iter().map(|path| read(path, Some(owner))).collect(),
        Err(mistake) => vec![Err(mistake)],
    };
    examine(files)
}

fn installed_paths(root: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let below = |path: &str| root.join(path.trim_start_matches('/'));
    let configuration = below(names::CONFIG_DIR);
    let directory = configuration.join("policy.d");
    let entries = match fs::read_dir(&directory) {
        Ok(entries) => entries.collect::<Result<Vec<_>, _>>(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    // A directory that cannot be listed must not pass for an empty one.
    let mut drop_ins: Vec<PathBuf> = entries
        .map_err(|error| unreadable(&directory, format!("cannot be read: {error}")))?
        .into_iter()
        .map(|entry| entry.path())
        .filter(|path| is_drop_in(path))
        .collect();
    drop_ins.sort();
    let mut paths = vec![configuration.join("policy.toml")];
    paths.append(&mut drop_ins);
    paths.push(below(names::VENDOR_DIR).join("policy.toml"));
    // A missing one is no mistake; a dangling link is.
    paths.retain(|path| path.symlink_metadata().is_ok());
    Ok(paths)
}

/// What the daemon takes for a drop-in: `*.toml`, but not what editors hide.
fn is_drop_in(path: &Path) -> bool {
    path.file_name().is_some_and(|name| {
        let name = name.as_encoded_bytes();
        name.ends_with(b".toml") && !name.starts_with(b".")
    })
}

/// A file that cannot be checked.
fn unreadable(path: &Path, what: String) -> Mistake {
    let name = printable(&path.display().to_string());
    Mistake {
        line: format!("{name}: {what}"),
        caret: None,
        json: json!({"file": name, "message": what}),
    }
}

/// Reads a policy file. With an `owner`, it must be a plain file of theirs that nobody else may write, and no link;
/// judged on the open descriptor, so that it is the file judged that is read.
fn read(path: &Path, owner: Option<u32>) -> Result<PolicyFile, Mistake> {
    let mistake = |what| unreadable(path, what);
    let mut flags = libc::O_NONBLOCK;
    if owner.is_some() {
        flags |= libc::O_NOFOLLOW;
    }
    let file = File::options()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => mistake("is a symbolic link; put the file itself here".to_owned()),
            _ => mistake(format!("cannot be read: {error}")),
        })?;
    let facts = file
        .metadata()
        .map_err(|error| mistake(format!("cannot be read: {error}")))?;
    if !facts.is_file() {
        return Err(mistake("is not a plain file".to_owned()));
    }
    if let Some(owner) = owner {
        unsafe_writer(&facts, owner).map_or(Ok(()), |what| Err(mistake(what)))?;
    }
    let mut text = String::new();
    let limit = policy::MAX_SOURCE as u64 + 1;
    file.take(limit)
        .read_to_string(&mut text)
        .map_err(|error| mistake(format!("cannot be read: {error}")))?;
    Ok(PolicyFile {
        name: printable(&path.display().to_string()),
        text,
    })
}

/// Who besides `owner` could write a file with these facts, as a complaint with its remedy.
pub fn unsafe_writer(facts: &fs::Metadata, owner: u32) -> Option<String> {
    if facts.uid() != owner {
        return Some(format!(
            "belongs to uid {}, not to root; run `chown root:root` on it",
            facts.uid()
        ));
    }
    (facts.mode() & 0o022 != 0).then(|| {
        format!(
            "can be written by others (mode {:04o}); run `chmod go-w` on it",
            facts.mode() & 0o7777
        )
    })
}

fn examine(files: Vec<Result<PolicyFile, Mistake>>) -> Report {
    let mut mistakes = Vec::new();
    let mut readable = Vec::new();
    for file in files {
        match file {
            Ok(file) => readable.push(file),
            Err(mistake) => mistakes.push(mistake),
        }
    }
    let sources: Vec<Source<'_>> = readable
        .iter()
        .map(|file| Source {
            name: &file.name,
            text: &file.text,
        })
        .collect();
    let vocabulary = Vocabulary {
        zone: |name| jiff::tz::TimeZone::get(name).ok(),
        phishing_resistant: &factors::PHISHING_RESISTANT,
        user_verified: &factors::USER_VERIFIED,
        only_named: &factors::ONLY_NAMED,
        ..Vocabulary::new(&factors::ALL)
    };
    let rules = match Policy::parse(&sources, &vocabulary) {
        Ok(policy) => policy.rules(),
        Err(found) => {
            mistakes.extend(found.iter().map(|diagnostic| Mistake {
                line: diagnostic.to_string(),
                caret: diagnostic.caret(),
                json: json!({
                    "file": diagnostic.file,
                    "line": diagnostic.line,
                    "column": diagnostic.column,
                    "message": diagnostic.message,
                }),
            }));
            0
        }
    };
    Report {
        files: readable.len(),
        rules,
        mistakes,
    }
}

fn text(report: &Report) -> String {
    if report.mistakes.is_empty() {
        return match report.files {
            0 => "There is no policy file: any enrolled factor is required, and whoever has none is refused.\n"
                .to_owned(),
            files => format!("No mistakes. Files: {files}, rules: {}.\n", report.rules),
        };
    }
    let mut text = String::new();
    for mistake in &report.mistakes {
        text.push_str(&mistake.line);
        text.push('\n');
        if let Some(caret) = &mistake.caret {
            for line in caret.lines() {
                text.push_str("    ");
                text.push_str(line);
                text.push('\n');
            }
        }
    }
    let count = report.mistakes.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    let _ = writeln!(
        text,
        "{count} {noun}. A daemon that runs keeps the policy that it has."
    );
    text
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
