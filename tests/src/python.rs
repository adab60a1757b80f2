//! Real clients and servers written in Python: the scripts in `tests/python`, with the packages that `cargo xtask tools`
//! brings into an environment of their own below the target folder.

use std::ffi::OsStr;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::artifacts::{root, target_dir};
use crate::child::{Finished, Running, run};

/// A script and its arguments, before it is started.
pub struct Python(Command);

/// A script that listens; dropping it ends it.
pub struct PythonServer {
    /// The process: further lines that it writes, and lines it is told.
    pub process: Running,
    address: SocketAddr,
}

impl Python {
    /// The script of this name in `tests/python`.
    ///
    /// # Panics
    /// When the packages are not installed.
    #[must_use]
    #[track_caller]
    pub fn script(name: &str) -> Self {
        let mut command = Command::new(environment().join("bin/python"));
        command
            // Written at once, whatever standard output is; and nothing is written beside the scripts.
            .args(["-u", "-B"])
            .arg(root().join("tests/python").join(name));
        Self(command)
    }

    /// Adds an argument.
    #[must_use]
    pub fn argument(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.0.args(arguments);
        self
    }

    /// Starts it and waits for its line `listening ADDRESS`.
    ///
    /// # Panics
    /// When it ends instead.
    #[must_use]
    #[track_caller]
    pub fn serve(mut self) -> PythonServer {
        let process = Running::start(&mut self.0);
        let address = process.line_after("listening ");
        let address = address.parse().expect("addresses are addresses");
        PythonServer { process, address }
    }

    /// Starts it; its lines are read with [`Running::line`].
    #[must_use]
    #[track_caller]
    pub fn start(mut self) -> Running {
        Running::start(&mut self.0)
    }

    /// Runs it to its end.
    #[must_use]
    #[track_caller]
    pub fn run(mut self) -> Finished {
        run(&mut self.0)
    }
}

impl PythonServer {
    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits for the next line it writes.
    #[track_caller]
    pub fn line(&self) -> String {
        self.process.line()
    }
}

/// The environment, which is complete when it holds the list that the repository holds.
#[track_caller]
fn environment() -> PathBuf {
    let environment = target_dir().join("python");
    let installed = fs::read(environment.join("requirements.txt")).ok();
    let wanted = fs::read(root().join("tests/python/requirements.txt")).ok();
    assert!(
        wanted.is_some() && installed == wanted,
        "the Python packages of the tests are not in {}; `cargo xtask tools` installs them",
        environment.display()
    );
    environment
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_clients_and_servers_understand_each_other() {
        let grpc = Python::script("grpc_server.py").serve();
        let address = grpc.address().to_string();
        let client = Python::script("grpc_client.py").arguments(&[&address, "kinds"]);
        assert_eq!(client.run().success().json()["join"], "a++c");

        let websocket = Python::script("websocket_server.py").serve();
        let url = format!("ws://{}/count/3", websocket.address());
        let client = Python::script("websocket_client.py").arguments(&[&url, "rest"]);
        assert_eq!(client.run().success().json()["code"], 1000);
        assert_eq!(websocket.line(), "open /count/3");
        assert_eq!(websocket.line(), "closed 1000");
    }
}
