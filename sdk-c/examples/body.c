/*
 * Works on bodies: an example in C of the window and of SG_PENDING.
 *
 * Of a request it replaces every "secret" by "******", wherever the pieces end: what may be the beginning of the word stays
 * in the window for the next call. To an answer it adds a line that tells how long the whole body was; for that it waits
 * {"pause_ms": N} before it passes the end on, which holds the upstream back and no thread.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "body-c"
#define VERSION "0.1.0"
#define MAX_PIECES 64

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
    "\"pause_ms\": {\"type\": \"integer\", \"minimum\": 0, \"maximum\": 60000}}}";

static const char word[] = "secret";
#define WORD (sizeof word - 1)

struct instance {
    const sg_host *host;
    uint64_t pause_ns;
};

/* One exchange: how long the body of the answer is so far. */
struct count {
    uint64_t bytes;
};

static sg_str bytes(const void *ptr, size_t len) { return (sg_str){(const uint8_t *)ptr, len}; }
static sg_str text(const char *s) { return bytes(s, strlen(s)); }

static int32_t failed(const sg_host *host, sg_exchange_tok exchange, int32_t code, const char *why) {
    host->set_error(host, exchange, text(why));
    return code;
}

/* How many bytes at the end may be the beginning of the word. */
static size_t begun(const char *at, size_t len) {
    size_t longest = len < WORD - 1 ? len : WORD - 1;
    for (size_t part = longest; part > 0; part--)
        if (memcmp(at + len - part, word, part) == 0) return part;
    return 0;
}

/* Copies the window; the caller frees. Null: it could not be read. */
static char *window(const sg_host *host, sg_exchange_tok exchange, size_t *len) {
    size_t count = 0;
    if (host->body_pieces(host, exchange, NULL, 0, &count) != SG_OK) return NULL;
    sg_str *pieces = calloc(count + 1, sizeof *pieces);
    if (pieces == NULL) return NULL;
    char *whole = NULL;
    if (host->body_pieces(host, exchange, pieces, count, &count) == SG_OK) {
        *len = 0;
        for (size_t i = 0; i < count; i++) *len += pieces[i].len;
        whole = malloc(*len + 1);
        size_t at = 0;
        for (size_t i = 0; whole != NULL && i < count; i++) {
            if (pieces[i].len > 0) memcpy(whole + at, pieces[i].ptr, pieces[i].len);
            at += pieces[i].len;
        }
    }
    free(pieces);
    return whole;
}

static int32_t request_body(void *self, sg_exchange_tok exchange, uint32_t flags) {
    const struct instance *instance = self;
    const sg_host *host = instance->host;
    size_t len = 0;
    char *whole = window(host, exchange, &len);
    if (whole == NULL) return failed(host, exchange, SG_E_FAILED, "the window cannot be read");
    int changed = 0;
    for (size_t at = 0; at + WORD <= len; at++)
        if (memcmp(whole + at, word, WORD) == 0) {
            memset(whole + at, '*', WORD);
            changed = 1;
        }
    int32_t result = changed ? host->body_replace(host, exchange, bytes(whole, len)) : SG_OK;
    size_t kept = begun(whole, len);
    free(whole);
    /* At the end nothing can follow any more. */
    if (result == SG_OK && kept > 0 && !(flags & SG_BODY_END)) result = host->body_hold(host, exchange, kept);
    return result == SG_OK ? SG_CONTINUE : failed(host, exchange, result, "the body could not be changed");
}

/* The count of this exchange, made when it is first asked for. */
static struct count *count_of(const sg_host *host, sg_exchange_tok exchange) {
    void *state = NULL;
    if (host->state_get(host, exchange, &state) != SG_OK) return NULL;
    if (state != NULL) return state;
    struct count *count = calloc(1, sizeof *count);
    if (count != NULL && host->state_set(host, exchange, count, free) != SG_OK) {
        free(count);
        count = NULL;
    }
    return count;
}

static int32_t finish(const sg_host *host, sg_exchange_tok exchange) {
    const struct count *count = count_of(host, exchange);
    if (count == NULL) return failed(host, exchange, SG_E_FAILED, "the count is gone");
    char line[64];
    int len = snprintf(line, sizeof line, "-- %llu bytes\n", (unsigned long long)count->bytes);
    int32_t result = host->body_append(host, exchange, bytes(line, (size_t)len));
    return result == SG_OK ? SG_CONTINUE : failed(host, exchange, result, "the last line could not be added");
}

static int32_t body_filter(void *self, sg_exchange_tok exchange, uint32_t flags) {
    const struct instance *instance = self;
    const sg_host *host = instance->host;
    uint64_t len = 0;
    struct count *count = count_of(host, exchange);
    int32_t result = count == NULL ? SG_E_FAILED : host->body_len(host, exchange, &len);
    if (result != SG_OK) return failed(host, exchange, result, "the window cannot be counted");
    count->bytes += len;
    if (!(flags & SG_BODY_END)) return SG_CONTINUE;
    if (instance->pause_ns == 0) return finish(host, exchange);
    sg_op_tok op;
    result = host->sleep(host, exchange, instance->pause_ns, &op);
    return result == SG_OK ? SG_PENDING : failed(host, exchange, result, "it cannot pause");
}

/* Only body_filter() waits here, and only for one thing. */
static int32_t on_event(void *self, sg_exchange_tok exchange, const sg_event *event) {
    const struct instance *instance = self;
    if (event->phase == 0) return SG_CONTINUE; /* nobody waits: it is only told */
    if (event->kind != SG_EVENT_OP_DONE) return SG_PENDING;
    return finish(instance->host, exchange);
}

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) {
        error->len = 0;
        return SG_E_FAILED;
    }
    instance->host = host;
    /* The schema admits one number, so its digits are the only ones there are. */
    uint64_t milliseconds = 0;
    for (size_t i = 0; i < config.len; i++)
        if (config.ptr[i] >= '0' && config.ptr[i] <= '9') milliseconds = milliseconds * 10 + (uint64_t)(config.ptr[i] - '0');
    instance->pause_ns = milliseconds * 1000000u;
    *out = instance;
    return SG_OK;
}

static void destroy(void *instance) { free(instance); }

static const sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .priority = 100,
    .request_body_need = SG_BODY_TRANSFORM,
    .response_body_need = SG_BODY_TRANSFORM,
    .config_schema = {(const uint8_t *)schema, sizeof schema - 1},
    .configure = configure,
    .destroy = destroy,
    .request_body = request_body,
    .body_filter = body_filter,
    .on_event = on_event,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
