//! The handler of a crash. Unsafe: it runs in the middle of anything, on the thread that crashed.
//!
//! It attributes and nothing else: whose code ran, and which hook was on this thread. It reads tables that are always there
//! ([`crate::mark`], [`crate::fault::images`]), formats on its own stack, writes one packet to an open socket, and lets the
//! signal have its effect. It allocates nothing and takes no lock. Threads of the standard library have an alternate stack,
//! so that it also runs after an overflow.
//!
//! Plugins may install handlers themselves; a Go runtime does, and hands what did not happen in Go code on to this one.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use libc::{c_int, c_void, siginfo_t};

use crate::fault::report::MAGIC;
use crate::fault::{images, label};
use crate::mark;

/// What ends a process because of what its own code does.
const SIGNALS: [c_int; 7] = [
    libc::SIGSEGV,
    libc::SIGBUS,
    libc::SIGILL,
    libc::SIGFPE,
    libc::SIGABRT,
    libc::SIGTRAP,
    libc::SIGSYS,
];
/// Bytes of a report. It stands on the alternate stack, which is small.
const ROOM: usize = 1024;
/// Bytes of a request's id that are told; those of the gateway have 32.
const REQUEST: usize = 128;
/// How often, and how long each time, a thread waits that crashes while another one reports.
const TURNS: u32 = 200;
const TURN: rustix::thread::Timespec = rustix::thread::Timespec {
    tv_sec: 0,
    tv_nsec: 1_000_000,
};

static SOCKET: AtomicI32 = AtomicI32::new(-1);
static PROCESS: AtomicI32 = AtomicI32::new(0);
/// The thread whose crash is reported: the first, whatever its end does to others. 0: none yet.
static REPORTER: AtomicI32 = AtomicI32::new(0);
/// That report is written.
static REPORTED: AtomicBool = AtomicBool::new(false);
static HUNG: AtomicBool = AtomicBool::new(false);
static BEFORE: OnceLock<Vec<(c_int, libc::sigaction)>> = OnceLock::new();

/// Installs the handler; from here on a crash is written to `socket`. Once in a process.
///
/// # Errors
/// What the system says.
pub fn install(socket: OwnedFd) -> io::Result<()> {
    // Never closed: a crash may come at any time.
    SOCKET.store(socket.as_raw_fd(), Ordering::Relaxed);
    std::mem::forget(socket);
    PROCESS.store(own_process(), Ordering::Relaxed);
    let mut before = Vec::with_capacity(SIGNALS.len());
    for signal in SIGNALS {
        before.push((signal, now(signal)?));
    }
    let _ = BEFORE.set(before);
    let handler: extern "C" fn(c_int, *mut siginfo_t, *mut c_void) = handle;
    for signal in SIGNALS {
        let mut action = empty();
        action.sa_sigaction = handler as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
        set(signal, &action)?;
    }
    Ok(())
}

/// Ends the process because a thread does not come back, from within that thread, so that the report tells what it did.
pub fn end_hung(thread: i32) {
    HUNG.store(true, Ordering::Relaxed);
    send(thread, libc::SIGABRT);
}

extern "C" fn handle(signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    let socket = SOCKET.load(Ordering::Relaxed);
    // A plugin may have forked; its child is not ours to report.
    let is_ours = socket >= 0 && PROCESS.load(Ordering::Relaxed) == own_process();
    if is_ours && is_first() {
        let mut text = Text::new();
        describe(&mut text, signal, info, context);
        // SAFETY: the bytes must be there: they stand in `text`, on this stack. The descriptor is never closed, and
        // `write` may be called in a handler.
        unsafe { libc::write(socket, text.bytes.as_ptr().cast(), text.len) };
        REPORTED.store(true, Ordering::Release);
    }
    if happens_again(signal, code(info)) {
        return restore(signal);
    }
    // Nothing that was there before is asked: a handler that counts on another fault would return, and the plugin go on.
    // The signal waits until this returns, for it is blocked while its handler runs.
    put(signal, &empty());
    send(own_thread(), signal);
}

/// Whether a fault happens again as soon as the handler returns. What was sent does not, nor what stands behind its
/// instruction: a breakpoint, a system call that is not allowed.
fn happens_again(signal: c_int, code: c_int) -> bool {
    code > 0 && !matches!(signal, libc::SIGTRAP | libc::SIGSYS | libc::SIGABRT)
}

/// Whether the calling thread is the one to report. Another one waits for that report, for a short while: letting its own
/// signal have its effect would end the process in the middle of it.
fn is_first() -> bool {
    let own = own_thread();
    let first = REPORTER.compare_exchange(0, own, Ordering::Relaxed, Ordering::Relaxed);
    let Err(reporter) = first else {
        return true;
    };
    let mut turns = TURNS;
    while reporter != own && turns > 0 && !REPORTED.load(Ordering::Acquire) {
        let _ = rustix::thread::nanosleep(&TURN);
        turns -= 1;
    }
    false
}

fn describe(text: &mut Text, signal: c_int, info: *mut siginfo_t, context: *mut c_void) {
    text.push(MAGIC.as_bytes());
    text.number("signal", u64::from(signal.unsigned_abs()));
    text.number("hung", u64::from(HUNG.load(Ordering::Relaxed)));
    if matches!(signal, libc::SIGSEGV | libc::SIGBUS) {
        text.address("address", address(info));
    }
    let counter = counter(context);
    text.address("counter", counter);
    if let Some(image) = images::find(counter) {
        text.name("image", &image.id, &image.version);
        text.line("image_digest", image.digest.as_bytes());
    }
    let Some(own) = mark::own_now() else {
        return;
    };
    if own.worker > 0 {
        text.number("worker", own.worker as u64);
    }
    let Some(label) = own.label.and_then(label::find) else {
        return;
    };
    text.name("plugin", &label.id, &label.version);
    text.line("digest", label.digest.as_bytes());
    text.line("hook", own.hook.as_bytes());
    text.line("route", own.route.as_bytes());
    let (start, len) = own.request;
    if start != 0 && len > 0 {
        let start = ptr::with_exposed_provenance::<u8>(start);
        // SAFETY: the bytes must be readable and stay as they are. The mark was made with a slice that lives until the hook
        // returns, and this very thread is in the hook.
        let request = unsafe { std::slice::from_raw_parts(start, len.min(REQUEST)) };
        text.line("request", request);
    }
}

/// Puts back what was there before this module.
fn restore(signal: c_int) {
    let known = BEFORE
        .get()
        .and_then(|all| all.iter().find(|(one, _)| *one == signal));
    let fallback = empty();
    let before = known.map_or(&fallback, |(_, before)| before);
    put(signal, before);
}

fn put(signal: c_int, action: &libc::sigaction) {
    if set(signal, action).is_err() {
        // It cannot be handled again and again.
        crate::leave::now(134);
    }
}

/// The action that lets a signal have its default effect.
fn empty() -> libc::sigaction {
    // SAFETY: all zeros must be a value of this type. It holds numbers, a set of signals without any in it, and optional
    // function pointers.
    unsafe { std::mem::zeroed() }
}

fn now(signal: c_int) -> io::Result<libc::sigaction> {
    let mut action = empty();
    // SAFETY: the system writes one action to the place it is given, which is there for the call.
    let done = unsafe { libc::sigaction(signal, ptr::null(), &raw mut action) };
    if done == 0 {
        Ok(action)
    } else {
        Err(io::Error::last_os_error())
    }
}

fn set(signal: c_int, action: &libc::sigaction) -> io::Result<()> {
    // SAFETY: the handler must be fit for the signal: it is `handle`, or what was installed before. The action is only read,
    // during the call.
    let done = unsafe { libc::sigaction(signal, action, ptr::null_mut()) };
    if done == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

fn send(thread: i32, signal: c_int) {
    let process = own_process();
    // SAFETY: the call takes numbers. The thread is one of this process, or gone, which the system says.
    unsafe { libc::syscall(libc::SYS_tgkill, process, thread, signal) };
}

fn own_thread() -> i32 {
    rustix::thread::gettid().as_raw_nonzero().get()
}

fn own_process() -> i32 {
    rustix::process::getpid().as_raw_nonzero().get()
}

fn code(info: *mut siginfo_t) -> c_int {
    // SAFETY: the system passes a record that is valid while the handler runs.
    unsafe { (*info).si_code }
}

fn address(info: *mut siginfo_t) -> usize {
    // SAFETY: the system passes a record that is valid while the handler runs.
    let info = unsafe { &*info };
    // SAFETY: the record must be that of a fault with an address. It is read for SIGSEGV and SIGBUS only; where somebody sent
    // one of these, it is a number without a meaning.
    unsafe { info.si_addr() }.addr()
}

fn counter(context: *mut c_void) -> usize {
    // SAFETY: the system passes the state of the interrupted thread, valid while the handler runs.
    let context = unsafe { &*context.cast::<libc::ucontext_t>() };
    #[cfg(target_arch = "x86_64")]
    let counter = {
        let register = usize::try_from(libc::REG_RIP).unwrap_or(0);
        context
            .uc_mcontext
            .gregs
            .get(register)
            .map(|counter| counter.cast_unsigned())
    };
    #[cfg(target_arch = "aarch64")]
    let counter = Some(context.uc_mcontext.pc);
    #[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
    let counter: Option<u64> = {
        let _ = context;
        None
    };
    usize::try_from(counter.unwrap_or(0)).unwrap_or(0)
}

/// A text of limited length, without an allocation.
struct Text {
    bytes: [u8; ROOM],
    len: usize,
}

impl Text {
    fn new() -> Self {
        Self {
            bytes: [0; ROOM],
            len: 0,
        }
    }

    fn push(&mut self, bytes: &[u8]) {
        for byte in bytes {
            if let Some(place) = self.bytes.get_mut(self.len) {
                *place = *byte;
                self.len += 1;
            }
        }
    }

    fn line(&mut self, key: &str, value: &[u8]) {
        self.push(key.as_bytes());
        self.push(b"=");
        for byte in value {
            // A line is a line, whatever a name holds.
            self.push(&[if byte.is_ascii_control() { b'?' } else { *byte }]);
        }
        self.push(b"\n");
    }

    fn name(&mut self, key: &str, id: &str, version: &str) {
        self.push(key.as_bytes());
        self.push(b"=");
        self.push(id.as_bytes());
        self.push(b"@");
        self.push(version.as_bytes());
        self.push(b"\n");
    }

    fn number(&mut self, key: &str, mut number: u64) {
        let mut digits = [b'0'; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            if let Some(digit) = digits.get_mut(at) {
                *digit = b'0' + u8::try_from(number % 10).unwrap_or(0);
            }
            number /= 10;
            if number == 0 || at == 0 {
                break;
            }
        }
        self.line(key, digits.get(at..).unwrap_or_default());
    }

    fn address(&mut self, key: &str, address: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        let mut text = *b"0x0000000000000000";
        for (index, place) in text.iter_mut().skip(2).enumerate() {
            let nibble = (address >> (60 - 4 * index)) & 15;
            *place = DIGITS.get(nibble).copied().unwrap_or(b'0');
        }
        self.line(key, &text);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_faults_of_instructions_happen_again() {
        assert!(happens_again(libc::SIGSEGV, 1));
        assert!(happens_again(libc::SIGILL, 2));
        assert!(!happens_again(libc::SIGSEGV, libc::SI_USER));
        assert!(!happens_again(libc::SIGTRAP, 0x80));
        assert!(!happens_again(libc::SIGSYS, 1));
        assert!(!happens_again(libc::SIGABRT, libc::SI_TKILL));
    }

    #[test]
    fn texts_are_cut_and_numbers_are_whole() {
        let mut text = Text::new();
        text.number("a", 0);
        text.number("b", u64::MAX);
        text.address("c", 0x7f00);
        text.line("d", b"x\ny");
        let written = String::from_utf8_lossy(&text.bytes[..text.len]).into_owned();
        assert_eq!(
            written,
            "a=0\nb=18446744073709551615\nc=0x0000000000007f00\nd=x?y\n"
        );
        text.line("e", &[b'x'; 2 * ROOM]);
        assert_eq!(text.len, ROOM);
    }
}
