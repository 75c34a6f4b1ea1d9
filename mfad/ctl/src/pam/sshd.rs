//! sshd's settings in force, in the main section and in each Match block, and what they mean for the second factor. It
//! runs `sshd -T` and changes nothing.

mod section;

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fs;
use std::io::Read;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::finding::Finding;
use super::sshd_config::{self, Block, Setting};
use super::stack::Place;
use super::tree::Tree;

/// How long one run of `sshd -T` may take.
pub(crate) const PATIENCE: Duration = Duration::from_secs(5);
/// Most of its output that is read, in bytes.
const OUTPUT: u64 = 256 * 1024;
pub(super) const PROGRAM: &str = "/usr/sbin/sshd";
const SERVICE: &str = "sshd";

/// The settings of one section, by their names in small letters.
#[derive(Debug, Clone, Default)]
pub(crate) struct Section {
    /// `Match …`, or nothing for the main section.
    criteria: String,
    place: Option<Place>,
    values: BTreeMap<String, String>,
    written: Vec<Setting>,
}

/// All sections.
#[derive(Debug, Clone, Default)]
pub(crate) struct Settings {
    /// The main one first.
    sections: Vec<Section>,
}

/// What is known of sshd.
#[derive(Debug, Clone)]
pub(crate) enum Sshd {
    /// There is none.
    Absent,
    /// Its settings cannot be had.
    Unknown(String),
    /// Its settings.
    Known(Settings),
}

/// Asks the sshd below the root.
pub(super) fn examine(tree: &Tree, patience: Duration) -> Sshd {
    if !tree.exists(PROGRAM) {
        return Sshd::Absent;
    }
    let main = match run(tree, &["-T"], patience) {
        Ok(text) => parse(&text),
        Err(what) => return Sshd::Unknown(what),
    };
    let config = sshd_config::read(tree);
    let mut sections = vec![Section {
        criteria: String::new(),
        place: None,
        values: main.clone(),
        written: config.main,
    }];
    for block in config.blocks {
        sections.push(section(tree, block, &main, patience));
    }
    Sshd::Known(Settings { sections })
}

/// A Match block's settings: sshd's own answer where somebody whom it matches can be named, else its lines over those of
/// the main section, which is what they are for a login that matches no other block.
fn section(
    tree: &Tree,
    block: Block,
    main: &BTreeMap<String, String>,
    patience: Duration,
) -> Section {
    let asked = block
        .connection(tree)
        .and_then(|who| run(tree, &["-T", "-C", &who], patience).ok())
        .map(|text| parse(&text))
        .filter(|values| !values.is_empty());
    let values = asked.unwrap_or_else(|| {
        let mut values = main.clone();
        let mut seen = Vec::new();
        for setting in &block.settings {
            // The first value of a keyword counts.
            if !seen.contains(&&setting.name) {
                seen.push(&setting.name);
                values.insert(setting.name.clone(), setting.value.clone());
            }
        }
        values
    });
    Section {
        criteria: block.criteria(),
        place: Some(block.place),
        values,
        written: block.settings,
    }
}

/// Whether sshd takes its configuration; where there is none, nothing can be wrong with it.
pub(super) fn test(tree: &Tree, patience: Duration) -> Result<(), String> {
    if !tree.exists(PROGRAM) {
        return Ok(());
    }
    run(tree, &["-t"], patience).map(drop)
}

/// Whether its configuration is newer than the sshd that runs. sshd writes its pid file anew when it is reloaded; where
/// there is none (started by a socket, for each login), it reads the configuration each time.
pub(super) fn is_stale(tree: &Tree) -> bool {
    let changed = |path: &str| {
        fs::metadata(tree.below(path))
            .and_then(|facts| facts.modified())
            .ok()
    };
    let Some(loaded) = changed("/run/sshd.pid") else {
        return false;
    };
    let mut files = vec!["/etc/ssh/sshd_config".to_owned()];
    let drop_ins = tree.names("/etc/ssh/sshd_config.d").into_iter();
    files.extend(drop_ins.map(|name| format!("/etc/ssh/sshd_config.d/{name}")));
    files
        .iter()
        .any(|path| changed(path).is_some_and(|time| time > loaded))
}

/// What sshd prints, or why it does not.
fn run(tree: &Tree, arguments: &[&str], patience: Duration) -> Result<String, String> {
    let mut child = Command::new(tree.below(PROGRAM))
        .args(arguments)
        .env_clear()
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .map_err(|error| error.to_string())?;
    let output = child.stdout.take();
    let (done, finished) = mpsc::channel();
    thread::spawn(move || {
        let mut text = String::new();
        let read = output.map_or(Ok(0), |output| {
            output.take(OUTPUT).read_to_string(&mut text)
        });
        // The receiver may have lost its patience.
        let _ = done.send(read.map(|_| text));
    });
    let text = finished.recv_timeout(patience);
    // It has closed its output and ends, or it hangs and must.
    if text.is_err() {
        let _ = child.kill();
    }
    let status = child.wait().map_err(|error| error.to_string())?;
    match text {
        Err(_) => Err(format!("no answer within {patience:?}")),
        Ok(Err(error)) => Err(error.to_string()),
        Ok(Ok(_)) if !status.success() => Err("sshd finds an error in them".to_owned()),
        Ok(Ok(text)) => Ok(text),
    }
}

/// One setting a line, its name in small letters; what has several values has several lines.
fn parse(text: &str) -> BTreeMap<String, String> {
    let mut values: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in text.lines().filter_map(|line| line.split_once(' ')) {
        let value = value.trim();
        match values.entry(name.to_ascii_lowercase()) {
            Entry::Vacant(entry) => {
                entry.insert(value.to_owned());
            }
            Entry::Occupied(mut entry) => {
                entry.get_mut().push(' ');
                entry.get_mut().push_str(value);
            }
        }
    }
    values
}

/// Methods that prove something before PAM is asked.
fn is_strong(method: &str) -> bool {
    ["publickey", "hostbased", "gssapi-with-mic", "gssapi-keyex"].contains(&method)
}

/// Methods that run PAM's auth phase.
fn asks_pam(method: &str) -> bool {
    matches!(method, "keyboard-interactive" | "password")
}

impl Section {
    fn value(&self, name: &str) -> &str {
        self.values.get(name).map_or("", String::as_str)
    }

    fn is_on(&self, name: &str) -> bool {
        self.value(name) == "yes"
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.value(name).parse().ok()
    }

    /// Each way to log in, as the methods that it takes in order. Ways with a method that is off do not exist.
    fn ways(&self) -> Vec<Vec<&str>> {
        let on = |method: &str| match method {
            "publickey" => self.is_on("pubkeyauthentication"),
            "password" => self.is_on("passwordauthentication"),
            "keyboard-interactive" => {
                self.is_on("kbdinteractiveauthentication")
                    || self.is_on("challengeresponseauthentication")
            }
            "hostbased" => self.is_on("hostbasedauthentication"),
            "gssapi-with-mic" => self.is_on("gssapiauthentication"),
            _ => false,
        };
        let methods = self.value("authenticationmethods");
        if methods.is_empty() || methods == "any" {
            return [
                "publickey",
                "password",
                "keyboard-interactive",
                "hostbased",
                "gssapi-with-mic",
            ]
            .into_iter()
            .filter(|method| on(method))
            .map(|method| vec![method])
            .collect();
        }
        methods
            .split_whitespace()
            .map(|way| {
                way.split(',')
                    .map(|method| method.split(':').next().unwrap_or_default())
                    .collect()
            })
            .filter(|way: &Vec<&str>| way.iter().all(|method| on(method)))
            .collect()
    }

    /// A login can skip PAM's auth phase.
    fn key_alone(&self) -> bool {
        self.ways()
            .iter()
            .any(|way| !way.iter().any(|method| asks_pam(method)))
    }

    /// Before PAM's auth phase a key or the like is always proven.
    fn key_first(&self) -> bool {
        self.ways().iter().all(|way| {
            let asks = way
                .iter()
                .position(|method| asks_pam(method))
                .unwrap_or(way.len());
            asks == way.len() || way[..asks].iter().any(|method| is_strong(method))
        })
    }
}

impl Settings {
    /// In some section a login can skip PAM's auth phase.
    pub(super) fn key_alone(&self) -> bool {
        self.sections.iter().any(Section::key_alone)
    }

    /// In every section a key or the like is proven before PAM's auth phase.
    pub(super) fn key_first(&self) -> bool {
        self.sections.iter().all(Section::key_first)
    }

    /// A setting of the main section.
    pub(super) fn main(&self, name: &str) -> &str {
        self.sections.first().map_or("", |main| main.value(name))
    }

    /// Whether `AllowUsers` and `DenyUsers` let somebody in, for what they say of names.
    pub(super) fn admits(&self, user: &str) -> bool {
        let listed = |name: &str| {
            self.main(name).split_whitespace().any(|pattern| {
                let who = pattern.split('@').next().unwrap_or_default();
                sshd_config::fits(who, user)
            })
        };
        !listed("denyusers") && (self.main("allowusers").is_empty() || listed("allowusers"))
    }

    /// The PAM service that sshd asks for (`PAMServiceName`, OpenSSH 9.8).
    pub(super) fn service(&self) -> &str {
        let named = self
            .sections
            .first()
            .map_or("", |main| main.value("pamservicename"));
        if named.is_empty() { SERVICE } else { named }
    }

    /// What is wrong with them. In a Match block only what the main section has not.
    pub(super) fn judge(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let mut known: Vec<&'static str> = Vec::new();
        for (number, section) in self.sections.iter().enumerate() {
            let mut own = Vec::new();
            section.judge(&mut own);
            if number == 0 {
                known = own.iter().map(|finding| finding.rule).collect();
                found.append(&mut own);
            } else {
                found.extend(
                    own.into_iter()
                        .filter(|finding| !known.contains(&finding.rule)),
                );
            }
        }
        found
    }
}
