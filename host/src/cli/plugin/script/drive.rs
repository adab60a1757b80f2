//! One case through a gateway of its own.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use http::header::HOST;
use http_body_util::BodyExt as _;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;
use tokio::task::LocalSet;

use super::compare::{Difference, Outcome, compare};
use super::raw::{Attach, Case, Request, Script};
use super::trace::Trace;
use super::upstream::{Pieces, Server, header};
use crate::cli::ask::{Admin, Ask};
use crate::cli::child::{Gateway, NotStarted};
use crate::cli::scratch::Scratch;

/// How long one request may take.
const REQUEST: Duration = Duration::from_secs(30);
/// What the gateway tells.
const LOG: &str = "info,plugin=trace,hook=trace";

/// What all cases share.
pub(super) struct Bench<'a> {
    pub(super) script: &'a Script,
    /// Id of the plugin.
    pub(super) plugin: &'a str,
    pub(super) file: &'a Path,
    /// The folder of the script.
    pub(super) base: &'a Path,
}

/// Everything in which a case differs; what keeps it from running is a difference, too.
pub(super) fn case(bench: &Bench<'_>, index: usize, case: &Case) -> Vec<Difference> {
    let at = format!("/cases/{index}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let ran = match runtime {
        Ok(runtime) => LocalSet::new().block_on(&runtime, run(bench, &at, case)),
        Err(error) => Err(format!("cannot start: {error}")),
    };
    ran.unwrap_or_else(|text| vec![Difference { pointer: at, text }])
}

async fn run(bench: &Bench<'_>, at: &str, case: &Case) -> Result<Vec<Difference>, String> {
    let io = |error: std::io::Error| format!("cannot prepare the gateway: {error}");
    let scratch = Scratch::new(bench.file).map_err(|refusal| refusal.to_string())?;
    let upstream = Server::start(bench.script.upstream.clone())
        .await
        .map_err(io)?;
    let mut services = Vec::new();
    for (name, answer) in &bench.script.services {
        services.push((name, Server::start(answer.clone()).await.map_err(io)?));
    }
    let mut targets = vec![("upstream", upstream.address)];
    targets.extend(
        services
            .iter()
            .map(|(name, server)| (name.as_str(), server.address)),
    );
    let config = bench.config(case, &targets);
    let file = bench.prepare(scratch.path(), &config).map_err(io)?;
    let started = Gateway::start(&file, scratch.path(), LOG);
    if let Some(expected) = &case.refused {
        return Ok(refused(at, expected, started).into_iter().collect());
    }
    let gateway = started.map_err(|error| error.to_string())?;
    if let Some(text) = degraded(&gateway) {
        return Err(text);
    }
    let mut differences = Vec::new();
    for (index, request) in case.requests.iter().enumerate() {
        let answer = request.upstream.as_ref().unwrap_or(&bench.script.upstream);
        upstream.answer(answer.clone());
        let at = format!("{at}/requests/{index}");
        match send(&gateway, request, &upstream, bench.plugin).await {
            Err(text) => differences.push(Difference { pointer: at, text }),
            Ok(outcome) => {
                let found = compare(&request.expect, &outcome).into_iter();
                differences.extend(found.map(|one| Difference {
                    pointer: format!("{at}/expect{}", one.pointer),
                    text: one.text,
                }));
            }
        }
    }
    Ok(differences)
}

impl Bench<'_> {
    fn config(&self, case: &Case, targets: &[(&str, SocketAddr)]) -> Value {
        let own = case.config.as_ref().unwrap_or(&self.script.config);
        let mut plugins = vec![use_of(self.plugin, own)];
        let others = self.script.with.iter();
        plugins.extend(others.map(|other| use_of(&other.name, &other.config)));
        let (global, route) = match self.script.attach {
            Attach::Global => (plugins, Vec::new()),
            Attach::Route => (Vec::new(), plugins),
        };
        let upstreams = targets
            .iter()
            .map(|(name, address)| json!({ "name": name, "targets": [{ "address": address }] }));
        let services = targets
            .iter()
            .map(|(name, _)| json!({ "name": name, "upstream": name }));
        json!({
            "format": 1,
            "listeners": [{ "name": "test", "address": "127.0.0.1:0" }],
            "admin": { "address": "127.0.0.1:0" },
            "workers": 1,
            "trusted_addresses": ["127.0.0.1"],
            "loader": { "permissions": "relaxed" },
            "upstreams": upstreams.collect::<Vec<_>>(),
            "services": services.collect::<Vec<_>>(),
            "routes": [{ "name": "test", "service": "upstream", "plugins": route }],
            "plugins": global,
        })
    }

    /// Puts everything into the folder; the path of the configuration.
    fn prepare(&self, folder: &Path, config: &Value) -> std::io::Result<PathBuf> {
        let plugins = folder.join("plugins.d");
        fs::DirBuilder::new().mode(0o755).create(&plugins)?;
        install(self.file, &plugins, "tested.so")?;
        for (index, other) in self.script.with.iter().enumerate() {
            install(
                &self.base.join(&other.file),
                &plugins,
                &format!("with{index}.so"),
            )?;
        }
        let file = folder.join("swapgate.json");
        fs::write(&file, config.to_string())?;
        Ok(file)
    }
}

fn use_of(name: &str, config: &Map<String, Value>) -> Value {
    json!({ "name": name, "config": config })
}

fn install(file: &Path, folder: &Path, name: &str) -> std::io::Result<()> {
    let into = folder.join(name);
    fs::copy(file, &into)?;
    fs::set_permissions(&into, fs::Permissions::from_mode(0o755))
}

/// Whether the configuration was refused in the words that were expected.
fn refused(at: &str, expected: &str, started: Result<Gateway, NotStarted>) -> Option<Difference> {
    let said = match started {
        Err(NotStarted::Refused(text)) => text,
        Err(error) => error.to_string(),
        Ok(gateway) => degraded(&gateway).unwrap_or_default(),
    };
    let text = if said.contains(expected) {
        return None;
    } else if said.is_empty() {
        "the configuration is not refused".to_owned()
    } else {
        format!("the configuration is refused with {said:?}")
    };
    let pointer = format!("{at}/refused");
    Some(Difference { pointer, text })
}

/// Why the gateway does not serve everything; none if it does.
fn degraded(gateway: &Gateway) -> Option<String> {
    let admin = Admin {
        admin: gateway.admin,
        token: None,
    };
    // On a thread of its own, for this one runs the servers behind the gateway.
    let asked = std::thread::scope(|scope| scope.spawn(|| admin.ask(Ask::Get("/status"))).join());
    let status = match asked {
        Ok(Ok(status)) => status,
        Ok(Err(error)) => return Some(error.to_string()),
        Err(_) => return Some("its admin listener cannot be asked".to_owned()),
    };
    let status: Value = serde_json::from_slice(&status).unwrap_or_default();
    let degraded = status.get("degraded").and_then(Value::as_array)?;
    let texts: Vec<&str> = degraded.iter().filter_map(Value::as_str).collect();
    (!texts.is_empty()).then(|| texts.join("; "))
}

async fn send(
    gateway: &Gateway,
    request: &Request,
    upstream: &Server,
    plugin: &str,
) -> Result<Outcome, String> {
    let exchange = exchange(gateway.public, request);
    let answered = tokio::time::timeout(REQUEST, exchange).await;
    let response = answered.map_err(|_| format!("no answer came within {REQUEST:?}"))??;
    let (head, body) = response.into_parts();
    Ok(Outcome {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
        received: upstream.received(),
        trace: Trace::read(gateway, plugin).await,
    })
}

async fn exchange(
    address: SocketAddr,
    request: &Request,
) -> Result<http::Response<hyper::body::Bytes>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let stream = TcpStream::connect(address)
        .await
        .map_err(|error| text(&error))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(|error| text(&error))?;
    tokio::task::spawn_local(connection);
    let mut made = http::Request::builder()
        .method(request.method.as_str())
        .uri(&request.path)
        .header(HOST, &request.host);
    for line in &request.headers {
        let (name, value) = header(line)?;
        made = made.header(name, value);
    }
    if let Some(client) = &request.client {
        made = made.header("x-forwarded-for", client);
    }
    let made = made
        .body(Pieces::of(&request.body, &request.chunks))
        .map_err(|error| format!("this is not a request: {error}"))?;
    let response = sender.send_request(made).await;
    let response = response.map_err(|error| format!("the gateway gives no answer: {error}"))?;
    let (head, body) = response.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|error| format!("the answer broke off: {error}"))?;
    Ok(http::Response::from_parts(head, body.to_bytes()))
}
