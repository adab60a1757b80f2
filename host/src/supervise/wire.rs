//! What parent and child say to one another: packets of JSON on a socket pair, with sockets beside them.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};
use serde::{Deserialize, Serialize};

use super::upgrade::Standing;
use crate::fault::report::Report;

/// The version of what is said here. Two processes that speak different ones do not understand one another; a gateway is
/// restarted then instead of upgraded.
pub const VERSION: u32 = 2;

/// Sockets in one packet; the system admits 253.
const SOCKETS: usize = 128;
/// Bytes of a packet.
const PACKET: usize = 64 * 1024;
/// Those of them that are for reports.
const REPORTS: usize = PACKET - 8 * 1024;

/// Who somebody is, which both say before anything else. Neither its form nor its place ever changes, so that two processes
/// that understand nothing else of one another can say so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// The version of what is said here.
    pub wire: u32,
    /// The version of the gateway.
    pub version: String,
    /// The process.
    pub pid: u32,
}

impl Hello {
    /// This very process.
    #[must_use]
    pub fn own() -> Self {
        Self {
            wire: VERSION,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
        }
    }

    /// Why the two cannot talk, if they cannot.
    #[must_use]
    pub fn refusal(&self) -> Option<String> {
        (self.wire != VERSION).then(|| {
            format!(
                "swapgate {} hands sockets over in version {} and swapgate {} in version {VERSION}; restart the gateway instead",
                self.version,
                self.wire,
                env!("CARGO_PKG_VERSION")
            )
        })
    }
}

/// What a child says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Said {
    /// Who it is.
    Hello(Hello),
    /// Keep copies of these sockets, which come along, under this key.
    Keep(String),
    /// Keep a copy of what comes along, under this key, in the place of what is kept there.
    Replace(String),
    /// It gives up privileges from here on that the other side has, so that the text it serves is kept no more.
    Drops,
    /// Close the copies under this key; answered with the number of the question.
    Forget(String, u64),
    /// Close all copies; answered with the number of the question. The child drains and will end.
    ForgetAll(u64),
    /// The reports it was given are written down; whatever happens next is another one.
    Noted,
    /// Of a process that is to take over: nothing is left to do but to accept. It waits for [`Told::Go`].
    Ready,
    /// It will not serve, for this reason.
    Fails(String),
    /// It serves.
    Serving {
        /// With so many workers.
        workers: usize,
        /// What it was handed over and did not want: listeners that its configuration does not have.
        gone: Vec<String>,
    },
    /// Words for the service manager, which are passed on.
    Notify(String),
    /// How long a new process may take at an upgrade.
    UpgradeLimit {
        /// In milliseconds.
        ms: u64,
    },
    /// An operator asked this process for an upgrade, which is the supervising one's to make.
    Upgrade,
    /// The handler of a crash wrote this.
    Crashed(Box<Report>),
}

/// What the parent says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Told {
    /// Who tells.
    Hello(Hello),
    /// Sockets that a child before kept under this key.
    Sockets(String),
    /// That was all; begin.
    Begin(Begin),
    /// What was asked for with this number is done.
    Done(u64),
    /// It is your turn, which comes along: take it, then accept.
    Go,
    /// How an upgrade goes.
    Upgrade(Box<Standing>),
    /// Another process accepts now: stop accepting, drain and end.
    Replaced {
        /// What the other one did not take over.
        gone: Vec<String>,
    },
    /// Drain and end: an operator asked the parent for it.
    End {
        /// Without waiting for what still runs: it was asked for twice.
        now: bool,
    },
}

/// What a child begins with.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begin {
    /// How many children served before.
    pub served: u64,
    /// How many workers those had; each listener has as many sockets.
    pub workers: Option<usize>,
    /// Crashes that no child has written down yet.
    pub reports: Vec<Report>,
    /// The process that serves meanwhile and is to be replaced.
    pub replaces: Option<Hello>,
    /// How upgrades went before.
    pub standing: Standing,
}

/// Drops the oldest reports, until those that are left fit into the packet a child begins with.
pub fn keep_newest(reports: &mut Vec<Report>) {
    let fits = |report: &Report| {
        serde_json::to_vec(report).map_or(usize::MAX, |text| text.len().saturating_add(1))
    };
    let mut room = REPORTS;
    let newest = reports.iter().rev().take_while(|report| {
        let left = room.checked_sub(fits(report));
        room = left.unwrap_or(0);
        left.is_some()
    });
    let excess = reports.len() - newest.count();
    reports.drain(..excess);
}

/// Sends a packet; with more sockets than one may carry, several.
///
/// # Errors
/// What the system says; the other side is gone, for example.
pub fn send<T: Serialize>(
    socket: impl AsFd,
    message: &T,
    sockets: &[BorrowedFd<'_>],
) -> io::Result<()> {
    let text = serde_json::to_vec(message)?;
    if text.len() > PACKET {
        // The other side would get a part of it.
        return Err(io::Error::other("too many bytes for one packet"));
    }
    let mut chunks = sockets.chunks(SOCKETS);
    let first = chunks.next().unwrap_or_default();
    for chunk in std::iter::once(first).chain(chunks) {
        send_one(&socket, &text, chunk)?;
    }
    Ok(())
}

fn send_one(socket: impl AsFd, text: &[u8], sockets: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut beside = SendAncillaryBuffer::new(&mut space);
    if !sockets.is_empty() && !beside.push(SendAncillaryMessage::ScmRights(sockets)) {
        return Err(io::Error::other("too many sockets for one packet"));
    }
    loop {
        match sendmsg(
            &socket,
            &[IoSlice::new(text)],
            &mut beside,
            SendFlags::NOSIGNAL,
        ) {
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// One packet as it came, and the sockets beside it. None: the other side is gone.
///
/// # Errors
/// What the system says.
pub fn receive(socket: impl AsFd) -> io::Result<Option<(Vec<u8>, Vec<OwnedFd>)>> {
    let mut bytes = vec![0; PACKET];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS))];
    let mut beside = RecvAncillaryBuffer::new(&mut space);
    let got = loop {
        let mut parts = [IoSliceMut::new(&mut bytes)];
        match recvmsg(&socket, &mut parts, &mut beside, RecvFlags::CMSG_CLOEXEC) {
            Ok(got) => break got.bytes,
            Err(rustix::io::Errno::INTR) => {}
            // The other side ended with packets of ours unread.
            Err(rustix::io::Errno::CONNRESET) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
    };
    if got == 0 {
        return Ok(None);
    }
    bytes.truncate(got);
    let mut sockets = Vec::new();
    for message in beside.drain() {
        if let RecvAncillaryMessage::ScmRights(fds) = message {
            sockets.extend(fds);
        }
    }
    Ok(Some((bytes, sockets)))
}

/// What a child said: a message, or what the handler of its crash wrote.
#[must_use]
pub fn said(packet: &[u8]) -> Option<Said> {
    match Report::parse(packet) {
        Some(report) => Some(Said::Crashed(Box::new(report))),
        None => serde_json::from_slice(packet).ok(),
    }
}

/// Makes a pair of ends.
///
/// # Errors
/// What the system says.
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let (family, kind) = (AddressFamily::UNIX, SocketType::SEQPACKET);
    Ok(socketpair(family, kind, SocketFlags::CLOEXEC, None)?)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn the_newest_reports_fit_into_one_packet() {
        let mut reports: Vec<Report> = (0..200)
            .map(|signal| Report {
                signal,
                route: Some("\"".repeat(500)),
                ..Report::default()
            })
            .collect();
        keep_newest(&mut reports);
        assert!(reports.len() > 10);
        assert_eq!(reports.last().map(|report| report.signal), Some(199));
        let begin = Begin {
            served: u64::MAX,
            workers: Some(usize::MAX),
            reports,
            replaces: Some(Hello::own()),
            standing: Standing::default(),
        };
        let text = serde_json::to_vec(&Told::Begin(begin)).unwrap();
        assert!(text.len() <= PACKET, "{}", text.len());
    }

    #[test]
    fn another_version_is_refused_in_one_sentence() {
        assert_eq!(Hello::own().refusal(), None);
        let other = Hello {
            wire: VERSION + 1,
            version: "9.0.0".to_owned(),
            pid: 1,
        };
        let text = other.refusal().unwrap();
        assert!(text.starts_with("swapgate 9.0.0 hands sockets over in version 3"));
        assert!(text.ends_with("restart the gateway instead"));
    }

    #[test]
    fn sockets_travel_beside_their_words() {
        let (a, b) = pair().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let many = vec![listener.as_fd(); SOCKETS + 1];
        send(&a, &Said::Keep("x".to_owned()), &many).unwrap();
        let serving = Said::Serving {
            workers: 2,
            gone: vec!["127.0.0.1:80".to_owned()],
        };
        send(&a, &serving, &[]).unwrap();
        let mut count = 0;
        for _ in 0..2 {
            let (packet, sockets) = receive(&b).unwrap().unwrap();
            assert_eq!(said(&packet), Some(Said::Keep("x".to_owned())));
            count += sockets.len();
            for socket in sockets {
                let same = TcpListener::from(socket).local_addr().unwrap();
                assert_eq!(same, listener.local_addr().unwrap());
            }
        }
        assert_eq!(count, SOCKETS + 1);
        let (packet, sockets) = receive(&b).unwrap().unwrap();
        assert_eq!((said(&packet), sockets.len()), (Some(serving), 0));
        drop(a);
        assert!(receive(&b).unwrap().is_none());
    }
}
