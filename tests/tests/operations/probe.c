/*
 * A plugin that does with operations what a request or its configuration asks for, and answers what came of it.
 *
 * Requests: the path says what, the query is a key or a name. Configuration: {"name": ..., "tick": true, "work": true,
 * "call": "<service>", "hang": true}; what the background did stands under keys that begin with the name.
 */
#include "swapgate.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ID "probe"
#ifndef VERSION
#define VERSION "1.0.0"
#endif

static const sg_host *host;
static const sg_kv *kv;
static const sg_http_callout *callout;
static const sg_resolve *resolve;
static const sg_blocking *blocking;
static int preflight;

typedef struct {
    char name[32];
    char call[32];
    int tick, work, hang, destroyed;
} instance_t;

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

static int is(sg_str s, const char *t) { return s.len == strlen(t) && memcmp(s.ptr, t, s.len) == 0; }

/* Counts under "<name>:<what>". */
static void count(const char *name, const char *what, int64_t by) {
    char key[80];
    snprintf(key, sizeof key, "%s:%s", name, what);
    kv->add(host, text(key), by, 0, NULL);
}

static int32_t say(sg_exchange_tok exchange, const char *body) {
    int32_t code = host->respond(host, exchange, 200, NULL, 0, text(body));
    return code == SG_OK ? SG_RESPOND : code;
}

/* ---- Blocking ---- */

typedef struct {
    pthread_t caller;
    int64_t sum;
} work_t;

static int32_t work(void *context) {
    work_t *w = context;
    for (int64_t i = 1; i <= 1000; i++) w->sum += i;
    return pthread_equal(w->caller, pthread_self()) ? 1 : 2;
}

/* Takes as long as nobody opens the gate. */
static int32_t slow(void *context) {
    sg_buf none = {NULL, 0, 0};
    count("slow", "begun", 1);
    while (kv->get(host, text("gate"), &none, NULL) != SG_OK) usleep(1000);
    count("slow", "over", 1);
    return work(context);
}

static void release(void *context) {
    count("work", "released", 1);
    free(context);
}

static work_t *new_work(void) {
    work_t *w = calloc(1, sizeof *w);
    w->caller = pthread_self();
    return w;
}

/* ---- Life ---- */

static int32_t load(const sg_host *given, sg_error_buf *error) {
    (void)error;
    host = given;
    kv = host->extension(host, text(SG_KV_ID));
    callout = host->extension(host, text(SG_HTTP_CALLOUT_ID));
    resolve = host->extension(host, text(SG_RESOLVE_ID));
    blocking = host->extension(host, text(SG_BLOCKING_ID));
    int all = kv && callout && resolve && blocking && kv->struct_size == sizeof *kv;
    if (host->extension(host, text("sg.kv/2")) || host->extension(host, text("")) ||
        host->extension(host, (sg_str){NULL, 9}) || host->extension(NULL, text(SG_KV_ID)))
        all = 0;
    /* In the throw-away child nothing may be begun. */
    int64_t sum = 0;
    if (preflight && kv->add(host, text("a"), 1, 0, &sum) != SG_E_UNAVAILABLE) all = 0;
    return all ? SG_OK : SG_E_FAILED;
}

static void read_text(const char *json, const char *key, char *out, size_t cap) {
    char pattern[40];
    snprintf(pattern, sizeof pattern, "\"%s\":\"", key);
    const char *at = strstr(json, pattern);
    size_t len = 0;
    if (at) {
        for (at += strlen(pattern); at[len] != '"' && len + 1 < cap; len++) out[len] = at[len];
    }
    out[len] = 0;
}

static int32_t configure(const sg_host *given, sg_str config, void **instance, sg_error_buf *error) {
    (void)given;
    (void)error;
    char json[512] = {0};
    memcpy(json, config.ptr, config.len < 511 ? config.len : 511);
    instance_t *self = calloc(1, sizeof *self);
    read_text(json, "name", self->name, sizeof self->name);
    read_text(json, "call", self->call, sizeof self->call);
    self->tick = strstr(json, "\"tick\":true") != NULL;
    self->work = strstr(json, "\"work\":true") != NULL;
    self->hang = strstr(json, "\"hang\":true") != NULL;
    *instance = self;
    return SG_OK;
}

static int32_t start(void *instance, sg_instance_tok token, sg_error_buf *error) {
    (void)error;
    instance_t *self = instance;
    sg_op_tok op;
    int32_t code = SG_OK;
    if (self->tick) code = host->tick_every(host, token, 10);
    if (code == SG_OK && self->work) code = blocking->start(host, token, work, release, new_work(), &op);
    if (code == SG_OK && self->call[0]) {
        sg_http_request request = {.struct_size = sizeof request, .service = text(self->call), .url = text("/from-start")};
        code = callout->start(host, token, &request, &op);
    }
    if (host->tick_every(host, token, 9) != SG_E_INVALID) code = SG_E_FAILED;
    return code;
}

static int32_t on_tick(void *instance) {
    instance_t *self = instance;
    if (self->hang) {
        count(self->name, "hangs", 1);
        for (;;) usleep(10000);
    }
    if (self->destroyed) count("late", "ticks", 1);
    count(self->name, "ticks", 1);
    return SG_OK;
}

static int32_t on_op_done(void *instance, const sg_event *event) {
    instance_t *self = instance;
    if (self->destroyed) count("late", "events", 1);
    if (event->kind != SG_EVENT_OP_DONE || event->lane != 0) return SG_E_FAILED;
    if (event->data) {
        const sg_http_answer *answer = event->data;
        count(self->name, "status", answer->status);
    } else {
        count(self->name, "result", event->result);
    }
    return SG_OK;
}

static void destroy(void *instance) {
    /* Not freed, so that a late call is seen and not merely undefined. */
    instance_t *self = instance;
    self->destroyed = 1;
    count(self->name, "destroyed", 1);
}

/* ---- Requests ---- */

static int32_t get(sg_exchange_tok exchange, sg_str key) {
    uint8_t bytes[256];
    char out[300];
    sg_buf buf = {bytes, sizeof bytes, 0};
    uint64_t revision = 0;
    int32_t code = kv->get(host, key, &buf, &revision);
    int64_t number;
    if (code != SG_OK) {
        snprintf(out, sizeof out, "code %d", code);
    } else if (buf.len == 8) {
        memcpy(&number, bytes, 8);
        snprintf(out, sizeof out, "%lld", (long long)number);
    } else {
        snprintf(out, sizeof out, "%.*s", (int)(buf.len < 256 ? buf.len : 256), (char *)bytes);
    }
    return say(exchange, out);
}

static sg_str header(sg_exchange_tok exchange, const char *name) {
    sg_str value = {NULL, 0};
    host->header_get(host, exchange, SG_HEADERS_REQUEST, text(name), &value);
    return value;
}

static uint32_t number(sg_str s) {
    uint32_t n = 0;
    for (size_t i = 0; i < s.len; i++) n = n * 10 + (uint32_t)(s.ptr[i] - '0');
    return n;
}

static int32_t call(sg_exchange_tok exchange) {
    sg_header line = {text("x-asked-by"), text("probe")};
    sg_http_request request = {
        .struct_size = sizeof request,
        .timeout_ms = number(header(exchange, "x-timeout")),
        .service = header(exchange, "x-service"),
        .url = header(exchange, "x-url"),
        .method = header(exchange, "x-method"),
        .headers = &line,
        .header_count = 1,
        .body = header(exchange, "x-body"),
        .max_body = number(header(exchange, "x-max-body")),
    };
    sg_op_tok op = 0;
    int32_t code = callout->start(host, exchange, &request, &op);
    if (code == SG_OK) return SG_PENDING;
    char out[40];
    snprintf(out, sizeof out, "refused %d", code);
    return say(exchange, out);
}

/* What malformed arguments are answered; the last one of each line is what is right. */
static int32_t arguments(sg_exchange_tok exchange) {
    int32_t codes[40];
    int n = 0;
    char key[520] = {0}, out[512] = {0};
    sg_op_tok op;
    int64_t sums[2];
    sg_buf no_room = {NULL, 9, 0}, empty = {NULL, 0, 0};
    memset(key, 'k', sizeof key - 1);
    kv->set(host, text("some"), text("value"), 0);
    codes[n++] = kv->get(host, (sg_str){NULL, 5}, &empty, NULL);
    codes[n++] = kv->get(host, text("some"), NULL, NULL);
    codes[n++] = kv->get(host, text("some"), &no_room, NULL);
    codes[n++] = kv->get(NULL, text("some"), &empty, NULL);
    codes[n++] = kv->get(host, text("some"), &empty, NULL);
    codes[n++] = kv->set(host, text(key), text("value"), 0);
    codes[n++] = kv->set(host, text("some"), (sg_str){NULL, 1}, 0);
    codes[n++] = kv->add(host, text("some"), 1, 0, sums);
    codes[n++] = kv->add(host, text("n"), 1, 0, (int64_t *)((char *)sums + 1));
    codes[n++] = kv->compare_and_set(host, text("some"), 0, text("v"), 0);
    codes[n++] = kv->remove(host, text("never was"));

    sg_http_request r = {.struct_size = sizeof r, .service = text("auth")};
    sg_header framing = {text("content-length"), text("1")};
    codes[n++] = callout->start(host, exchange, NULL, &op);
    r.struct_size = 0;
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.struct_size = sizeof r - 1;
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.struct_size = UINT32_MAX; /* larger than ours is no mistake */
    r.service = text("nobody");
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.struct_size = sizeof r;
    r.service = text("auth");
    codes[n++] = callout->start(host, exchange, &r, NULL);
    r.header_count = 3;
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.headers = &framing, r.header_count = 1;
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.headers = NULL, r.header_count = 0;
    r.method = text("GE T");
    codes[n++] = callout->start(host, exchange, &r, &op);
    r.method = text(""), r.url = text("http://127.0.0.1/");
    codes[n++] = callout->start(host, exchange, &r, &op);
    codes[n++] = callout->start(host, exchange + 1, &r, &op);

    codes[n++] = resolve->start(host, exchange, text(""), &op);
    codes[n++] = resolve->start(host, exchange, text("a b"), &op);
    codes[n++] = blocking->start(host, exchange, NULL, release, NULL, &op);
    codes[n++] = blocking->start(host, exchange, work, release, NULL, NULL);
    codes[n++] = host->tick_every(host, exchange, 10);
    for (int i = 0; i < n; i++) snprintf(out + strlen(out), sizeof out - strlen(out), "%d ", codes[i]);
    return say(exchange, out);
}

static int32_t on_access(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    sg_str path, query;
    sg_op_tok op;
    if (host->attr_text(host, exchange, SG_ATTR_PATH, &path) != SG_OK) return SG_E_FAILED;
    if (host->attr_text(host, exchange, SG_ATTR_QUERY, &query) != SG_OK) return SG_E_FAILED;
    if (is(path, "/get")) return get(exchange, query);
    if (is(path, "/add")) {
        int64_t sum = 0;
        char out[64];
        int32_t code = kv->add(host, query, 1, 0, &sum);
        snprintf(out, sizeof out, "%d %lld of %s", code, (long long)sum, VERSION);
        return say(exchange, out);
    }
    if (is(path, "/call")) return call(exchange);
    if (is(path, "/arguments")) return arguments(exchange);
    if (is(path, "/resolve")) {
        int32_t code = resolve->start(host, exchange, query, &op);
        return code == SG_OK ? SG_PENDING : code;
    }
    if (is(path, "/work") || is(path, "/slow")) {
        work_t *w = new_work();
        int32_t (*function)(void *) = is(path, "/slow") ? slow : work;
        int32_t code = host->state_set(host, exchange, w, NULL);
        if (code == SG_OK) code = blocking->start(host, exchange, function, release, w, &op);
        return code == SG_OK ? SG_PENDING : code;
    }
    return SG_CONTINUE;
}

static int32_t on_event(void *instance, sg_exchange_tok exchange, const sg_event *event) {
    (void)instance;
    char out[600];
    sg_str path;
    if (event->kind != SG_EVENT_OP_DONE) return SG_PENDING;
    if (host->attr_text(host, exchange, SG_ATTR_PATH, &path) != SG_OK) return SG_E_FAILED;
    if (is(path, "/work") || is(path, "/slow")) {
        void *state = NULL;
        host->state_get(host, exchange, &state);
        /* Not released before the event was told. */
        snprintf(out, sizeof out, "%d %lld", event->result, (long long)((work_t *)state)->sum);
        host->state_set(host, exchange, NULL, NULL);
    } else if (event->result != SG_OK) {
        snprintf(out, sizeof out, "result %d", event->result);
    } else if (is(path, "/resolve")) {
        const sg_resolved *found = event->data;
        sg_str first = found->count ? found->addresses[0] : text("none");
        snprintf(out, sizeof out, "%.*s", (int)first.len, (const char *)first.ptr);
    } else {
        const sg_http_answer *answer = event->data;
        snprintf(out, sizeof out, "%u %.*s", answer->status, (int)(answer->body.len < 500 ? answer->body.len : 500),
                 (const char *)answer->body.ptr);
        for (size_t i = 0; i < answer->header_count; i++)
            if (is(answer->headers[i].name, "connection") || is(answer->headers[i].name, "transfer-encoding"))
                snprintf(out, sizeof out, "a header of the connection");
    }
    return say(exchange, out);
}

static const sg_plugin table = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof(ID) - 1},
    .version = {(const uint8_t *)VERSION, sizeof(VERSION) - 1},
    .load = load,
    .configure = configure,
    .start = start,
    .destroy = destroy,
    .access = on_access,
    .on_event = on_event,
    .on_tick = on_tick,
    .on_op_done = on_op_done,
};

const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'},
    .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR,
    .abi_min_minor = SG_ABI_MINOR,
    .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c 0.1.0",
    .toolchain = __VERSION__,
    .id = ID,
    .version = VERSION,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    preflight = (args->flags & SG_ENTRY_PREFLIGHT) != 0;
    out->abi_minor = SG_ABI_MINOR;
    out->plugin = &table;
    return SG_OK;
}
