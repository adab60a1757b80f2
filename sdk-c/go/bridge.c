/* The door of the contract, and one small C function for each hook, which calls into Go. */
#include <string.h>

#include "_cgo_export.h"
#include "swapgate_version.h"

static int32_t configure(const sg_host *host, sg_str config, void **instance, sg_error_buf *error) {
    uintptr_t handle = 0;
    int32_t code = sgoConfigure(config, &handle, error);
    (void)host;
    *instance = (void *)handle;
    return code;
}
static int32_t start(void *instance, sg_instance_tok token, sg_error_buf *error) {
    return sgoStart((uintptr_t)instance, token, error);
}
static void destroy(void *instance) { sgoDestroy((uintptr_t)instance); }

static int32_t rewrite(void *i, sg_exchange_tok x) { return sgoHook((uintptr_t)i, x, SG_PHASE_REWRITE, 0); }
static int32_t access_(void *i, sg_exchange_tok x) { return sgoHook((uintptr_t)i, x, SG_PHASE_ACCESS, 0); }
static int32_t request_body(void *i, sg_exchange_tok x, uint32_t flags) {
    return sgoHook((uintptr_t)i, x, SG_PHASE_REQUEST_BODY, flags);
}
static int32_t header_filter(void *i, sg_exchange_tok x) { return sgoHook((uintptr_t)i, x, SG_PHASE_HEADER_FILTER, 0); }
static int32_t body_filter(void *i, sg_exchange_tok x, uint32_t flags) {
    return sgoHook((uintptr_t)i, x, SG_PHASE_BODY_FILTER, flags);
}
static int32_t trailers(void *i, sg_exchange_tok x, uint32_t lane) { return sgoHook((uintptr_t)i, x, SG_PHASE_TRAILERS, lane); }
static int32_t log_(void *i, sg_exchange_tok x) { return sgoHook((uintptr_t)i, x, SG_PHASE_LOG, 0); }
static void request_end(void *i, sg_exchange_tok x) { sgoHook((uintptr_t)i, x, SG_PHASE_REQUEST_END, 0); }
static int32_t on_event(void *i, sg_exchange_tok x, const sg_event *event) {
    return sgoEvent((uintptr_t)i, x, (sg_event *)event);
}
static int32_t on_tick(void *i) { return sgoTick((uintptr_t)i); }
static int32_t on_op_done(void *i, const sg_event *event) { return sgoOpDone((uintptr_t)i, (sg_event *)event); }
static int32_t export_state(void *i, sg_state_out *out) { return sgoExport((uintptr_t)i, out); }
static int32_t import_state(void *i, uint32_t version, sg_str state, sg_error_buf *error) {
    return sgoImport((uintptr_t)i, version, state, error);
}

void sgo_release(void *handle) { sgoRelease((uintptr_t)handle); }
int32_t sgo_work(void *handle) { return sgoWork((uintptr_t)handle); }

static sg_plugin table;

static int has(uint32_t hooks, uint32_t phase) { return (hooks >> phase & 1u) != 0; }

SG_EXPORT int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    memset(&table, 0, sizeof table);
    table.struct_size = sizeof table;
    table.id = (sg_str){(const uint8_t *)sg_plugin_abi.id, strlen(sg_plugin_abi.id)};
    table.version = (sg_str){(const uint8_t *)sg_plugin_abi.version, strlen(sg_plugin_abi.version)};
    /* A library with the runtime of Go in it can never be unmapped, has threads, and there can be only one. */
    table.flags = SG_PLUGIN_RESIDENT | SG_PLUGIN_ONE_IMAGE_ONLY | SG_PLUGIN_OWNS_THREADS;
    table.configure = configure;
    table.destroy = destroy;
    const uint32_t hooks = sgoDefine((sg_host *)args->host, &table);
    if (has(hooks, SG_PHASE_REWRITE)) table.rewrite = rewrite;
    if (has(hooks, SG_PHASE_ACCESS)) table.access = access_;
    if (has(hooks, SG_PHASE_REQUEST_BODY)) table.request_body = request_body;
    if (has(hooks, SG_PHASE_HEADER_FILTER)) table.header_filter = header_filter;
    if (has(hooks, SG_PHASE_BODY_FILTER)) table.body_filter = body_filter;
    if (has(hooks, SG_PHASE_TRAILERS)) table.trailers = trailers;
    if (has(hooks, SG_PHASE_LOG)) table.log = log_;
    if (has(hooks, SG_PHASE_REQUEST_END)) table.request_end = request_end;
    if (has(hooks, SG_PHASE_ON_EVENT)) table.on_event = on_event;
    if (has(hooks, SG_PHASE_ON_TICK)) table.on_tick = on_tick;
    if (has(hooks, SG_PHASE_ON_OP_DONE)) table.on_op_done = on_op_done;
    if (has(hooks, 29)) table.start = start;
    if (has(hooks, 30)) table.export_state = export_state;
    if (has(hooks, 31)) table.import_state = import_state;
    out->plugin = &table;
    return SG_OK;
}
