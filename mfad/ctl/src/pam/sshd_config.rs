//! Where settings and Match blocks stand in sshd's files. What is in force, sshd itself says; this gives file and line,
//! and the blocks to ask it about.

use super::stack::Place;
use super::tree::Tree;

const MAIN: &str = "/etc/ssh/sshd_config";
/// sshd's own limit on files that include one another.
const DEEPEST: usize = 16;
/// Most files that are read.
const MOST_FILES: usize = 256;

/// A line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    /// In small letters.
    pub(super) name: String,
    pub(super) value: String,
    pub(super) place: Place,
}

/// A Match block.
#[derive(Debug, Clone)]
pub(super) struct Block {
    words: Vec<String>,
    pub(super) place: Place,
    pub(super) settings: Vec<Setting>,
}

/// All that is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Written {
    pub(super) main: Vec<Setting>,
    pub(super) blocks: Vec<Block>,
}

/// Reads `sshd_config` and what it includes.
pub(super) fn read(tree: &Tree) -> Written {
    let mut reader = Reader {
        tree,
        written: Written::default(),
        files: 0,
    };
    reader.file(MAIN, None, 0);
    reader.written
}

struct Reader<'a> {
    tree: &'a Tree,
    written: Written,
    files: usize,
}

impl Reader<'_> {
    /// Reads a file; `block` is the block in whose middle it is included. A Match inside ends with the file.
    fn file(&mut self, path: &str, block: Option<usize>, depth: usize) {
        self.files += 1;
        if depth > DEEPEST || self.files > MOST_FILES {
            return;
        }
        let Some(text) = self.tree.read(path) else {
            return;
        };
        let mut current = block;
        for (number, line) in (1..).zip(text.text.lines()) {
            let Some((name, words)) = cut(line) else {
                continue;
            };
            let place = Place {
                file: path.to_owned(),
                line: number,
            };
            match name.as_str() {
                "include" => {
                    for pattern in &words {
                        for file in self.matching(pattern) {
                            self.file(&file, current, depth + 1);
                        }
                    }
                }
                "match" => {
                    self.written.blocks.push(Block {
                        words,
                        place,
                        settings: Vec::new(),
                    });
                    current = Some(self.written.blocks.len() - 1);
                }
                _ => {
                    let setting = Setting {
                        name,
                        value: words.join(" "),
                        place,
                    };
                    match current.and_then(|at| self.written.blocks.get_mut(at)) {
                        Some(block) => block.settings.push(setting),
                        None => self.written.main.push(setting),
                    }
                }
            }
        }
    }

    /// The files that an Include's pattern means: `*` and `?` in the last part of the path, as people use it.
    fn matching(&self, pattern: &str) -> Vec<String> {
        let pattern = if pattern.starts_with('/') {
            pattern.to_owned()
        } else {
            format!("/etc/ssh/{pattern}")
        };
        let (directory, last) = pattern.rsplit_once('/').unwrap_or(("", &pattern));
        if !last.contains(['*', '?', '[']) {
            return vec![pattern];
        }
        let hidden = last.starts_with('.');
        self.tree
            .names(directory)
            .into_iter()
            .filter(|name| (hidden || !name.starts_with('.')) && fits(last, name))
            .map(|name| format!("{directory}/{name}"))
            .collect()
    }
}

/// Keyword, in small letters, and words of a line.
fn cut(line: &str) -> Option<(String, Vec<String>)> {
    let line = line.trim();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let end = line.find([' ', '\t', '=']).unwrap_or(line.len());
    let name = line[..end].to_ascii_lowercase();
    let rest = line[end..].trim_start_matches([' ', '\t', '=']);
    Some((name, words(rest)))
}

/// Words, with quotes; a `#` at the beginning of one ends the line.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() && !rest.starts_with('#') {
        let (word, after) = match rest.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => rest.split_once([' ', '\t']).unwrap_or((rest, "")),
        };
        words.push(word.to_owned());
        rest = after.trim_start();
    }
    words
}

/// Whether a name fits a pattern of `*` and `?`.
pub(super) fn fits(pattern: &str, name: &str) -> bool {
    let (pattern, name): (Vec<char>, Vec<char>) =
        (pattern.chars().collect(), name.chars().collect());
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for letter in pattern {
        let mut next = vec![false; name.len() + 1];
        for at in 0..=name.len() {
            next[at] = match letter {
                '*' => reached[at] || (at > 0 && next[at - 1]),
                '?' => at > 0 && reached[at - 1],
                _ => at > 0 && reached[at - 1] && name[at - 1] == letter,
            };
        }
        reached = next;
    }
    reached.last().copied().unwrap_or(false)
}

impl Block {
    /// Its line.
    pub(super) fn criteria(&self) -> String {
        format!("Match {}", self.words.join(" "))
    }

    /// A connection that it matches, for `sshd -T -C`; `None` where that takes guessing.
    pub(super) fn connection(&self, tree: &Tree) -> Option<String> {
        let mut user = "mfa-check".to_owned();
        let mut host = "host.invalid".to_owned();
        let mut address = "192.0.2.1".to_owned();
        let mut local = "192.0.2.2".to_owned();
        let mut port = "22".to_owned();
        let mut words = self.words.iter();
        while let Some(word) = words.next() {
            let (name, value) = match word.split_once('=') {
                Some((name, value)) => (name.to_ascii_lowercase(), value.to_owned()),
                None if word.eq_ignore_ascii_case("all") => continue,
                None => (word.to_ascii_lowercase(), words.next()?.clone()),
            };
            let literal = value.split(',').find(|one| {
                !one.is_empty() && !one.starts_with('!') && !one.contains(['*', '?', ' '])
            })?;
            match name.as_str() {
                "user" => literal.clone_into(&mut user),
                "group" => user = member(tree, literal)?,
                "host" => literal.clone_into(&mut host),
                "address" => literal.split('/').next()?.clone_into(&mut address),
                "localaddress" => literal.split('/').next()?.clone_into(&mut local),
                "localport" => literal.clone_into(&mut port),
                _ => return None,
            }
        }
        Some(format!(
            "user={user},host={host},addr={address},laddr={local},lport={port}"
        ))
    }
}

/// Somebody in a group.
fn member(tree: &Tree, group: &str) -> Option<String> {
    let groups = tree.read("/etc/group")?.text;
    let line = groups
        .lines()
        .find(|line| line.split(':').next() == Some(group))?;
    let mut fields = line.split(':').skip(2);
    let (gid, members) = (fields.next()?, fields.next().unwrap_or_default());
    if let Some(first) = members.split(',').find(|name| !name.is_empty()) {
        return Some(first.to_owned());
    }
    let people = tree.read("/etc/passwd")?.text;
    let whose = |line: &&str| line.split(':').nth(3) == Some(gid);
    people
        .lines()
        .find(whose)
        .and_then(|line| line.split(':').next())
        .map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn match_blocks_are_found_wherever_they_are_included() {
        let root = tempfile::tempdir().unwrap();
        let ssh = root.path().join("etc/ssh");
        fs::create_dir_all(ssh.join("sshd_config.d")).unwrap();
        let write = |name: &str, text: &str| fs::write(ssh.join(name), text).unwrap();
        write(
            "sshd_config",
            "Include /etc/ssh/sshd_config.d/*.conf\nUsePAM=yes\nMatch User \"bob\",alice\n  Include inner\n X11Forwarding no\nMatch all\n",
        );
        write(
            "sshd_config.d/a.conf",
            "Match Group wheel Address 10.0.0.0/8\nPasswordAuthentication yes # so\n",
        );
        write("sshd_config.d/.hidden.conf", "Match all\n");
        write("inner", "AuthenticationMethods publickey\n");
        fs::write(root.path().join("etc/group"), "wheel:x:10:\n").unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "carol:x:1000:10::/:/bin/sh\n",
        )
        .unwrap();
        let tree = Tree::new(root.path());
        let written = read(&tree);
        assert_eq!(written.main.len(), 1, "{written:?}");
        let told: Vec<String> = written
            .blocks
            .iter()
            .map(|block| {
                let settings: Vec<String> = block
                    .settings
                    .iter()
                    .map(|setting| format!("{}={}@{}", setting.name, setting.value, setting.place))
                    .collect();
                format!(
                    "{} {:?} {}",
                    block.place,
                    block.connection(&tree),
                    settings.join(" ")
                )
            })
            .collect();
        insta::assert_snapshot!(told.join("\n"));
    }
}
