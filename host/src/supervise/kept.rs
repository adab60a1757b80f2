//! What is kept for the process that serves next: copies of listening sockets, and small texts, under keys.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

use super::wire::{self, Told};

/// Copies under their keys.
#[derive(Debug, Default)]
pub struct Kept(BTreeMap<String, Vec<OwnedFd>>);

impl Kept {
    /// Keeps more under a key.
    pub fn add(&mut self, key: String, sockets: Vec<OwnedFd>) {
        self.0.entry(key).or_default().extend(sockets);
    }

    /// Keeps this in the place of what is kept under a key.
    pub fn replace(&mut self, key: String, sockets: Vec<OwnedFd>) {
        self.0.insert(key, sockets);
    }

    /// Closes what is kept under a key.
    pub fn forget(&mut self, key: &str) {
        self.0.remove(key);
    }

    /// Closes all of it.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// The same once more.
    ///
    /// # Errors
    /// The system gives no more descriptors.
    pub fn try_clone(&self) -> io::Result<Self> {
        let copies = |sockets: &Vec<OwnedFd>| {
            sockets
                .iter()
                .map(OwnedFd::try_clone)
                .collect::<io::Result<Vec<_>>>()
        };
        let all = self.0.iter();
        let all = all.map(|(key, sockets)| Ok((key.clone(), copies(sockets)?)));
        all.collect::<io::Result<_>>().map(Self)
    }

    /// Hands all of it over.
    ///
    /// # Errors
    /// The other side is gone, or takes nothing.
    pub fn hand_over(&self, socket: &OwnedFd) -> io::Result<()> {
        for (key, sockets) in &self.0 {
            let sockets: Vec<BorrowedFd<'_>> = sockets.iter().map(|one| one.as_fd()).collect();
            wire::send(socket, &Told::Sockets(key.clone()), &sockets)?;
        }
        Ok(())
    }
}

/// A text as something that can be kept: a file without a name, in memory.
///
/// # Errors
/// What the system says.
pub fn text(text: &str) -> io::Result<OwnedFd> {
    let mut file = memory()?;
    file.write_all(text.as_bytes())?;
    Ok(file.into())
}

/// The text in it.
///
/// # Errors
/// What the system says.
pub fn read(kept: OwnedFd) -> io::Result<String> {
    let mut file = File::from(kept);
    let mut text = String::new();
    file.rewind()?;
    file.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(target_os = "linux")]
fn memory() -> io::Result<File> {
    let flags = rustix::fs::MemfdFlags::CLOEXEC;
    Ok(File::from(rustix::fs::memfd_create("swapgate", flags)?))
}

#[cfg(not(target_os = "linux"))]
fn memory() -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_lives_on_without_the_first() {
        let mut kept = Kept::default();
        kept.replace("a".to_owned(), vec![text("one").unwrap()]);
        let mut copy = kept.try_clone().unwrap();
        kept.clear();
        let found = copy.0.remove("a").unwrap().pop().unwrap();
        assert_eq!(read(found).unwrap(), "one");
    }
}
