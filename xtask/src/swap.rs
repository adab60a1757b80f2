//! Versions of the plugin `stamp`, and the ways in which people put a new file in the place of an old one.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::Path;

use sha2::{Digest, Sha256};

use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;

/// What stands in the library before the text it stamps.
const MARK: &[u8] = b"SWAPGATE-STAMP:";
/// Bytes of text behind the mark, padded with zeros.
const FIELD: usize = 48;

/// One build of the plugin, told from the others by the value it stamps.
#[derive(Debug)]
pub(crate) struct Version {
    /// The bytes of the library.
    pub(crate) bytes: Vec<u8>,
    /// Their digest, as the admin listener shows it.
    pub(crate) digest: String,
    /// What it stamps.
    pub(crate) text: String,
}

impl Version {
    /// The library `bytes` with version `number` as its text.
    pub(crate) fn patched(bytes: &[u8], number: usize) -> Outcome<Self> {
        let mut bytes = bytes.to_vec();
        let mut places = bytes
            .windows(MARK.len())
            .enumerate()
            .filter(|(_, window)| *window == MARK);
        let (Some((mark, _)), None) = (places.next(), places.next()) else {
            let mark = String::from_utf8_lossy(MARK);
            return Err(Failure::new(format!(
                "the stamp plugin must hold {mark:?} exactly once, to make versions of it"
            )));
        };
        let start = mark + MARK.len();
        let field = bytes
            .get_mut(start..start + FIELD)
            .ok_or_else(|| Failure::new("the stamp plugin is cut off"))?;
        let text = format!("version-{number}");
        field.fill(0);
        field[..text.len()].copy_from_slice(text.as_bytes());
        let digest = Sha256::digest(&bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        Ok(Self {
            bytes,
            digest,
            text,
        })
    }
}

/// A way to replace a file.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Way {
    /// Written over, as `cp` does.
    InPlace,
    /// Written aside and renamed, as `mv` does.
    Rename,
    /// Removed and linked again, as cargo does.
    Link,
    /// A link whose target is inside a folder that another link names; that link is replaced, as mounted
    /// configurations of Kubernetes are.
    LinkSwap,
}

impl Way {
    /// The way of swap number `turn`. After a link swap comes a renamed file: a write through a link changes a file
    /// outside the watched folder, which the gateway sees with its next look, ten seconds later.
    pub(crate) fn of_turn(turn: usize) -> Self {
        [Self::InPlace, Self::Link, Self::LinkSwap, Self::Rename][turn % 4]
    }

    /// Puts `bytes` where `path` is; what has to lie aside for it lies in `folder`.
    pub(crate) fn put(self, folder: &Folder, path: &Path, bytes: &[u8]) -> Outcome<()> {
        self.try_put(&folder.file("next"), path, bytes)
            .context(format_args!(
                "{} cannot be replaced ({self:?})",
                path.display()
            ))
    }

    fn try_put(self, aside: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::InPlace => return fs::write(path, bytes),
            Self::LinkSwap => return swap_links(aside, path, bytes),
            Self::Rename | Self::Link => {}
        }
        fs::write(aside, bytes)?;
        fs::set_permissions(aside, fs::Permissions::from_mode(0o755))?;
        if let Self::Rename = self {
            return fs::rename(aside, path);
        }
        fs::remove_file(path)?;
        fs::hard_link(aside, path)?;
        // The other name goes, so that the next swap does not write into a file the gateway watches.
        fs::remove_file(aside)
    }
}

/// The folder of the new file is whole before `..data` names it; the old one goes once nothing leads there.
fn swap_links(aside: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    const DATA: &str = "..data";
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(io::ErrorKind::InvalidInput.into());
    };
    let data = folder.join(DATA);
    let old = fs::read_link(&data).ok();
    let new = match &old {
        Some(old) if old == Path::new("..one") => "..two",
        _ => "..one",
    };
    DirBuilder::new().mode(0o755).create(folder.join(new))?;
    let file = folder.join(new).join(name);
    fs::write(&file, bytes)?;
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755))?;
    symlink(new, aside)?;
    fs::rename(aside, &data)?;
    if !path.is_symlink() {
        symlink(Path::new(DATA).join(name), aside)?;
        fs::rename(aside, path)?;
    }
    old.map_or(Ok(()), |old| fs::remove_dir_all(folder.join(old)))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Version, swap_links};

    #[test]
    fn links_are_swapped_and_the_old_folder_goes() {
        let root = std::env::temp_dir().join(format!("xtask-links-{}", std::process::id()));
        let folder = root.join("plugins.d");
        fs::create_dir_all(&folder).unwrap();
        let (aside, path) = (root.join("next"), folder.join("a.so"));
        fs::write(&path, "a file at first").unwrap();
        for content in ["one", "two", "three"] {
            swap_links(&aside, &path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            // The file, `..data`, and the one folder it names.
            assert_eq!(fs::read_dir(&folder).unwrap().count(), 3);
        }
        assert_eq!(fs::read_link(&path).unwrap().to_str(), Some("..data/a.so"));
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn the_field_is_written_over() {
        let mut library = b"..SWAPGATE-STAMP:unset and longer than it should be".to_vec();
        library.resize(100, b'.');
        let version = Version::patched(&library, 42).unwrap();
        assert_eq!(&version.bytes[..29], b"..SWAPGATE-STAMP:version-42\0\0");
        assert_eq!(
            (version.bytes[64], version.bytes[65], version.bytes.len()),
            (0, b'.', 100)
        );
        assert_eq!(version.digest.len(), 64);
    }

    #[test]
    fn other_files_are_refused() {
        for file in [
            &b"something else"[..],
            b"SWAPGATE-STAMP:short",
            b"SWAPGATE-STAMP:SWAPGATE-STAMP:",
        ] {
            assert!(Version::patched(file, 1).is_err());
        }
    }
}
