//! The end of a process that served: what runs may end, up to a limit, and says how far that is.

use std::pin::{Pin, pin};
use std::time::{Duration, Instant};

use tokio::time::{MissedTickBehavior, interval};

use crate::control::apply::Control;
use crate::control::status::Drain;

/// How long plugins have to take note that their exchanges end, when the time of a shutdown is over.
pub(crate) const LAST_WORD: Duration = Duration::from_secs(1);
/// How often it is looked how much is left, and said at every fifth look.
const LOOK: Duration = Duration::from_secs(1);
const SAID_EVERY: u32 = 5;

/// Why a process drains.
pub(crate) enum End {
    /// It is to end.
    Asked(&'static str),
    /// Another one serves; this is what it did not take over.
    Replaced(Vec<String>),
}

/// Lets running exchanges end, up to the limit, and then the instances; another signal ends either wait.
pub(crate) async fn drain(control: Control, end: End, again: impl Future<Output = &'static str>) {
    let mut again = pin!(again);
    match &end {
        End::Asked(signal) => {
            control.board.update(|status| status.stopping = true);
            tracing::info!(target: "control", signal, "draining");
        }
        End::Replaced(_) => {
            control.board.update(|status| status.replaced = true);
            tracing::info!(target: "control", "another process serves, draining");
        }
    }
    let hurried = delay(&control, &end, again.as_mut()).await;
    let limit = match hurried {
        Some(_) => Duration::ZERO,
        None => control.shutdown_limit(),
    };
    let drained = async {
        match &end {
            End::Asked(_) => control.drained().await,
            End::Replaced(gone) => control.drained_for_another(gone).await,
        }
    };
    let why = tokio::select! {
        biased;
        () = drained => None,
        () = tokio::time::sleep(limit) => Some(match hurried {
            Some(signal) => format!("at the second signal, {signal}"),
            None => format!("after {limit:?}"),
        }),
        signal = again.as_mut(), if hurried.is_none() => Some(format!("at the second signal, {signal}")),
        () = tell(&control, limit) => None,
    };
    if let Some(why) = why {
        tracing::warn!(target: "control", "exchanges were still running {why}, ending them");
        control.cut(LAST_WORD).await;
        return;
    }
    control.board.update(|status| status.drain = None);
    let calls = control.call_timeout();
    // Every exchange is over; now the instances may be.
    tokio::select! {
        () = control.end(calls) => tracing::info!(target: "control", "drained"),
        signal = again, if hurried.is_none() => {
            tracing::warn!(target: "control", signal, "drained; plugins were still ending at the second signal");
        }
    }
}

/// Goes on accepting for a while, so that those who spread requests over gateways have time to notice. Where another process
/// accepts there is nothing to notice. The signal that cut it short, if one did.
async fn delay(
    control: &Control,
    end: &End,
    again: Pin<&mut impl Future<Output = &'static str>>,
) -> Option<&'static str> {
    let delay = control.shutdown_delay();
    if delay.is_zero() || matches!(end, End::Replaced(_)) {
        return None;
    }
    tracing::info!(target: "control", "not ready any more, accepting for another {delay:?}");
    tokio::select! {
        () = tokio::time::sleep(delay) => None,
        signal = again => Some(signal),
    }
}

/// Shows how much is left, and says so every few seconds; never returns.
async fn tell(control: &Control, limit: Duration) {
    let began = Instant::now();
    let mut look = interval(LOOK);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    for looks in 0_u32.. {
        look.tick().await;
        let left = control.left();
        let time = limit.saturating_sub(began.elapsed());
        let drain = Drain { left, time };
        control.board.update(|status| status.drain = Some(drain));
        if looks > 0 && looks.is_multiple_of(SAID_EVERY) {
            tracing::info!(
                target: "control",
                connections = left.connections,
                exchanges = left.exchanges,
                tunnels = left.tunnels,
                "draining: {left} are left, for {} s at most", time.as_secs()
            );
        }
    }
}
