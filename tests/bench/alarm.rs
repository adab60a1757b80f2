//! Waiting for a point in time, to the microsecond.

use std::io;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// Shorter waits than this cost more than they are worth.
const SHORT: Duration = Duration::from_micros(5);

/// A clock of the kernel's, because the runtime's own counts milliseconds. It is read as a pipe would be: some bytes are
/// there once it has rung.
#[derive(Debug)]
pub struct Alarm(Receiver);

impl Alarm {
    /// One that has not been set.
    ///
    /// # Errors
    /// When the system gives none.
    pub fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Receiver::from_owned_fd_unchecked(timer).map(Self)
    }

    /// Waits until `due`, which may have passed.
    ///
    /// # Errors
    /// When the system says so.
    pub async fn wait(&self, due: Instant) -> io::Result<()> {
        let left = due.saturating_duration_since(Instant::now());
        if left < SHORT {
            return Ok(());
        }
        let once = Itimerspec {
            it_interval: timespec(Duration::ZERO),
            it_value: timespec(left),
        };
        timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &once)?;
        loop {
            self.0.readable().await?;
            match self.0.try_read(&mut [0_u8; 8]) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                rung => return rung.map(drop),
            }
        }
    }
}

fn timespec(time: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(time.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: time.subsec_nanos().into(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Alarm;

    #[test]
    fn an_alarm_never_rings_early() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let alarm = Alarm::new().unwrap();
            for wait in [0, 30, 700, 3000].map(Duration::from_micros) {
                let due = Instant::now() + wait;
                alarm.wait(due).await.unwrap();
                assert!(due.saturating_duration_since(Instant::now()) < super::SHORT);
            }
        });
    }
}
