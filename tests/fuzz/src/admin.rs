//! What callers of the admin listener send: paths, methods, tokens, and questions to `/explain`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use swapgate::admin::Admin;
use swapgate::config::ready::Config;
use swapgate::config::{self, Environment, Source};
use swapgate::control::explain::{Question, View};
use swapgate::control::status::Board;
use swapgate::door;
use swapgate::fault::watchdog::Watchdog;
use swapgate::ops::services::Services;
use swapgate::plugin::Catalog;
use swapgate::plugin::catalog::Settings;
use tokio::runtime::Runtime;

use crate::input::Input;

/// What there is to be asked about.
const CONFIG: &str = r#"
format: 1
listeners: [{name: l, address: "127.0.0.1:0"}]
upstreams: [{name: u, targets: [{address: "127.0.0.1:1"}]}]
services: [{name: s, upstream: u}]
routes:
  - {name: user, service: s, hosts: ["api.example.com", "*.example.org"], paths: ["/users/{id}", "/users"], strip_path: true}
  - {name: exact, service: s, paths: ["=/exact", "~/r[0-9]+/(?<rest>.*)$"], methods: [GET, POST]}
  - {name: header, service: s, paths: ["/"], headers: {x-a: ["b", "~^c+$"]}, query: {q: ["1"]}}
  - {name: rest, service: s, paths: ["/x/{rest}"], priority: -1}
trusted_addresses: ["192.0.2.0/24"]
"#;

struct Nothing;

impl Environment for Nothing {
    fn variable(&self, _: &str) -> Result<String, String> {
        Err("it is not set".to_owned())
    }

    fn file(&self, _: &Path) -> Result<String, String> {
        Err("no such file".to_owned())
    }

    fn cores(&self) -> usize {
        1
    }
}

/// An admin listener without a socket, and the runtime it answers on.
struct World {
    admin: Admin,
    runtime: Runtime,
    _catalog: Catalog,
    _state: tempfile::TempDir,
}

impl World {
    fn new() -> Self {
        let source = Source {
            file: "gate.yaml".into(),
            text: CONFIG.to_owned(),
            base: PathBuf::from("/"),
        };
        let config = config::load(&source, &Nothing).expect("a configuration");
        let state = tempfile::tempdir().expect("a folder");
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .build()
            .expect("a runtime");
        let catalog = {
            let _inside = runtime.enter();
            catalog(&config, state.path())
        };
        let board = Board::new(1);
        let view = Arc::new(View::without_plugins(&config));
        board.update(|status| status.view = Some(view));
        let admin = Admin {
            board,
            images: catalog.view(),
            metrics: Arc::clone(catalog.metrics()),
            watchdog: Watchdog::default(),
            token: None,
        };
        Self {
            admin,
            runtime,
            _catalog: catalog,
            _state: state,
        }
    }

    fn ask(&self, request: Request<Full<Bytes>>) -> (StatusCode, Bytes) {
        self.runtime.block_on(async {
            let (head, body) = door::admin(&self.admin, request).await.into_parts();
            let body = body.collect().await.expect("it is in memory").to_bytes();
            (head.status, body)
        })
    }
}

fn catalog(config: &Config, state: &Path) -> Catalog {
    let settings = Settings {
        state_dir: state.to_owned(),
        exe: PathBuf::from("/bin/false"),
        loader: config.loader.clone(),
        workers: 1,
        services: Services::new(config),
    };
    Catalog::new(settings).expect("a catalog")
}

thread_local! {
    static WORLD: World = World::new();
}

/// Pieces: method, target; then, for a question, `{` and what follows it is the body, else pieces that make one.
pub fn admin(data: &[u8]) {
    let mut input = Input::new(data);
    let (method, target) = (input.text(), input.text());
    let body = if input.rest().first() == Some(&b'{') {
        input.rest().to_vec()
    } else {
        question(input)
    };
    let Ok(method) = Method::from_bytes(method.as_bytes()) else {
        return;
    };
    let mut request = Request::new(Full::new(Bytes::from(body)));
    let Ok(uri) = target.parse() else {
        return;
    };
    *request.uri_mut() = uri;
    let read_only = matches!(method, Method::GET | Method::HEAD);
    *request.method_mut() = method.clone();
    let explain = request.uri().path() == "/explain";
    let text = request.uri().path() == "/metrics" && read_only;
    let (status, answer) = WORLD.with(|world| world.ask(request));
    assert!(!status.is_server_error() || !explain, "{status}");
    assert!(explain || read_only || status == StatusCode::METHOD_NOT_ALLOWED);
    if !text {
        let document: serde_json::Value = serde_json::from_slice(&answer).expect("a document");
        assert_eq!(
            status == StatusCode::BAD_REQUEST,
            document.get("error").is_some() && explain && method == Method::POST
        );
    }
}

fn question(mut input: Input<'_>) -> Vec<u8> {
    let (method, url) = (input.text(), input.text());
    let client = Some(input.text()).filter(|text| !text.is_empty());
    let mut headers = Vec::new();
    while !input.is_empty() {
        headers.push((input.text(), input.text()));
    }
    let question = Question {
        method,
        url,
        headers,
        client,
    };
    serde_json::to_vec(&question).expect("a question")
}
