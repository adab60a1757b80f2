//! The time in which a process serves: one change after the other, until it is to end or another one serves.

use std::mem::take;
use std::pin::pin;
use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

use super::Error;
use super::draining::{End, LAST_WORD};
use super::ending::Ends;
use super::telling;
use super::upgrading::Upgrading;
use crate::control::apply::Control;
use crate::control::events::Event;
use crate::control::watch::Watch;
use crate::life::notify::Notifier;
use crate::panics::{self, Part, fault};

/// How often the folder and the file are looked at without an event: the system may lose some, and gives none for the
/// target of a link into another folder.
const RESCAN: Duration = Duration::from_secs(10);
/// Events that come in this time count as one: an editor's save is several.
const MERGE: Duration = Duration::from_millis(20);
/// How often versions on probation are looked at.
const JUDGE: Duration = Duration::from_millis(100);

/// Makes changes until the process is to drain. An upgrade that is under way then is settled first.
pub(super) async fn until_ended(
    control: &mut Control,
    (seen, mut watch): (&mut UnboundedReceiver<Event>, Watch),
    ends: &mut Ends<'_>,
    notifier: &Notifier,
    upgrading: &mut Upgrading<'_>,
) -> Result<End, Error> {
    let sight = (notifier, ends.is_supervised());
    let ended = {
        let changing = change(control, seen, &mut watch, sight, upgrading);
        let mut changing = Box::pin(changing);
        tokio::select! {
            biased;
            signal = ends.next() => Ok(End::Asked(signal)),
            changed = panics::isolated(Part::Control, changing.as_mut()) => changed.unwrap_or_else(|panicked| {
                panicked.say();
                Err("a change panicked, and no other is made".to_owned())
            }),
        }
    };
    drop(watch);
    let ended = match ended {
        Err(broken) => outlive(control, broken, ends, seen, upgrading).await?,
        Ok(ended) => ended,
    };
    match ended {
        End::Asked(signal) => {
            let gone = tokio::select! {
                biased;
                gone = upgrading.settle(&control.board, signal) => gone,
                again = ends.next() => {
                    // A process that hangs hears no signal itself.
                    upgrading.give_up(&control.board, again);
                    None
                }
            };
            Ok(gone.map_or(End::Asked(signal), End::Replaced))
        }
        ended @ End::Replaced(_) => Ok(ended),
    }
}

/// Control is broken: what serves goes on, unhealthy, until somebody ends it. Where a process supervises this one, it ends by
/// itself, so that a new one begins; where none does, an upgrade is the way to one.
async fn outlive(
    control: &Control,
    broken: String,
    ends: &mut Ends<'_>,
    seen: &mut UnboundedReceiver<Event>,
    upgrading: &mut Upgrading<'_>,
) -> Result<End, Error> {
    breaks(control, broken.clone());
    if ends.is_supervised() {
        control.quit(LAST_WORD, LAST_WORD).await;
        let text = format!("{broken}; a new process takes over");
        return Err(Error::Other(text));
    }
    let mut end = pin!(ends.next());
    loop {
        tokio::select! {
            biased;
            signal = end.as_mut() => return Ok(End::Asked(signal)),
            gone = upgrading.replaced(&control.board) => {
                if let Some(gone) = gone {
                    return Ok(End::Replaced(gone));
                }
            }
            Some(event) = seen.recv() => {
                if matches!(event, Event::Upgrade) {
                    upgrading.begin(control);
                }
            }
        }
    }
}

/// Shows that something is lost that only a new process has.
fn breaks(control: &Control, broken: String) {
    tracing::error!(target: "control", "{broken}; what serves goes on, and /healthz and /readyz say no until a new process serves");
    control.board.update(|status| status.broken = Some(broken));
}

/// One change at a time; what happens meanwhile is merged into the next. Until another process serves, or what broke where a
/// process supervises this one and can start another.
async fn change(
    control: &mut Control,
    seen: &mut UnboundedReceiver<Event>,
    watch: &mut Watch,
    (notifier, supervised): (&Notifier, bool),
    upgrading: &mut Upgrading<'_>,
) -> Result<End, String> {
    let losses = control.losses();
    let mut rescan = interval(RESCAN);
    rescan.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut judge = interval(JUDGE);
    judge.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut due = Due::default();
    loop {
        watch.follow(control.named_files());
        tokio::select! {
            event = seen.recv() => match event {
                Some(Event::Upgrade) => upgrading.begin(control),
                Some(event) => due.add(event),
                None => return Err("nothing tells of changes any more".to_owned()),
            },
            gone = upgrading.replaced(&control.board) => {
                if let Some(gone) = gone {
                    return Ok(End::Replaced(gone));
                }
            }
            worker = losses.next() => {
                let broken = format!("worker {worker} panicked and has ended");
                if supervised {
                    return Err(broken);
                }
                control.let_go();
                breaks(control, broken);
                continue;
            }
            retired = control.catalog.retired() => {
                if let Some(retired) = retired {
                    control.catalog.on_retired(retired);
                }
                control.show();
                continue;
            }
            _ = judge.tick(), if control.is_on_probation() => {
                control.judge().await;
                continue;
            }
            _ = rescan.tick() => {
                due.add(Event::Folder);
                due.add(Event::Config { asked: false });
                due.add(Event::Files);
                watch.renew();
            }
            event = due.later.next() => due.add(event),
        }
        fault::point("change");
        tokio::time::sleep(MERGE).await;
        while let Ok(event) = seen.try_recv() {
            match event {
                Event::Upgrade => upgrading.begin(control),
                event => due.add(event),
            }
        }
        due.look_at_targets(control).await;
        if upgrading.is_under_way(&control.board) {
            // The new process reads for itself what lies there. What changed now changes here only if that one fails.
            due.waits();
            continue;
        }
        due.look(control, notifier).await;
        control.show();
    }
}

/// What is to be looked at.
#[derive(Default)]
struct Due {
    folder: bool,
    files: bool,
    targets: bool,
    /// And whether somebody asked for that.
    config: Option<bool>,
    later: Later,
}

/// What is to be looked at again, and when: something has not come to rest.
#[derive(Default)]
struct Later {
    folder: Option<Instant>,
    files: Option<Instant>,
    targets: Option<Instant>,
    /// And whether somebody asked for that.
    config: Option<(Instant, bool)>,
}

impl Due {
    fn add(&mut self, event: Event) {
        match event {
            Event::Folder => self.folder = true,
            Event::Files => self.files = true,
            Event::Targets => self.targets = true,
            Event::Upgrade => {}
            Event::Config { asked } => self.config = Some(asked || self.config == Some(true)),
        }
    }

    /// Nothing is put off any more: all of it is due once an upgrade that is under way has failed.
    fn waits(&mut self) {
        self.folder |= self.later.folder.take().is_some();
        self.files |= self.later.files.take().is_some();
        if let Some((_, asked)) = self.later.config.take() {
            self.add(Event::Config { asked });
        }
    }

    async fn look_at_targets(&mut self, control: &mut Control) {
        if take(&mut self.targets) {
            self.later.targets = control.rediscover().await.map(after);
        }
    }

    /// Looks at what an operator changes: the configuration, the files it names, the folder.
    async fn look(&mut self, control: &mut Control, notifier: &Notifier) {
        if let Some(asked) = self.config.take() {
            // Who asked has asked until the file was read.
            let asked = asked || self.later.config.take().is_some_and(|(_, asked)| asked);
            if asked {
                notifier.reloading();
            }
            let wait = control.reload(asked).await;
            if asked {
                notifier.reloaded(&control.board.read(telling::line));
            }
            self.later.config = wait.map(|wait| (after(wait), asked));
        }
        if take(&mut self.files) {
            self.later.files = control.look_at_files().await.map(after);
        }
        if take(&mut self.folder) {
            self.later.folder = control.rescan().await.map(after);
        }
    }
}

impl Later {
    /// Waits until something is to be looked at again.
    async fn next(&self) -> Event {
        tokio::select! {
            () = until(self.folder) => Event::Folder,
            () = until(self.files) => Event::Files,
            () = until(self.targets) => Event::Targets,
            () = until(self.config.map(|(at, _)| at)) => Event::Config { asked: false },
        }
    }
}

fn after(wait: Duration) -> Instant {
    Instant::now() + wait
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
