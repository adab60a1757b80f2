//! When requests are due.
//!
//! All connections share one schedule: whichever is free takes the next request. A request that no connection was free
//! for in time is sent late and counted from the time it was due.

use std::cell::Cell;
use std::io;
use std::time::{Duration, Instant};

use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
    timerfd_settime,
};
use tokio::net::unix::pipe::Receiver;

/// Shorter waits than this cost more than they are worth.
const SHORT: Duration = Duration::from_micros(5);

/// The schedule.
#[derive(Debug)]
pub(crate) struct Pace {
    rate: Option<f64>,
    started: Instant,
    taken: Cell<u64>,
}

impl Pace {
    /// `rate` requests a second, evenly; without a rate, one as soon as a connection is free.
    pub(crate) fn new(rate: Option<f64>) -> Self {
        Self {
            rate,
            started: Instant::now(),
            taken: Cell::new(0),
        }
    }

    /// Takes the next request: when is it due?
    pub(crate) fn take(&self) -> Instant {
        let Some(rate) = self.rate else {
            return Instant::now();
        };
        let number = self.taken.replace(self.taken.get() + 1);
        self.started + Duration::from_secs_f64(number as f64 / rate)
    }
}

/// A clock of the kernel's, because the runtime's own counts milliseconds. It is read as a pipe would be: some bytes are
/// there once it has rung.
#[derive(Debug)]
pub(crate) struct Alarm(Receiver);

impl Alarm {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
        let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
        Receiver::from_owned_fd_unchecked(timer).map(Self)
    }

    /// Waits until `due`, which may have passed.
    pub(crate) async fn wait(&self, due: Instant) -> io::Result<()> {
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

    use super::{Alarm, Pace};

    #[test]
    fn requests_are_due_at_even_times() {
        let pace = Pace::new(Some(4.0));
        let first = pace.take();
        assert_eq!(pace.take() - first, Duration::from_millis(250));
        assert_eq!(pace.take() - first, Duration::from_millis(500));
    }

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
