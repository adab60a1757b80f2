/*
 * The host table for Go, which cannot call through a pointer itself. `_GoString_` exists only in what the Go files include.
 */
#ifndef SWAPGATE_GO_SHIMS_H
#define SWAPGATE_GO_SHIMS_H

#include <stdlib.h>
#include <string.h>

#include "swapgate.h"

void sgo_release(void *handle);
int32_t sgo_work(void *handle);

static inline sg_str sgo_str(_GoString_ s) { return (sg_str){(const uint8_t *)_GoStringPtr(s), _GoStringLen(s)}; }

/* ---- Every thread ---- */

static inline int32_t sgo_log(const sg_host *h, uint32_t level, _GoString_ text) { return h->log(h, level, sgo_str(text)); }
static inline int32_t sgo_wake(const sg_host *h, sg_wake_tok token) { return h->wake(h, token); }
static inline const void *sgo_extension(const sg_host *h, _GoString_ id) { return h->extension(h, sgo_str(id)); }
static inline int32_t sgo_metric_add(const sg_host *h, sg_metric_tok m, double v) { return h->metric_add(h, m, v); }
static inline int32_t sgo_metric_set(const sg_host *h, sg_metric_tok m, double v) { return h->metric_set(h, m, v); }
static inline int32_t sgo_metric_observe(const sg_host *h, sg_metric_tok m, double v) { return h->metric_observe(h, m, v); }
static inline int32_t sgo_metric_declare(const sg_host *h, uint32_t kind, _GoString_ name, _GoString_ help,
                                         const sg_label *labels, size_t label_count, const double *bounds,
                                         size_t bound_count, sg_metric_tok *out) {
    return h->metric_declare(h, kind, sgo_str(name), sgo_str(help), labels, label_count, bounds, bound_count, out);
}

/* ---- Scopes ---- */

static inline int32_t sgo_sleep(const sg_host *h, sg_scope_tok s, uint64_t ns, sg_op_tok *out) { return h->sleep(h, s, ns, out); }
static inline int32_t sgo_op_cancel(const sg_host *h, sg_scope_tok s, sg_op_tok op) { return h->op_cancel(h, s, op); }
static inline int32_t sgo_waker(const sg_host *h, sg_scope_tok s, sg_wake_tok *out) { return h->waker(h, s, out); }
static inline int32_t sgo_tick_every(const sg_host *h, sg_instance_tok i, uint64_t ms) { return h->tick_every(h, i, ms); }
static inline int32_t sgo_callout(const void *table, const sg_host *h, sg_scope_tok s, uint32_t timeout_ms,
                                  _GoString_ service, _GoString_ url, _GoString_ method, const sg_header *headers,
                                  size_t header_count, _GoString_ body, uint64_t max_body, sg_op_tok *out) {
    const sg_http_request request = {
        .struct_size = sizeof request,
        .timeout_ms = timeout_ms,
        .service = sgo_str(service),
        .url = sgo_str(url),
        .method = sgo_str(method),
        .headers = headers,
        .header_count = header_count,
        .body = sgo_str(body),
        .max_body = max_body,
    };
    return ((const sg_http_callout *)table)->start(h, s, &request, out);
}
static inline int32_t sgo_resolve(const void *table, const sg_host *h, sg_scope_tok s, _GoString_ name, sg_op_tok *out) {
    return ((const sg_resolve *)table)->start(h, s, sgo_str(name), out);
}
static inline int32_t sgo_blocking(const void *table, const sg_host *h, sg_scope_tok s, uintptr_t handle, sg_op_tok *out) {
    return ((const sg_blocking *)table)->start(h, s, sgo_work, sgo_release, (void *)handle, out);
}

/* ---- Exchanges ---- */

static inline int32_t sgo_attr_text(const sg_host *h, sg_exchange_tok x, uint32_t id, sg_str *out) {
    return h->attr_text(h, x, id, out);
}
static inline int32_t sgo_attr_number(const sg_host *h, sg_exchange_tok x, uint32_t id, uint64_t *out) {
    return h->attr_number(h, x, id, out);
}
static inline int32_t sgo_attr_set(const sg_host *h, sg_exchange_tok x, uint32_t id, _GoString_ value) {
    return h->attr_set(h, x, id, sgo_str(value));
}
static inline int32_t sgo_param_get(const sg_host *h, sg_exchange_tok x, _GoString_ name, sg_str *out) {
    return h->param_get(h, x, sgo_str(name), out);
}
static inline int32_t sgo_param_nth(const sg_host *h, sg_exchange_tok x, size_t index, sg_str *name, sg_str *value) {
    return h->param_nth(h, x, index, name, value);
}
static inline int32_t sgo_header_get(const sg_host *h, sg_exchange_tok x, uint32_t map, _GoString_ name, sg_str *out) {
    return h->header_get(h, x, map, sgo_str(name), out);
}
static inline int32_t sgo_header_nth(const sg_host *h, sg_exchange_tok x, uint32_t map, _GoString_ name, size_t index,
                                     sg_str *out) {
    return h->header_nth(h, x, map, sgo_str(name), index, out);
}
static inline int32_t sgo_headers_list(const sg_host *h, sg_exchange_tok x, uint32_t map, sg_header *out, size_t cap,
                                       size_t *count) {
    return h->headers_list(h, x, map, out, cap, count);
}
static inline int32_t sgo_header_set(const sg_host *h, sg_exchange_tok x, uint32_t map, _GoString_ name, _GoString_ value) {
    return h->header_set(h, x, map, sgo_str(name), sgo_str(value));
}
static inline int32_t sgo_header_append(const sg_host *h, sg_exchange_tok x, uint32_t map, _GoString_ name,
                                        _GoString_ value) {
    return h->header_append(h, x, map, sgo_str(name), sgo_str(value));
}
static inline int32_t sgo_header_remove(const sg_host *h, sg_exchange_tok x, uint32_t map, _GoString_ name) {
    return h->header_remove(h, x, map, sgo_str(name));
}
static inline int32_t sgo_respond(const sg_host *h, sg_exchange_tok x, uint32_t status, const sg_header *headers,
                                  size_t count, _GoString_ body) {
    return h->respond(h, x, status, headers, count, sgo_str(body));
}
static inline int32_t sgo_var_get(const sg_host *h, sg_exchange_tok x, _GoString_ name, sg_str *out) {
    return h->var_get(h, x, sgo_str(name), out);
}
static inline int32_t sgo_var_set(const sg_host *h, sg_exchange_tok x, _GoString_ name, _GoString_ value) {
    return h->var_set(h, x, sgo_str(name), sgo_str(value));
}
static inline int32_t sgo_state_get(const sg_host *h, sg_exchange_tok x, uintptr_t *out) {
    void *state = NULL;
    int32_t code = h->state_get(h, x, &state);
    *out = (uintptr_t)state;
    return code;
}
static inline int32_t sgo_state_set(const sg_host *h, sg_exchange_tok x, uintptr_t handle) {
    return h->state_set(h, x, (void *)handle, sgo_release);
}
static inline int32_t sgo_consumer_get(const sg_host *h, sg_exchange_tok x, sg_str *out) { return h->consumer_get(h, x, out); }
static inline int32_t sgo_consumer_set(const sg_host *h, sg_exchange_tok x, _GoString_ name) {
    return h->consumer_set(h, x, sgo_str(name));
}
static inline int32_t sgo_set_error(const sg_host *h, sg_exchange_tok x, _GoString_ why) {
    return h->set_error(h, x, sgo_str(why));
}
static inline int32_t sgo_upstream_set(const sg_host *h, sg_exchange_tok x, uint32_t kind, _GoString_ value) {
    return h->upstream_set(h, x, kind, sgo_str(value));
}

/* ---- Bodies ---- */

static inline int32_t sgo_body_len(const sg_host *h, sg_exchange_tok x, uint64_t *out) { return h->body_len(h, x, out); }
static inline int32_t sgo_body_pieces(const sg_host *h, sg_exchange_tok x, sg_str *out, size_t cap, size_t *count) {
    return h->body_pieces(h, x, out, cap, count);
}
static inline int32_t sgo_body_drain(const sg_host *h, sg_exchange_tok x, uint64_t bytes) { return h->body_drain(h, x, bytes); }
static inline int32_t sgo_body_replace(const sg_host *h, sg_exchange_tok x, _GoString_ bytes) {
    return h->body_replace(h, x, sgo_str(bytes));
}
static inline int32_t sgo_body_append(const sg_host *h, sg_exchange_tok x, _GoString_ bytes) {
    return h->body_append(h, x, sgo_str(bytes));
}
/* The collector of Go may not lose sight of memory that the gateway holds, so this is a copy of its own. */
static inline int32_t sgo_body_append_own(const sg_host *h, sg_exchange_tok x, _GoString_ bytes) {
    const size_t len = _GoStringLen(bytes);
    uint8_t *copy = malloc(len == 0 ? 1 : len);
    if (copy == NULL) return SG_E_FAILED;
    memcpy(copy, _GoStringPtr(bytes), len);
    int32_t code = h->body_append_own(h, x, (sg_str){copy, len}, free, copy);
    if (code != SG_OK) free(copy);
    return code;
}
static inline int32_t sgo_body_hold(const sg_host *h, sg_exchange_tok x, uint64_t bytes) { return h->body_hold(h, x, bytes); }
static inline int32_t sgo_body_ignore(const sg_host *h, sg_exchange_tok x, uint32_t lane) { return h->body_ignore(h, x, lane); }

/* ---- Values ---- */

static inline int32_t sgo_kv_get(const sg_kv *t, const sg_host *h, _GoString_ key, uint8_t *ptr, size_t cap, size_t *len,
                                 uint64_t *revision) {
    sg_buf out = {ptr, cap, 0};
    int32_t code = t->get(h, sgo_str(key), &out, revision);
    *len = out.len;
    return code;
}
static inline int32_t sgo_kv_set(const sg_kv *t, const sg_host *h, _GoString_ key, _GoString_ value, uint64_t ttl_ms) {
    return t->set(h, sgo_str(key), sgo_str(value), ttl_ms);
}
static inline int32_t sgo_kv_add(const sg_kv *t, const sg_host *h, _GoString_ key, int64_t delta, uint64_t ttl_ms,
                                 int64_t *out) {
    return t->add(h, sgo_str(key), delta, ttl_ms, out);
}
static inline int32_t sgo_kv_compare_and_set(const sg_kv *t, const sg_host *h, _GoString_ key, uint64_t revision,
                                             _GoString_ value, uint64_t ttl_ms) {
    return t->compare_and_set(h, sgo_str(key), revision, sgo_str(value), ttl_ms);
}
static inline int32_t sgo_kv_remove(const sg_kv *t, const sg_host *h, _GoString_ key) { return t->remove(h, sgo_str(key)); }

/* ---- States ---- */

static inline int32_t sgo_state_write(sg_state_out *out, _GoString_ bytes) { return out->write(out, sgo_str(bytes)); }

#endif /* SWAPGATE_GO_SHIMS_H */
