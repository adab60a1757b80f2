//! A real nginx as an upstream, with a configuration of the test's own.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::child::Running;
use crate::eventually::wait_for;
use crate::port::Port;

/// An nginx with a folder of its own; dropping it ends it.
pub struct Nginx {
    process: Running,
    folder: TempDir,
    /// Stays the test's own while nginx is dead.
    port: Port,
}

impl Nginx {
    /// Starts one with this inside its `server` block. `@folder@` is its folder; its `files` are the root; `@address@` is
    /// what it should listen on unless the text says `listen` itself.
    ///
    /// # Panics
    /// When it refuses its configuration.
    #[must_use]
    #[track_caller]
    pub fn server(block: &str) -> Self {
        let folder = tempfile::tempdir().expect("the system has a temporary folder");
        fs::create_dir(folder.path().join("files")).expect("the folder is ours");
        let port = Port::take();
        write_configuration(folder.path(), block, port.address());
        let process = start(folder.path());
        Self {
            process,
            folder,
            port,
        }
    }

    /// Starts one that serves the files put into [`Nginx::files`], and takes uploads by PUT.
    #[must_use]
    #[track_caller]
    pub fn files_server() -> Self {
        Self::server("client_max_body_size 0; dav_methods PUT;")
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.port.address()
    }

    /// Kills it, as the system does with a process that takes too much memory: its connections end, whatever they were at.
    ///
    /// # Panics
    /// When it has ended already.
    #[track_caller]
    pub fn kill(&mut self) {
        self.process.signal(Signal::KILL);
        wait_for("nginx to be dead", || self.process.ended());
    }

    /// Starts it again, on the same port and with everything that lies in its folder, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    #[track_caller]
    pub fn start_again(&mut self) {
        self.process = start(self.folder.path());
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Where its files lie.
    #[must_use]
    pub fn files(&self) -> std::path::PathBuf {
        self.folder.path().join("files")
    }
}

/// Starts it and waits until it listens.
#[track_caller]
fn start(folder: &Path) -> Running {
    // Written once all sockets listen; it may be one of an attempt before.
    let pid = folder.join("nginx.pid");
    let _ = fs::remove_file(&pid);
    let mut nginx = Command::new("nginx");
    nginx
        .arg("-p")
        .arg(folder)
        .arg("-c")
        .arg(folder.join("nginx.conf"));
    nginx.args(["-e", "stderr"]);
    let mut process = Running::start(&mut nginx);
    let ended = wait_for("nginx to listen", || {
        process
            .ended()
            .is_some()
            .then_some(true)
            .or_else(|| pid.exists().then_some(false))
    });
    if ended {
        panic!("nginx does not start: {}", process.finish().complaints());
    }
    process
}

fn write_configuration(folder: &Path, block: &str, address: SocketAddr) {
    let listen = if block.contains("listen ") {
        ""
    } else {
        "listen @address@;"
    };
    // One process and no daemon, so that it ends with its test. Temporary files stay in its folder.
    let text = format!(
        "daemon off;
master_process off;
error_log stderr warn;
pid @folder@/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    default_type application/octet-stream;
    types {{ text/html html; text/plain txt; application/json json; }}
    keepalive_requests 1000000;
    client_body_temp_path @folder@/body;
    proxy_temp_path @folder@/proxy;
    fastcgi_temp_path @folder@/fastcgi;
    uwsgi_temp_path @folder@/uwsgi;
    scgi_temp_path @folder@/scgi;
    server {{
        {listen}
        root @folder@/files;
        {block}
    }}
}}
"
    );
    let text = text
        .replace("@folder@", &folder.display().to_string())
        .replace("@address@", &address.to_string());
    fs::write(folder.join("nginx.conf"), text).expect("the folder is ours");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Client;

    #[test]
    fn serves_its_files_and_takes_uploads() {
        let nginx = Nginx::files_server();
        fs::write(nginx.files().join("a.txt"), "hello").unwrap();
        let mut client = Client::connect(nginx.address());
        assert_eq!(client.get("/a.txt").text(), "hello");
        client.send("PUT /b.txt HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nok");
        assert_eq!(client.expect_response().status, 201);
        assert_eq!(fs::read(nginx.files().join("b.txt")).unwrap(), b"ok");
    }

    #[test]
    fn dies_and_comes_back_on_the_same_port() {
        let mut nginx = Nginx::server("location / { return 200 hello; }");
        for _ in 0..3 {
            let mut client = Client::connect(nginx.address());
            assert_eq!(client.get("/").text(), "hello");
            nginx.kill();
            client.expect_closed();
            assert!(Client::try_connect(nginx.address()).is_err());
            nginx.start_again();
        }
    }
}
