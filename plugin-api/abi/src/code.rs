//! Numbers that cross the line. Meanings stand in `swapgate.h`, at the constant of the same name.
#![allow(missing_docs)] // each constant is documented in the header, which is the reference

pub const SG_OK: i32 = 0;
pub const SG_CONTINUE: i32 = 0;
pub const SG_PENDING: i32 = 1;
pub const SG_RESPOND: i32 = 2;
pub const SG_BUFFER: i32 = 3;

pub const SG_E_FAILED: i32 = -1;
pub const SG_E_PANIC: i32 = -2;
pub const SG_E_INVALID: i32 = -3;
pub const SG_E_NOT_FOUND: i32 = -4;
pub const SG_E_STALE: i32 = -5;
pub const SG_E_WRONG_THREAD: i32 = -6;
pub const SG_E_WRONG_PHASE: i32 = -7;
pub const SG_E_TOO_LARGE: i32 = -8;
pub const SG_E_UNAVAILABLE: i32 = -9;
pub const SG_E_VERSION: i32 = -10;
pub const SG_E_FORBIDDEN: i32 = -11;
pub const SG_E_CANCELLED: i32 = -12;
pub const SG_E_TIMEOUT: i32 = -13;
pub const SG_E_CONFLICT: i32 = -14;

pub const SG_PHASE_REWRITE: u32 = 1;
pub const SG_PHASE_ACCESS: u32 = 2;
pub const SG_PHASE_REQUEST_BODY: u32 = 3;
pub const SG_PHASE_HEADER_FILTER: u32 = 4;
pub const SG_PHASE_BODY_FILTER: u32 = 5;
pub const SG_PHASE_TRAILERS: u32 = 6;
pub const SG_PHASE_LOG: u32 = 7;
pub const SG_PHASE_REQUEST_END: u32 = 8;
pub const SG_PHASE_ON_EVENT: u32 = 9;
pub const SG_PHASE_ON_TICK: u32 = 10;
pub const SG_PHASE_ON_OP_DONE: u32 = 11;

pub const SG_LANE_REQUEST: u32 = 1;
pub const SG_LANE_RESPONSE: u32 = 2;

pub const SG_BODY_NONE: u32 = 0;
pub const SG_BODY_OBSERVE: u32 = 1;
pub const SG_BODY_TRANSFORM: u32 = 2;
pub const SG_BODY_BUFFER: u32 = 3;

pub const SG_BODY_END: u32 = 1;
pub const SG_BODY_FIRST: u32 = 2;

pub const SG_EVENT_OP_DONE: u32 = 1;
pub const SG_EVENT_WAKE: u32 = 2;
pub const SG_EVENT_CANCEL: u32 = 3;
pub const SG_EVENT_DRAIN: u32 = 4;

pub const SG_UPSTREAM_SERVICE: u32 = 1;
pub const SG_UPSTREAM_TARGET: u32 = 2;
pub const SG_UPSTREAM_ADDRESS: u32 = 3;

pub const SG_LOG_ERROR: u32 = 1;
pub const SG_LOG_WARN: u32 = 2;
pub const SG_LOG_INFO: u32 = 3;
pub const SG_LOG_DEBUG: u32 = 4;
pub const SG_LOG_TRACE: u32 = 5;

pub const SG_HEADERS_REQUEST: u32 = 1;
pub const SG_HEADERS_RESPONSE: u32 = 2;
pub const SG_TRAILERS_REQUEST: u32 = 3;
pub const SG_TRAILERS_RESPONSE: u32 = 4;

pub const SG_ATTR_METHOD: u32 = 1;
pub const SG_ATTR_SCHEME: u32 = 2;
pub const SG_ATTR_HOST: u32 = 3;
pub const SG_ATTR_PATH: u32 = 4;
pub const SG_ATTR_QUERY: u32 = 5;
pub const SG_ATTR_CLIENT_ADDRESS: u32 = 6;
pub const SG_ATTR_PEER_ADDRESS: u32 = 7;
pub const SG_ATTR_LOCAL_ADDRESS: u32 = 8;
pub const SG_ATTR_ROUTE: u32 = 9;
pub const SG_ATTR_SERVICE: u32 = 10;
pub const SG_ATTR_REQUEST_ID: u32 = 11;
pub const SG_ATTR_PROTOCOL: u32 = 12;
pub const SG_ATTR_LISTENER: u32 = 13;
pub const SG_ATTR_TLS_VERSION: u32 = 14;
pub const SG_ATTR_TLS_CIPHER: u32 = 15;
pub const SG_ATTR_TLS_SNI: u32 = 16;
pub const SG_ATTR_TLS_ALPN: u32 = 17;
pub const SG_ATTR_TLS_CLIENT_SUBJECT: u32 = 18;
pub const SG_ATTR_TLS_CLIENT_ISSUER: u32 = 19;
pub const SG_ATTR_TLS_CLIENT_SERIAL: u32 = 20;
pub const SG_ATTR_TLS_CLIENT_FINGERPRINT: u32 = 21;
pub const SG_ATTR_TLS_CLIENT_NAMES: u32 = 22;
pub const SG_ATTR_TLS_CLIENT_CERTIFICATE: u32 = 23;
pub const SG_ATTR_PROXY_SOURCE: u32 = 24;
pub const SG_ATTR_PROXY_DESTINATION: u32 = 25;
pub const SG_ATTR_STATUS: u32 = 64;
pub const SG_ATTR_REQUEST_BYTES: u32 = 65;
pub const SG_ATTR_RESPONSE_BYTES: u32 = 66;
pub const SG_ATTR_DURATION_NS: u32 = 67;
pub const SG_ATTR_UPSTREAM_NS: u32 = 68;
pub const SG_ATTR_TARGET: u32 = 69;

pub const SG_METRIC_COUNTER: u32 = 1;
pub const SG_METRIC_GAUGE: u32 = 2;
pub const SG_METRIC_HISTOGRAM: u32 = 3;

pub const SG_DESC_PANIC_ABORT: u32 = 1;

pub const SG_ENTRY_PREFLIGHT: u32 = 1;

pub const SG_PLUGIN_OWNS_THREADS: u32 = 1;
pub const SG_PLUGIN_RESIDENT: u32 = 2;
pub const SG_PLUGIN_ONE_IMAGE_ONLY: u32 = 4;
pub const SG_PLUGIN_REQUEST_HEADERS_EARLY: u32 = 8;

pub const SG_HTTP_CALLOUT_ID: &str = "sg.http_callout/1";
pub const SG_RESOLVE_ID: &str = "sg.resolve/1";
pub const SG_BLOCKING_ID: &str = "sg.blocking/1";
pub const SG_KV_ID: &str = "sg.kv/1";
