/*
 * A plugin that works on bodies in the way its configuration names: {"mode": "replace"}. What it needs of which body is
 * given when it is compiled, as is its id. It counts what it sees, so that a test reads it from the metrics.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define VERSION "0.1.0"
#define MAX_PIECES 4096

const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'},
    .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR,
    .abi_min_minor = SG_ABI_MINOR,
    .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c test",
    .toolchain = "cc",
    .id = ID,
    .version = VERSION,
};

struct instance {
    const sg_host *host;
    char mode[32];
    sg_metric_tok bytes, calls, ends, firsts, released, forbidden, wrong, trailers, odd, cancels, logs, gone;
};

struct own {
    struct instance *instance;
    char *bytes;
};

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

static int is(const struct instance *self, const char *mode) { return strcmp(self->mode, mode) == 0; }

static void count(struct instance *self, sg_metric_tok metric, double value) {
    self->host->metric_add(self->host, metric, value);
}

/* Counts a result that must be this one. */
static void expect(struct instance *self, int32_t got, int32_t code) {
    if (got != code)
        count(self, self->odd, 1);
    else if (code == SG_E_FORBIDDEN)
        count(self, self->forbidden, 1);
    else if (code == SG_E_WRONG_PHASE)
        count(self, self->wrong, 1);
}

/* A copy of the window, which the caller frees. */
static char *window(struct instance *self, sg_exchange_tok x, size_t *len) {
    static _Thread_local sg_str pieces[MAX_PIECES];
    size_t n = 0;
    *len = 0;
    if (self->host->body_pieces(self->host, x, pieces, MAX_PIECES, &n) != SG_OK || n > MAX_PIECES) return NULL;
    for (size_t i = 0; i < n; i++) *len += pieces[i].len;
    char *all = malloc(*len + 1);
    size_t at = 0;
    for (size_t i = 0; i < n; i++) {
        memcpy(all + at, pieces[i].ptr, pieces[i].len);
        at += pieces[i].len;
    }
    all[*len] = 0;
    return all;
}

/* Replaces every "secret" by "[gone]!", also where it is cut in two. */
static int32_t replace(struct instance *self, sg_exchange_tok x, int end) {
    static const char word[] = "secret", by[] = "[gone]!";
    const size_t n = sizeof word - 1, m = sizeof by - 1;
    size_t len, at = 0, out = 0, held = 0;
    char *all = window(self, x, &len);
    if (all == NULL) return SG_E_FAILED;
    char *made = malloc(len * 2 + 1);
    while (at < len) {
        size_t rest = len - at;
        if (rest >= n && memcmp(all + at, word, n) == 0) {
            memcpy(made + out, by, m);
            out += m;
            at += n;
        } else if (!end && rest < n && memcmp(all + at, word, rest) == 0) {
            memcpy(made + out, all + at, rest);
            out += rest;
            held = rest;
            break;
        } else {
            made[out++] = all[at++];
        }
    }
    int32_t code = self->host->body_replace(self->host, x, (sg_str){(uint8_t *)made, out});
    if (code == SG_OK && held > 0) code = self->host->body_hold(self->host, x, held);
    free(all);
    free(made);
    return code == SG_OK ? SG_CONTINUE : code;
}

/* Masks the value of "card" in a JSON text, which it needs as a whole. */
static int32_t mask(struct instance *self, sg_exchange_tok x, int end) {
    if (!end) return SG_BUFFER;
    size_t len;
    char *all = window(self, x, &len);
    static const char key[] = "\"card\":\"";
    char *from = strstr(all, key);
    int32_t code = SG_OK;
    if (from != NULL) {
        from += sizeof key - 1;
        char *to = strchr(from, '"');
        size_t before = (size_t)(from - all), after = len - (size_t)(to - all);
        char *made = malloc(before + 3 + after);
        memcpy(made, all, before);
        memcpy(made + before, "***", 3);
        memcpy(made + before + 3, to, after);
        code = self->host->body_replace(self->host, x, (sg_str){(uint8_t *)made, before + 3 + after});
        free(made);
    }
    free(all);
    return code == SG_OK ? SG_CONTINUE : code;
}

static void release(void *context) {
    struct own *own = context;
    count(own->instance, own->instance->released, 1);
    free(own->bytes);
    free(own);
}

/* Puts a buffer of its own in the place of the window: the same text in capitals. */
static int32_t own(struct instance *self, sg_exchange_tok x, int twice) {
    size_t len;
    struct own *own = calloc(1, sizeof *own);
    own->instance = self;
    own->bytes = window(self, x, &len);
    for (size_t i = 0; i < len; i++) own->bytes[i] = (char)toupper((unsigned char)own->bytes[i]);
    self->host->body_drain(self->host, x, len);
    sg_str bytes = {(uint8_t *)own->bytes, len};
    int32_t code = self->host->body_append_own(self->host, x, bytes, release, own);
    if (code != SG_OK) {
        free(own->bytes);
        free(own);
        return code;
    }
    if (twice) { /* thrown away at once: released all the same, and not inside of this call */
        struct own *other = calloc(1, sizeof *other);
        other->instance = self;
        other->bytes = calloc(1, 8);
        sg_str eight = {(uint8_t *)other->bytes, 8};
        code = self->host->body_append_own(self->host, x, eight, release, other);
        if (code == SG_OK) {
            code = self->host->body_drain(self->host, x, len + 8);
            bytes = text("gone");
            if (code == SG_OK) code = self->host->body_replace(self->host, x, bytes);
        }
    }
    return code == SG_OK ? SG_CONTINUE : code;
}

static int32_t watch(struct instance *self, sg_exchange_tok x) {
    const sg_host *h = self->host;
    uint64_t len;
    expect(self, h->body_append(h, x, text("more")), SG_E_FORBIDDEN);
    expect(self, h->body_replace(h, x, text("other")), SG_E_FORBIDDEN);
    expect(self, h->body_drain(h, x, 0), SG_E_FORBIDDEN);
    expect(self, h->body_hold(h, x, 0), SG_E_FORBIDDEN);
    expect(self, h->body_append_own(h, x, text("own"), release, NULL), SG_E_FORBIDDEN);
    expect(self, h->body_len(h, x, NULL), SG_E_INVALID);
    expect(self, h->body_len(h, x, &len), SG_OK);
    return SG_CONTINUE;
}

static int32_t bounds(struct instance *self, sg_exchange_tok x, int end) {
    const sg_host *h = self->host;
    uint64_t len;
    h->body_len(h, x, &len);
    expect(self, h->body_drain(h, x, len + 1), SG_E_INVALID);
    expect(self, h->body_hold(h, x, len + 1), SG_E_INVALID);
    if (end) expect(self, h->body_hold(h, x, 1), SG_E_INVALID);
    expect(self, h->body_append(h, x, (sg_str){NULL, 7}), SG_E_INVALID);
    expect(self, h->body_append_own(h, x, text("a"), NULL, NULL), SG_E_INVALID);
    char *large = calloc(1, 2u << 20);
    expect(self, h->body_append(h, x, (sg_str){(uint8_t *)large, 2u << 20}), SG_E_TOO_LARGE);
    free(large);
    uint64_t after;
    h->body_len(h, x, &after);
    expect(self, after == len ? SG_OK : SG_E_FAILED, SG_OK);
    return SG_CONTINUE;
}

static int32_t refuse(struct instance *self, sg_exchange_tok x) {
    sg_header header = {text("x-by"), text(ID)};
    int32_t code = self->host->respond(self->host, x, 403, &header, 1, text("not this body"));
    return code == SG_OK ? SG_RESPOND : code;
}

static int32_t body(struct instance *self, sg_exchange_tok x, uint32_t flags) {
    const sg_host *h = self->host;
    uint64_t len = 0;
    h->body_len(h, x, &len);
    count(self, self->bytes, (double)len);
    count(self, self->calls, 1);
    int end = (flags & SG_BODY_END) != 0;
    int first = (flags & SG_BODY_FIRST) != 0;
    if (end) count(self, self->ends, 1);
    if (first) count(self, self->firsts, 1);
    if (is(self, "replace")) return replace(self, x, end);
    if (is(self, "mask")) return mask(self, x, end);
    if (is(self, "own")) return own(self, x, 0);
    if (is(self, "own-twice")) return len > 0 ? own(self, x, 1) : SG_CONTINUE;
    if (is(self, "watch")) return watch(self, x);
    if (is(self, "bounds")) return bounds(self, x, end);
    if (is(self, "keep")) return end ? SG_CONTINUE : SG_BUFFER;
    if (is(self, "keep-end")) return SG_BUFFER;
    if (is(self, "hold")) {
        if (!end) h->body_hold(h, x, len);
        return SG_CONTINUE;
    }
    if (is(self, "sign")) return end && h->body_append(h, x, text("--end")) != SG_OK ? SG_E_FAILED : SG_CONTINUE;
    if (is(self, "empty")) return h->body_drain(h, x, len) == SG_OK ? SG_CONTINUE : SG_E_FAILED;
    if (is(self, "wait") || is(self, "wait-long")) {
        sg_op_tok op;
        int32_t code = h->sleep(h, x, is(self, "wait") ? 1000000u : 3600000000000u, &op);
        return code == SG_OK ? SG_PENDING : code;
    }
    if (is(self, "wait-first") && first) { /* 900 ms */
        sg_op_tok op;
        int32_t code = h->sleep(h, x, 900000000u, &op);
        return code == SG_OK ? SG_PENDING : code;
    }
    if (is(self, "refuse")) return refuse(self, x);
    if (is(self, "refuse-end")) return end ? refuse(self, x) : SG_BUFFER;
    if (is(self, "fail")) {
        h->body_replace(h, x, text("broken"));
        h->set_error(h, x, text("as the test asked"));
        return SG_E_FAILED;
    }
    if (is(self, "fail-later") && !first) return SG_E_FAILED;
    if (is(self, "panic")) return end ? SG_CONTINUE : SG_E_PANIC; /* a preflight has one piece */
    if (is(self, "unknown")) return end ? SG_CONTINUE : 77; /* a preflight has one piece */
    if (is(self, "head") && first) {
        expect(self, h->header_set(h, x, SG_HEADERS_REQUEST, text("x-len"), text("known")), SG_OK);
        return end ? SG_CONTINUE : SG_BUFFER;
    }
    if (is(self, "head")) return end ? SG_CONTINUE : SG_BUFFER;
    return SG_CONTINUE;
}

static int32_t request_body(void *self, sg_exchange_tok x, uint32_t flags) { return body(self, x, flags); }
static int32_t body_filter(void *self, sg_exchange_tok x, uint32_t flags) { return body(self, x, flags); }

static int32_t on_event(void *instance, sg_exchange_tok x, const sg_event *event) {
    struct instance *self = instance;
    uint64_t len = 0;
    if (event->phase == 0) return SG_CONTINUE;
    if (event->kind == SG_EVENT_CANCEL) {
        count(self, self->cancels, 1);
        return SG_CONTINUE;
    }
    expect(self, self->host->body_len(self->host, x, &len), SG_OK);
    return SG_CONTINUE;
}

static int32_t trailers(void *instance, sg_exchange_tok x, uint32_t lane) {
    struct instance *self = instance;
    uint32_t map = lane == SG_LANE_REQUEST ? SG_TRAILERS_REQUEST : SG_TRAILERS_RESPONSE;
    uint32_t other = lane == SG_LANE_REQUEST ? SG_TRAILERS_RESPONSE : SG_TRAILERS_REQUEST;
    sg_str value;
    count(self, self->trailers, 1);
    expect(self, self->host->header_get(self->host, x, other, text("x-sum"), &value), SG_E_WRONG_PHASE);
    if (self->host->header_get(self->host, x, map, text("x-sum"), &value) != SG_OK) return SG_CONTINUE;
    if (is(self, "watch"))
        expect(self, self->host->header_set(self->host, x, map, text("x-sum"), text("0")), SG_E_FORBIDDEN);
    else
        expect(self, self->host->header_set(self->host, x, map, text("x-sum"), text("changed")), SG_OK);
    return SG_CONTINUE;
}

static int32_t access_(void *instance, sg_exchange_tok x) {
    struct instance *self = instance;
    const sg_host *h = self->host;
    uint64_t len;
    if (is(self, "ignore")) {
        expect(self, h->body_ignore(h, x, SG_LANE_REQUEST), SG_OK);
        expect(self, h->body_ignore(h, x, SG_LANE_RESPONSE), SG_OK);
        expect(self, h->body_ignore(h, x, 7), SG_E_INVALID);
    }
    if (is(self, "phases")) {
        expect(self, h->body_len(h, x, &len), SG_E_WRONG_PHASE);
        expect(self, h->body_append(h, x, text("a")), SG_E_WRONG_PHASE);
        expect(self, h->body_len(h, x + 1, &len), SG_E_STALE);
    }
    return SG_CONTINUE;
}

static int32_t header_filter(void *instance, sg_exchange_tok x) {
    struct instance *self = instance;
    const sg_host *h = self->host;
    if (is(self, "phases")) {
        size_t n;
        sg_str value;
        expect(self, h->body_pieces(h, x, NULL, 0, &n), SG_E_WRONG_PHASE);
        expect(self, h->body_hold(h, x, 0), SG_E_WRONG_PHASE);
        expect(self, h->body_ignore(h, x, SG_LANE_REQUEST), SG_E_WRONG_PHASE);
        expect(self, h->header_get(h, x, SG_TRAILERS_RESPONSE, text("x-sum"), &value), SG_E_WRONG_PHASE);
    }
    if (is(self, "ignore-late")) expect(self, h->body_ignore(h, x, SG_LANE_RESPONSE), SG_OK);
    return SG_CONTINUE;
}

static int32_t log_(void *instance, sg_exchange_tok x) {
    struct instance *self = instance;
    (void)x;
    count(self, self->logs, 1);
    return SG_CONTINUE;
}

static void request_end(void *instance, sg_exchange_tok x) {
    struct instance *self = instance;
    (void)x;
    count(self, self->gone, 1);
}

static int32_t declare(struct instance *self, const char *name, sg_metric_tok *out) {
    return self->host->metric_declare(self->host, SG_METRIC_COUNTER, text(name), text("Counts for a test."), NULL, 0,
                                      NULL, 0, out);
}

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    (void)error;
    struct instance *self = calloc(1, sizeof *self);
    self->host = host;
    /* {"mode":"NAME"} */
    size_t quotes = 0, len = 0;
    for (size_t i = 0; i < config.len; i++) {
        if (config.ptr[i] == '"')
            quotes++;
        else if (quotes == 3 && len + 1 < sizeof self->mode)
            self->mode[len++] = (char)config.ptr[i];
    }
    int32_t code = declare(self, "bytes", &self->bytes);
    if (code == SG_OK) code = declare(self, "calls", &self->calls);
    if (code == SG_OK) code = declare(self, "ends", &self->ends);
    if (code == SG_OK) code = declare(self, "firsts", &self->firsts);
    if (code == SG_OK) code = declare(self, "released", &self->released);
    if (code == SG_OK) code = declare(self, "forbidden", &self->forbidden);
    if (code == SG_OK) code = declare(self, "wrong", &self->wrong);
    if (code == SG_OK) code = declare(self, "trailers", &self->trailers);
    if (code == SG_OK) code = declare(self, "odd", &self->odd);
    if (code == SG_OK) code = declare(self, "cancels", &self->cancels);
    if (code == SG_OK) code = declare(self, "logs", &self->logs);
    if (code == SG_OK) code = declare(self, "gone", &self->gone);
    *out = self;
    return code;
}

static void destroy(void *instance) { free(instance); }

static const sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .priority = PRIORITY,
    .request_body_need = REQUEST,
    .response_body_need = RESPONSE,
    .buffer_bytes = KEEP,
    .configure = configure,
    .destroy = destroy,
    .request_body = request_body,
#ifndef BODIES_ONLY
    .access = access_,
    .header_filter = header_filter,
#endif
    .body_filter = body_filter,
    .trailers = trailers,
    .on_event = on_event,
    .log = log_,
    .request_end = request_end,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    (void)access_, (void)header_filter;
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
