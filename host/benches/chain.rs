//! What plugins cost an exchange before they do anything: a chain of none, one and five, and one hook call with one
//! host call back.
//!
//! The plugin is a real file: compiled here, staged, inspected and loaded by the gateway's own loader, called through
//! its own table. Its `access` asks for the method of the request and does nothing else.

use std::fs;
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use criterion::{Criterion, criterion_group, criterion_main};
use http::{HeaderMap, HeaderValue, Method, Uri};
use swapgate::chain::{Chain, Link, Matched, Outcome, Skipped};
use swapgate::config::ready::{Loader, OnError, Permissions, UnloadPolicy};
use swapgate::context::{Context, Ends, Frame, Lane, Phase, RequestId, Waits};
use swapgate::plugin::catalog::{Catalog, Settings};
use swapgate::plugin::ffi::request;
use swapgate::plugin::instance::Instance;
use swapgate::plugin::scan;
use swapgate::router::table::Table;

/// `CALL` is what the hook does.
const PLUGIN: &str = r#"
#include "swapgate_version.h"
const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'}, .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR, .abi_min_minor = SG_ABI_MINOR, .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c", .toolchain = "cc", .id = ID, .version = "1.0.0",
};
static const sg_host *gateway;
static int32_t configure(const sg_host *host, sg_str config, void **instance, sg_error_buf *error) {
    (void)config, (void)error;
    gateway = host;
    *instance = &gateway;
    return SG_OK;
}
static int32_t access_(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    sg_str out;
    (void)out, (void)exchange;
    return CALL;
}
static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin), .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)"1.0.0", 5}, .configure = configure, .access = access_,
};
int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    out->plugin = &plugin;
    return sg_negotiate(args, out);
}
"#;

/// What the hook of each plugin does, and the id of the plugin.
const NOTHING: (&str, &str) = ("nothing", "SG_CONTINUE");
const ATTRIBUTE: (&str, &str) = (
    "attribute",
    "gateway->attr_text(gateway, exchange, SG_ATTR_METHOD, &out)",
);
const HEADER: (&str, &str) = (
    "header",
    "gateway->header_get(gateway, exchange, SG_HEADERS_REQUEST, (sg_str){(const uint8_t *)\"x-api-key\", 9}, &out)",
);

fn chain(criterion: &mut Criterion) {
    let mut bed = Bed::new();
    let table = Table::empty();
    for (name, plugin) in [
        ("one hook call, no call back", NOTHING),
        ("one hook call, one call back: attr_text", ATTRIBUTE),
        ("one hook call, one call back: header_get", HEADER),
    ] {
        let instance = bed.instance(plugin, 0);
        criterion.bench_function(name, |bench| {
            let mut context = context();
            let mut frame = Frame {
                context: &mut context,
                table: &table,
                names: None,
                leads: None,
                phase: Phase::Access,
                lane: Lane::Request,
                owner: 1,
                waits: Waits::Never,
                keeper: None,
            };
            bench.iter(|| {
                let code = request::call(black_box(instance.bound()), &mut frame, 0);
                assert_eq!(code, Some(0));
            });
        });
    }
    let mut group = criterion.benchmark_group("a phase of a chain");
    for count in [0, 1, 5] {
        let links = (0..count).map(|number| Link {
            instance: bed.instance(ATTRIBUTE, number),
            on_error: OnError::Closed,
            priority: 0,
        });
        let chain = Chain::compile(links.collect());
        group.bench_function(format!("{count} plugins"), |bench| {
            let (mut context, mut skipped) = (context(), Skipped::default());
            let matched = Matched {
                table: &table,
                names: None,
                leads: None,
                worker: 0,
            };
            bench.iter(|| {
                let outcome =
                    black_box(&chain).run(Phase::Access, 0, &mut context, &mut skipped, matched);
                assert!(matches!(outcome, Outcome::Continue));
            });
        });
    }
    group.finish();
}

/// A catalog over a folder of its own.
struct Bed {
    folder: tempfile::TempDir,
    runtime: tokio::runtime::Runtime,
    catalog: Catalog,
}

impl Bed {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let loader = Loader {
            permissions: Permissions::Relaxed,
            preflight_timeout: Duration::from_secs(30),
            call_timeout: Duration::from_secs(30),
            unload: UnloadPolicy::Auto,
            max_images: 16,
            state_bytes: 1 << 20,
        };
        let catalog = Catalog::new(Settings {
            state_dir: folder.path().join("state"),
            exe: PathBuf::from("not needed: nothing is preflighted here"),
            loader,
            workers: 1,
            services: swapgate::ops::services::Services::with(
                swapgate::config::ready::Kv::LEAST_MEMORY,
                swapgate::ops::blocking::Bounds {
                    threads: 1,
                    queue: 1,
                },
            ),
        });
        Self {
            runtime: tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime"),
            catalog: catalog.expect("a catalog"),
            folder,
        }
    }

    /// An instance of a plugin; instances with other numbers have another configuration.
    fn instance(&mut self, (id, call): (&str, &str), number: usize) -> Arc<Instance> {
        let file = self.folder.path().join(format!("{id}.so"));
        if !file.exists() {
            compile(self.folder.path(), &file, id, call);
        }
        let catalog = &mut self.catalog;
        self.runtime.block_on(async {
            let entry = scan::entry(&file).expect("a file");
            let fit = catalog.admit(entry).await.expect("fits");
            let image = catalog.activate(&fit).await.expect("loads");
            let config = format!("{{\"number\": {number}}}");
            catalog
                .configure(&image, &config)
                .await
                .expect("configures")
        })
    }
}

fn compile(folder: &Path, file: &Path, id: &str, call: &str) {
    let source = folder.join("plugin.c");
    fs::write(&source, PLUGIN).expect("the source is written");
    let include = Path::new(env!("CARGO_MANIFEST_DIR")).join("../sdk-c/include");
    let status = Command::new("cc")
        .args(["-std=c11", "-O2", "-fPIC", "-shared", "-fvisibility=hidden"])
        .arg(format!("-DID=\"{id}\""))
        .arg(format!("-DCALL={call}"))
        .arg("-I")
        .arg(include)
        .arg("-o")
        .arg(file)
        .arg(&source)
        .status();
    assert!(status.expect("a C compiler is needed").success());
    fs::set_permissions(file, fs::Permissions::from_mode(0o755)).expect("ours");
}

/// A request as a browser sends it, more or less.
fn context() -> Context {
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("host", "api.example.com"),
        ("user-agent", "bench"),
        ("accept", "*/*"),
        ("accept-encoding", "gzip"),
        ("x-api-key", "0123456789abcdef"),
        ("x-request-id", "1"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let peer = SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000));
    let ends = Ends {
        peer,
        local: peer,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
        connection: Rc::default(),
    };
    let target = Uri::from_static("/users/42?full=1");
    let id = RequestId::Own(*b"0123456789abcdef0123456789abcdef");
    Context::new(1, id, target, Method::GET, headers, ends)
}

criterion_group!(benches, chain);
criterion_main!(benches);
