//! What the Rust compiler makes of the mirror.

use std::fmt::Write as _;
use std::mem::offset_of;

use swapgate_abi::*;

macro_rules! numbers {
    ($out:ident: $($name:ident)*) => {
        $(let _ = writeln!($out, "{} {}", stringify!($name), $name);)*
    };
}

macro_rules! texts {
    ($out:ident: $($name:ident)*) => {
        $(let _ = writeln!($out, "{} \"{}\"", stringify!($name), $name);)*
    };
}

macro_rules! structure {
    ($out:ident: $name:literal $type:ty { $($field:ident)* }) => {
        let _ = writeln!($out, "{} size {}, align {}", $name, size_of::<$type>(), align_of::<$type>());
        $(
            let (at, size) = (offset_of!($type, $field), size_of_field(|value: &$type| &value.$field));
            let _ = writeln!($out, "  {} at {at}, size {size}", stringify!($field));
        )*
    };
}

/// The table, in the order of the header.
pub(crate) fn layout() -> String {
    let mut out = format!("SG_ABI_MAJOR {ABI_MAJOR}\nSG_ABI_MINOR {ABI_MINOR}\n");
    constants(&mut out);
    texts! { out: SG_HTTP_CALLOUT_ID SG_RESOLVE_ID SG_BLOCKING_ID SG_KV_ID }
    let _ = writeln!(out, "SG_MAGIC \"{}\"", MAGIC.escape_ascii());
    basics(&mut out);
    events(&mut out);
    host(&mut out);
    areas(&mut out);
    plugin(&mut out);
    door(&mut out);
    out
}

fn constants(out: &mut String) {
    numbers! { out:
        SG_OK
        SG_CONTINUE
        SG_PENDING
        SG_RESPOND
        SG_BUFFER
        SG_E_FAILED
        SG_E_PANIC
        SG_E_INVALID
        SG_E_NOT_FOUND
        SG_E_STALE
        SG_E_WRONG_THREAD
        SG_E_WRONG_PHASE
        SG_E_TOO_LARGE
        SG_E_UNAVAILABLE
        SG_E_VERSION
        SG_E_FORBIDDEN
        SG_E_CANCELLED
        SG_E_TIMEOUT
        SG_E_CONFLICT
        SG_PHASE_REWRITE
        SG_PHASE_ACCESS
        SG_PHASE_REQUEST_BODY
        SG_PHASE_HEADER_FILTER
        SG_PHASE_BODY_FILTER
        SG_PHASE_TRAILERS
        SG_PHASE_LOG
        SG_PHASE_REQUEST_END
        SG_PHASE_ON_EVENT
        SG_PHASE_ON_TICK
        SG_PHASE_ON_OP_DONE
        SG_LANE_REQUEST
        SG_LANE_RESPONSE
        SG_BODY_NONE
        SG_BODY_OBSERVE
        SG_BODY_TRANSFORM
        SG_BODY_BUFFER
        SG_BODY_END
        SG_BODY_FIRST
        SG_EVENT_OP_DONE
        SG_EVENT_WAKE
        SG_EVENT_CANCEL
        SG_EVENT_DRAIN
        SG_UPSTREAM_SERVICE
        SG_UPSTREAM_TARGET
        SG_UPSTREAM_ADDRESS
        SG_LOG_ERROR
        SG_LOG_WARN
        SG_LOG_INFO
        SG_LOG_DEBUG
        SG_LOG_TRACE
        SG_HEADERS_REQUEST
        SG_HEADERS_RESPONSE
        SG_TRAILERS_REQUEST
        SG_TRAILERS_RESPONSE
        SG_ATTR_METHOD
        SG_ATTR_SCHEME
        SG_ATTR_HOST
        SG_ATTR_PATH
        SG_ATTR_QUERY
        SG_ATTR_CLIENT_ADDRESS
        SG_ATTR_PEER_ADDRESS
        SG_ATTR_LOCAL_ADDRESS
        SG_ATTR_ROUTE
        SG_ATTR_SERVICE
        SG_ATTR_REQUEST_ID
        SG_ATTR_PROTOCOL
        SG_ATTR_LISTENER
        SG_ATTR_TLS_VERSION
        SG_ATTR_TLS_CIPHER
        SG_ATTR_TLS_SNI
        SG_ATTR_TLS_ALPN
        SG_ATTR_TLS_CLIENT_SUBJECT
        SG_ATTR_TLS_CLIENT_ISSUER
        SG_ATTR_TLS_CLIENT_SERIAL
        SG_ATTR_TLS_CLIENT_FINGERPRINT
        SG_ATTR_TLS_CLIENT_NAMES
        SG_ATTR_TLS_CLIENT_CERTIFICATE
        SG_ATTR_PROXY_SOURCE
        SG_ATTR_PROXY_DESTINATION
        SG_ATTR_STATUS
        SG_ATTR_REQUEST_BYTES
        SG_ATTR_RESPONSE_BYTES
        SG_ATTR_DURATION_NS
        SG_ATTR_UPSTREAM_NS
        SG_ATTR_TARGET
        SG_METRIC_COUNTER
        SG_METRIC_GAUGE
        SG_METRIC_HISTOGRAM
        SG_DESC_PANIC_ABORT
        SG_ENTRY_PREFLIGHT
        SG_PLUGIN_OWNS_THREADS
        SG_PLUGIN_RESIDENT
        SG_PLUGIN_ONE_IMAGE_ONLY
        SG_PLUGIN_REQUEST_HEADERS_EARLY
    }
}

fn basics(out: &mut String) {
    structure!(out: "sg_str" SgStr {
        ptr len
    });
    structure!(out: "sg_header" SgHeader {
        name value
    });
    structure!(out: "sg_label" SgLabel {
        name value
    });
    structure!(out: "sg_error_buf" SgErrorBuf {
        ptr cap len
    });
    structure!(out: "sg_buf" SgBuf {
        ptr cap len
    });
}

fn events(out: &mut String) {
    structure!(out: "sg_event" SgEvent {
        struct_size kind lane phase op result flags data
    });
    structure!(out: "sg_state_out" SgStateOut {
        struct_size version private_ write
    });
    structure!(out: "sg_memory" SgMemory {
        struct_size reserved bytes peak_bytes allocations
    });
}

fn areas(out: &mut String) {
    structure!(out: "sg_http_request" SgHttpRequest {
        struct_size timeout_ms service url method headers header_count body max_body
    });
    structure!(out: "sg_http_answer" SgHttpAnswer {
        struct_size status headers header_count body
    });
    structure!(out: "sg_http_callout" SgHttpCallout {
        struct_size reserved start
    });
    structure!(out: "sg_resolved" SgResolved {
        struct_size reserved addresses count
    });
    structure!(out: "sg_resolve" SgResolve {
        struct_size reserved start
    });
    structure!(out: "sg_blocking" SgBlocking {
        struct_size reserved start
    });
    structure!(out: "sg_kv" SgKv {
        struct_size reserved get set add compare_and_set remove
    });
}

fn host(out: &mut String) {
    structure!(out: "sg_host" SgHost {
        struct_size abi_minor private_ log attr_text attr_number attr_set param_get param_nth header_get
        header_nth headers_list header_set header_append header_remove respond var_get var_set state_get
        state_set consumer_get consumer_set set_error metric_declare metric_add metric_set metric_observe
        extension sleep op_cancel waker wake tick_every upstream_set body_len body_pieces body_drain body_replace
        body_append body_append_own body_hold body_ignore
    });
}

fn plugin(out: &mut String) {
    structure!(out: "sg_plugin" SgPlugin {
        struct_size flags id version features_required features_optional priority request_body_need
        response_body_need reserved config_schema buffer_bytes load unload configure start destroy rewrite access header_filter log
        request_end request_body body_filter trailers on_event on_tick on_op_done export_state import_state memory
    });
}

fn door(out: &mut String) {
    structure!(out: "sg_descriptor" SgDescriptor {
        magic struct_size abi_major abi_min_minor abi_max_minor flags reserved sdk toolchain id version
    });
    structure!(out: "sg_entry_args" SgEntryArgs {
        struct_size abi_major abi_min_minor abi_max_minor flags reserved features host
    });
    structure!(out: "sg_entry_out" SgEntryOut {
        struct_size abi_minor plugin error
    });
}

/// The size of a field, of which only the type is looked at.
fn size_of_field<S, F>(_: fn(&S) -> &F) -> usize {
    size_of::<F>()
}
