//! What is said, heard at a real socket.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

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
