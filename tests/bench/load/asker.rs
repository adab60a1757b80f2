//! What everybody who asks needs, whatever the protocol: the next request, the time it is due, and the judgement.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use swapgate_bench::alarm::Alarm;
use tokio::time::sleep;

use crate::answer::{Marks, Refusal};
use crate::ledger::{Due, Ledger};
use crate::pace::Pace;
use crate::plan::{Plan, Speech};
use crate::{http1, http2, websocket};

/// Longer than any time-out of the gateway, so that a hanging request is counted and not waited for.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// One load.
#[derive(Debug, Clone)]
pub(crate) struct Shared {
    pub(crate) plan: Rc<Plan>,
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) pace: Rc<Pace>,
    /// The next request of all.
    pub(crate) next: Rc<Cell<usize>>,
}

/// One who asks.
#[derive(Debug)]
pub(crate) struct Asker {
    pub(crate) shared: Shared,
    alarm: Alarm,
    pub(crate) buffer: Vec<u8>,
}

/// Asks until the load ends, over as many connections as it takes, one after the other.
pub(crate) async fn keep_asking(shared: Shared) {
    let ledger = Rc::clone(&shared.ledger);
    let mut asker = match Asker::new(&shared) {
        Ok(asker) => asker,
        Err(reason) => return ledger.failure(reason),
    };
    while !ledger.stopped() {
        let talked = match &shared.plan.speech {
            Speech::Http1 => http1::converse(&mut asker).await,
            Speech::Http2 { streams } => http2::converse(&shared, *streams).await,
            Speech::WebSocket(message) => websocket::converse(&mut asker, message).await,
        };
        if let Err(reason) = talked {
            ledger.failure(reason);
            // A target that refuses connections would otherwise be asked in a busy loop.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// What is judged of the head of an answer.
#[derive(Debug)]
pub(crate) struct Head {
    pub(crate) status: u16,
    pub(crate) marks: Marks,
    pub(crate) refusal: Refusal,
}

impl Asker {
    pub(crate) fn new(shared: &Shared) -> Result<Self, String> {
        Ok(Self {
            shared: shared.clone(),
            alarm: Alarm::new().map_err(|error| format!("no clock: {error}"))?,
            buffer: Vec::with_capacity(4096),
        })
    }

    pub(crate) fn plan(&self) -> &Plan {
        &self.shared.plan
    }

    pub(crate) fn ledger(&self) -> &Ledger {
        &self.shared.ledger
    }

    /// Waits until the next request is due.
    pub(crate) async fn due(&self) -> Result<Due, String> {
        let at = self.shared.pace.take();
        self.alarm
            .wait(at)
            .await
            .map_err(|error| format!("the clock broke: {error}"))?;
        Ok(Due {
            at,
            window: self.ledger().window(),
        })
    }

    /// Which of `count` requests is the next one.
    pub(crate) fn turn(&self, count: usize) -> usize {
        let next = &self.shared.next;
        next.replace(next.get().wrapping_add(1)) % count.max(1)
    }

    /// Counts an answer; what is needed of its body stands in the buffer from `body` on.
    pub(crate) fn judge(&self, head: Head, body: usize, due: Due) {
        let Head {
            status,
            marks,
            refusal,
        } = head;
        let ledger = self.ledger();
        let body = &self.buffer[body..];
        if self.plan().show {
            ledger.show(String::from_utf8_lossy(body).into_owned());
        }
        if status == 503 && self.plan().refusals {
            let Refusal {
                retry_after,
                problem,
            } = refusal;
            if retry_after && problem {
                return ledger.refusal(due);
            }
            return ledger.failure(format!(
                "a refusal without what belongs to it: retry-after {retry_after}, problem {problem}"
            ));
        }
        if status != 200 {
            let body = String::from_utf8_lossy(body);
            return ledger.failure(format!("status {status}: {}", body.trim()));
        }
        if self.plan().check_stamp {
            match Marks::echoed(body).and_then(|seen| compared(seen, marks)) {
                Ok(Same { version, config }) => ledger.served_by(version, config),
                Err(reason) if reason.starts_with(MIXED) => {
                    ledger.mixed();
                    return ledger.failure(reason);
                }
                Err(reason) => return ledger.failure(reason),
            }
        }
        ledger.success(due);
    }
}

/// What an answer that comes from two versions, or two configurations, begins its reason with.
const MIXED: &str = "one answer from two";

/// Who served a request, both of its ways.
struct Same {
    version: String,
    config: Option<String>,
}

fn compared(request: Marks, response: Marks) -> Result<Same, String> {
    let version = request.stamp.ok_or("the request was not stamped")?;
    let stamp = response.stamp.ok_or("the answer was not stamped")?;
    if version != stamp {
        return Err(format!(
            "{MIXED} versions: request {version}, response {stamp}"
        ));
    }
    if request.config != response.config {
        return Err(format!(
            "{MIXED} configurations: request {:?}, response {:?}",
            request.config, response.config
        ));
    }
    Ok(Same {
        version,
        config: response.config,
    })
}

#[cfg(test)]
mod tests {
    use super::{MIXED, compared};
    use crate::answer::Marks;

    #[test]
    fn one_answer_comes_from_one_version_and_one_configuration() {
        let marks = |stamp: &str, config: &str| Marks {
            stamp: Some(stamp.to_owned()),
            config: (!config.is_empty()).then(|| config.to_owned()),
        };
        let same = compared(marks("1", "a"), marks("1", "a")).ok();
        assert_eq!(same.and_then(|same| same.config).as_deref(), Some("a"));
        assert!(compared(marks("1", ""), marks("1", "")).is_ok());
        for other in [marks("2", "a"), marks("1", "b"), marks("1", "")] {
            let mixed = compared(marks("1", "a"), other).err().unwrap_or_default();
            assert!(mixed.starts_with(MIXED), "{mixed}");
        }
        let none = compared(marks("1", "a"), Marks::default()).err();
        assert_eq!(none.as_deref(), Some("the answer was not stamped"));
    }
}
