//! What the Rust compiler makes of the mirror.

use std::fmt::Write as _;
use std::mem::offset_of;

use swapgate_abi::*;

macro_rules! numbers {
    ($out:ident: $($name:ident)*) => {
        $(let _ = writeln!($out, "{} {}", stringify!($name), $name);)*
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
    let _ = writeln!(out, "SG_MAGIC \"{}\"", MAGIC.escape_ascii());
    basics(&mut out);
    tables(&mut out);
    door(&mut out);
    out
}

fn constants(out: &mut String) {
    numbers! { out:
        SG_OK
        SG_CONTINUE
        SG_RESPOND
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
        SG_PHASE_REWRITE
        SG_PHASE_ACCESS
        SG_PHASE_HEADER_FILTER
        SG_PHASE_LOG
        SG_PHASE_REQUEST_END
        SG_LOG_ERROR
        SG_LOG_WARN
        SG_LOG_INFO
        SG_LOG_DEBUG
        SG_LOG_TRACE
        SG_HEADERS_REQUEST
        SG_HEADERS_RESPONSE
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
}

fn tables(out: &mut String) {
    structure!(out: "sg_host" SgHost {
        struct_size abi_minor private_ log attr_text attr_number attr_set param_get param_nth header_get
        header_nth headers_list header_set header_append header_remove respond var_get var_set state_get
        state_set consumer_get consumer_set set_error metric_declare metric_add metric_set metric_observe
    });
    structure!(out: "sg_plugin" SgPlugin {
        struct_size flags id version features_required features_optional priority request_body response_body
        reserved config_schema load unload configure start destroy rewrite access header_filter log
        request_end
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
