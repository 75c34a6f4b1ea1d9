//! Files below a root directory, read within bounds, and what could not be read. It writes nothing.

use std::cell::RefCell;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::rules::unsafe_writer;

/// Longest file that is read, in bytes: libpam has no limit, but nobody writes a longer one.
const LONGEST: u64 = 256 * 1024;

/// A machine's files.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    owner: u32,
    unread: RefCell<Vec<(String, String)>>,
}

/// A file that was read.
#[derive(Debug, Clone)]
pub(super) struct Read {
    /// Its path, without the root.
    pub(super) path: String,
    /// What is in it; bytes that are no UTF-8 replaced.
    pub(super) text: String,
    /// Who besides root could write it.
    pub(super) unsafe_writer: Option<String>,
}

impl Tree {
    /// The machine whose `/` is `root`.
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            // Root's, but for a test's own directory.
            owner: fs::metadata(root).map_or(0, |facts| facts.uid()),
            unread: RefCell::default(),
        }
    }

    /// Where a path of the machine is.
    pub(super) fn below(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether the machine is this one.
    pub(super) fn is_here(&self) -> bool {
        self.root == Path::new("/")
    }

    /// Whether something is there, links followed.
    pub(super) fn exists(&self, path: &str) -> bool {
        fs::metadata(self.below(path)).is_ok()
    }

    /// Who besides root could write a file that is there.
    pub(super) fn unsafe_writer(&self, path: &str) -> Option<String> {
        let facts = fs::metadata(self.below(path)).ok()?;
        unsafe_writer(&facts, self.owner)
    }

    /// A file's text; `None` if there is none, or if it cannot be read, which [`Self::unread`] then tells.
    pub(super) fn read(&self, path: &str) -> Option<Read> {
        match self.try_read(path) {
            Ok(text) => Some(text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                let entry = (path.to_owned(), error.to_string());
                let mut unread = self.unread.borrow_mut();
                if !unread.contains(&entry) {
                    unread.push(entry);
                }
                None
            }
        }
    }

    fn try_read(&self, path: &str) -> io::Result<Read> {
        // A FIFO in its place must not hold the check up.
        let file = File::options()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(self.below(path))?;
        let facts = file.metadata()?;
        if !facts.is_file() {
            return Err(io::Error::other("is not a plain file"));
        }
        if facts.len() > LONGEST {
            return Err(io::Error::other("is too large to be one"));
        }
        let mut bytes = Vec::new();
        file.take(LONGEST).read_to_end(&mut bytes)?;
        Ok(Read {
            path: path.to_owned(),
            text: String::from_utf8_lossy(&bytes).into_owned(),
            unsafe_writer: unsafe_writer(&facts, self.owner),
        })
    }

    /// The names in a directory, sorted; none if it is not there.
    pub(super) fn names(&self, path: &str) -> Vec<String> {
        let mut names: Vec<String> = match fs::read_dir(self.below(path)) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    let entry = (path.to_owned(), error.to_string());
                    self.unread.borrow_mut().push(entry);
                }
                Vec::new()
            }
        };
        names.sort();
        names
    }

    /// What could not be read, and why.
    pub(super) fn unread(&self) -> Vec<(String, String)> {
        self.unread.borrow().clone()
    }

    /// Directories in which libpam of some distribution looks for modules: `/usr/lib/TRIPLET/security` on Debian,
    /// `/usr/lib64/security` on Fedora.
    pub(crate) fn module_directories(&self) -> Vec<String> {
        let mut directories: Vec<String> = self
            .names("/usr/lib")
            .into_iter()
            .map(|name| format!("/usr/lib/{name}/security"))
            .filter(|path| self.exists(path))
            .collect();
        for path in ["/usr/lib64/security", "/usr/lib/security", "/lib/security"] {
            if self.exists(path) {
                directories.push(path.to_owned());
            }
        }
        directories
    }
}
