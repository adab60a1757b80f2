//! The account of a process: how long its threads were on a core.

use std::fs;
use std::io;
use std::time::Duration;

/// Time all threads of a process have spent on a core so far.
///
/// `schedstat` counts nanoseconds and is preferred; where the kernel does not keep it, `stat` counts ticks of 10 ms,
/// which is coarse but unbiased over a round of some seconds.
///
/// # Errors
/// When the process is gone or `/proc` is not there.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    schedstat(pid).or_else(|_| stat(pid))
}

fn schedstat(pid: u32) -> io::Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        nanoseconds += number(text.split_ascii_whitespace().next())?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

fn stat(pid: u32) -> io::Result<Duration> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in parentheses may hold spaces, so counting starts behind it: utime and stime are fields 14 and 15.
    let behind_name = text.rsplit_once(") ").map_or("", |(_, rest)| rest);
    let mut fields = behind_name.split_ascii_whitespace().skip(11);
    let ticks = number(fields.next())? + number(fields.next())?;
    Ok(Duration::from_millis(ticks * 10))
}

fn number(field: Option<&str>) -> io::Result<u64> {
    field
        .and_then(|text| text.parse().ok())
        .ok_or_else(|| io::Error::other("the account of the process cannot be read"))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{cpu_time, stat};

    #[test]
    fn a_busy_process_spends_time() {
        let pid = std::process::id();
        let before = cpu_time(pid).unwrap();
        let limit = Instant::now() + Duration::from_secs(30);
        while cpu_time(pid).unwrap() <= before {
            assert!(Instant::now() < limit, "the account never moved");
        }
        stat(pid).unwrap();
    }
}
