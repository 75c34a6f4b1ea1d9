//! Reads files that decide over logins: each is checked through its open descriptor, and so is every directory that leads
//! to it. It knows no file's meaning.
//!
//! The path is walked one name at a time with `O_NOFOLLOW`, which refuses symbolic links as `RESOLVE_NO_SYMLINKS` of
//! `openat2(2)` does, needs no such system call, and leaves a descriptor of each directory to check.

use std::{
    ffi::{OsStr, OsString},
    fmt,
    fs::File,
    io::{self, Read},
    os::{
        fd::{AsFd, OwnedFd},
        unix::ffi::OsStrExt,
    },
    path::{Component, Path, PathBuf},
};

use nix::{
    dir::Dir,
    errno::Errno,
    fcntl::{OFlag, open, openat},
    sys::stat::{FileStat, Mode, SFlag, fstat},
};
use zeroize::Zeroizing;

/// What a file is for, and so who may do what with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Read by whoever wants to know, written by its owner.
    Configuration,
    /// Read and written by its owner.
    Secret,
    /// A secret that the service manager put there for this process, readable by way of an ACL: its mask shows as the
    /// group's bits, so only the others' are looked at.
    Credential,
}

/// Who may own files and the directories that lead to them, and where those begin.
#[derive(Debug, Clone, Copy)]
pub struct Trust<'a> {
    /// Directories from here on are checked; those above are taken for granted.
    pub root: &'a Path,
    /// May own them, besides root.
    pub owner: u32,
}

/// A file that is not used, and why.
#[derive(Debug)]
pub struct FileError {
    path: PathBuf,
    fault: Fault,
    owner: u32,
}

#[derive(Debug)]
enum Fault {
    Missing,
    Symlink,
    NotRegular,
    NotDirectory,
    Outside,
    OwnedBy(u32),
    WritableByOthers(u32),
    ReadableByOthers(u32),
    TooLarge(usize),
    TooMany(usize),
    Changing,
    Unprintable,
    Io(Errno),
}

impl FileError {
    /// Whether nothing is wrong but that there is no such file.
    pub fn is_missing(&self) -> bool {
        matches!(self.fault, Fault::Missing)
    }
}

impl Trust<'_> {
    /// Reads a file of at most `limit` bytes.
    ///
    /// # Errors
    /// The file or a directory that leads to it is missing, a link, of the wrong type, owner or mode, or unreadable.
    pub fn read(
        &self,
        path: &Path,
        purpose: Purpose,
        limit: usize,
    ) -> Result<Zeroizing<Vec<u8>>, FileError> {
        let name = path
            .file_name()
            .ok_or_else(|| self.error(path, Fault::NotRegular))?;
        let directory = self.directory(path.parent().unwrap_or(self.root))?;
        // Opening a FIFO or a terminal must neither wait nor take it over.
        let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOCTTY;
        let file = self.open_at(&directory, name, path, flags)?;
        let stat = fstat(&file).map_err(|errno| self.error(path, Fault::Io(errno)))?;
        if kind(&stat) != SFlag::S_IFREG {
            return Err(self.error(path, Fault::NotRegular));
        }
        self.check_owner(path, &stat, purpose)?;
        match usize::try_from(stat.st_size) {
            Ok(size) if size <= limit => self.read_all(path, file, size),
            _ => Err(self.error(path, Fault::TooLarge(limit))),
        }
    }

    /// Names in a directory, in order.
    ///
    /// # Errors
    /// As with [`Trust::read`]; more than `limit` names.
    pub fn list(
        &self,
        path: &Path,
        limit: usize,
        wanted: impl Fn(&OsStr) -> bool,
    ) -> Result<Vec<OsString>, FileError> {
        let directory = self.directory(path)?;
        // What was checked is opened for reading by itself: `.` cannot have become something else.
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        let readable = self.open_at(&directory, OsStr::new("."), path, flags)?;
        let io = |errno| self.error(path, Fault::Io(errno));
        let mut names = Vec::new();
        for entry in Dir::from_fd(readable).map_err(io)?.iter() {
            let name = OsStr::from_bytes(entry.map_err(io)?.file_name().to_bytes()).to_owned();
            if !wanted(&name) {
                continue;
            }
            if names.len() == limit {
                return Err(self.error(path, Fault::TooMany(limit)));
            }
            if name
                .to_str()
                .is_none_or(|name| name.chars().any(char::is_control))
            {
                return Err(self.error(&path.join(name), Fault::Unprintable));
            }
            names.push(name);
        }
        names.sort();
        Ok(names)
    }

    /// Walks to a directory and checks every one from the root on.
    fn directory(&self, path: &Path) -> Result<OwnedFd, FileError> {
        let below = path
            .strip_prefix(self.root)
            .map_err(|_| self.error(path, Fault::Outside))?;
        let flags = OFlag::O_PATH | OFlag::O_DIRECTORY;
        let mut reached = self.root.to_path_buf();
        let mut directory = open(self.root, flags | OFlag::O_CLOEXEC, Mode::empty())
            .map_err(|errno| self.error(&reached, Fault::of(errno)))?;
        self.check_directory(&reached, &directory)?;
        for component in below.components() {
            let Component::Normal(name) = component else {
                return Err(self.error(path, Fault::Outside));
            };
            reached.push(name);
            directory = self.open_at(&directory, name, &reached, flags)?;
            self.check_directory(&reached, &directory)?;
        }
        Ok(directory)
    }

    fn open_at(
        &self,
        directory: &OwnedFd,
        name: &OsStr,
        path: &Path,
        flags: OFlag,
    ) -> Result<OwnedFd, FileError> {
        let flags = flags | OFlag::O_NOFOLLOW | OFlag::O_CLOEXEC;
        openat(directory.as_fd(), name, flags, Mode::empty()).map_err(|errno| {
            // With O_DIRECTORY the kernel says of a link only that it is no directory.
            let link = errno == Errno::ENOTDIR && path.is_symlink();
            self.error(
                path,
                if link {
                    Fault::Symlink
                } else {
                    Fault::of(errno)
                },
            )
        })
    }

    fn check_directory(&self, path: &Path, directory: &OwnedFd) -> Result<(), FileError> {
        let stat = fstat(directory).map_err(|errno| self.error(path, Fault::Io(errno)))?;
        self.check_owner(path, &stat, Purpose::Configuration)
    }

    fn check_owner(&self, path: &Path, stat: &FileStat, purpose: Purpose) -> Result<(), FileError> {
        let mode = stat.st_mode & 0o7777;
        let fault = if stat.st_uid != 0 && stat.st_uid != self.owner {
            Fault::OwnedBy(stat.st_uid)
        } else if mode & 0o022 != 0 {
            Fault::WritableByOthers(mode)
        } else if mode & purpose.forbidden() != 0 {
            Fault::ReadableByOthers(mode)
        } else {
            return Ok(());
        };
        Err(self.error(path, fault))
    }

    /// Reads the `size` bytes that the file had when it was looked at.
    fn read_all(
        &self,
        path: &Path,
        file: OwnedFd,
        size: usize,
    ) -> Result<Zeroizing<Vec<u8>>, FileError> {
        // All its room at once, since a vector that grows leaves copies of a secret behind; and one byte more, which a
        // file that is being written may fill.
        let mut bytes = Zeroizing::new(vec![0; size + 1]);
        let mut file = File::from(file);
        let mut filled = 0;
        while let Some(room) = bytes.get_mut(filled..).filter(|room| !room.is_empty()) {
            match file.read(room) {
                Ok(0) => break,
                Ok(more) => filled += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
                    return Err(self.error(path, Fault::Io(errno)));
                }
            }
        }
        if filled != size {
            return Err(self.error(path, Fault::Changing));
        }
        bytes.truncate(size);
        Ok(bytes)
    }

    fn error(&self, path: &Path, fault: Fault) -> FileError {
        FileError {
            path: path.to_path_buf(),
            fault,
            owner: self.owner,
        }
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode & SFlag::S_IFMT.bits())
}

impl Purpose {
    /// Mode bits that it must not have, besides others' write bits.
    const fn forbidden(self) -> u32 {
        match self {
            Self::Configuration => 0,
            Self::Secret => 0o077,
            Self::Credential => 0o007,
        }
    }
}

impl Fault {
    fn of(errno: Errno) -> Self {
        match errno {
            Errno::ENOENT => Self::Missing,
            Errno::ELOOP => Self::Symlink,
            Errno::ENOTDIR => Self::NotDirectory,
            // A socket, or a device without a driver.
            Errno::ENXIO | Errno::ENODEV => Self::NotRegular,
            errno => Self::Io(errno),
        }
    }
}

impl fmt::Display for FileError {
    /// Path, what is wrong with it, and the command that mends it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = shell_word(&self.path);
        write!(f, "{path}: ")?;
        match &self.fault {
            Fault::Missing => f.write_str("there is no such file"),
            Fault::Symlink => write!(
                f,
                "is a symbolic link, which may lead anywhere; replace it by what it names: cp -a --remove-destination \"$(readlink -f {path})\" {path}"
            ),
            Fault::NotRegular => write!(f, "is not a regular file; look at it: ls -l {path}"),
            Fault::NotDirectory => write!(f, "is not a directory; look at it: ls -ld {path}"),
            Fault::Outside => f.write_str("must be an absolute path without `..`"),
            Fault::OwnedBy(uid) => {
                let owner = match self.owner {
                    0 => "root:root".to_owned(),
                    owner => owner.to_string(),
                };
                write!(
                    f,
                    "belongs to user {uid}, who could change who gets in; mend it: chown {owner} {path} && chmod go-w {path}"
                )
            }
            Fault::WritableByOthers(mode) => write!(
                f,
                "can be written by others than its owner (mode {mode:04o}); mend it: chmod go-w {path}"
            ),
            Fault::ReadableByOthers(mode) => write!(
                f,
                "holds a secret and can be read by others than its owner (mode {mode:04o}); mend it: chmod go= {path}"
            ),
            Fault::TooLarge(limit) => write!(f, "is larger than the {limit} bytes that are read"),
            Fault::TooMany(limit) => write!(f, "holds more than the {limit} files that are read"),
            Fault::Changing => {
                f.write_str("changed while it was read; try again when it is written")
            }
            Fault::Unprintable => {
                f.write_str("has control characters or no UTF-8 in its name; rename it")
            }
            Fault::Io(Errno::EACCES) => {
                write!(f, "may not be read by mfad; see who may: namei -l {path}")
            }
            Fault::Io(errno) => write!(f, "cannot be read: {}", errno.desc()),
        }
    }
}

impl std::error::Error for FileError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match &self.fault {
            Fault::Io(errno) => Some(errno),
            _ => None,
        }
    }
}

/// A path that can be pasted into a shell, and shown: in single quotes unless it is plain.
fn shell_word(path: &Path) -> String {
    let text = mfad_protocol::printable(&path.to_string_lossy());
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:@".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
