//! Sockets in the file system: their files, which nobody else takes away.
//!
//! All workers share one socket, because the file system has no `SO_REUSEPORT`; each accepts from it. A file that a dead
//! process left is replaced, one at which somebody answers is not. The file goes when the listener goes or the gateway ends;
//! a process that crashes leaves it, and whoever takes over its sockets under `--supervised` goes on with it.

use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};

use super::bind::BACKLOG;

/// Who may connect: the owner and the group, whatever the umask is. Others get in by the group.
const MODE: u32 = 0o660;

/// Binds one socket and makes `count` of it.
///
/// # Errors
/// Why not and what to do, for whoever wrote the path.
pub fn bind(path: &Path, count: usize) -> io::Result<(Vec<UnixListener>, File)> {
    let _turn = Turn::take(path);
    make_way(path)?;
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket
        .bind(&SockAddr::unix(path)?)
        .map_err(|error| explained(path, &error))?;
    let file = File::of(path).ok_or_else(replaced)?;
    let listening = fs::set_permissions(path, Permissions::from_mode(MODE))
        .and_then(|()| socket.listen(BACKLOG))
        .and_then(|()| socket.set_nonblocking(true))
        // Until it listened, anybody could take it for dead.
        .and_then(|()| file.is_there().then_some(()).ok_or_else(replaced));
    let listener = UnixListener::from(socket);
    let copies = listening.and_then(|()| {
        let copies = (1..count).map(|_| listener.try_clone());
        copies.collect::<io::Result<Vec<_>>>()
    });
    match copies {
        Ok(mut all) => {
            all.push(listener);
            Ok((all, file))
        }
        Err(error) => {
            file.remove_now();
            Err(error)
        }
    }
}

/// Whether there is a socket under a path.
#[must_use]
pub fn is_there(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// Removes a socket at which nobody answers.
pub fn remove_dead(path: &Path) {
    let _turn = Turn::take(path);
    if is_there(path) && is_dead(path).unwrap_or(false) {
        let _ = fs::remove_file(path);
    }
}

/// The file of a socket, as it was when it was bound.
#[derive(Debug, Clone)]
pub struct File {
    path: PathBuf,
    identity: Identity,
}

/// Device and inode.
pub type Identity = (u64, u64);

impl File {
    /// The one that lies there now.
    #[must_use]
    pub fn of(path: &Path) -> Option<Self> {
        let found = fs::symlink_metadata(path).ok()?;
        Some(Self {
            path: path.to_owned(),
            identity: (found.dev(), found.ino()),
        })
    }

    /// What tells it from others that lie under the same name, before and after it.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Removes it, unless somebody put another one in its place.
    pub fn remove(&self) {
        let _turn = Turn::take(&self.path);
        self.remove_now();
    }

    fn is_there(&self) -> bool {
        Self::of(&self.path).is_some_and(|now| now.identity == self.identity)
    }

    fn remove_now(&self) {
        if self.is_there()
            && let Err(error) = fs::remove_file(&self.path)
        {
            let path = self.path.display();
            tracing::warn!(target: "listener", %error, "cannot remove the socket {path}");
        }
    }
}

/// The turn of one gateway with the sockets of a folder. One that is bound and does not listen yet looks as dead as one that
/// was left, and two that find the same dead one would each remove what the other put in its place.
struct Turn {
    _folder: Option<fs::File>,
}

impl Turn {
    /// Waits for it, but not for ever: others may hold the lock of a folder for reasons of their own. Where there is none to be
    /// had, it goes on without.
    fn take(path: &Path) -> Self {
        const TRIES: u32 = 100;
        const PAUSE: Duration = Duration::from_millis(10);
        let folder = path.parent().and_then(|folder| fs::File::open(folder).ok());
        if let Some(folder) = &folder {
            for _ in 0..TRIES {
                match flock(folder, FlockOperation::NonBlockingLockExclusive) {
                    Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                    Err(Errno::INTR) => {}
                    Ok(()) | Err(_) => break,
                }
            }
        }
        Self { _folder: folder }
    }
}

fn replaced() -> io::Error {
    let text =
        "somebody else puts another file there at this moment; start again, or choose another path";
    io::Error::new(ErrorKind::AddrInUse, text)
}

/// Removes what a dead process left.
fn make_way(path: &Path) -> io::Result<()> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(explained(path, &error)),
    };
    if !found.file_type().is_socket() {
        let text = "something is there that is no socket; remove it, or choose another path";
        return Err(io::Error::new(ErrorKind::AlreadyExists, text));
    }
    if !is_dead(path)? {
        let text = "somebody answers there; end what listens there, or choose another path";
        return Err(io::Error::new(ErrorKind::AddrInUse, text));
    }
    tracing::info!(target: "listener", "removing the socket {}, at which nobody answers", path.display());
    fs::remove_file(path).map_err(|error| explained(path, &error))
}

/// Whether nobody listens at a socket. One with a full queue is alive, so what is tried must not wait for room in it.
fn is_dead(path: &Path) -> io::Result<bool> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    match socket.connect(&SockAddr::unix(path)?) {
        Ok(()) => {
            drop(UnixStream::from(socket));
            Ok(false)
        }
        Err(error) => match error.kind() {
            ErrorKind::ConnectionRefused => Ok(true),
            ErrorKind::WouldBlock => Ok(false),
            _ => Err(explained(path, &error)),
        },
    }
}

/// What the system said, and what it means here.
fn explained(path: &Path, error: &io::Error) -> io::Error {
    let folder = path.parent().unwrap_or(path).display();
    let text = match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => {
            format!("there is no folder {folder}; make it, or choose another path")
        }
        ErrorKind::PermissionDenied => format!(
            "{error}; let the gateway write into {folder}, and own what lies there under this name, or choose another path"
        ),
        ErrorKind::AddrInUse => {
            "somebody else binds it at this moment; start again, or choose another path".to_owned()
        }
        _ => format!("{error}; choose another path"),
    };
    io::Error::new(error.kind(), text)
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;

    use super::*;

    fn folder() -> tempfile::TempDir {
        tempfile::tempdir().expect("the system has a temporary folder")
    }

    #[test]
    fn one_socket_for_all_with_its_mode() {
        let folder = folder();
        let path = folder.path().join("a.sock");
        let (sockets, _) = bind(&path, 3).unwrap();
        assert_eq!(sockets.len(), 3);
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, MODE);
        let _client = UnixStream::connect(&path).unwrap();
        assert!(sockets[0].accept().is_ok());
        let none = sockets[2].accept().unwrap_err();
        assert_eq!(none.kind(), ErrorKind::WouldBlock);
    }

    #[test]
    fn a_dead_one_is_replaced_and_a_living_one_is_not() {
        let folder = folder();
        let path = folder.path().join("a.sock");
        drop(bind(&path, 1).unwrap());
        assert!(is_there(&path));
        let _living = bind(&path, 1).unwrap();
        let error = bind(&path, 1).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AddrInUse);
        assert!(error.to_string().starts_with("somebody answers there"));
        remove_dead(&path);
        assert!(is_there(&path));
    }

    #[test]
    fn of_many_that_bind_at_once_one_gets_it_and_keeps_it() {
        let folder = folder();
        let path = folder.path().join("a.sock");
        for round in 0..20 {
            let together = Barrier::new(4);
            let bound: Vec<_> = std::thread::scope(|scope| {
                let try_it = || {
                    together.wait();
                    bind(&path, 1).ok()
                };
                let threads: Vec<_> = (0..4).map(|_| scope.spawn(try_it)).collect();
                let threads = threads.into_iter();
                threads.filter_map(|one| one.join().unwrap()).collect()
            });
            assert_eq!(bound.len(), 1, "round {round}");
            assert!(bound[0].1.is_there());
            let _client = UnixStream::connect(&path).unwrap();
            // What is left for the next round is dead.
        }
    }

    #[test]
    fn what_is_no_socket_stays() {
        let folder = folder();
        let path = folder.path().join("a.sock");
        fs::write(&path, "precious").unwrap();
        let error = bind(&path, 1).unwrap_err();
        assert!(error.to_string().contains("is no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "precious");
        let error = bind(&folder.path().join("none/a.sock"), 1).unwrap_err();
        assert!(error.to_string().contains("there is no folder"), "{error}");
    }

    #[test]
    fn a_file_that_was_exchanged_stays() {
        let folder = folder();
        let path = folder.path().join("a.sock");
        let first = bind(&path, 1).unwrap();
        let file = File::of(&path).unwrap();
        let moved = folder.path().join("b.sock");
        fs::rename(&path, &moved).unwrap();
        let _second = bind(&path, 1).unwrap();
        file.remove();
        assert!(is_there(&path));
        drop(first);
        File::of(&path).unwrap().remove();
        assert!(!is_there(&path));
    }
}
