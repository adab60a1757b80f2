//! Who takes part, and how each is started.
//!
//! Every contestant serves with one thread. The words are those of its command line, `files` are templates below
//! `tests/bench/field` that are filled in and written into its working folder.

use super::tools::Tool;

/// A limit that is never reached.
const NO_LIMIT: u64 = 1_000_000_000;
/// Our plugins that do the three jobs.
const JOBS: [&str; 3] = ["libkey_auth.so", "libheaders.so", "librate_limit.so"];

/// One way to be a proxy.
#[derive(Debug)]
pub(crate) struct Contestant {
    pub(crate) name: &'static str,
    pub(crate) tool: Tool,
    pub(crate) words: &'static [&'static str],
    pub(crate) files: &'static [&'static str],
    /// Plugin files of ours it uses.
    pub(crate) plugins: &'static [&'static str],
    pub(crate) work: Work,
    /// Whether it is also asked over thousands of routes.
    pub(crate) routes: bool,
    /// Whether it also listens with TLS, for HTTP/1.1 and HTTP/2, and lets WebSockets through.
    pub(crate) protocols: bool,
    /// Whether it takes part only when `--only` names it.
    pub(crate) on_request: bool,
}

/// How much a contestant does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Work {
    /// Passes bytes on.
    Bare,
    /// And tells the upstream about the client.
    Plain,
    /// And does the three jobs.
    Jobs,
}

/// What is filled into the configuration of one start.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Setting {
    pub(crate) routes: usize,
    pub(crate) limit: u64,
    pub(crate) window_s: u64,
}

impl Setting {
    /// As it is measured.
    pub(crate) fn measured(routes: usize) -> Self {
        Self {
            routes,
            limit: NO_LIMIT,
            window_s: 1,
        }
    }

    /// As it is checked: five requests an hour.
    pub(crate) fn checked() -> Self {
        Self {
            routes: 1,
            limit: 5,
            window_s: 3600,
        }
    }
}

const FLOOR: Contestant = Contestant {
    name: "floor",
    tool: Tool::Built("bench-floor"),
    words: &[
        "--workers",
        "1",
        "--listen",
        "@LISTEN@",
        "--upstream",
        "@UPSTREAM@",
        "--announce",
        "@FOLDER@/announced.json",
        "--secure",
        "@SECURE@",
        "--certificate",
        "@TLS@/certificate.pem",
        "--key",
        "@TLS@/key.pem",
    ],
    files: &[],
    plugins: &[],
    work: Work::Bare,
    routes: false,
    protocols: true,
    on_request: false,
};

const SWAPGATE: Contestant = Contestant {
    name: "swapgate",
    tool: Tool::Built("swapgate"),
    words: &["run", "--config", "@FOLDER@/swapgate.yaml"],
    files: &["swapgate.yaml"],
    plugins: &[],
    work: Work::Plain,
    routes: true,
    protocols: true,
    on_request: false,
};

const NGINX: Contestant = Contestant {
    name: "nginx",
    tool: Tool::Nginx,
    words: &[
        "-p",
        "@FOLDER@",
        "-e",
        "@FOLDER@/error.log",
        "-c",
        "@FOLDER@/nginx.conf",
    ],
    files: &["nginx.conf"],
    plugins: &[],
    work: Work::Plain,
    routes: true,
    protocols: true,
    on_request: false,
};

const ENVOY: Contestant = Contestant {
    name: "envoy",
    tool: Tool::Envoy,
    words: &[
        "--concurrency",
        "1",
        "--disable-hot-restart",
        "--log-level",
        "error",
        "-c",
        "@FOLDER@/envoy.yaml",
    ],
    files: &["envoy.yaml"],
    plugins: &[],
    work: Work::Plain,
    routes: true,
    protocols: true,
    on_request: false,
};

/// All of them, in the order of the tables.
pub(crate) const CONTESTANTS: [Contestant; 12] = [
    FLOOR,
    // The floor against itself says what machine and method are worth.
    Contestant {
        name: "floor-again",
        on_request: true,
        ..FLOOR
    },
    SWAPGATE,
    Contestant {
        name: "swapgate-plugins",
        words: &["run", "--config", "@FOLDER@/swapgate-plugins.yaml"],
        files: &["swapgate-plugins.yaml"],
        plugins: &JOBS,
        work: Work::Jobs,
        routes: false,
        protocols: false,
        ..SWAPGATE
    },
    Contestant {
        name: "nginx-bare",
        words: &[
            "-p",
            "@FOLDER@",
            "-e",
            "@FOLDER@/error.log",
            "-c",
            "@FOLDER@/nginx-bare.conf",
        ],
        files: &["nginx-bare.conf"],
        work: Work::Bare,
        routes: false,
        protocols: false,
        ..NGINX
    },
    NGINX,
    Contestant {
        name: "nginx-lua",
        tool: Tool::NginxLua,
        words: &[
            "-p",
            "@FOLDER@",
            "-e",
            "@FOLDER@/error.log",
            "-c",
            "@FOLDER@/nginx-lua.conf",
        ],
        files: &["nginx-lua.conf", "jobs.lua"],
        work: Work::Jobs,
        routes: false,
        protocols: false,
        ..NGINX
    },
    Contestant {
        name: "haproxy",
        tool: Tool::Haproxy,
        words: &["-db", "-q", "-f", "@FOLDER@/haproxy.cfg"],
        files: &["haproxy.cfg", "haproxy.map"],
        plugins: &[],
        work: Work::Plain,
        routes: true,
        protocols: true,
        on_request: false,
    },
    ENVOY,
    // What a plugin costs that sees every byte of every body.
    Contestant {
        name: "swapgate-bodies",
        words: &["run", "--config", "@FOLDER@/swapgate-bodies.yaml"],
        files: &["swapgate-bodies.yaml"],
        plugins: &["libpass.so"],
        routes: false,
        protocols: false,
        ..SWAPGATE
    },
    Contestant {
        name: "envoy-lua",
        words: &[
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "error",
            "-c",
            "@FOLDER@/envoy-lua.yaml",
        ],
        files: &["envoy-lua.yaml"],
        work: Work::Jobs,
        routes: false,
        protocols: false,
        ..ENVOY
    },
    Contestant {
        name: "go",
        tool: Tool::GoGateway,
        words: &[
            "-listen",
            "@LISTEN@",
            "-upstream",
            "@UPSTREAM@",
            "-plugin",
            "@JOBS@",
            "-limit",
            "@LIMIT@",
            "-window",
            "@WINDOW@",
        ],
        files: &[],
        plugins: &[],
        work: Work::Jobs,
        routes: false,
        protocols: false,
        on_request: false,
    },
];

/// The gateway whose plugin is swapped and whose configuration is reloaded while it serves.
pub(crate) const CHANGING: Contestant = Contestant {
    name: "swapgate-changes",
    words: &["run", "--config", "@FOLDER@/swapgate-changes.yaml"],
    files: &["swapgate-changes.yaml"],
    plugins: &["libstamp.so", JOBS[0], JOBS[1], JOBS[2]],
    work: Work::Jobs,
    routes: false,
    protocols: false,
    ..SWAPGATE
};
