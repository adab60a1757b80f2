//! What the bench programs share: arguments, listeners, and saying where they listen.
//!
//! The programs are separate processes so that the account of the one under measurement holds nothing but its own work.
#![forbid(unsafe_code)]

use std::error::Error;
use std::fmt::Display;
use std::io::{self, Read};
use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::str::FromStr;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::{TcpListener, TcpStream};

pub mod account;
pub mod alarm;
pub mod histogram;
pub mod pattern;
pub mod tls;
pub mod websocket;

/// What the programs end with.
pub type Outcome<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// The words of the command line, taken out one by one.
#[derive(Debug)]
pub struct Arguments(Vec<String>);

impl Arguments {
    /// The arguments of this process.
    #[must_use]
    pub fn of_process() -> Self {
        Self(std::env::args().skip(1).collect())
    }

    /// Takes `NAME VALUE` out.
    ///
    /// # Errors
    /// When the value is missing or cannot be read.
    pub fn value<T: FromStr<Err: Display>>(&mut self, name: &str) -> Outcome<Option<T>> {
        let Some(at) = self.0.iter().position(|word| word == name) else {
            return Ok(None);
        };
        if at + 1 >= self.0.len() {
            return Err(format!("{name} needs a value").into());
        }
        self.0.remove(at);
        let text = self.0.remove(at);
        text.parse()
            .map(Some)
            .map_err(|error| format!("{name} cannot be {text:?}: {error}").into())
    }

    /// Takes `NAME VALUE` out, which must be there.
    ///
    /// # Errors
    /// When it is missing or cannot be read.
    pub fn required<T: FromStr<Err: Display>>(&mut self, name: &str) -> Outcome<T> {
        self.value(name)?
            .ok_or_else(|| format!("{name} is missing").into())
    }

    /// Takes the word `NAME` out and says whether it was there.
    pub fn flag(&mut self, name: &str) -> bool {
        let before = self.0.len();
        self.0.retain(|word| word != name);
        self.0.len() != before
    }

    /// Makes sure that nothing is left over.
    ///
    /// # Errors
    /// When there is a word nobody asked for.
    pub fn finish(self) -> Outcome<()> {
        self.0.first().map_or(Ok(()), |word| {
            Err(format!("{word:?} is not an argument of this program").into())
        })
    }
}

/// One listening socket per worker, all on the same address.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr, workers: usize) -> io::Result<Vec<std::net::TcpListener>> {
    let first = bind_one(address)?;
    let address = first.local_addr()?;
    let others = (1..workers).map(|_| bind_one(address));
    std::iter::once(Ok(first)).chain(others).collect()
}

/// Writes where the program listens, in the form `swapgate run --announce` uses.
///
/// # Errors
/// When the file cannot be written.
pub fn announce(file: &Path, address: SocketAddr) -> io::Result<()> {
    let text = serde_json::json!({
        "pid": std::process::id(),
        "listeners": [{"name": "public", "address": address.to_string()}],
    });
    let draft = file.with_extension("draft");
    std::fs::write(&draft, text.to_string())?;
    std::fs::rename(draft, file)
}

/// Raises the soft limit of open files to the hard one: a connection is one.
///
/// # Errors
/// When the system refuses.
pub fn admit_many() -> io::Result<()> {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let raised = Rlimit {
        current: maximum,
        maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

/// Ends this process when its standard input does, so that nothing outlives whoever started it.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let mut rest = Vec::new();
        // An error means the same as the end: nobody holds the other side any more.
        let _ = io::stdin().read_to_end(&mut rest);
        std::process::exit(0);
    });
}

/// Runs one thread with one current-thread runtime per listener; `serve` is called for every connection.
///
/// # Errors
/// When a runtime cannot be made or a listener breaks.
pub fn run_workers<S, M>(listeners: Vec<std::net::TcpListener>, make_worker: M) -> Outcome<()>
where
    S: AsyncFn(TcpStream) + 'static,
    M: Fn() -> S + Clone + Send + 'static,
{
    let threads: Vec<_> = listeners
        .into_iter()
        .map(|listener| {
            let make_worker = make_worker.clone();
            std::thread::spawn(move || run_worker(listener, make_worker()))
        })
        .collect();
    for thread in threads {
        thread.join().map_err(|_| "a worker panicked")??;
    }
    Ok(())
}

fn run_worker<S: AsyncFn(TcpStream) + 'static>(
    listener: std::net::TcpListener,
    serve: S,
) -> Outcome<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let serve = Rc::new(serve);
    tokio::task::LocalSet::new().block_on(&runtime, async move {
        let listener = TcpListener::from_std(listener)?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let serve = Rc::clone(&serve);
            tokio::task::spawn_local(async move { serve(stream).await });
        }
    })
}

fn bind_one(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_reuse_address(true)?;
    socket.set_reuse_port(true)?;
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    socket.listen(1024)?;
    Ok(socket.into())
}
