//! Checks policy files here, without the daemon: they are read and parsed, never changed or loaded.

use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use mfad_protocol::{factors, names, printable};
use policy::{Diagnostic, Policy, Source, Vocabulary};
use serde_json::{Value, json};

use crate::cli::CheckArgs;
use crate::command::Console;
use crate::failure::Failure;
use crate::preset::Comparison;
use crate::review::{self, Cautions};

/// A policy file's name and text.
#[derive(Debug)]
pub struct PolicyFile {
    /// What to call it.
    pub name: String,
    /// All of it.
    pub text: String,
}

impl PolicyFile {
    /// For whoever parses it.
    fn source(&self) -> Source<'_> {
        Source {
            name: &self.name,
            text: &self.text,
        }
    }
}

/// A mistake: where, what, and the line with a caret where there is one.
#[derive(Debug, PartialEq, Eq)]
pub struct Mistake {
    /// `file:line:column: what`, or `file: what` where a file cannot be read.
    pub line: String,
    caret: Option<String>,
    /// The same, for scripts.
    pub json: Value,
}

impl From<&Diagnostic> for Mistake {
    fn from(diagnostic: &Diagnostic) -> Self {
        Self {
            line: diagnostic.to_string(),
            caret: diagnostic.caret(),
            json: json!({
                "file": diagnostic.file,
                "line": diagnostic.line,
                "column": diagnostic.column,
                "message": diagnostic.message,
            }),
        }
    }
}

/// What a check found.
#[derive(Debug)]
pub struct Report {
    /// Files that could be read.
    pub files: Vec<PolicyFile>,
    /// Rules in them, if there is no mistake.
    pub rules: usize,
    /// The policy that they make, if there is no mistake.
    pub policy: Option<Policy>,
    /// In the order of the files.
    pub mistakes: Vec<Mistake>,
}

/// `mfactl policy check`.
pub async fn check(console: &mut Console<'_>, what: &CheckArgs) -> Result<(), Failure> {
    let mut report = if what.files.is_empty() {
        installed(&console.root)
    } else {
        examine(what.files.iter().map(|path| read(path, None)).collect())
    };
    let cautions = match &report.policy {
        Some(policy) => review::of(policy, &report.files, console).await,
        None => Cautions::default(),
    };
    let mut comparison = None;
    if let (Some(policy), Some(choice)) = (&report.policy, what.preset) {
        match Comparison::of(policy, choice, &console.root) {
            Ok(compared) => comparison = Some(compared),
            Err(mistake) => report.mistakes.push(mistake),
        }
    }
    let errors: Vec<&Value> = report
        .mistakes
        .iter()
        .map(|mistake| &mistake.json)
        .collect();
    let failed = !report.mistakes.is_empty()
        || (what.strict && !cautions.found.is_empty())
        || comparison.as_ref().is_some_and(Comparison::is_lacking);
    let warnings: Vec<Value> = cautions.found.iter().map(review::Caution::json).collect();
    let value = json!({
        "ok": !failed,
        "files": report.files.len(),
        "rules": report.rules,
        "errors": errors,
        "warnings": warnings,
        "omitted": cautions.omitted,
        "preset": comparison.as_ref().map(Comparison::json),
    });
    let mut shown = review::text(&cautions);
    if let Some(comparison) = &comparison {
        shown.push_str(&comparison.text(console.terminal));
    }
    shown.push_str(&text(&report, cautions.found.len()));
    console.show(&value, &shown)?;
    if failed {
        Err(Failure::Reported)
    } else {
        Ok(())
    }
}

/// The policy that the daemon would load from below `root`.
pub fn installed(root: &Path) -> Report {
    examine(installed_files(root))
}

/// The files that the daemon would load from below `root`.
pub fn installed_files(root: &Path) -> Vec<Result<PolicyFile, Mistake>> {
    // Files must belong to whom the root directory belongs to: root, but for a test's own directory.
    let owner = fs::metadata(root).map_or(0, |root| root.uid());
    match installed_paths(root) {
        Ok(paths) => paths.iter().map(|path| read(path, Some(owner))).collect(),
        Err(mistake) => vec![Err(mistake)],
    }
}

/// The files that make a policy which is not installed: a file is all of it, a directory stands for `/etc/mfa`, with the
/// vendor's defaults below `root` after it.
pub fn candidate_files(candidate: &Path, root: &Path) -> Vec<Result<PolicyFile, Mistake>> {
    if !candidate.is_dir() {
        return vec![read(candidate, None)];
    }
    match paths_of(candidate, root) {
        Ok(paths) => paths.iter().map(|path| read(path, None)).collect(),
        Err(mistake) => vec![Err(mistake)],
    }
}

fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

fn installed_paths(root: &Path) -> Result<Vec<PathBuf>, Mistake> {
    paths_of(&below(root, names::CONFIG_DIR), root)
}

/// The files of a configuration directory, and the vendor's.
fn paths_of(configuration: &Path, root: &Path) -> Result<Vec<PathBuf>, Mistake> {
    let directory = configuration.join(names::POLICY_DIR);
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
    let mut paths = vec![configuration.join(names::POLICY_FILE)];
    paths.append(&mut drop_ins);
    paths.push(below(root, names::VENDOR_DIR).join(names::POLICY_FILE));
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
pub fn read(path: &Path, owner: Option<u32>) -> Result<PolicyFile, Mistake> {
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
    let mut bytes = Vec::new();
    // One byte more, so that whoever parses it sees that it is too large.
    file.take(policy::MAX_SOURCE as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| mistake(format!("cannot be read: {error}")))?;
    let text = if bytes.len() > policy::MAX_SOURCE {
        // Cut anywhere, within a character too.
        String::from_utf8_lossy(&bytes).into_owned()
    } else {
        String::from_utf8(bytes).map_err(|error| mistake(format!("cannot be read: {error}")))?
    };
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
    let parsed = Policy::parse(&sources(&readable), &vocabulary());
    let found = parsed.as_ref().err().map_or(&[][..], Vec::as_slice);
    mistakes.extend(found.iter().map(Mistake::from));
    let policy = parsed.ok().filter(|_| mistakes.is_empty());
    Report {
        files: readable,
        rules: policy.as_ref().map_or(0, Policy::rules),
        policy,
        mistakes,
    }
}

/// What a policy is parsed from.
pub fn sources(files: &[PolicyFile]) -> Vec<Source<'_>> {
    files.iter().map(PolicyFile::source).collect()
}

/// The policy that these files make; or every mistake in them.
pub fn load(files: Vec<Result<PolicyFile, Mistake>>) -> Result<Policy, Vec<Mistake>> {
    let report = examine(files);
    report.policy.ok_or(report.mistakes)
}

/// The words that a policy may use.
pub fn vocabulary() -> Vocabulary<'static> {
    Vocabulary {
        zone: |name| jiff::tz::TimeZone::get(name).ok(),
        phishing_resistant: &factors::PHISHING_RESISTANT,
        user_verified: &factors::USER_VERIFIED,
        only_named: &factors::ONLY_NAMED,
        ..Vocabulary::new(&factors::ALL)
    }
}

fn text(report: &Report, warnings: usize) -> String {
    if report.mistakes.is_empty() {
        let warnings = match warnings {
            0 => String::new(),
            many => format!(" Warnings: {many}."),
        };
        return match report.files.len() {
            0 => format!(
                "There is no policy file: any enrolled factor is required, and whoever has none is refused.{warnings}\n"
            ),
            files => format!(
                "No mistakes. Files: {files}, rules: {}.{warnings}\n",
                report.rules
            ),
        };
    }
    let mut text = listed(&report.mistakes);
    let count = report.mistakes.len();
    let noun = if count == 1 { "mistake" } else { "mistakes" };
    let _ = writeln!(
        text,
        "{count} {noun}. A daemon that runs keeps the policy that it has."
    );
    text
}

/// The mistakes, each with its line and caret.
pub fn listed(mistakes: &[Mistake]) -> String {
    let mut text = String::new();
    for mistake in mistakes {
        text.push_str(&mistake.line);
        text.push('\n');
        if let Some(caret) = &mistake.caret {
            draw(caret, &mut text);
        }
    }
    text
}

/// Adds a line and its caret, below the message that they belong to.
pub fn draw(caret: &str, text: &mut String) {
    for line in caret.lines() {
        let _ = writeln!(text, "    {line}");
    }
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod tests;
