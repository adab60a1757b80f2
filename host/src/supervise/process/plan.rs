//! How a process is started: which file, with what.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use tokio::process::Command;

/// How a process is started.
#[derive(Debug, Clone)]
pub struct Plan {
    /// The executable.
    pub exe: PathBuf,
    /// The very file to start under that name, whatever lies there by then; without, what lies there.
    pub file: Option<Arc<File>>,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Variables beside those of this process.
    pub variables: Vec<(&'static str, OsString)>,
    /// Whether it gets a group of its own: a signal of the terminal reaches this process, which forwards it, and the other
    /// must not get it twice.
    pub apart: bool,
}

impl Plan {
    /// The same with another executable: the file that lies there now, and again at every start after this.
    ///
    /// # Errors
    /// It cannot be opened.
    pub fn of(&self, exe: PathBuf) -> io::Result<Self> {
        let file = open(&exe)?;
        Ok(Self {
            exe,
            file: file.map(Arc::new),
            ..self.clone()
        })
    }

    pub(super) fn command(&self) -> Command {
        let Some(file) = &self.file else {
            return Command::new(&self.exe);
        };
        let mut command = Command::new(format!("/proc/self/fd/{}", file.as_raw_fd()));
        command.arg0(&self.exe);
        command
    }
}

/// The file of an executable. None of a script: its interpreter opens it by its name, once it is started.
fn open(exe: &Path) -> io::Result<Option<File>> {
    let file = File::open(exe).or_else(|_| {
        // Whoever may start it need not be allowed to read it.
        let flags = OFlags::PATH | OFlags::CLOEXEC;
        Ok::<_, io::Error>(File::from(rustix::fs::open(exe, flags, Mode::empty())?))
    })?;
    let mut start = [0; 2];
    let is_script = (&file).read_exact(&mut start).is_ok() && start == *b"#!";
    Ok((!is_script).then_some(file))
}
