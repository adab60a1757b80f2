//! Where lines end up: standard output, or a file that is opened again when its path names another one.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Access logs hold addresses and names: not for everybody.
const MODE: u32 = 0o640;

/// Where lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Output {
    /// Standard output of the gateway.
    Stdout,
    /// A file.
    File(PathBuf),
}

impl std::fmt::Display for Output {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Stdout => f.write_str("standard output"),
            Self::File(path) => path.display().fmt(f),
        }
    }
}

/// An open output.
#[derive(Debug)]
pub struct Sink {
    file: File,
    /// Of a file: its path, and device and inode of what is open.
    named: Option<(PathBuf, Identity)>,
}

type Identity = (u64, u64);

impl Sink {
    /// Opens it. A file that is not there is made; its folder is not.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn open(output: &Output) -> io::Result<Self> {
        match output {
            // A handle of our own on the same output, so that nothing is kept in a buffer on the way.
            Output::Stdout => Ok(Self {
                file: io::stdout().as_fd().try_clone_to_owned()?.into(),
                named: None,
            }),
            Output::File(path) => {
                let (file, identity) = open(path)?;
                let named = Some((path.clone(), identity));
                Ok(Self { file, named })
            }
        }
    }

    /// Opens the file again if its path names another one, or none any more. True: it did. Where that fails, what is open
    /// stays open.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn follow(&mut self) -> io::Result<bool> {
        let Some((path, known)) = &mut self.named else {
            return Ok(false);
        };
        match std::fs::metadata(&*path) {
            Ok(found) if identity(&found) == *known => return Ok(false),
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        (self.file, *known) = open(path)?;
        Ok(true)
    }

    /// Writes some of these bytes, and says how many.
    ///
    /// # Errors
    ///
    /// Those of the system; zero bytes are one too.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match self.file.write(bytes) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                outcome => return outcome,
            }
        }
    }
}

/// Whether lines can be written to what this path names, if it names anything.
///
/// # Errors
///
/// It is a folder, a pipe or a socket: opening a pipe would wait for somebody to read from it.
pub fn check_kind(path: &Path) -> io::Result<()> {
    let Ok(found) = std::fs::metadata(path) else {
        return Ok(());
    };
    let kind = found.file_type();
    if kind.is_file() || kind.is_char_device() {
        return Ok(());
    }
    let what = match kind {
        kind if kind.is_dir() => "a folder",
        kind if kind.is_fifo() => "a pipe",
        kind if kind.is_socket() => "a socket",
        _ => "no file",
    };
    let path = path.display();
    Err(io::Error::other(format!(
        "{path} is {what}: name a file, or use stdout"
    )))
}

fn open(path: &Path) -> io::Result<(File, Identity)> {
    check_kind(path)?;
    let mut options = OpenOptions::new();
    let file = options.append(true).create(true).mode(MODE).open(path)?;
    let identity = identity(&file.metadata()?);
    Ok((file, identity))
}

fn identity(found: &Metadata) -> Identity {
    (found.dev(), found.ino())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Output, Sink, check_kind};

    fn read(path: &Path) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_file_that_moved_away_is_opened_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let old = folder.path().join("log.1");
        fs::write(&path, "before\n").unwrap();
        let mut sink = Sink::open(&Output::File(path.clone())).unwrap();
        assert_eq!(sink.write(b"a\n").unwrap(), 2);
        assert!(!sink.follow().unwrap());

        fs::rename(&path, &old).unwrap();
        sink.write(b"b\n").unwrap();
        assert_eq!(
            read(&old),
            "before\na\nb\n",
            "not lost: it is in the file that moved"
        );
        assert!(sink.follow().unwrap());
        sink.write(b"c\n").unwrap();
        assert_eq!(read(&path), "c\n");

        fs::remove_file(&path).unwrap();
        assert!(sink.follow().unwrap() && !sink.follow().unwrap());
        fs::remove_file(&path).unwrap();
        fs::write(&path, "made by somebody else\n").unwrap();
        assert!(sink.follow().unwrap());
        sink.write(b"d\n").unwrap();
        assert_eq!(read(&path), "made by somebody else\nd\n");
    }

    #[test]
    fn while_there_is_no_folder_the_open_file_stays() {
        let folder = tempfile::tempdir().unwrap();
        let inner = folder.path().join("inner");
        fs::create_dir(&inner).unwrap();
        let mut sink = Sink::open(&Output::File(inner.join("log"))).unwrap();
        let moved = folder.path().join("moved");
        fs::rename(&inner, &moved).unwrap();
        assert!(sink.follow().is_err());
        sink.write(b"a\n").unwrap();
        assert_eq!(read(&moved.join("log")), "a\n");
    }

    #[test]
    fn folders_are_refused_and_devices_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let error = check_kind(folder.path()).unwrap_err().to_string();
        assert!(
            error.contains("is a folder: name a file, or use stdout"),
            "{error}"
        );
        assert!(check_kind(Path::new("/dev/null")).is_ok());
        assert!(check_kind(&folder.path().join("not there")).is_ok());
    }
}
