//! The file that holds the number of the process: which one to send signals to.

use std::fs;
use std::path::Path;

/// Writes it aside and renames it, so that a reader sees all of it or what was there before.
///
/// # Errors
/// Why not, in one sentence.
pub fn write(path: &Path) -> Result<(), String> {
    let own = std::process::id();
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{own}"));
    fs::write(&aside, format!("{own}\n"))
        .and_then(|()| fs::rename(&aside, path))
        .map_err(|error| {
            let path = path.display();
            format!("cannot write the number of the process to {path}: {error}; make its folder, or name another file")
        })
}

/// Removes it, unless another process has written its own number meanwhile.
pub fn remove(path: &Path) {
    if read(path).ok() == Some(std::process::id()) {
        let _ = fs::remove_file(path);
    }
}

/// The number in it.
///
/// # Errors
/// Why there is none, in one sentence.
pub fn read(path: &Path) -> Result<u32, String> {
    let shown = path.display();
    let text = fs::read_to_string(path)
        .map_err(|error| format!("cannot read the number of the process from {shown}: {error}"))?;
    let number = text.trim().parse();
    number.map_err(|_| format!("{shown} holds no number of a process"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_goes_only_with_the_process_whose_number_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gate.pid");
        assert!(read(&path).unwrap_err().starts_with("cannot read"));
        write(&path).unwrap();
        assert_eq!(read(&path), Ok(std::process::id()));
        remove(&path);
        assert!(!path.exists());
        fs::write(&path, "1\n").unwrap();
        remove(&path);
        assert_eq!(read(&path), Ok(1));
        fs::write(&path, "gate").unwrap();
        assert!(read(&path).unwrap_err().ends_with("no number of a process"));
    }
}
