/*
 * Calls every host function in every phase and writes down the answers, for the tests of the gateway. The twin of
 * plugins/conformance, word for word: both must have the same trace.
 *
 * The trace is a list of words PHASE.STEP=CODE or PHASE.STEP=CODE:VALUE. It grows in the variable "conformance.trace",
 * leaves in the header x-trace of the answer, and what comes after the head goes to the log in one line each. Phases are
 * letters: Rewrite, Access, W after a wait in access(), B request_body(), H header_filter(), F body_filter(), T and U trailers()
 * of both lanes, Log, E request_end(), X for a wait that was cancelled.
 */
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "conformance-c"
#define VERSION "0.1.0"

const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'},
    .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR,
    .abi_min_minor = SG_ABI_MINOR,
    .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c 0.1.0",
    .toolchain = "cc " __VERSION__,
    .id = ID,
    .version = VERSION,
};

static const char schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"properties\": {"
    "\"respond\": {\"type\": \"string\", \"enum\": [\"\", \"rewrite\", \"access\"]}, "
    "\"wait\": {\"type\": \"string\", \"enum\": [\"\", \"sleep\", \"wake\", \"callout\", \"blocking\", \"never\"]}}}";

#define TRACE_VARIABLE "conformance.trace"
#define LONG_VARIABLE (64 * 1024 + 1)
#define LONG_NAME 129
#define LONG_CONSUMER 257
#define LONG_METRIC 101
#define NO_MAP 99u /* a header map that does not exist */

#define LONG_KEY 513
#define LONG_VALUE (1024 * 1024 + 1)
#define MINUTE UINT64_C(60000000000)
#define MANY (UINT64_C(1) << 40)
#define NOBODYS UINT64_C(0x1234567812345678)
#define STATE_VERSION 3u

static char many_v[LONG_VARIABLE], many_k[LONG_VALUE], many_n[LONG_NAME], many_c[LONG_CONSUMER];

#define REFUSED 11

/* What configure() declared, and what it was answered. */
struct metrics {
    int32_t codes[4 + REFUSED];
    sg_metric_tok counter, again, gauge, histogram;
};

struct instance {
    const sg_host *host;
    char respond; /* phase letter, or 0 */
    char wait;    /* the first letter of what access() waits for, or 0 */
    uint32_t imported_version;
    char imported[64]; /* what an earlier instance handed over; empty: nothing */
    struct metrics metrics;
};

/* The words of one phase, and what it takes to ask for them. */
struct trace {
    const sg_host *host;
    const struct instance *instance;
    sg_exchange_tok exchange;
    char phase;
    size_t len;
    char name[64];
    char words[16384];
};

static sg_str bytes(const void *ptr, size_t len) { return (sg_str){(const uint8_t *)ptr, len}; }
static sg_str text(const char *s) { return bytes(s, strlen(s)); }
static const sg_str nothing = {NULL, 0};

static void add(struct trace *t, const char *piece, size_t len) {
    if (t->len + len > sizeof t->words) len = sizeof t->words - t->len;
    memcpy(t->words + t->len, piece, len);
    t->len += len;
}

/* Begins a word: a blank, the phase, the step, and an equals sign. */
static void begin(struct trace *t, const char *step) {
    if (t->len > 0) add(t, " ", 1);
    add(t, &t->phase, 1);
    add(t, ".", 1);
    add(t, step, strlen(step));
    add(t, "=", 1);
}

static void word(struct trace *t, const char *step, const char *answer) {
    begin(t, step);
    add(t, answer, strlen(answer));
}

static void code(struct trace *t, const char *step, int32_t result) {
    char number[16];
    snprintf(number, sizeof number, "%d", (int)result);
    word(t, step, number);
}

static void value(struct trace *t, const char *step, int32_t result, sg_str out) {
    code(t, step, result);
    if (result != SG_OK) return;
    add(t, ":", 1);
    for (size_t i = 0; i < out.len && i < 64; i++) {
        char c = out.ptr[i] > ' ' && out.ptr[i] < 0x7f ? (char)out.ptr[i] : '?';
        add(t, &c, 1);
    }
}

static void number(struct trace *t, const char *step, int32_t result, uint64_t out) {
    code(t, step, result);
    if (result != SG_OK) return;
    char digits[24];
    int len = snprintf(digits, sizeof digits, ":%llu", (unsigned long long)out);
    add(t, digits, (size_t)len);
}

/* "step.tail", until the next one. */
static const char *name_of(struct trace *t, const char *step, const char *tail) {
    snprintf(t->name, sizeof t->name, "%s.%s", step, tail);
    return t->name;
}

static const char *name_of_id(struct trace *t, const char *step, uint32_t id) {
    snprintf(t->name, sizeof t->name, "%s.%u", step, (unsigned)id);
    return t->name;
}

static void attributes(struct trace *t) {
    static const uint32_t shown[] = {1, 2, 3, 4, 5, 9, 10}, kept[] = {6, 7, 8, 11, 69, 12, 64};
    static const uint32_t numbers[] = {65, 66, 67, 68, 999, 1};
    for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) {
        sg_str out = nothing;
        int32_t result = t->host->attr_text(t->host, t->exchange, shown[i], &out);
        value(t, name_of_id(t, "attr_text", shown[i]), result, out);
    }
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        sg_str out = nothing;
        code(t, name_of_id(t, "attr_text", kept[i]), t->host->attr_text(t->host, t->exchange, kept[i], &out));
    }
    uint64_t status = 0;
    int32_t result = t->host->attr_number(t->host, t->exchange, SG_ATTR_STATUS, &status);
    number(t, "attr_number.64", result, status);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        uint64_t out = 0;
        code(t, name_of_id(t, "attr_number", numbers[i]), t->host->attr_number(t->host, t->exchange, numbers[i], &out));
    }
}

static void set_attributes(struct trace *t) {
    static const uint32_t own[] = {SG_ATTR_METHOD, SG_ATTR_PATH, SG_ATTR_QUERY};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
        sg_str out = nothing;
        /* The view itself goes in: arguments may alias views. */
        if (t->host->attr_text(t->host, t->exchange, own[i], &out) != SG_OK) out = nothing;
        code(t, name_of_id(t, "attr_set", own[i]), t->host->attr_set(t->host, t->exchange, own[i], out));
    }
    code(t, "attr_set.bad_method", t->host->attr_set(t->host, t->exchange, SG_ATTR_METHOD, text("GET /")));
    code(t, "attr_set.bad_path", t->host->attr_set(t->host, t->exchange, SG_ATTR_PATH, text("x")));
    code(t, "attr_set.scheme", t->host->attr_set(t->host, t->exchange, SG_ATTR_SCHEME, text("https")));
    code(t, "attr_set.unknown", t->host->attr_set(t->host, t->exchange, 999, text("")));
}

static void params(struct trace *t) {
    sg_str name = nothing, out = nothing;
    int32_t result = t->host->param_get(t->host, t->exchange, text("id"), &out);
    value(t, "param_get.id", result, out);
    result = t->host->param_get(t->host, t->exchange, text("none"), &out);
    value(t, "param_get.none", result, out);
    result = t->host->param_nth(t->host, t->exchange, 0, &name, &out);
    value(t, "param_nth.0", result, name);
    code(t, "param_nth.99", t->host->param_nth(t->host, t->exchange, 99, &name, &out));
}

static void get(struct trace *t, const char *step, uint32_t map, const char *name) {
    sg_str out = nothing;
    int32_t result = t->host->header_get(t->host, t->exchange, map, text(name), &out);
    value(t, step, result, out);
}

static void nth(struct trace *t, const char *step, uint32_t map, const char *name, size_t index) {
    sg_str out = nothing;
    int32_t result = t->host->header_nth(t->host, t->exchange, map, text(name), index, &out);
    value(t, step, result, out);
}

static void list(struct trace *t, const char *step, uint32_t map) {
    size_t count = 0, found = 0;
    int32_t result = t->host->headers_list(t->host, t->exchange, map, NULL, 0, &count);
    sg_header *all = result == SG_OK ? calloc(count + 1, sizeof *all) : NULL;
    if (all != NULL) {
        result = t->host->headers_list(t->host, t->exchange, map, all, count, &count);
        for (size_t i = 0; i < count; i++)
            found += all[i].name.len == 7 && memcmp(all[i].name.ptr, "x-probe", 7) == 0;
        free(all);
    }
    number(t, step, result, found);
}

static void read_headers(struct trace *t) {
    get(t, "header_get.request", SG_HEADERS_REQUEST, "X-Probe");
    get(t, "header_get.none", SG_HEADERS_REQUEST, "x-none");
    get(t, "header_get.response", SG_HEADERS_RESPONSE, "x-probe");
    get(t, "header_get.no_map", NO_MAP, "x-probe");
    nth(t, "header_nth.1", SG_HEADERS_REQUEST, "x-probe", 1);
    nth(t, "header_nth.99", SG_HEADERS_REQUEST, "x-probe", 99);
    list(t, "headers_list.request", SG_HEADERS_REQUEST);
    list(t, "headers_list.response", SG_HEADERS_RESPONSE);
    list(t, "headers_list.no_map", NO_MAP);
}

static int32_t set(struct trace *t, uint32_t map, const char *name, const char *to) {
    return t->host->header_set(t->host, t->exchange, map, text(name), text(to));
}

static void change_headers(struct trace *t) {
    static const char *const steps[] = {NULL, "request", "response"};
    for (uint32_t map = SG_HEADERS_REQUEST; map <= SG_HEADERS_RESPONSE; map++) {
        sg_str out = nothing;
        char removed[32];
        snprintf(removed, sizeof removed, "%s_removed", steps[map]);
        code(t, name_of(t, "header_set", steps[map]), set(t, map, "x-conformance", "1"));
        code(t, name_of(t, "header_append", steps[map]),
             t->host->header_append(t->host, t->exchange, map, text("X-Conformance"), text("2\xff")));
        nth(t, name_of(t, "header_nth", steps[map]), map, "x-conformance", 1);
        code(t, name_of(t, "header_remove", steps[map]),
             t->host->header_remove(t->host, t->exchange, map, text("x-conformance")));
        code(t, name_of(t, "header_get", removed),
             t->host->header_get(t->host, t->exchange, map, text("x-conformance"), &out));
    }
    static const struct { const char *step, *name, *value; } bad[] = {
        {"header_set.bad_name", "bad name", "1"},
        {"header_set.no_name", "", "1"},
        {"header_set.bad_value", "x-bad", "a\nb"},
        {"header_set.connection", "Connection", "close"},
        {"header_set.content_length", "content-length", "1"},
        {"header_set.host", "host", "example.com"},
        {"header_set.transfer_encoding", "transfer-encoding", "chunked"},
    };
    uint32_t map = t->phase == 'R' || t->phase == 'A' || t->phase == 'W' ? SG_HEADERS_REQUEST : SG_HEADERS_RESPONSE;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) code(t, bad[i].step, set(t, map, bad[i].name, bad[i].value));
    code(t, "header_set.no_map", set(t, NO_MAP, "x-probe", "1"));
    code(t, "header_remove.none", t->host->header_remove(t->host, t->exchange, map, text("x-never-there")));
    code(t, "header_remove.te", t->host->header_remove(t->host, t->exchange, map, text("te")));
}

static int32_t respond_with(struct trace *t, uint32_t status, const char *name, const char *to) {
    sg_header header = {text(name), text(to)};
    size_t count = *name == '\0' ? 0 : 1;
    return t->host->respond(t->host, t->exchange, status, count == 0 ? NULL : &header, count, nothing);
}

static void respond(struct trace *t) {
    code(t, "respond.status", respond_with(t, 199, "", ""));
    code(t, "respond.large_status", respond_with(t, 600, "", ""));
    code(t, "respond.header", respond_with(t, 200, "a b", ""));
    code(t, "respond.forbidden", respond_with(t, 200, "connection", "close"));
}

static void var(struct trace *t, const char *step, const char *name) {
    sg_str out = nothing;
    int32_t result = t->host->var_get(t->host, t->exchange, text(name), &out);
    value(t, step, result, out);
}

static void variables(struct trace *t) {
    var(t, "var_get.none", "conformance.none");
    var(t, "var_get.before", "conformance.phase");
    code(t, "var_set", t->host->var_set(t->host, t->exchange, text("conformance.phase"), bytes(&t->phase, 1)));
    var(t, "var_get.after", "conformance.phase");
    code(t, "var_set.long", t->host->var_set(t->host, t->exchange, bytes(many_n, sizeof many_n), nothing));
    code(t, "var_set.large",
         t->host->var_set(t->host, t->exchange, text("conformance.large"), bytes(many_v, sizeof many_v)));
}

/* The mark left in the exchange is one letter of its own memory. */
static void mark(struct trace *t, const char *step) {
    void *state = NULL;
    char letter[2] = "?";
    if (t->host->state_get(t->host, t->exchange, &state) != SG_OK || state == NULL) {
        word(t, step, "none");
        return;
    }
    letter[0] = *(const char *)state;
    word(t, step, letter);
}

static void state(struct trace *t) {
    mark(t, "state");
    char *left = malloc(1);
    if (left == NULL) return;
    *left = t->phase;
    int32_t result = t->host->state_set(t->host, t->exchange, left, free);
    if (result != SG_OK) free(left);
    code(t, "state_set", result);
    mark(t, "state.after");
}

static void get_consumer(struct trace *t, const char *step) {
    sg_str out = nothing;
    int32_t result = t->host->consumer_get(t->host, t->exchange, &out);
    value(t, step, result, out);
}

static void consumer(struct trace *t) {
    get_consumer(t, "consumer_get");
    code(t, "consumer_set.empty", t->host->consumer_set(t->host, t->exchange, nothing));
    code(t, "consumer_set.bad", t->host->consumer_set(t->host, t->exchange, text("\xff")));
    code(t, "consumer_set.long", t->host->consumer_set(t->host, t->exchange, bytes(many_c, sizeof many_c)));
    code(t, "consumer_set", t->host->consumer_set(t->host, t->exchange, text("probe")));
    get_consumer(t, "consumer_get.after");
}

static void stale(struct trace *t) {
    sg_str out = nothing;
    sg_exchange_tok other = ~t->exchange;
    code(t, "stale", t->host->attr_text(t->host, other, SG_ATTR_METHOD, &out));
    code(t, "stale.zero", t->host->var_get(t->host, 0, text("conformance.phase"), &out));
    code(t, "stale.set", t->host->header_set(t->host, other, SG_HEADERS_REQUEST, text("x-stale"), text("1")));
}

static void texts(struct trace *t) {
    code(t, "log", t->host->log(t->host, SG_LOG_INFO, text("conformance")));
    code(t, "log.level", t->host->log(t->host, 99, text("conformance")));
    code(t, "set_error", t->host->set_error(t->host, t->exchange, text("nothing is wrong")));
}

static int32_t plain(const sg_host *host, uint32_t kind, const char *name, const double *bounds, size_t count,
                     sg_metric_tok *out) {
    return host->metric_declare(host, kind, text(name), text("Help."), NULL, 0, bounds, count, out);
}

static int32_t labelled(const sg_host *host, const char *name, const char *help, const char *label, const char *to,
                        sg_metric_tok *out) {
    sg_label one = {text(label), text(to)};
    return host->metric_declare(host, SG_METRIC_COUNTER, text(name), text(help), &one, 1, NULL, 0, out);
}

static void declare_metrics(const sg_host *host, struct metrics *m) {
    static const double bounds[] = {1, 10}, falling[] = {2, 1};
    char long_name[LONG_METRIC + 1];
    sg_metric_tok other = 0;
    int32_t *code = m->codes;
    memset(long_name, 'n', LONG_METRIC);
    long_name[LONG_METRIC] = '\0';
    *code++ = labelled(host, "probes", "Probes.", "by", "probe", &m->counter);
    *code++ = labelled(host, "probes", "Probes.", "by", "probe", &m->again);
    *code++ = plain(host, SG_METRIC_GAUGE, "level", NULL, 0, &m->gauge);
    *code++ = plain(host, SG_METRIC_HISTOGRAM, "size_bytes", bounds, 2, &m->histogram);
    *code++ = plain(host, SG_METRIC_COUNTER, "Probes", NULL, 0, &other);
    *code++ = plain(host, SG_METRIC_COUNTER, "x_total", NULL, 0, &other);
    *code++ = host->metric_declare(host, SG_METRIC_COUNTER, text("x"), nothing, NULL, 0, NULL, 0, &other);
    *code++ = plain(host, SG_METRIC_COUNTER, "probes", NULL, 0, &other);
    *code++ = plain(host, SG_METRIC_COUNTER, "level", NULL, 0, &other);
    *code++ = plain(host, SG_METRIC_HISTOGRAM, "size_bytes", bounds, 1, &other);
    *code++ = plain(host, SG_METRIC_HISTOGRAM, "x", NULL, 0, &other);
    *code++ = plain(host, SG_METRIC_GAUGE, "x", bounds, 1, &other);
    *code++ = plain(host, SG_METRIC_HISTOGRAM, "x", falling, 2, &other);
    *code++ = labelled(host, "x", "Help.", "le", "1", &other);
    *code++ = plain(host, SG_METRIC_COUNTER, long_name, NULL, 0, &other);
}

/* What configure() was answered. */
static void tell_metrics(struct trace *t) {
    static const char *const refused[REFUSED] = {"bad_name",     "ending",    "no_help", "no_labels", "other_kind",
                                                 "other_bounds", "no_bounds", "bounds",  "falling",   "le",
                                                 "long"};
    const struct metrics *m = &t->instance->metrics;
    code(t, "metric_declare.counter", m->codes[0]);
    code(t, "metric_declare.gauge", m->codes[2]);
    code(t, "metric_declare.histogram", m->codes[3]);
    word(t, "metric_declare.same", m->counter == m->again ? "yes" : "no");
    for (size_t i = 0; i < REFUSED; i++) code(t, name_of(t, "metric_declare", refused[i]), m->codes[4 + i]);
}

static void count_metrics(struct trace *t) {
    const sg_host *host = t->host;
    const struct metrics *m = &t->instance->metrics;
    const double infinite = (double)INFINITY;
    sg_metric_tok other = 0;
    code(t, "metric_add.counter", host->metric_add(host, m->counter, 1));
    code(t, "metric_add.negative", host->metric_add(host, m->counter, -1));
    code(t, "metric_add.infinite", host->metric_add(host, m->counter, infinite));
    code(t, "metric_add.gauge", host->metric_add(host, m->gauge, -2));
    code(t, "metric_add.histogram", host->metric_add(host, m->histogram, 1));
    code(t, "metric_set.gauge", host->metric_set(host, m->gauge, 5));
    code(t, "metric_set.infinite", host->metric_set(host, m->gauge, infinite));
    code(t, "metric_set.counter", host->metric_set(host, m->counter, 1));
    code(t, "metric_observe.histogram", host->metric_observe(host, m->histogram, 3));
    code(t, "metric_observe.counter", host->metric_observe(host, m->counter, 1));
    code(t, "metric_add.stale", host->metric_add(host, ~m->counter, 1));
    code(t, "metric_set.zero", host->metric_set(host, 0, 1));
    code(t, "metric_declare.hook", plain(host, SG_METRIC_COUNTER, "x", NULL, 0, &other));
}

static void waiting(struct trace *t) {
    const sg_host *host = t->host;
    sg_op_tok op = 0, other = 0;
    sg_wake_tok wake = 0, again = 0;
    code(t, "sleep", host->sleep(host, t->exchange, MINUTE, &op));
    code(t, "sleep.stale", host->sleep(host, ~t->exchange, MINUTE, &other));
    code(t, "op_cancel", host->op_cancel(host, t->exchange, op));
    code(t, "op_cancel.again", host->op_cancel(host, t->exchange, op));
    code(t, "op_cancel.unknown", host->op_cancel(host, t->exchange, NOBODYS));
    code(t, "waker", host->waker(host, t->exchange, &wake));
    code(t, "waker.again", host->waker(host, t->exchange, &again));
    word(t, "waker.same", wake == again ? "yes" : "no");
    code(t, "wake.unknown", host->wake(host, NOBODYS));
    code(t, "upstream_set.none", host->upstream_set(host, t->exchange, SG_UPSTREAM_SERVICE, text("nobody")));
    code(t, "upstream_set.bad", host->upstream_set(host, t->exchange, SG_UPSTREAM_ADDRESS, text("no address")));
    code(t, "upstream_set.kind", host->upstream_set(host, t->exchange, 99, text("up")));
}

/* The window in one piece, wherever its pieces end; the caller frees. */
static sg_str window(struct trace *t, int32_t *result, char **whole) {
    sg_str pieces[64];
    size_t count = 0, len = 0;
    *whole = NULL;
    *result = t->host->body_pieces(t->host, t->exchange, pieces, 64, &count);
    if (*result != SG_OK) return nothing;
    for (size_t i = 0; i < count && i < 64; i++) len += pieces[i].len;
    *whole = malloc(len + 1);
    if (*whole == NULL) return nothing;
    len = 0;
    for (size_t i = 0; i < count && i < 64; i++) {
        if (pieces[i].len > 0) memcpy(*whole + len, pieces[i].ptr, pieces[i].len);
        len += pieces[i].len;
    }
    return bytes(*whole, len);
}

static void tell_window(struct trace *t, const char *len_step, const char *pieces_step) {
    uint64_t len = 0;
    char *whole;
    int32_t result = t->host->body_len(t->host, t->exchange, &len);
    number(t, len_step, result, len);
    sg_str all = window(t, &result, &whole);
    value(t, pieces_step, result, all);
    free(whole);
}

static void leave(void *context) { (void)context; }

static void bodies(struct trace *t) {
    tell_window(t, "body_len", "body_pieces");
    code(t, "body_drain.many", t->host->body_drain(t->host, t->exchange, MANY));
    code(t, "body_hold.many", t->host->body_hold(t->host, t->exchange, MANY));
    code(t, "body_ignore.lane", t->host->body_ignore(t->host, t->exchange, 99));
}

static int32_t get_kv(const struct trace *t, const sg_kv *kv, const char *key, char *room, size_t cap, sg_str *out,
                      uint64_t *revision) {
    sg_buf buf = {(uint8_t *)room, cap, 0};
    int32_t result = kv->get(t->host, text(key), &buf, revision);
    *out = bytes(room, buf.len);
    return result;
}

static void values(struct trace *t) {
    const sg_host *host = t->host;
    const sg_kv *kv = host->extension(host, text(SG_KV_ID));
    char room[64];
    sg_str out = nothing;
    uint64_t revision = 0;
    int64_t sum = 0;
    if (kv == NULL) {
        word(t, "kv", "none");
        return;
    }
    code(t, "kv.remove", kv->remove(host, text("k")));
    int32_t result = get_kv(t, kv, "k", room, sizeof room, &out, &revision);
    value(t, "kv.get.none", result, out);
    code(t, "kv.set", kv->set(host, text("k"), text("one"), 0));
    result = get_kv(t, kv, "k", room, sizeof room, &out, &revision);
    value(t, "kv.get", result, out);
    word(t, "kv.revision", revision != 0 ? "some" : "none");
    code(t, "kv.compare_and_set", kv->compare_and_set(host, text("k"), revision, text("two"), 0));
    code(t, "kv.compare_and_set.old", kv->compare_and_set(host, text("k"), revision, text("three"), 0));
    code(t, "kv.compare_and_set.none", kv->compare_and_set(host, text("k"), 0, text("three"), 0));
    result = get_kv(t, kv, "k", room, sizeof room, &out, &revision);
    value(t, "kv.get.after", result, out);
    code(t, "kv.add.text", kv->add(host, text("k"), 1, 0, &sum));
    result = kv->add(host, text("n"), 5, 60000, &sum);
    number(t, "kv.add", result, (uint64_t)sum);
    result = kv->add(host, text("n"), -2, 60000, &sum);
    number(t, "kv.add.less", result, (uint64_t)sum);
    code(t, "kv.remove.n", kv->remove(host, text("n")));
    code(t, "kv.remove.again", kv->remove(host, text("n")));
    code(t, "kv.set.long_key", kv->set(host, bytes(many_k, LONG_KEY), text("v"), 0));
    code(t, "kv.set.long", kv->set(host, text("long"), bytes(many_k, LONG_VALUE), 0));
}

/* What an earlier instance handed over. */
static void tell_import(struct trace *t) {
    if (t->instance->imported_version == 0) {
        word(t, "import", "none");
        return;
    }
    value(t, "import", SG_OK, text(t->instance->imported));
    number(t, "import.version", SG_OK, t->instance->imported_version);
}

static void probe(struct trace *t) {
    if (t->phase == 'R') tell_metrics(t);
    if (t->phase == 'R') tell_import(t);
    attributes(t);
    set_attributes(t);
    params(t);
    read_headers(t);
    change_headers(t);
    respond(t);
    variables(t);
    state(t);
    consumer(t);
    stale(t);
    texts(t);
    count_metrics(t);
    waiting(t);
    bodies(t);
    if (t->phase == 'A' || t->phase == 'L') values(t);
}

/* Appends the words to those of the phases before; `whole` shows all of them and is the caller's to free. */
static sg_str store(struct trace *t, char **whole) {
    sg_str before = nothing;
    if (t->host->var_get(t->host, t->exchange, text(TRACE_VARIABLE), &before) != SG_OK) before = nothing;
    *whole = malloc(before.len + 1 + t->len);
    if (*whole == NULL) return nothing;
    size_t len = 0;
    if (before.len > 0) {
        memcpy(*whole, before.ptr, before.len);
        len = before.len;
        (*whole)[len++] = ' ';
    }
    memcpy(*whole + len, t->words, t->len);
    sg_str all = bytes(*whole, len + t->len);
    t->host->var_set(t->host, t->exchange, text(TRACE_VARIABLE), all);
    return all;
}

static void write_log(struct trace *t) {
    char *line = malloc(6 + t->len);
    if (line == NULL) return;
    memcpy(line, "trace ", 6);
    memcpy(line + 6, t->words, t->len);
    t->host->log(t->host, SG_LOG_INFO, bytes(line, 6 + t->len));
    free(line);
}

static struct trace begun(const struct instance *instance, sg_exchange_tok exchange, char phase) {
    return (struct trace){.host = instance->host, .instance = instance, .exchange = exchange, .phase = phase};
}

/* ---- Waiting ---- */

struct ring {
    const sg_host *host;
    sg_wake_tok token;
};

/* Another thread: this is what wakes are for. */
static void *ring(void *arg) {
    struct ring *ring = arg;
    ring->host->wake(ring->host, ring->token);
    free(ring);
    return NULL;
}

static int32_t wake_by_thread(const sg_host *host, sg_exchange_tok exchange) {
    struct ring *arg = malloc(sizeof *arg);
    pthread_t thread;
    if (arg == NULL) return SG_E_FAILED;
    arg->host = host;
    int32_t result = host->waker(host, exchange, &arg->token);
    if (result == SG_OK && pthread_create(&thread, NULL, ring, arg) == 0) {
        pthread_detach(thread);
        return SG_OK;
    }
    free(arg);
    return result == SG_OK ? SG_E_FAILED : result;
}

static int32_t seven(void *context) {
    (void)context;
    return 7;
}

static int32_t wait_for(const struct instance *instance, sg_exchange_tok exchange) {
    const sg_host *host = instance->host;
    sg_op_tok op;
    int32_t result = SG_E_UNAVAILABLE;
    if (instance->wait == 's') result = host->sleep(host, exchange, 1000000, &op);
    if (instance->wait == 'n') {
        host->log(host, SG_LOG_INFO, text("conformance: waits for the client to go"));
        result = host->sleep(host, exchange, MINUTE, &op);
    }
    if (instance->wait == 'w') result = wake_by_thread(host, exchange);
    if (instance->wait == 'c') {
        const sg_http_callout *http = host->extension(host, text(SG_HTTP_CALLOUT_ID));
        const sg_http_request request = {.struct_size = sizeof request, .service = text("up"), .url = text("/called")};
        if (http != NULL) result = http->start(host, exchange, &request, &op);
    }
    if (instance->wait == 'b') {
        const sg_blocking *blocking = host->extension(host, text(SG_BLOCKING_ID));
        if (blocking != NULL) result = blocking->start(host, exchange, seven, NULL, NULL, &op);
    }
    return result == SG_OK ? SG_PENDING : result;
}

static void tell_event(struct trace *t, const sg_event *event) {
    const char wait = t->instance->wait;
    if (event->phase != SG_PHASE_ACCESS || event->lane != SG_LANE_REQUEST) word(t, "event", "of another hook");
    if (wait == 'w') code(t, "wake", event->kind == SG_EVENT_WAKE ? SG_OK : SG_E_INVALID);
    if (wait == 's') code(t, "sleep", event->kind == SG_EVENT_OP_DONE ? event->result : SG_E_INVALID);
    if (wait == 'b') number(t, "blocking", SG_OK, (uint64_t)event->result);
    if (wait == 'c') {
        const sg_http_answer *answer = event->data;
        number(t, "callout", event->result, answer == NULL ? 0 : answer->status);
        value(t, "callout.body", event->result, answer == NULL ? nothing : answer->body);
    }
}

static void write_log(struct trace *t);

static int32_t on_event(void *self, sg_exchange_tok exchange, const sg_event *event) {
    const struct instance *instance = self;
    struct trace t = begun(instance, exchange, 'W');
    char *whole;
    if (event->kind == SG_EVENT_DRAIN) return SG_PENDING;
    if (event->kind == SG_EVENT_CANCEL) {
        t.host->log(t.host, SG_LOG_INFO, text("trace X: cancelled=yes"));
        return SG_CONTINUE;
    }
    tell_event(&t, event);
    probe(&t);
    store(&t, &whole);
    free(whole);
    return SG_CONTINUE;
}

/* ---- Bodies ---- */

static void change_body(struct trace *t) {
    static const char own[] = "+own";
    const sg_host *host = t->host;
    int32_t result;
    char *whole;
    probe(t);
    code(t, "body_append", host->body_append(host, t->exchange, text("+copy")));
    code(t, "body_append_own", host->body_append_own(host, t->exchange, text(own), leave, NULL));
    tell_window(t, "body_len.more", "body_pieces.more");
    code(t, "body_drain", host->body_drain(host, t->exchange, 1));
    code(t, "body_hold", host->body_hold(host, t->exchange, 1));
    tell_window(t, "body_len.less", "body_pieces.less");
    sg_str all = window(t, &result, &whole);
    code(t, "body_replace", host->body_replace(host, t->exchange, all));
    free(whole);
}

/* Where pieces end differs from one run to the next, so it looks at whole bodies only. */
static int32_t request_body(void *self, sg_exchange_tok exchange, uint32_t flags) {
    struct trace t = begun(self, exchange, 'B');
    char *whole;
    if (!(flags & SG_BODY_END)) return SG_BUFFER;
    change_body(&t);
    store(&t, &whole);
    free(whole);
    return SG_CONTINUE;
}

static int32_t body_filter(void *self, sg_exchange_tok exchange, uint32_t flags) {
    struct trace t = begun(self, exchange, 'F');
    if (!(flags & SG_BODY_END)) return SG_BUFFER;
    change_body(&t);
    write_log(&t);
    return SG_CONTINUE;
}

static int32_t trailers(void *self, sg_exchange_tok exchange, uint32_t lane) {
    const int request = lane == SG_LANE_REQUEST;
    struct trace t = begun(self, exchange, request ? 'T' : 'U');
    const uint32_t map = request ? SG_TRAILERS_REQUEST : SG_TRAILERS_RESPONSE;
    char *whole;
    get(&t, "header_get.trailer", map, "X-Trailer");
    get(&t, "header_get.other", request ? SG_TRAILERS_RESPONSE : SG_TRAILERS_REQUEST, "x-trailer");
    code(&t, "header_set.trailer", set(&t, map, "x-added", "1"));
    code(&t, "header_append.trailer", t.host->header_append(t.host, exchange, map, text("x-added"), text("2")));
    nth(&t, "header_nth.trailer", map, "x-added", 1);
    code(&t, "header_set.framing", set(&t, map, "content-length", "1"));
    code(&t, "header_remove.trailer", t.host->header_remove(t.host, exchange, map, text("x-trailer")));
    get(&t, "header_get.removed", map, "x-trailer");
    if (!request) {
        write_log(&t);
        return SG_CONTINUE;
    }
    store(&t, &whole);
    free(whole);
    return SG_CONTINUE;
}

static int32_t request_hook(const struct instance *instance, sg_exchange_tok exchange, char phase) {
    struct trace t = begun(instance, exchange, phase);
    char *whole;
    probe(&t);
    store(&t, &whole);
    free(whole);
    if (phase == 'A' && instance->wait != '\0') return wait_for(instance, exchange);
    if (instance->respond != phase) return SG_CONTINUE;
    sg_header header = {text("x-answer"), text("conformance")};
    int32_t result = t.host->respond(t.host, exchange, 299, &header, 1, text("conformance\n"));
    return result == SG_OK ? SG_RESPOND : result;
}

static int32_t rewrite(void *instance, sg_exchange_tok exchange) { return request_hook(instance, exchange, 'R'); }
static int32_t access_(void *instance, sg_exchange_tok exchange) { return request_hook(instance, exchange, 'A'); }

static int32_t header_filter(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    struct trace t = begun(instance, exchange, 'H');
    char *whole;
    probe(&t);
    sg_str all = store(&t, &whole);
    int32_t result = t.host->header_set(t.host, exchange, SG_HEADERS_RESPONSE, text("x-trace"), all);
    free(whole);
    return result;
}

static int32_t log_(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    struct trace t = begun(instance, exchange, 'L');
    probe(&t);
    write_log(&t);
    return SG_CONTINUE;
}

static void request_end(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    struct trace t = begun(instance, exchange, 'E');
    probe(&t);
    write_log(&t);
}

static int has(sg_str config, const char *word) {
    size_t len = strlen(word);
    for (size_t i = 0; i + len <= config.len; i++)
        if (memcmp(config.ptr + i, word, len) == 0) return 1;
    return 0;
}

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        error->len = 0;
        return SG_E_FAILED;
    }
    instance->host = host;
    declare_metrics(host, &instance->metrics);
    /* The schema admits nothing but these words as values. */
    instance->respond = has(config, "\"rewrite\"") ? 'R' : has(config, "\"access\"") ? 'A' : '\0';
    static const char *const waits[] = {"\"sleep\"", "\"wake\"", "\"callout\"", "\"blocking\"", "\"never\""};
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++)
        if (has(config, waits[i])) instance->wait = waits[i][1];
    *out = instance;
    return SG_OK;
}

static void destroy(void *instance) { free(instance); }

static int32_t export_state(void *instance, sg_state_out *out) {
    (void)instance;
    out->version = STATE_VERSION;
    return out->write(out, text("all it knows"));
}

static int32_t import_state(void *self, uint32_t version, sg_str state, sg_error_buf *error) {
    struct instance *instance = self;
    error->len = 0;
    if (version != STATE_VERSION || state.len >= sizeof instance->imported) return SG_E_VERSION;
    memcpy(instance->imported, state.ptr, state.len);
    instance->imported_version = version;
    return SG_OK;
}

static const sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .priority = 10,
    .request_body_need = SG_BODY_BUFFER,
    .response_body_need = SG_BODY_BUFFER,
    .config_schema = {(const uint8_t *)schema, sizeof schema - 1},
    .configure = configure,
    .destroy = destroy,
    .rewrite = rewrite,
    .access = access_,
    .header_filter = header_filter,
    .log = log_,
    .request_end = request_end,
    .request_body = request_body,
    .body_filter = body_filter,
    .trailers = trailers,
    .on_event = on_event,
    .export_state = export_state,
    .import_state = import_state,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    memset(many_k, 'k', sizeof many_k);
    memset(many_v, 'v', sizeof many_v);
    memset(many_n, 'n', sizeof many_n);
    memset(many_c, 'c', sizeof many_c);
    out->plugin = &plugin;
    return SG_OK;
}
