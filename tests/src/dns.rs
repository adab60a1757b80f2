//! A real server of names: dnsmasq, with records of the test's own, which may change while it runs.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::Running;
use crate::eventually::{wait_for, wait_until};

/// How often another program may take a port between the moment it was found free and the one dnsmasq binds it.
const ATTEMPTS: usize = 10;
/// What dnsmasq says each time it has read its hosts.
const READ: &str = "]: read ";

/// A server of the zone `test`, whose answers are good for a second; dropping it ends it. Names without addresses do not
/// exist.
pub struct Dns {
    process: Option<Running>,
    folder: TempDir,
    address: SocketAddr,
}

impl Dns {
    /// Starts one that knows these names, each with an address.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(hosts: &[(&str, impl AsRef<str>)]) -> Self {
        Self::with_services(hosts, &[])
    }

    /// Starts one that knows these services besides, as dnsmasq writes them: name, host, port, priority, weight.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn with_services(hosts: &[(&str, impl AsRef<str>)], services: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        write_hosts(folder.path(), hosts);
        for _ in 0..ATTEMPTS {
            let address = free_address();
            if let Some(process) = start(folder.path(), address, services) {
                return Self {
                    process: Some(process),
                    folder,
                    address,
                };
            }
        }
        panic!("dnsmasq found no free port in {ATTEMPTS} attempts");
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the addresses of names, for whoever asks from now on.
    ///
    /// # Panics
    /// When it does not run.
    #[track_caller]
    pub fn change(&self, hosts: &[(&str, impl AsRef<str>)]) {
        let process = self.process.as_ref().expect("it runs");
        let before = times_read(process);
        write_hosts(self.folder.path(), hosts);
        process.signal(Signal::HUP);
        wait_until("dnsmasq to read its hosts again", || {
            times_read(process) > before
        });
    }

    /// Kills it: nobody answers any more.
    pub fn kill(&mut self) {
        self.process = None;
    }

    /// Starts it again at its address, with these services.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start_again(&mut self, services: &[&str]) {
        self.process = None;
        let started = start(self.folder.path(), self.address, services);
        self.process = Some(started.expect("the port was ours a moment ago"));
    }

    /// How often somebody has asked for a name since it was started.
    ///
    /// # Panics
    /// When it does not run.
    #[must_use]
    #[track_caller]
    pub fn questions(&self, name: &str) -> usize {
        let process = self.process.as_ref().expect("it runs");
        let asked = format!("] {name} from");
        let said = process.stderr();
        said.lines().filter(|line| line.contains(&asked)).count()
    }
}

fn start(folder: &Path, address: SocketAddr, services: &[&str]) -> Option<Running> {
    let mut dnsmasq = Command::new("dnsmasq");
    dnsmasq.args([
        "--keep-in-foreground",
        "--log-facility=-",
        "--log-queries",
        "--conf-file=/dev/null",
        "--pid-file",
        "--no-resolv",
        "--no-hosts",
        "--bind-interfaces",
        "--local=/test/",
        "--local-ttl=1",
    ]);
    dnsmasq.arg(format!("--listen-address={}", address.ip()));
    dnsmasq.arg(format!("--port={}", address.port()));
    dnsmasq.arg(format!("--addn-hosts={}", folder.join("hosts").display()));
    let services = services.iter();
    dnsmasq.args(services.map(|service| format!("--srv-host={service}")));
    if rustix::process::geteuid().is_root() {
        // As somebody else it could not read its file.
        dnsmasq.args(["--user=root", "--group=root"]);
    }
    let mut process = Running::start(&mut dnsmasq);
    let ended = wait_for("dnsmasq to read its hosts", || {
        let ended = process.ended().is_some().then_some(true);
        ended.or_else(|| (times_read(&process) > 0).then_some(false))
    });
    if ended {
        let complaints = process.finish().complaints();
        assert!(
            complaints.contains("Address already in use"),
            "dnsmasq does not start: {complaints}"
        );
        return None;
    }
    Some(process)
}

fn times_read(process: &Running) -> usize {
    let said = process.stderr();
    said.lines().filter(|line| line.contains(READ)).count()
}

fn write_hosts(folder: &Path, hosts: &[(&str, impl AsRef<str>)]) {
    let lines = hosts
        .iter()
        .map(|(name, ip)| format!("{} {name}\n", ip.as_ref()));
    let aside = folder.join("hosts.part");
    fs::write(&aside, lines.collect::<String>()).expect("the folder is ours");
    fs::rename(&aside, folder.join("hosts")).expect("the folder is ours");
}

/// One that is free for datagrams and for connections.
fn free_address() -> SocketAddr {
    wait_for("a port that is free for both", || {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).ok()?;
        let address = listener.local_addr().ok()?;
        UdpSocket::bind(address).ok()?;
        Some(address)
    })
}
