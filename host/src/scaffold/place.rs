//! How a project gets to the disk: all of it or nothing.
//!
//! The files are written beside the place they are for and renamed into it, so a full disk or a missing permission leaves
//! nothing half-made. A folder that exists keeps its identity, because it may be the one somebody's shell stands in: the
//! files are prepared inside it and moved up.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Component, Path, PathBuf};

use super::File;

/// Why a project was not made. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Something lies there.
    #[error("{} is not empty; name a folder that is, or one that does not exist yet", .0.display())]
    NotEmpty(PathBuf),
    /// Not a folder.
    #[error("{} is a file; name a folder that does not exist yet", .0.display())]
    NotAFolder(PathBuf),
    /// No folder can be made by this path.
    #[error("{} names no folder; name one that does not exist yet", .0.display())]
    NoFolder(PathBuf),
    /// The system did not let it happen.
    #[error("cannot write to {} ({error}); check permissions and free space", .folder.display())]
    Io {
        /// Where.
        folder: PathBuf,
        /// What it said.
        error: io::Error,
    },
}

/// Writes the files below `folder`, which must be empty or not exist.
///
/// # Errors
///
/// [`Error`]; the disk is as it was before.
pub fn put(files: &[File], folder: &Path) -> Result<(), Error> {
    let io = |error| Error::Io {
        folder: folder.to_owned(),
        error,
    };
    match fs::metadata(folder) {
        Ok(found) if !found.is_dir() => Err(Error::NotAFolder(folder.to_owned())),
        Ok(_) if fs::read_dir(folder).map_err(io)?.next().is_some() => {
            Err(Error::NotEmpty(folder.to_owned()))
        }
        Ok(_) => fill(files, folder).map_err(io),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let Some((missing, rest)) = first_missing(folder) else {
                return Err(Error::NoFolder(folder.to_owned()));
            };
            make(files, &missing, &rest).map_err(io)
        }
        Err(error) => Err(io(error)),
    }
}

/// Prepares everything beside the first missing folder of the path, then renames.
fn make(files: &[File], missing: &Path, rest: &Path) -> io::Result<()> {
    let parent = missing.parent().filter(|path| !path.as_os_str().is_empty());
    let aside = Aside::make(parent.unwrap_or(Path::new(".")))?;
    write(files, &aside.0.join(rest))?;
    fs::rename(&aside.0, missing)
}

/// Prepares everything inside the empty folder, then moves it up.
fn fill(files: &[File], folder: &Path) -> io::Result<()> {
    let aside = Aside::make(folder)?;
    write(files, &aside.0)?;
    let mut moved = Vec::new();
    let all = fs::read_dir(&aside.0)?.try_for_each(|entry| {
        let entry = entry?;
        let to = folder.join(entry.file_name());
        fs::rename(entry.path(), &to)?;
        moved.push(to);
        Ok(())
    });
    if all.is_err() {
        // The folder was empty, so these are all ours.
        for path in moved {
            let _ = fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path));
        }
    }
    all
}

/// A folder to prepare files in. Dropped, it is gone with what is left in it.
struct Aside(PathBuf);

impl Aside {
    fn make(within: &Path) -> io::Result<Self> {
        let path = within.join(format!(".swapgate-new-{}", std::process::id()));
        builder().recursive(false).create(&path)?;
        Ok(Self(path))
    }
}

impl Drop for Aside {
    fn drop(&mut self) {
        // After a rename there is none.
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The first part of the path that does not exist, and what comes after it. None where a path leads through `..` of
/// something that does not exist, or ends in it.
fn first_missing(folder: &Path) -> Option<(PathBuf, PathBuf)> {
    let mut seen = PathBuf::new();
    let mut parts = folder.components();
    for part in parts.by_ref() {
        seen.push(part);
        // A link that leads nowhere exists as well, and nothing can be renamed to where it leads.
        if fs::symlink_metadata(&seen).is_err() {
            let rest = parts.as_path().to_owned();
            let plain = |part: Component<'_>| matches!(part, Component::Normal(_));
            return rest.components().all(plain).then_some((seen, rest));
        }
    }
    None
}

fn write(files: &[File], folder: &Path) -> io::Result<()> {
    builder().create(folder)?;
    for file in files {
        let path = folder.join(&file.path);
        if let Some(parent) = path.parent() {
            builder().create(parent)?;
        }
        let mut options = fs::File::options();
        let mut open = options
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(path)?;
        io::Write::write_all(&mut open, file.text.as_bytes())?;
    }
    Ok(())
}

/// Folders that nobody else may write to, whatever the umask: the gateway would refuse plugins in another one.
fn builder() -> fs::DirBuilder {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o755);
    builder
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

    use super::*;

    fn files() -> Vec<File> {
        ["a.txt", "deep/er/b.txt", ".hidden"]
            .map(|path| File {
                path: path.to_owned(),
                text: path.into(),
            })
            .to_vec()
    }

    /// Everything below a folder, by path.
    fn tree(folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        let mut ahead = vec![folder.to_owned()];
        while let Some(place) = ahead.pop() {
            for entry in fs::read_dir(place).unwrap() {
                let path = entry.unwrap().path();
                let below = path.strip_prefix(folder).unwrap();
                found.push(below.display().to_string());
                if path.is_dir() {
                    ahead.push(path);
                }
            }
        }
        found.sort();
        found
    }

    const WHOLE: [&str; 5] = [".hidden", "a.txt", "deep", "deep/er", "deep/er/b.txt"];

    #[test]
    fn a_folder_that_does_not_exist_is_made_with_those_above_it() {
        let scratch = tempfile::tempdir().unwrap();
        let folder = scratch.path().join("one/two/three");
        put(&files(), &folder).unwrap();
        assert_eq!(tree(&folder), WHOLE);
        assert_eq!(
            fs::read_to_string(folder.join("deep/er/b.txt")).unwrap(),
            "deep/er/b.txt"
        );
        assert_eq!(tree(scratch.path()).len(), 3 + WHOLE.len());
        let mode = fs::metadata(folder.join("deep"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o022, 0);
    }

    #[test]
    fn an_empty_folder_is_filled_and_stays_the_same_folder() {
        let scratch = tempfile::tempdir().unwrap();
        let inode = fs::metadata(scratch.path()).unwrap().ino();
        put(&files(), scratch.path()).unwrap();
        assert_eq!(tree(scratch.path()), WHOLE);
        assert_eq!(fs::metadata(scratch.path()).unwrap().ino(), inode);
    }

    #[track_caller]
    fn check_refused(files: &[File], folder: &Path, within: &Path, expected: &str) {
        let before = tree(within);
        let error = put(files, folder).unwrap_err().to_string();
        assert_eq!(
            error.replace(&within.display().to_string(), "HERE"),
            expected
        );
        assert_eq!(tree(within), before);
    }

    #[test]
    fn what_is_there_is_left_alone() {
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path();
        fs::create_dir(here.join("full")).unwrap();
        fs::write(here.join("full/mine"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", here.join("link")).unwrap();
        let table = [
            (
                "full",
                "HERE/full is not empty; name a folder that is, or one that does not exist yet",
            ),
            (
                "full/mine",
                "HERE/full/mine is a file; name a folder that does not exist yet",
            ),
            (
                "new/../other",
                "HERE/new/../other names no folder; name one that does not exist yet",
            ),
            (
                "link",
                "HERE/link names no folder; name one that does not exist yet",
            ),
        ];
        for (folder, expected) in table {
            check_refused(&files(), &here.join(folder), here, expected);
        }
    }

    #[test]
    fn a_failure_half_way_leaves_nothing() {
        let scratch = tempfile::tempdir().unwrap();
        let here = scratch.path();
        fs::create_dir(here.join("empty")).unwrap();
        // The second file needs the first one to be a folder.
        let broken = [("a", "1"), ("a/b", "2")].map(|(path, text)| File {
            path: path.to_owned(),
            text: text.into(),
        });
        for folder in ["new", "one/two", "empty"] {
            let expected = format!(
                "cannot write to HERE/{folder} (File exists (os error 17)); check permissions and free space"
            );
            check_refused(&broken, &here.join(folder), here, &expected);
        }
    }
}
