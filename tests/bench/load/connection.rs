//! One connection after the other, each asked again and again.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use crate::answer::{Answer, receive, stamps};
use crate::ledger::{Due, Ledger};
use crate::pace::{Alarm, Pace};
use crate::plan::Plan;

/// Longer than any time-out of the gateway, so that a hanging request is counted and not waited for.
const PATIENCE: Duration = Duration::from_secs(60);
/// How long the other side may take to end a connection it was asked to end.
const END: Duration = Duration::from_secs(5);

thread_local! {
    /// The next request of all; there is one thread.
    static NEXT: Cell<usize> = const { Cell::new(0) };
}

/// Asks until the load ends, over as many connections as it takes.
pub(crate) async fn keep_asking(plan: Rc<Plan>, ledger: Rc<Ledger>, pace: Rc<Pace>) {
    let alarm = match Alarm::new() {
        Ok(alarm) => alarm,
        Err(error) => return ledger.failure(format!("no clock: {error}")),
    };
    let mut buffer = Vec::with_capacity(4096);
    while !ledger.stopped() {
        let mut asker = Asker {
            plan: &plan,
            ledger: &ledger,
            pace: &pace,
            alarm: &alarm,
            buffer: &mut buffer,
        };
        if let Err(reason) = asker.converse().await {
            ledger.failure(reason);
            // A target that refuses connections would otherwise be asked in a busy loop.
            sleep(Duration::from_millis(10)).await;
        }
    }
}

struct Asker<'a> {
    plan: &'a Plan,
    ledger: &'a Ledger,
    pace: &'a Pace,
    alarm: &'a Alarm,
    buffer: &'a mut Vec<u8>,
}

impl Asker<'_> {
    /// Asks over one connection until the load ends or the other side announces the end of the connection. What the
    /// connection itself costs is part of the latency only where every request has one of its own.
    async fn converse(&mut self) -> Result<(), String> {
        let mut due = None;
        if !self.plan.keepalive {
            due = Some(self.due().await?);
        }
        let mut stream = self.connect().await?;
        while !self.ledger.stopped() {
            let due = match due.take() {
                Some(due) => due,
                None => self.due().await?,
            };
            self.ledger.sent(due);
            let answer = timeout(PATIENCE, self.ask(&mut stream))
                .await
                .map_err(|_| String::from("no answer in a minute"))??;
            self.judge(&answer, due);
            if !self.plan.keepalive {
                return wait_for_end(&mut stream).await;
            }
            if answer.close {
                self.ledger.closed();
                return Ok(());
            }
        }
        Ok(())
    }

    async fn due(&self) -> Result<Due, String> {
        let at = self.pace.take();
        self.alarm
            .wait(at)
            .await
            .map_err(|error| format!("the clock broke: {error}"))?;
        Ok(Due {
            at,
            window: self.ledger.window(),
        })
    }

    async fn connect(&self) -> Result<TcpStream, String> {
        let stream = TcpStream::connect(self.plan.target)
            .await
            .map_err(|error| format!("cannot connect: {error}"))?;
        stream
            .set_nodelay(true)
            .map_err(|error| error.to_string())?;
        Ok(stream)
    }

    async fn ask(&mut self, stream: &mut TcpStream) -> Result<Answer, String> {
        self.buffer.clear();
        let number = NEXT.replace(NEXT.get().wrapping_add(1));
        let head = &self.plan.heads[number % self.plan.heads.len()];
        let cannot_send = |error| format!("cannot send: {error}");
        stream.write_all(head).await.map_err(cannot_send)?;
        stream
            .write_all(&self.plan.body)
            .await
            .map_err(cannot_send)?;
        receive(stream, self.buffer, self.plan.check_stamp).await
    }

    fn judge(&self, answer: &Answer, due: Due) {
        let body = &self.buffer[answer.head..];
        if answer.status != 200 {
            return self.ledger.failure(format!(
                "status {}: {}",
                answer.status,
                String::from_utf8_lossy(body).trim()
            ));
        }
        if self.plan.check_stamp {
            match stamps(answer, body) {
                Ok((request, response)) if request == response => self.ledger.version(response),
                Ok((request, response)) => {
                    self.ledger.mixed();
                    return self.ledger.failure(format!(
                        "one answer from two versions: request {request}, response {response}"
                    ));
                }
                Err(reason) => return self.ledger.failure(reason),
            }
        }
        self.ledger.success(due);
    }
}

/// Lets the other side close first, as it was asked to: its side then keeps the port, and the ports of this machine last.
async fn wait_for_end(stream: &mut TcpStream) -> Result<(), String> {
    match timeout(END, stream.read_u8()).await {
        Ok(Ok(_)) => Err(String::from("bytes follow the last answer of a connection")),
        // Reset or ended, it is over.
        Ok(Err(_)) => Ok(()),
        Err(_) => Err(String::from(
            "a connection was not closed although its end was asked for",
        )),
    }
}
