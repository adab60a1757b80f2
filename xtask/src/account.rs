//! What a process uses: memory, images of plugins that are mapped, threads, descriptors.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use crate::failure::{Context, Outcome};

/// One look at a process.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Memory that belongs to this process alone and was written to.
    pub(crate) private_kb: u64,
    /// Memory in use, shared files included.
    pub(crate) resident_kb: u64,
    /// Memory that stands in no file: heaps, stacks, and of files what this process changed.
    pub(crate) anonymous_kb: u64,
    /// Distinct files mapped from the state folder.
    pub(crate) images: usize,
    pub(crate) threads: usize,
    /// Open descriptors: sockets, files, everything.
    pub(crate) descriptors: usize,
}

impl Usage {
    /// Looks at process `pid`, whose images lie below `state`.
    pub(crate) fn of(pid: u32, state: &Path) -> Outcome<Self> {
        let rollup = read(pid, "smaps_rollup")?;
        let state = state
            .canonicalize()
            .context(format_args!("{} cannot be found", state.display()))?;
        Ok(Self {
            private_kb: kilobytes(&rollup, "Private_Dirty:"),
            resident_kb: kilobytes(&rollup, "Rss:"),
            anonymous_kb: kilobytes(&rollup, "Anonymous:"),
            threads: entries(pid, "task")?,
            descriptors: entries(pid, "fd")?,
            images: images(&read(pid, "maps")?, &state.to_string_lossy()),
        })
    }
}

fn entries(pid: u32, folder: &str) -> Outcome<usize> {
    let path = format!("/proc/{pid}/{folder}");
    let entries = fs::read_dir(&path).context(format_args!("{path} cannot be read"))?;
    Ok(entries.count())
}

fn read(pid: u32, file: &str) -> Outcome<String> {
    let path = format!("/proc/{pid}/{file}");
    fs::read_to_string(&path).context(format_args!("{path} cannot be read"))
}

fn kilobytes(rollup: &str, key: &str) -> u64 {
    let line = rollup.lines().find_map(|line| line.strip_prefix(key));
    line.and_then(|rest| rest.split_whitespace().next()?.parse().ok())
        .unwrap_or(0)
}

fn images(maps: &str, state: &str) -> usize {
    let paths = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| &line[at..]));
    paths
        .filter(|path| path.starts_with(state))
        .collect::<HashSet<_>>()
        .len()
}

#[cfg(test)]
mod tests {
    use super::{images, kilobytes};

    #[test]
    fn the_files_of_the_kernel_are_read() {
        let rollup = "5580-7ffd ---p 00000000 00:00 0 [rollup]\nRss:     1720 kB\nPrivate_Dirty:       96 kB\n";
        assert_eq!(
            (
                kilobytes(rollup, "Rss:"),
                kilobytes(rollup, "Private_Dirty:")
            ),
            (1720, 96)
        );
        let maps = "7f01-7f02 r-xp 0 08:01 1    /s/images/ab/1/libstamp.so\n7f02-7f03 rw-p 0 08:01 1    /s/images/ab/1/libstamp.so\n\
                    7f04-7f05 r-xp 0 08:01 2    /s/images/cd/1/libstamp.so (deleted)\n7f06-7f07 r-xp 0 08:01 3    /lib/libc.so\n\
                    7f08-7f09 rw-p 0 00:00 0\n";
        assert_eq!(images(maps, "/s/"), 2);
    }
}
