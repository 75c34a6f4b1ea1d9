//! The documents keep their word: every block of TOML in README, docs and manual pages is read as the daemon would read
//! it, and every `mfactl` command that they name is one that the program takes. It judges no prose.

#![allow(clippy::unwrap_used, reason = "a failed step is a failed test")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use clap::{
    CommandFactory as _, Parser as _,
    error::{ContextKind, ContextValue, ErrorKind},
};
use mfactl::cli::Cli;
use mfad::config::{self, Settings};
use policy::{Diagnostic, Expectation, Policy, Source};

/// A piece of a document, and where it begins.
#[derive(Debug)]
struct Piece {
    place: String,
    /// What stands behind the opening fence, besides `toml`.
    mark: String,
    text: String,
}

fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

/// The texts of a directory of the tree whose names end so, with their names.
fn texts(directory: &str, endings: &[&str]) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = fs::read_dir(top().join(directory))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            let name = path.to_string_lossy();
            endings.iter().any(|ending| name.ends_with(ending))
        })
        .map(|path| {
            let name = path.strip_prefix(top()).unwrap().display().to_string();
            (name, fs::read_to_string(&path).unwrap())
        })
        .collect();
    found.sort();
    assert!(!found.is_empty(), "{directory} has none of {endings:?}");
    found
}

fn markdown() -> Vec<(String, String)> {
    let mut all = texts("docs", &[".md"]);
    all.extend(texts(".", &["README.md"]));
    all
}

fn manual_pages() -> Vec<(String, String)> {
    texts("packaging/man", &[".1", ".5", ".8"])
}

/// Fenced blocks that begin with such a line, up to one that ends them.
fn blocks(
    (name, text): &(String, String),
    opening: impl Fn(&str) -> Option<String>,
    closing: &str,
) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut within: Option<Piece> = None;
    for (number, line) in text.lines().enumerate() {
        match within.take() {
            Some(piece) if line.trim() == closing => pieces.push(piece),
            Some(mut piece) => {
                piece.text.push_str(line);
                piece.text.push('\n');
                within = Some(piece);
            }
            None => {
                within = opening(line).map(|mark| Piece {
                    place: format!("{name}:{}", number + 2),
                    mark,
                    text: String::new(),
                });
            }
        }
    }
    assert!(within.is_none(), "{name}: a block does not end");
    pieces
}

/// Every block of TOML.
fn toml_blocks() -> Vec<Piece> {
    let fence = |line: &str| {
        let mark = line.strip_prefix("```toml")?;
        Some(mark.trim().to_owned())
    };
    let literal = |line: &str| line.starts_with(".Bd -literal").then(String::new);
    let mut all: Vec<Piece> = markdown()
        .iter()
        .flat_map(|document| blocks(document, fence, "```"))
        .collect();
    let of_pages = texts("packaging/man", &[".5"]);
    all.extend(
        of_pages
            .iter()
            .flat_map(|page| blocks(page, literal, ".Ed")),
    );
    all
}

/// What the readers of policies and of `mfad.toml` have against a text.
fn objections(place: &str, text: &str) -> Vec<Diagnostic> {
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    // Part of a rule stands for that rule.
    let whole;
    let text = if has("when") && !has("[") {
        let require = if has("require") {
            ""
        } else {
            "require = \"any\"\n"
        };
        whole = format!("[[rule]]\nname = \"example\"\n{text}{require}");
        &whole
    } else {
        text
    };
    let source = Source { name: place, text };
    let vocabulary = config::vocabulary();
    if text.contains("[[expect]]") {
        return Expectation::parse(source, &vocabulary)
            .err()
            .unwrap_or_default();
    }
    if ["[[rule]]", "[unenrolled]", "[subject]"]
        .iter()
        .any(|table| text.contains(table))
    {
        return Policy::parse(&[source], &vocabulary)
            .err()
            .unwrap_or_default();
    }
    Settings::parse(source, "host").err().unwrap_or_default()
}

fn told(diagnostics: &[Diagnostic]) -> String {
    let lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
    lines.join("\n")
}

#[test]
fn every_block_of_toml_is_read_or_refused_as_its_document_says() {
    let blocks = toml_blocks();
    assert!(blocks.len() >= 6, "only {} blocks were found", blocks.len());
    let mut wrong = Vec::new();
    for block in &blocks {
        let found = objections(&block.place, &block.text);
        match block.mark.as_str() {
            "refused" if found.is_empty() => {
                wrong.push(format!("{}: said to be refused, and is read", block.place));
            }
            "" | "expectations" if !found.is_empty() => wrong.push(told(&found)),
            "" | "expectations" | "refused" => {}
            other => wrong.push(format!("{}: what is {other:?}?", block.place)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_example_file_is_read_with_and_without_its_commented_examples() {
    let mut files = texts("packaging/policy", &[".toml"]);
    files.extend(texts("packaging/policy/examples", &[".toml"]));
    for (name, text) in files {
        // A file may begin with nothing but comments: which reader it is for, its own examples say.
        let uncommented = text.replace("#| ", "");
        let is_policy = !uncommented.contains("[[expect]]");
        for text in [&text, &uncommented] {
            let found = if is_policy {
                let source = Source { name: &name, text };
                let read = Policy::parse(&[source], &config::vocabulary());
                read.err().unwrap_or_default()
            } else {
                objections(&name, text)
            };
            assert!(found.is_empty(), "{}", told(&found));
        }
    }
}

/// A command line that a document names.
#[derive(Debug)]
struct Named {
    place: String,
    words: Vec<String>,
    /// It is to be typed as it stands: a line of a block, not a mention in a sentence.
    whole: bool,
}

/// The `mfactl` commands of a line of shell.
fn commands(place: &str, line: &str, whole: bool) -> Vec<Named> {
    // A comment, and in a shell's prompt the sign before the command.
    let line = line.trim().trim_start_matches(['$', '#']).trim_start();
    let line = line.split(" # ").next().unwrap_or_default();
    let line = line.split("  #").next().unwrap_or_default();
    line.split([';', '|'])
        .flat_map(|part| part.split("&&"))
        .filter_map(|part| {
            let mut words = part.split_whitespace().peekable();
            if words.peek() == Some(&"sudo") {
                words.next();
            }
            if words.next() != Some("mfactl") {
                return None;
            }
            let words: Vec<String> = words.map(str::to_owned).collect();
            let cut = words.iter().any(|word| word == "…" || word == "...");
            Some(Named {
                place: place.to_owned(),
                words: words
                    .into_iter()
                    .take_while(|word| word != "…" && word != "...")
                    .collect(),
                whole: whole && !cut,
            })
        })
        .collect()
}

/// Commands between single backticks, which may wrap, and in blocks: fenced, or indented by four blanks.
fn named_in_markdown((name, text): &(String, String)) -> Vec<Named> {
    let mut found = Vec::new();
    let (mut prose, mut fenced, mut before) = (Vec::new(), false, "");
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        // Indented below a blank line or another such line: a block. Else it goes on with a list's sentence.
        let indented =
            line.starts_with("    ") && (before.trim().is_empty() || before.starts_with("    "));
        if line.starts_with("```") {
            fenced = !fenced;
        } else if fenced || indented {
            found.extend(commands(&place, line, true));
        } else {
            prose.push((place, line));
        }
        before = line;
    }
    let mut code: Option<(String, String)> = None;
    for (place, line) in prose {
        for (number, part) in line.split('`').enumerate() {
            if number > 0 {
                code = match code.take() {
                    Some((place, text)) => {
                        found.extend(commands(&place, &text, false));
                        None
                    }
                    None => Some((place.clone(), String::new())),
                };
            }
            if let Some((_, text)) = &mut code {
                text.push_str(part);
            }
        }
        if line.trim().is_empty() {
            code = None;
        } else if let Some((_, text)) = &mut code {
            text.push(' ');
        }
    }
    found
}

/// Commands in literal blocks, and behind the macros that quote.
fn named_in_a_page((name, text): &(String, String)) -> Vec<Named> {
    let mut found = Vec::new();
    let mut literal = false;
    for (number, line) in text.lines().enumerate() {
        let place = format!("{name}:{}", number + 1);
        if line.starts_with(".Bd -literal") {
            literal = true;
        } else if line.starts_with(".Ed") {
            literal = false;
        } else if literal {
            found.extend(commands(&place, line, true));
        } else if let Some(quoted) = [".Ql ", ".Ic ", ".Li "]
            .iter()
            .find_map(|macro_| line.strip_prefix(macro_))
        {
            let quoted = quoted.trim_end_matches([' ', ',', '.', ')', ';']);
            found.extend(commands(&place, &quoted.replace('"', ""), false));
        }
    }
    found
}

/// Why the program does not take the words; `None` if it does.
fn refusal(named: &Named) -> Option<String> {
    // Placeholders stand for something that a number is also good enough for.
    let words = named.words.iter().map(|word| match word.as_str() {
        "ID" | "N" | "SECONDS" => "1",
        other => other,
    });
    let error = Cli::try_parse_from(std::iter::once("mfactl").chain(words)).err()?;
    let no_value =
        error.get(ContextKind::InvalidValue) == Some(&ContextValue::String(String::new()));
    let incomplete = no_value
        || matches!(
            error.kind(),
            ErrorKind::MissingRequiredArgument
                | ErrorKind::MissingSubcommand
                | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
                | ErrorKind::TooFewValues
        );
    let fine = matches!(
        error.kind(),
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion
    ) || incomplete && !named.whole;
    let first = error
        .to_string()
        .lines()
        .next()
        .unwrap_or_default()
        .to_owned();
    (!fine).then(|| format!("{}: mfactl {}: {first}", named.place, named.words.join(" ")))
}

#[test]
fn every_command_that_a_document_names_is_one_that_mfactl_takes() {
    let mut named: Vec<Named> = markdown().iter().flat_map(named_in_markdown).collect();
    named.extend(manual_pages().iter().flat_map(named_in_a_page));
    assert!(named.len() >= 60, "only {} were found", named.len());
    let wrong: Vec<String> = named.iter().filter_map(refusal).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn words_that_are_none_are_found_wherever_they_stand() {
    let document = (
        "d.md".to_owned(),
        "Say `sudo mfactl polcy\ncheck` first.\n\n    mfactl enroll topt   # a factor\n    true && mfactl codes --now\n\n\
         Or `mfactl user\nunlock`.\n"
            .to_owned(),
    );
    let named = named_in_markdown(&document);
    let wrong: Vec<String> = named.iter().filter_map(refusal).collect();
    let places: BTreeSet<&str> = wrong
        .iter()
        .filter_map(|text| text.split(": ").next())
        .collect();
    assert_eq!(
        places,
        BTreeSet::from(["d.md:1", "d.md:4", "d.md:5"]),
        "{wrong:?}"
    );
    assert_eq!(named.len(), 4);
}

/// The names of commands that `--help` shows, with those above them.
fn offered(command: &clap::Command, above: &str, all: &mut BTreeSet<String>) {
    for below in command
        .get_subcommands()
        .filter(|below| !below.is_hide_set())
    {
        let name = format!("{above}{}", below.get_name());
        if below.has_subcommands() {
            offered(below, &format!("{name} "), all);
        } else {
            all.insert(name);
        }
    }
}

#[test]
fn the_manual_page_tells_of_every_command_that_help_offers() {
    let page = fs::read_to_string(top().join("packaging/man/mfactl.1")).unwrap();
    let told: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix(".It Cm "))
        .collect();
    let mut all = BTreeSet::new();
    offered(&Cli::command(), "", &mut all);
    assert!(all.len() > 20, "{all:?}");
    let untold: Vec<&String> = all
        .iter()
        .filter(|name| {
            !told.iter().any(|line| {
                line.strip_prefix(name.as_str())
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
            })
        })
        .collect();
    assert!(untold.is_empty(), "not in mfactl.1: {untold:?}");
}
