//! What Linux tells about a process: its private memory, the files it has open and those it has mapped.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::Pid;

/// Bytes of memory of this process that stand in no file. Of a file that was written just now the system counts even the
/// pages nobody changed as private and dirty, although they are its own cache.
///
/// # Panics
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn anonymous_bytes(pid: Pid) -> u64 {
    sum(pid, "Anonymous:")
}

#[track_caller]
fn sum(pid: Pid, fields: &str) -> u64 {
    let text = proc_file(pid, "smaps_rollup");
    let kilobytes: u64 = text
        .lines()
        .filter(|line| line.starts_with(fields))
        .filter_map(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok())
        .sum();
    kilobytes * 1024
}

/// The files below a folder that are mapped, each once.
///
/// # Panics
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn mapped_files(pid: Pid, below: &str) -> BTreeSet<String> {
    proc_file(pid, "maps")
        .lines()
        .filter_map(|line| line.find('/').map(|at| line[at..].to_owned()))
        .filter(|path| path.starts_with(below))
        .collect()
}

/// The processes whose parent this one is.
///
/// # Panics
/// When the system does not list processes.
#[must_use]
pub fn children(pid: Pid) -> Vec<u32> {
    let parent = |entry: std::fs::DirEntry| -> Option<(u32, u32)> {
        let own = entry.file_name().to_str()?.parse().ok()?;
        let stat = fs::read_to_string(entry.path().join("stat")).ok()?;
        let fields = stat.rsplit(')').next()?;
        Some((own, fields.split_whitespace().nth(1)?.parse().ok()?))
    };
    let entries = fs::read_dir("/proc").expect("Linux lists its processes");
    let wanted = u32::try_from(pid.as_raw_nonzero().get()).unwrap_or(0);
    let found = entries.filter_map(|entry| parent(entry.ok()?));
    let mut children: Vec<u32> = found
        .filter(|(_, of)| *of == wanted)
        .map(|(own, _)| own)
        .collect();
    children.sort_unstable();
    children
}

/// The processes that were started with a path below this folder as an argument.
#[must_use]
pub fn with_argument(folder: &Path) -> Vec<u32> {
    let wanted = folder.to_string_lossy().into_owned();
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let named = entries.filter_map(|entry| {
        let own: u32 = entry.file_name().to_str()?.parse().ok()?;
        let line = fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line);
        let below = |argument: &str| Path::new(argument).starts_with(&wanted);
        line.split('\0').any(below).then_some(own)
    });
    let own = std::process::id();
    named.filter(|one| *one != own).collect()
}

/// Whether a process is there and no zombie.
#[must_use]
pub fn is_alive(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit(')')
        .next()
        .and_then(|fields| fields.split_whitespace().next());
    state.is_some_and(|state| state != "Z")
}

/// How many descriptors a process has open: sockets, files, everything.
///
/// # Panics
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn descriptors(pid: Pid) -> usize {
    let path = format!("/proc/{}/fd", pid.as_raw_nonzero());
    match fs::read_dir(&path) {
        Ok(entries) => entries.count(),
        Err(error) => panic!("{path}: {error}"),
    }
}

/// CPU time used so far, in clock ticks (user and system together).
///
/// # Panics
/// When the process is gone.
#[must_use]
#[track_caller]
pub fn cpu_ticks(pid: Pid) -> u64 {
    let text = proc_file(pid, "stat");
    // The name stands in brackets and may hold anything; the fields after it are counted from 3 (proc(5)).
    let fields = text.rsplit(')').next().unwrap_or_default();
    let field = |number: usize| -> u64 {
        let value = fields.split_whitespace().nth(number - 3);
        value.and_then(|value| value.parse().ok()).unwrap_or(0)
    };
    field(14) + field(15)
}

fn proc_file(pid: Pid, name: &str) -> String {
    let path = format!("/proc/{}/{name}", pid.as_raw_nonzero());
    match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) => panic!("{path}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_about_this_very_process() {
        let own = rustix::process::getpid();
        assert!(anonymous_bytes(own) > 64 * 1024);
        assert_eq!(mapped_files(own, "/nowhere"), BTreeSet::new());
        let program = std::env::current_exe().unwrap();
        let program = program.to_str().unwrap();
        assert!(mapped_files(own, program).contains(program));
        assert!(cpu_ticks(own) < 1_000_000);
        assert!(descriptors(own) >= 3);
    }
}
