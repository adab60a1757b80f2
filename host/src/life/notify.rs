//! The words for the service manager, and the way to it: a datagram to the socket it names, or to the process that
//! supervises this one and passes them on. See `sd_notify(3)`.
//!
//! Nobody waits for an answer and nothing here fails: a gateway whose service manager is gone serves on.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use socket2::{Domain, SockAddr, Socket, Type};

use super::handed::{Handed, SOCKET, UP, WATCHDOG};
use crate::supervise::link::Link;

/// What says that the process lives.
const ALIVE: &str = "WATCHDOG=1";
/// What stands before the words on a reload of a process that was never ready itself. The service manager does not know them;
/// the process that supervises this one does, and whether the service is up.
const PERHAPS: &str = "X_SWAPGATE_";
/// Longest text that is shown.
const STATUS: usize = 400;

/// What a supervised process may say to it: how things are, and neither which process counts nor what is kept.
const MAY_SAY: [&str; 7] = [
    "READY=",
    "RELOADING=",
    "MONOTONIC_USEC=",
    "STATUS=",
    "STOPPING=",
    "EXTEND_TIMEOUT_USEC=",
    ALIVE,
];

/// A way to the service manager; to nobody, where there is none.
#[derive(Debug, Clone, Default)]
pub struct Notifier(Option<Arc<Shared>>);

#[derive(Debug)]
struct Shared {
    way: Way,
    /// Its address, for the process that takes over from this one.
    address: Option<OsString>,
    watchdog: Option<Duration>,
    /// This process said that everything serves.
    ready: AtomicBool,
    /// This process or one before it did, so that the service is up.
    up: AtomicBool,
    /// Of a process that supervises: a child said that it reloads, and not yet how that ended.
    reloads: AtomicBool,
    /// Another process is the one to speak.
    silent: AtomicBool,
    /// Of a process that supervises: there is no child that speaks for itself.
    waits: AtomicBool,
}

#[derive(Debug)]
enum Way {
    Socket(UnixDatagram),
    Parent(OnceLock<Arc<Link>>),
}

impl Notifier {
    /// The way that was handed over.
    #[must_use]
    pub fn new(handed: &Handed) -> Self {
        let Some(address) = &handed.socket else {
            return Self::default();
        };
        match connect(address) {
            Ok(socket) => {
                let notifier =
                    Self::of(Way::Socket(socket), Some(address.clone()), handed.watchdog);
                notifier.is_up(handed.up);
                notifier
            }
            Err(error) => {
                tracing::warn!(target: "control", %error, "cannot reach the service manager at {}; it hears nothing of this process", address.display());
                Self::default()
            }
        }
    }

    /// The way through the process that supervises this one.
    #[must_use]
    pub fn by_parent(link: &Arc<Link>, watchdog: Option<Duration>) -> Self {
        Self::of(Way::Parent(Arc::clone(link).into()), None, watchdog)
    }

    fn of(way: Way, address: Option<OsString>, watchdog: Option<Duration>) -> Self {
        Self(Some(Arc::new(Shared {
            way,
            address,
            watchdog,
            ready: AtomicBool::new(false),
            up: AtomicBool::new(false),
            reloads: AtomicBool::new(false),
            silent: AtomicBool::new(false),
            waits: AtomicBool::new(false),
        })))
    }

    /// In which time the service manager wants to hear that this process lives.
    #[must_use]
    pub fn watchdog(&self) -> Option<Duration> {
        self.0.as_ref()?.watchdog
    }

    /// Whether anybody listens.
    #[must_use]
    pub fn is_heard(&self) -> bool {
        self.0.is_some()
    }

    /// Everything that is configured serves.
    pub fn ready(&self, status: &str) {
        if let Some(shared) = &self.0 {
            shared.ready.store(true, Ordering::Relaxed);
        }
        self.is_up(true);
        self.say(&format!("READY=1\n{}", shown(status)));
    }

    /// Whether this process said that.
    #[must_use]
    pub fn was_ready(&self) -> bool {
        let shared = self.0.as_ref();
        shared.is_some_and(|shared| shared.ready.load(Ordering::Relaxed))
    }

    /// A reload begins that somebody asked for. What follows is [`Notifier::reloaded`], whatever becomes of it.
    ///
    /// Who asks a service that is up gets an answer, or would wait for ever; also where the process that was ready is gone and
    /// this one waits for a plugin. Before the first `READY=1` there is none, for it would be the one.
    pub fn reloading(&self) {
        let now = clock_gettime(ClockId::Monotonic);
        let usec = i128::from(now.tv_sec) * 1_000_000 + i128::from(now.tv_nsec) / 1_000;
        self.answer(&format!("RELOADING=1\nMONOTONIC_USEC={usec}"));
    }

    /// It is over.
    pub fn reloaded(&self, status: &str) {
        self.answer(&format!("READY=1\n{}", shown(status)));
    }

    fn answer(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        if shared.up.load(Ordering::Relaxed) {
            self.say(text);
        } else if matches!(shared.way, Way::Parent(_)) {
            self.say(&format!("{PERHAPS}{text}"));
        }
    }

    /// Where one before was ready, the service is up from the beginning.
    fn is_up(&self, up: bool) {
        if let Some(shared) = &self.0 {
            shared.up.store(up, Ordering::Relaxed);
        }
    }

    /// What an operator sees in `systemctl status`.
    pub fn status(&self, status: &str) {
        self.say(&shown(status));
    }

    /// The process is on its way out.
    pub fn stopping(&self, status: &str) {
        self.say(&format!("STOPPING=1\n{}", shown(status)));
    }

    /// It needs more time, from now on.
    pub fn extend(&self, time: Duration) {
        self.say(&format!("EXTEND_TIMEOUT_USEC={}", time.as_micros()));
    }

    /// It lives, and so do its workers.
    pub fn alive(&self) {
        self.say(ALIVE);
    }

    /// Another process serves now and speaks from here on; this one says no more.
    pub fn main_pid(&self, pid: u32) {
        self.say(&format!("MAINPID={pid}"));
        self.hush();
    }

    /// Says no more: whatever becomes of this process is not the end of the service.
    pub fn hush(&self) {
        if let Some(shared) = &self.0 {
            shared.silent.store(true, Ordering::Relaxed);
        }
    }

    /// Variables for a process that takes over from this one; `WATCHDOG_PID` is left out, for it has another number.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, OsString)> {
        let Some(shared) = &self.0 else {
            return Vec::new();
        };
        let address = shared.address.clone().map(|address| (SOCKET, address));
        let up = shared.up.load(Ordering::Relaxed);
        let up = up.then(|| (UP, OsString::from("1")));
        address.into_iter().chain(self.times()).chain(up).collect()
    }

    /// Those for a process that speaks through this one.
    pub fn times(&self) -> Option<(&'static str, OsString)> {
        let watchdog = self.watchdog()?;
        Some((WATCHDOG, watchdog.as_micros().to_string().into()))
    }

    /// Passes on what a supervised process says, as it says it; what is not for it to say is left out.
    pub fn pass_on(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        let text = match text.strip_prefix(PERHAPS) {
            // A service that is not up yet has no reloads.
            Some(_) if !shared.up.load(Ordering::Relaxed) => return,
            Some(rest) => rest,
            None => text,
        };
        let may = |line: &&str| MAY_SAY.iter().any(|start| line.starts_with(start));
        let text: Vec<&str> = text.lines().filter(may).collect();
        let text = text.join("\n");
        if text.is_empty() {
            return;
        }
        if text == ALIVE {
            shared.waits.store(false, Ordering::Relaxed);
        }
        if text.starts_with("READY=1") {
            shared.up.store(true, Ordering::Relaxed);
            shared.reloads.store(false, Ordering::Relaxed);
        }
        if text.starts_with("RELOADING=1") {
            shared.reloads.store(true, Ordering::Relaxed);
        }
        self.say(&text);
    }

    /// A supervised process is started, and says nothing until it serves. A reload that the one before began is over.
    pub fn waits_for_child(&self) {
        let Some(shared) = &self.0 else {
            return;
        };
        shared.waits.store(true, Ordering::Relaxed);
        if shared.reloads.swap(false, Ordering::Relaxed) {
            self.say("READY=1");
        }
    }

    /// Says that all is alive while a supervised process cannot yet: a start may take longer than the service manager waits.
    pub async fn stand_in(self) {
        let (Some(limit), Some(shared)) = (self.watchdog(), &self.0) else {
            return;
        };
        let mut beat = tokio::time::interval(limit / 2);
        loop {
            beat.tick().await;
            if shared.waits.load(Ordering::Relaxed) {
                self.alive();
            }
        }
    }

    fn say(&self, text: &str) {
        let Some(shared) = &self.0 else {
            return;
        };
        if shared.silent.load(Ordering::Relaxed) {
            return;
        }
        let said = match &shared.way {
            Way::Socket(socket) => socket.send(text.as_bytes()).map(drop),
            Way::Parent(link) => link.get().map_or(Ok(()), |link| link.notify(text)),
        };
        if let Err(error) = said {
            tracing::debug!(target: "control", %error, "the service manager does not hear");
        }
    }
}

/// A socket that sends to an address: a path, or a name behind an `@`. It never waits: the service manager reads what is sent
/// when it likes, and this thread has other things to do.
fn connect(address: &OsStr) -> io::Result<UnixDatagram> {
    let bytes = address.as_bytes();
    let target = match bytes.split_first() {
        Some((b'@', name)) => SockAddr::unix(OsStr::from_bytes(&[b"\0", name].concat()))?,
        Some((b'/', _)) => SockAddr::unix(address)?,
        _ => {
            let text = "the address is neither a path nor a name behind an @";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
    };
    let socket = Socket::new(Domain::UNIX, Type::DGRAM, None)?;
    socket.connect(&target)?;
    socket.set_nonblocking(true)?;
    Ok(socket.into())
}

/// One line.
fn shown(status: &str) -> String {
    let line = status.replace(['\n', '\r'], " ");
    format!("STATUS={}", line.chars().take(STATUS).collect::<String>())
}

#[cfg(test)]
mod tests {
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net::SocketAddr;

    use super::*;

    fn next(socket: &UnixDatagram) -> String {
        let mut bytes = [0; 1024];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..length].to_vec()).unwrap()
    }

    fn to(address: &str) -> Notifier {
        Notifier::new(&Handed {
            socket: Some(address.into()),
            watchdog: Some(Duration::from_secs(2)),
            sockets: Vec::new(),
            up: false,
        })
    }

    #[test]
    fn at_a_path_and_at_a_name() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        to(path.to_str().unwrap()).ready("generation 1\nall well");
        assert_eq!(next(&heard), "READY=1\nSTATUS=generation 1 all well");
        let name = format!("swapgate-test-{}", std::process::id());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let heard = UnixDatagram::bind_addr(&address).unwrap();
        let notifier = to(&format!("@{name}"));
        notifier.alive();
        assert_eq!(next(&heard), "WATCHDOG=1");
        notifier.extend(Duration::from_secs(1));
        assert_eq!(next(&heard), "EXTEND_TIMEOUT_USEC=1000000");
    }

    #[test]
    fn reloads_are_told_only_once_it_is_ready_and_nothing_after_another_took_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        let notifier = to(path.to_str().unwrap());
        notifier.reloading();
        notifier.ready("a");
        assert_eq!(next(&heard), "READY=1\nSTATUS=a");
        notifier.reloading();
        assert!(next(&heard).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notifier.reloaded("b");
        assert_eq!(next(&heard), "READY=1\nSTATUS=b");
        let names: Vec<_> = notifier.environment();
        assert_eq!(names[0], (SOCKET, path.into()));
        assert_eq!(names[1], (WATCHDOG, "2000000".into()));
        notifier.main_pid(7);
        assert_eq!(next(&heard), "MAINPID=7");
        notifier.stopping("gone");
        heard.set_nonblocking(true).unwrap();
        assert!(heard.recv(&mut [0; 8]).is_err());
    }

    #[test]
    fn who_was_never_ready_answers_reloads_where_the_service_is_up() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        // One that took over from one that was ready.
        let notifier = Notifier::new(&Handed {
            socket: Some(path.clone().into()),
            up: true,
            ..Handed::default()
        });
        notifier.reloading();
        assert!(next(&heard).starts_with("RELOADING=1\nMONOTONIC_USEC="));
        notifier.reloaded("waits");
        assert_eq!(next(&heard), "READY=1\nSTATUS=waits");
        assert!(!notifier.was_ready());
        assert!(notifier.environment().contains(&(UP, "1".into())));
        // One that supervises decides for its children.
        let parent = to(path.to_str().unwrap());
        parent.pass_on("X_SWAPGATE_RELOADING=1\nMONOTONIC_USEC=1");
        parent.pass_on("X_SWAPGATE_READY=1\nSTATUS=not up yet");
        parent.pass_on("READY=1\nSTATUS=first");
        assert_eq!(next(&heard), "READY=1\nSTATUS=first");
        parent.pass_on("X_SWAPGATE_RELOADING=1\nMONOTONIC_USEC=2");
        assert_eq!(next(&heard), "RELOADING=1\nMONOTONIC_USEC=2");
        // It dies before it says how that ended.
        parent.waits_for_child();
        assert_eq!(next(&heard), "READY=1");
        parent.waits_for_child();
        heard.set_nonblocking(true).unwrap();
        assert!(heard.recv(&mut [0; 8]).is_err());
    }

    #[test]
    fn a_supervised_process_does_not_say_which_process_counts() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("notify");
        let heard = UnixDatagram::bind(&path).unwrap();
        let notifier = to(path.to_str().unwrap());
        notifier.pass_on("MAINPID=1");
        notifier.pass_on("FDSTORE=1\nREADY=1\nMAINPID=1\nSTATUS=a");
        assert_eq!(next(&heard), "READY=1\nSTATUS=a");
    }

    #[test]
    fn nobody_is_no_trouble() {
        to("/nowhere/at/all").ready("x");
        assert!(!to("relative").is_heard());
        assert!(!Notifier::default().was_ready());
    }
}
