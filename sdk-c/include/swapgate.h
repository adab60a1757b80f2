/*
 * swapgate.h: the contract between the Swapgate gateway and a plugin, version 0.4.
 *
 * This file is the reference. The Rust crate `swapgate-abi` mirrors it, and a test compares every size and
 * offset. It compiles alone as C11 and as C++17 and needs no library.
 *
 * A plugin is a shared library that exports two symbols: `sg_plugin_abi` (constant data, read from the file before
 * any code of it runs) and `sg_plugin_entry` (a function). Everything else should be hidden; see sdk-c/plugin.map.
 *
 * The life of a plugin, in order (each step happens only when the one before succeeded):
 *
 *   1. The gateway reads `sg_plugin_abi` from the file. No code runs.
 *   2. A throw-away child process loads the file and goes through steps 3 to 9 with every configuration in use
 *      (the "preflight"). A crash or a hang there costs nothing but a refusal.
 *   3. sg_plugin_entry()          versions are negotiated, the plugin hands out its table of hooks
 *   4. load()                     once per image
 *   5. configure()                once per configuration, yields an instance
 *      import_state()             if the instance takes the place of one that exported its state
 *   6. start()                    once per instance, in the serving process only
 *   7. rewrite() access() request_body() header_filter() body_filter() trailers() log() request_end()
 *                                 for every exchange; on_event() when something happened that a hook waited for
 *      on_tick() on_op_done()     in the background, from start() to destroy()
 *      export_state()             if another instance is about to take its place
 *   8. destroy()                  once per instance, when the last exchange that used it is over
 *   9. unload()                   once per image, when its last instance is gone; sg_plugin_entry() may follow again
 *
 * Words used in the tags below:
 *   [worker]   called on a worker thread, which serves requests: must not block. Hooks of ONE instance run
 *              concurrently on several workers; the plugin guards its own state.
 *   [foreign]  called on the thread kept for foreign control calls, one call at a time. May take a while, but has a
 *              deadline; a call that misses it is reported as stuck.
 *   [any]      may be called from any thread.
 *   [hook]     may be called only on the thread of a running hook, with the token that hook was given.
 *   [scope]    may be called as [hook] with an exchange's token, or as [any] with an instance's token, from start() until
 *              destroy() is called.
 *
 * Ownership stands in the name or in the comment: a `sg_str` that goes IN is read during the call and never kept; a
 * `sg_str` that comes OUT is a view into memory of the gateway. A view of a header is valid until the next change of
 * the same header map or until the hook returns, whichever is first; every other view until the hook returns, or
 * until the value it shows is set. Arguments may alias views: the gateway copies before it changes anything.
 *
 * Waiting. An exchange has two lanes, request (rewrite, access, request_body) and response (header_filter, body_filter),
 * because bodies flow both ways at once; trailers() belongs to the lane whose trailers they are. A hook that has to wait
 * starts an operation (or asks for a waker), and returns SG_PENDING: its lane stands still and the worker serves others.
 * Each event is handed to on_event(), which may do everything that the waiting hook may do; what it returns is the
 * result of that hook, or SG_PENDING to wait on. Views never live across SG_PENDING.
 *
 * Bodies. A body is an ordered stream of bytes; where its pieces end means nothing. The pieces that have arrived and that
 * the plugin has not passed on are its window: request_body() and body_filter() look at the window, change it, and
 * answer what becomes of it. No hook of a body is called for what has none by definition (HEAD, 204, 304).
 *
 * Upgrades. A request for an upgrade (WebSocket), over HTTP/1.1 or as extended CONNECT over HTTP/2, is an exchange like others
 * until its answer: rewrite(), access() and header_filter() run, and a plugin may answer instead. Over either, plugins see the
 * method GET and, in header_filter(), the status 101. What flows afterwards is a tunnel, not a body: no hook sees it. log() and
 * request_end() run when the tunnel closes, with the bytes of both directions. gRPC is a pair of ordinary bodies, both of which
 * may flow for long, with trailers: grpc-status is in the response trailers, or in the headers if there is no body.
 *
 * Rules of evolution: until 1.0, gateway and plugin need the same minor version. From 1.0 on a released name,
 * number, layout or rule never changes; one adds. Structures that may grow begin with `struct_size`; a reader uses
 * the smaller of that and of its own idea of the size.
 */
#ifndef SWAPGATE_H
#define SWAPGATE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SG_ABI_MAJOR 0u
#define SG_ABI_MINOR 4u

/* ---- Results -------------------------------------------------------------------------------------------------- */

/*
 * Every function answers an int32_t. Zero and above: success or an action. Below zero: an error. A value the gateway
 * does not know is an error of the plugin, and the exchange is refused (500) whatever the route's `on_error` says:
 * an unknown answer is never guessed to mean "continue".
 */
#define SG_OK 0

/* Actions, answered by request hooks. */
#define SG_CONTINUE 0 /* go on with the next plugin */
/* Wait for an event: this lane stands still until on_event() answers something else. Needs on_event(). Not from log()
 * and not from request_end(). Since 0.3. */
#define SG_PENDING 1
/* The answer given to respond() is the answer: from rewrite() and access(); since 0.3 also from request_body(), as long as
 * no answer has begun. */
#define SG_RESPOND 2
/* Keep the window and call again when there is more: from request_body() and body_filter() of a plugin that declared
 * SG_BODY_BUFFER, not together with SG_BODY_END. Beyond the limit of the route and of the plugin: 413 for a request, 502
 * for an answer. The head waits for the first bytes that are passed on. Since 0.3. */
#define SG_BUFFER 3

/* Errors, answered by plugin and gateway alike. */
#define SG_E_FAILED -1      /* it did not work; set_error() or the error buffer says why */
#define SG_E_PANIC -2       /* a panic or an exception was caught at the border; the instance is out of this exchange */
#define SG_E_INVALID -3     /* an argument is malformed: null with a length, a bad header name, an unknown id */
#define SG_E_NOT_FOUND -4   /* there is no such header, parameter, variable, value */
#define SG_E_STALE -5       /* the token belongs to an exchange that is over or not the running one */
#define SG_E_WRONG_THREAD -6 /* called from a thread on which no hook is running */
#define SG_E_WRONG_PHASE -7 /* not in this phase: the path outside rewrite(), the response before there is one */
#define SG_E_TOO_LARGE -8   /* longer than the gateway takes; nothing was changed */
#define SG_E_UNAVAILABLE -9 /* not here: for example inside a preflight */
#define SG_E_VERSION -10    /* versions do not fit (sg_plugin_entry) */
#define SG_E_FORBIDDEN -11  /* framing and hop-by-hop headers belong to the gateway; not on the allow list; not declared */
#define SG_E_CANCELLED -12  /* what was asked for is not wanted any more. Since 0.3 */
#define SG_E_TIMEOUT -13    /* it took too long. Since 0.3 */
#define SG_E_CONFLICT -14   /* somebody else was first. Since 0.3 */

/* ---- Basic types ---------------------------------------------------------------------------------------------- */

/* Bytes with a length. Not NUL-terminated. `ptr` may be null only if `len` is 0. Header values are bytes, not UTF-8. */
typedef struct sg_str {
    const uint8_t *ptr;
    size_t len;
} sg_str;

/* One header. Names that come from the gateway are lower case. */
typedef struct sg_header {
    sg_str name;
    sg_str value;
} sg_header;

/* One label of a metric. */
typedef struct sg_label {
    sg_str name;
    sg_str value;
} sg_label;

/*
 * Room for an error text, given by the gateway. The plugin copies at most `cap` bytes of UTF-8 to `ptr` and sets
 * `len` to the number copied. The memory stays the gateway's.
 */
typedef struct sg_error_buf {
    uint8_t *ptr;
    size_t cap;
    size_t len;
} sg_error_buf;

/* Room for bytes, given by the plugin. The gateway copies at most `cap` bytes to `ptr` and sets `len` to how many there
 * are in all. Since 0.3. */
typedef struct sg_buf {
    uint8_t *ptr;
    size_t cap;
    size_t len;
} sg_buf;

/*
 * Names one running exchange. A token is never reused within a process: a stale one is answered SG_E_STALE and harms
 * nobody.
 */
typedef uint64_t sg_exchange_tok;

/*
 * Names one series of a metric. Valid for every thread of the image from metric_declare() until unload() returns; a
 * stale one is answered SG_E_STALE and harms nobody. Never 0.
 */
typedef uint64_t sg_metric_tok;

/* Names one instance, from start() until destroy() is called. Never 0, never the value of an exchange's token. A stale one
 * is answered SG_E_STALE and harms nobody. Since 0.3. */
typedef uint64_t sg_instance_tok;

/* Whose operation it is: an sg_exchange_tok (its instance is that of the running hook) or an sg_instance_tok. Since 0.3. */
typedef uint64_t sg_scope_tok;

/* Names one operation of one scope. Never 0, never used twice. Since 0.3. */
typedef uint64_t sg_op_tok;

/* Wakes one instance in one lane of one exchange, or one instance in the background. Since 0.3. */
typedef uint64_t sg_wake_tok;

/* ---- Constants ------------------------------------------------------------------------------------------------ */

/* Phases, as numbered in logs and in the accounts of the gateway. Numbers left out are reserved. */
#define SG_PHASE_REWRITE 1u
#define SG_PHASE_ACCESS 2u
#define SG_PHASE_REQUEST_BODY 3u /* since 0.3 */
#define SG_PHASE_HEADER_FILTER 4u
#define SG_PHASE_BODY_FILTER 5u /* since 0.3 */
#define SG_PHASE_TRAILERS 6u    /* since 0.3 */
#define SG_PHASE_LOG 7u
#define SG_PHASE_REQUEST_END 8u
#define SG_PHASE_ON_EVENT 9u    /* since 0.3 */
#define SG_PHASE_ON_TICK 10u    /* since 0.3 */
#define SG_PHASE_ON_OP_DONE 11u /* since 0.3 */

/* Lanes of an exchange. Since 0.3. */
#define SG_LANE_REQUEST 1u
#define SG_LANE_RESPONSE 2u

/* What a plugin needs of a body. Since 0.3. */
#define SG_BODY_NONE 0u      /* its hook is never called; a chain that needs nothing never touches a byte */
#define SG_BODY_OBSERVE 1u   /* sees every byte and changes none; length and framing stay as they are */
#define SG_BODY_TRANSFORM 2u /* may change what passes. The message loses content-length, strong validators, digests and
                              * ranges, and the upstream is asked for the identity encoding */
#define SG_BODY_BUFFER 3u    /* as TRANSFORM, and may answer SG_BUFFER */

/* Flags of request_body() and body_filter(). Since 0.3. */
#define SG_BODY_END 1u   /* this was the last of it; exactly once, possibly with an empty window */
#define SG_BODY_FIRST 2u /* this hook is called for the first time in this exchange */

/* Kinds of events. Since 0.3. */
#define SG_EVENT_OP_DONE 1u /* an operation came to its end: `op`, `result`, `data` */
#define SG_EVENT_WAKE 2u    /* wake() was called, once or several times */
#define SG_EVENT_CANCEL 3u  /* nobody waits for the result any more: the client is gone, time is up (`result` says which:
                             * SG_E_CANCELLED, SG_E_TIMEOUT). The answer of on_event() is ignored. Once, and the
                             * instance is called in this lane no more */
#define SG_EVENT_DRAIN 4u   /* a hint: the gateway is shutting down and would like the exchange to end soon */

/* What upstream_set() chooses by. Since 0.3. */
#define SG_UPSTREAM_SERVICE 1u /* the name of a configured service */
#define SG_UPSTREAM_TARGET 2u  /* the address of one target of the service in charge, as `ip:port` or `unix:/path`, as SG_ATTR_TARGET says it */
#define SG_UPSTREAM_ADDRESS 3u /* any `ip:port` on the allow list of the configuration; it is spoken to in HTTP/1.1 without
                                * TLS, so no target of an upstream with TLS can be chosen this way */

/* Log levels. */
#define SG_LOG_ERROR 1u
#define SG_LOG_WARN 2u
#define SG_LOG_INFO 3u
#define SG_LOG_DEBUG 4u
#define SG_LOG_TRACE 5u

/* Which header map. */
#define SG_HEADERS_REQUEST 1u
#define SG_HEADERS_RESPONSE 2u
#define SG_TRAILERS_REQUEST 3u  /* in trailers() of the request lane. Since 0.3 */
#define SG_TRAILERS_RESPONSE 4u /* in trailers() of the response lane. Since 0.3 */

/* Attributes. Text: attr_text(). Number: attr_number(). 1 to 63 belong to the request, 64 and up to the answer. */
#define SG_ATTR_METHOD 1u         /* text; may be set in rewrite() */
#define SG_ATTR_SCHEME 2u         /* text: "https" where the client speaks TLS with this gateway, else "http" */
#define SG_ATTR_HOST 3u           /* text: host the client asked for, without port, lower case */
#define SG_ATTR_PATH 4u           /* text: the normalised path; may be set in rewrite() */
#define SG_ATTR_QUERY 5u          /* text: without the question mark, empty if there is none; may be set in rewrite() */
#define SG_ATTR_CLIENT_ADDRESS 6u /* text: the client, as trusted proxies report it; without port */
#define SG_ATTR_PEER_ADDRESS 7u   /* text: the other end of the connection, with port; the source that a PROXY header named,
                                   * and 127.0.0.1:0 on a Unix socket */
#define SG_ATTR_LOCAL_ADDRESS 8u  /* text: this end of the connection, with port; the destination that a PROXY header named,
                                   * and 127.0.0.1:0 on a Unix socket */
#define SG_ATTR_ROUTE 9u          /* text: name of the route; from access() on, SG_E_NOT_FOUND where none matched */
#define SG_ATTR_SERVICE 10u       /* text: name of the service; like ROUTE */
#define SG_ATTR_REQUEST_ID 11u    /* text: the id this exchange has in logs, at the upstream and in answers of the gateway */
/* The connection: the same for all its exchanges, from rewrite() on; SG_E_NOT_FOUND where it has no such thing. Reading
 * them copies nothing. Since 0.4. */
#define SG_ATTR_PROTOCOL 12u                /* text: of this request: "HTTP/1.0", "HTTP/1.1" or "HTTP/2" */
#define SG_ATTR_LISTENER 13u                /* text: name of the listener */
#define SG_ATTR_TLS_VERSION 14u             /* text: "TLSv1.2" or "TLSv1.3"; there if and only if the scheme is "https" */
#define SG_ATTR_TLS_CIPHER 15u              /* text: the cipher suite, by its name at IANA: "TLS_AES_128_GCM_SHA256" */
#define SG_ATTR_TLS_SNI 16u                 /* text: the name the client asked for, lower case */
#define SG_ATTR_TLS_ALPN 17u                /* text: what ALPN agreed on: "h2", "http/1.1" */
#define SG_ATTR_TLS_CLIENT_SUBJECT 18u      /* text: subject of the client's certificate (RFC 4514). It was checked, like all here */
#define SG_ATTR_TLS_CLIENT_ISSUER 19u       /* text: who issued it (RFC 4514) */
#define SG_ATTR_TLS_CLIENT_SERIAL 20u       /* text: its serial number, hexadecimal */
#define SG_ATTR_TLS_CLIENT_FINGERPRINT 21u  /* text: SHA-256 of it, hexadecimal */
#define SG_ATTR_TLS_CLIENT_NAMES 22u        /* text: its other names, one a line: "DNS:a.example\nURI:spiffe://x"; perhaps empty */
#define SG_ATTR_TLS_CLIENT_CERTIFICATE 23u  /* bytes: the certificate itself, DER */
#define SG_ATTR_PROXY_SOURCE 24u            /* text: the client that a PROXY header named, with port */
#define SG_ATTR_PROXY_DESTINATION 25u       /* text: where that client connected to, with port */
#define SG_ATTR_STATUS 64u          /* number: status code of the answer; from header_filter() on */
#define SG_ATTR_REQUEST_BYTES 65u   /* number: body bytes received from the client; log() */
#define SG_ATTR_RESPONSE_BYTES 66u  /* number: body bytes sent to the client; log() */
#define SG_ATTR_DURATION_NS 67u     /* number: from the parsed head to the end of the answer; log() */
#define SG_ATTR_UPSTREAM_NS 68u     /* number: from the choice of a target to its answer head; SG_E_NOT_FOUND if none */
#define SG_ATTR_TARGET 69u          /* text: address of the target that answered, `ip:port` or `unix:/path`; SG_E_NOT_FOUND if none */

/* Kinds of metrics. */
#define SG_METRIC_COUNTER 1u   /* only grows; the gateway adds "_total" to its name */
#define SG_METRIC_GAUGE 2u     /* goes up and down */
#define SG_METRIC_HISTOGRAM 3u /* counts observations by bounds */

/* Flags of the descriptor. */
#define SG_DESC_PANIC_ABORT 1u /* built so that a panic ends the process: refused */

/* Flags of the entry arguments. */
#define SG_ENTRY_PREFLIGHT 1u /* this is the throw-away child: no connections, no files, no threads, please */

/* Flags of the plugin table. */
#define SG_PLUGIN_OWNS_THREADS 1u   /* has threads of its own: the image is never unmapped */
#define SG_PLUGIN_RESIDENT 2u       /* asks never to be unmapped */
#define SG_PLUGIN_ONE_IMAGE_ONLY 4u /* at most one image with this flag in a process, whatever the plugin */
/* Reads the request's headers in rewrite() and access() only. From header_filter() on they may be gone then
 * (SG_E_NOT_FOUND). Rationale: the upstream's connection takes the headers with it, and keeping them for a later hook is
 * a copy of all of them in every exchange. Since 0.2. */
#define SG_PLUGIN_REQUEST_HEADERS_EARLY 8u

/* ---- Events, operations, states (since 0.3) -------------------------------------------------------------------- */

/* What happened. The structure and what it points to belong to the gateway and are valid until on_event() or
 * on_op_done() returns. */
typedef struct sg_event {
    uint32_t struct_size;
    uint32_t kind;  /* SG_EVENT_* */
    uint32_t lane;  /* SG_LANE_*; 0 in the background */
    uint32_t phase; /* the hook that waits, SG_PHASE_*; 0 if none of this instance waits in this lane: only the event is
                     * told then, and the answer must be SG_CONTINUE */
    sg_op_tok op;   /* the operation, of OP_DONE; else 0 */
    int32_t result; /* what it came to: SG_OK, an error, or what the function given to `blocking` returned */
    uint32_t flags; /* SG_BODY_END if the hook that waits was called with it */
    const void *data; /* of OP_DONE with SG_OK: sg_http_answer, sg_resolved; else null */
} sg_event;

/* Where export_state() writes to. `write` appends a copy. SG_E_TOO_LARGE: more than the configuration admits. */
typedef struct sg_state_out {
    uint32_t struct_size;
    uint32_t version; /* set by the plugin: the version of its own format */
    void *private_;   /* the gateway's own */
    int32_t (*write)(struct sg_state_out *out, sg_str bytes);
} sg_state_out;

/* What memory() answers. */
typedef struct sg_memory {
    uint32_t struct_size;
    uint32_t reserved;
    uint64_t bytes;       /* allocated and not freed, by this image */
    uint64_t peak_bytes;  /* the most that ever was */
    uint64_t allocations; /* how many there were, ever */
} sg_memory;

/* ---- What the gateway offers ---------------------------------------------------------------------------------- */

typedef struct sg_host sg_host;

/*
 * The host table. One per image; valid from sg_plugin_entry() until unload() returns. Append-only: read `struct_size`
 * before using a function that was added after 0.1. Every function since 0.1 unless it says otherwise. No function
 * calls back into the plugin.
 */
struct sg_host {
    uint32_t struct_size;
    uint32_t abi_minor;  /* the negotiated minor */
    const void *private_; /* the gateway's own */

    /* Writes one line to the gateway's log, under the plugin's name. [any]
     * SG_E_INVALID: unknown level, or not UTF-8 (the line is then written with replacement characters). */
    int32_t (*log)(const sg_host *host, uint32_t level, sg_str text);

    /* The text of an attribute. [hook] SG_E_NOT_FOUND: not known in this exchange; SG_E_WRONG_PHASE: not yet;
     * SG_E_INVALID: no such attribute, or a number. */
    int32_t (*attr_text)(const sg_host *host, sg_exchange_tok exchange, uint32_t attr, sg_str *out);

    /* The value of a number attribute. [hook] Results as attr_text(). */
    int32_t (*attr_number)(const sg_host *host, sg_exchange_tok exchange, uint32_t attr, uint64_t *out);

    /* Sets METHOD, PATH or QUERY. [hook, rewrite only: what was routed and authorised is what is forwarded]
     * A path is normalised again. SG_E_WRONG_PHASE; SG_E_INVALID: not settable or malformed; SG_E_TOO_LARGE. */
    int32_t (*attr_set)(const sg_host *host, sg_exchange_tok exchange, uint32_t attr, sg_str value);

    /* A parameter of the matched path pattern, by name, percent-decoding not applied. [hook, from access on]
     * SG_E_NOT_FOUND. */
    int32_t (*param_get)(const sg_host *host, sg_exchange_tok exchange, sg_str name, sg_str *out);

    /* The parameter with this index, in the order of the pattern. [hook] SG_E_NOT_FOUND: index past the end. */
    int32_t (*param_nth)(const sg_host *host, sg_exchange_tok exchange, size_t index, sg_str *name, sg_str *value);

    /* First value of a header; the name in any case. [hook] SG_E_NOT_FOUND; SG_E_WRONG_PHASE: there is no response
     * before header_filter(). */
    int32_t (*header_get)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name, sg_str *out);

    /* The value with this index of a header that stands several times. [hook] Results as header_get(). */
    int32_t (*header_nth)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name, size_t index,
                          sg_str *out);

    /* All headers in one call: fills at most `cap` entries of `out` and sets `count` to how many there are in all.
     * [hook] `out` may be null if `cap` is 0. */
    int32_t (*headers_list)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_header *out, size_t cap,
                            size_t *count);

    /* Replaces every value of a header by one. [hook; the request's until access, the response's in header_filter]
     * SG_E_INVALID: not a header name or value (RFC 9110, 5.1 and 5.5); SG_E_FORBIDDEN: framing and hop-by-hop
     * headers, Host; SG_E_WRONG_PHASE; SG_E_TOO_LARGE. */
    int32_t (*header_set)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name, sg_str value);

    /* Adds a value to a header. [as header_set] */
    int32_t (*header_append)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name, sg_str value);

    /* Removes a header with all its values; SG_OK also if there was none. [as header_set] */
    int32_t (*header_remove)(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name);

    /* Makes the answer, instead of the upstream. [hook, rewrite and access] The hook then returns SG_RESPOND. The
     * gateway copies everything. A later call replaces an earlier one. Status 200 to 599. Results as header_set(). */
    int32_t (*respond)(const sg_host *host, sg_exchange_tok exchange, uint32_t status, const sg_header *headers,
                       size_t header_count, sg_str body);

    /* A variable of this exchange that plugins share. [hook] SG_E_NOT_FOUND. */
    int32_t (*var_get)(const sg_host *host, sg_exchange_tok exchange, sg_str name, sg_str *out);

    /* Sets one; copied. [hook] Names up to 128 bytes, 64 variables and 64 KiB in all: SG_E_TOO_LARGE. */
    int32_t (*var_set)(const sg_host *host, sg_exchange_tok exchange, sg_str name, sg_str value);

    /* The state this instance left in this exchange; null if none. [hook] */
    int32_t (*state_get)(const sg_host *host, sg_exchange_tok exchange, void **out);

    /* Leaves a state. `release` (may be null) is called with it exactly once, after request_end() of this exchange;
     * so is that of a state which a later call replaced. [hook] The state stays the plugin's memory. */
    int32_t (*state_set)(const sg_host *host, sg_exchange_tok exchange, void *state, void (*release)(void *state));

    /* The authenticated consumer. [hook] SG_E_NOT_FOUND: nobody yet. */
    int32_t (*consumer_get)(const sg_host *host, sg_exchange_tok exchange, sg_str *out);

    /* Names the consumer. [hook, rewrite and access] Non-empty UTF-8 up to 256 bytes: SG_E_INVALID, SG_E_TOO_LARGE. */
    int32_t (*consumer_set)(const sg_host *host, sg_exchange_tok exchange, sg_str consumer);

    /* Says why this hook is about to fail; kept for the log, never shown to the client. [hook] */
    int32_t (*set_error)(const sg_host *host, sg_exchange_tok exchange, sg_str text);

    /* Declares one series of a metric and sets `*out` to its token. Since 0.2. [load(), configure(), start(), and threads
     * of the plugin: it takes a lock. SG_E_WRONG_PHASE while a request hook is running on this thread]
     *
     * It is shown as swapgate_plugin_<id with - as _>_<name>. The label set is closed here and adding carries no label,
     * so a plugin cannot make more series than it declares, and adding looks nothing up. The same plugin id, name and
     * labels, declared again by another instance or by another version, are the same series: counts survive a swap. A
     * series goes when every image that declared it was unloaded. In a preflight everything works and counts nowhere.
     *
     * name: [a-z][a-z0-9_]*, up to 100 bytes, without "_total", "_bucket", "_count" or "_sum" at its end; base units
     * (seconds, bytes), please. help: UTF-8, 1 to 512 bytes. labels: up to 8, in any order; names like metric names,
     * not "le"; values UTF-8, 1 to 256 bytes. bounds: of a histogram, 1 to 32, finite, ascending; else none.
     * SG_E_INVALID: malformed; or the name is taken: by another kind, other bounds, other label names, another
     * plugin or the gateway. SG_E_TOO_LARGE: longer or more than said above, or more than 256 different series declared
     * by this image since it was mapped: a place is not given back before, the same series again takes no new one. */
    int32_t (*metric_declare)(const sg_host *host, uint32_t kind, sg_str name, sg_str help, const sg_label *labels,
                              size_t label_count, const double *bounds, size_t bound_count, sg_metric_tok *out);

    /* Adds to a counter (not a negative value) or to a gauge. Since 0.2. [any] Never blocks. SG_E_INVALID: not a
     * finite number, negative for a counter, or not this kind; SG_E_STALE: not a token of this image, or from before its
     * unload(). */
    int32_t (*metric_add)(const sg_host *host, sg_metric_tok metric, double value);

    /* Sets a gauge. Since 0.2. [any] Results as metric_add(). */
    int32_t (*metric_set)(const sg_host *host, sg_metric_tok metric, double value);

    /* Counts an observation of a histogram: in every bucket whose bound is not below it. Since 0.2. [any] Results as
     * metric_add(). */
    int32_t (*metric_observe)(const sg_host *host, sg_metric_tok metric, double value);

    /* ---- Waiting. Since 0.3 ---- */

    /* Asks for a larger area by its id, for example SG_KV_ID; null if this gateway has none of that id. The structure
     * begins with its size and is valid as long as the host table. [any] */
    const void *(*extension)(const sg_host *host, sg_str id);

    /* Completes after so many nanoseconds. [scope] All operations: completes exactly once, always later than the call, as
     * one OP_DONE event of on_event() (exchange) or of on_op_done() (instance); unless it is cancelled or its scope ends
     * before, which ends it without an event. SG_E_STALE, SG_E_WRONG_THREAD, SG_E_WRONG_PHASE: from log() and
     * request_end(), or there is no hook that could be told; SG_E_TOO_LARGE: 64 run already for this instance in this
     * exchange, 1,024 in the background of this instance; SG_E_UNAVAILABLE: in a preflight. */
    int32_t (*sleep)(const sg_host *host, sg_scope_tok scope, uint64_t nanoseconds, sg_op_tok *out);

    /* Ends an operation without an event. [scope] SG_E_NOT_FOUND: there is none (any more); its event may have been
     * handed over already. */
    int32_t (*op_cancel)(const sg_host *host, sg_scope_tok scope, sg_op_tok op);

    /* A token by which other threads wake this instance in the running lane, or in the background. [scope] The same one
     * for every call in that lane. Results as sleep(). */
    int32_t (*waker)(const sg_host *host, sg_scope_tok scope, sg_wake_tok *out);

    /* Has a WAKE event handed to on_event() or on_op_done(). [any] May come early, twice or late: calls before the event
     * are one event, and one after the end is answered SG_E_STALE and harms nobody. Never blocks. */
    int32_t (*wake)(const sg_host *host, sg_wake_tok token);

    /* Has on_tick() called every so many milliseconds; 0: no more. [any, with the token of the instance] SG_E_INVALID:
     * below 10 ms, or there is no on_tick(). */
    int32_t (*tick_every)(const sg_host *host, sg_instance_tok instance, uint64_t milliseconds);

    /* Chooses where the request goes, instead of the service of the route. [hook, access only; also request_body() while
     * the head waits] Timeouts and Host handling stay those of the route. SG_E_NOT_FOUND: no such service or target;
     * SG_E_FORBIDDEN: an address that is not on the allow list, or that of a target which is spoken to in TLS;
     * SG_E_INVALID: not an address, or the route does not forward; SG_E_WRONG_PHASE. */
    int32_t (*upstream_set)(const sg_host *host, sg_exchange_tok exchange, uint32_t kind, sg_str value);

    /* ---- Bodies. Since 0.3. [hook, request_body and body_filter, and on_event() for them] ----
     * Everywhere: SG_E_WRONG_PHASE outside of those; SG_E_FORBIDDEN: a change by a plugin that declared OBSERVE. Views of
     * the window are valid until the next change of it or the end of the hook. */

    /* How many bytes the window has. */
    int32_t (*body_len)(const sg_host *host, sg_exchange_tok exchange, uint64_t *out);

    /* The pieces of the window, without copying: fills at most `cap` entries of `out` and sets `count` to how many there
     * are. `out` may be null if `cap` is 0. */
    int32_t (*body_pieces)(const sg_host *host, sg_exchange_tok exchange, sg_str *out, size_t cap, size_t *count);

    /* Takes so many bytes off the front of the window. SG_E_INVALID: it has fewer. */
    int32_t (*body_drain)(const sg_host *host, sg_exchange_tok exchange, uint64_t bytes);

    /* Puts a copy of some bytes in the place of the whole window. SG_E_TOO_LARGE: beyond the limit of the route. */
    int32_t (*body_replace)(const sg_host *host, sg_exchange_tok exchange, sg_str bytes);

    /* Adds a copy of some bytes to the end of the window. SG_E_TOO_LARGE as above. */
    int32_t (*body_append)(const sg_host *host, sg_exchange_tok exchange, sg_str bytes);

    /* Adds bytes of the plugin without copying. If SG_OK, `release` is called with `context` exactly once, on any thread,
     * when they are sent or thrown away, and the image stays until then; else it is not called. */
    int32_t (*body_append_own)(const sg_host *host, sg_exchange_tok exchange, sg_str bytes,
                               void (*release)(void *context), void *context);

    /* Holds the last bytes of the window back when this hook returns SG_CONTINUE: they are the beginning of the next
     * window. For what may go on in the next piece. SG_E_INVALID: more than the window has, or with SG_BODY_END. */
    int32_t (*body_hold)(const sg_host *host, sg_exchange_tok exchange, uint64_t bytes);

    /* This instance wants nothing of a body in this exchange; it counts as SG_BODY_NONE then. [hook; SG_LANE_REQUEST in
     * access(), SG_LANE_RESPONSE until header_filter(), so that the head need not change for nothing] SG_E_WRONG_PHASE;
     * SG_E_INVALID: no such lane. */
    int32_t (*body_ignore)(const sg_host *host, sg_exchange_tok exchange, uint32_t lane);
};

/* ---- Larger areas, asked for with extension() (since 0.3) ------------------------------------------------------- */

/* Calls other HTTP services. Every function needs what sleep() needs, and answers as it does. */
#define SG_HTTP_CALLOUT_ID "sg.http_callout/1"

typedef struct sg_http_request {
    uint32_t struct_size;
    uint32_t timeout_ms; /* for all of it; 0: 5,000 */
    sg_str service;      /* the name of a configured service; empty: `url` says where */
    sg_str url;          /* with a service: path and query. Else an absolute `http://` or `https://` URL on the allow list */
    sg_str method;       /* empty: GET */
    const sg_header *headers;
    size_t header_count;
    sg_str body;
    uint64_t max_body; /* of the answer; 0: 1 MiB; at most 64 MiB. A larger answer is SG_E_TOO_LARGE */
} sg_http_request;

typedef struct sg_http_answer {
    uint32_t struct_size;
    uint32_t status;
    const sg_header *headers;
    size_t header_count;
    sg_str body;
} sg_http_answer;

typedef struct sg_http_callout {
    uint32_t struct_size;
    uint32_t reserved;
    /* Sends a request; everything is copied. [scope] `data` of the event is an sg_http_answer. The event's `result`:
     * SG_E_TIMEOUT; SG_E_TOO_LARGE; SG_E_UNAVAILABLE: nobody answered. From the call itself also SG_E_NOT_FOUND: no such
     * service; SG_E_FORBIDDEN: not on the allow list; SG_E_INVALID: malformed. */
    int32_t (*start)(const sg_host *host, sg_scope_tok scope, const sg_http_request *request, sg_op_tok *out);
} sg_http_callout;

/* Looks names up. */
#define SG_RESOLVE_ID "sg.resolve/1"

typedef struct sg_resolved {
    uint32_t struct_size;
    uint32_t reserved;
    const sg_str *addresses; /* texts, without port */
    size_t count;
} sg_resolved;

typedef struct sg_resolve {
    uint32_t struct_size;
    uint32_t reserved;
    /* The addresses of a host name. [scope] `data` of the event is an sg_resolved; its `result`: SG_E_NOT_FOUND,
     * SG_E_TIMEOUT. */
    int32_t (*start)(const sg_host *host, sg_scope_tok scope, sg_str name, sg_op_tok *out);
} sg_resolve;

/* Runs what takes long (password hashes, compression, files) on a bounded pool of threads of the gateway. */
#define SG_BLOCKING_ID "sg.blocking/1"

typedef struct sg_blocking {
    uint32_t struct_size;
    uint32_t reserved;
    /* Calls `work(context)` on a thread of the pool; what it returns is the event's `result`. [scope] `release` (may be null)
     * is called with `context` exactly once, on any thread: after the event, or once `work` returned or was found not
     * wanted any more. `work` is not interrupted, and the image stays until it returned. If the answer is not SG_OK,
     * neither is called. SG_E_UNAVAILABLE: too many wait for a thread already. */
    int32_t (*start)(const sg_host *host, sg_scope_tok scope, int32_t (*work)(void *context),
                     void (*release)(void *context), void *context, sg_op_tok *out);
} sg_blocking;

/* Keeps values for all workers and across swaps. Keys belong to the plugin's id: every version and every instance of it
 * sees the same ones, no other plugin does. In memory, bounded by the configuration; what was not used for longest goes
 * first. Keys up to 512 bytes, values up to 1 MiB. A TTL of 0 is none. [any] Never waits for another machine.
 * Everywhere: SG_E_TOO_LARGE; SG_E_UNAVAILABLE: in a preflight. */
#define SG_KV_ID "sg.kv/1"

typedef struct sg_kv {
    uint32_t struct_size;
    uint32_t reserved;
    /* Copies a value. `revision` (may be null) changes whenever the value does and is never 0. SG_E_NOT_FOUND. */
    int32_t (*get)(const sg_host *host, sg_str key, sg_buf *out, uint64_t *revision);
    /* Sets a value. */
    int32_t (*set)(const sg_host *host, sg_str key, sg_str value, uint64_t ttl_ms);
    /* Adds to a number, which is 0 where there is none, and answers the sum (`out` may be null). The TTL holds only where
     * the key is new. Numbers are read by get() as 8 bytes in the byte order of the machine, and every value of 8 bytes is
     * one. SG_E_INVALID: not a number; SG_E_TOO_LARGE: the sum is none of 64 bits. */
    int32_t (*add)(const sg_host *host, sg_str key, int64_t delta, uint64_t ttl_ms, int64_t *out);
    /* Sets a value if its revision is still this one; 0: if there is none. SG_E_CONFLICT. */
    int32_t (*compare_and_set)(const sg_host *host, sg_str key, uint64_t revision, sg_str value, uint64_t ttl_ms);
    /* Removes a value; SG_OK also if there was none. */
    int32_t (*remove)(const sg_host *host, sg_str key);
} sg_kv;

/* ---- What the plugin offers ----------------------------------------------------------------------------------- */

/*
 * The hooks. A null pointer means: absent, and an absent hook costs nothing. The plugin owns the table and keeps it
 * unchanged until unload() returned. No hook may let a panic, an exception or a longjmp out.
 */
typedef struct sg_plugin {
    uint32_t struct_size;
    uint32_t flags;             /* SG_PLUGIN_* */
    sg_str id;                  /* as in the descriptor: [a-z0-9-], 1 to 63 bytes */
    sg_str version;             /* semantic version, as in the descriptor */
    uint64_t features_required; /* none exist in 0.4: must be 0 */
    uint64_t features_optional;
    int32_t priority;           /* where it stands in every phase; highest first. A use may override it */
    uint32_t request_body_need; /* SG_BODY_*: what request_body() and trailers() need. Since 0.3 */
    uint32_t response_body_need; /* SG_BODY_*: what body_filter() and trailers() need. Since 0.3 */
    uint32_t reserved;
    sg_str config_schema;       /* JSON Schema (2020-12) of the configuration; empty: anything goes */
    uint64_t buffer_bytes;      /* how much of a body it buffers at most; 0: as much as the route admits. Since 0.3 */

    /* Prepares the image. [foreign] Not SG_OK: refused with the text in `error`. */
    int32_t (*load)(const sg_host *host, sg_error_buf *error);

    /* Undoes load(). All instances are destroyed. [foreign] After it returns, no code or memory of the plugin is used
     * until sg_plugin_entry() is called again. `deadline_ms` is how long the gateway waits before it reports. */
    int32_t (*unload)(uint64_t deadline_ms);

    /* Makes an instance out of one configuration (JSON text). [foreign] Must not connect, listen, or start threads:
     * that is start()'s. On SG_OK `*instance` is handed to every other hook (null is allowed); otherwise `error` says
     * what is wrong with the configuration and how to mend it. Required if any hook below is present. */
    int32_t (*configure)(const sg_host *host, sg_str config, void **instance, sg_error_buf *error);

    /* The instance is about to serve. [foreign, serving process only] `token` names it from now on (since 0.3). Operations
     * of the background and ticks may begin here; the gateway ends them before destroy(). */
    int32_t (*start)(void *instance, sg_instance_tok token, sg_error_buf *error);

    /* The last exchange that used the instance is over. [foreign] Called exactly once for every instance. */
    void (*destroy)(void *instance);

    /* Before routing; global instances only. [worker] */
    int32_t (*rewrite)(void *instance, sg_exchange_tok exchange);

    /* After routing, before the upstream. [worker] */
    int32_t (*access)(void *instance, sg_exchange_tok exchange);

    /* The head of the answer is there, whoever made it. [worker] */
    int32_t (*header_filter)(void *instance, sg_exchange_tok exchange);

    /* The exchange is over and will not change any more. [worker] Exactly once. The result is counted only. */
    int32_t (*log)(void *instance, sg_exchange_tok exchange);

    /* The last call for this exchange; also after a panic or a client that went away. [worker] Exactly once for every
     * instance of the chain. No function of the host table but log() may be called with this token afterwards. */
    void (*request_end)(void *instance, sg_exchange_tok exchange);

    /* Bytes of the request arrived, or its end. [worker] Since 0.3. After access(), in the order of the chain: each plugin
     * sees what the one before it passed on. `flags`: SG_BODY_*. SG_CONTINUE passes the window on. */
    int32_t (*request_body)(void *instance, sg_exchange_tok exchange, uint32_t flags);

    /* Bytes of the answer arrived, or its end, whoever made it. [worker] Since 0.3. After header_filter(). An error here
     * resets the client's connection, once the head is out. */
    int32_t (*body_filter)(void *instance, sg_exchange_tok exchange, uint32_t flags);

    /* A message ended with trailers. [worker] Since 0.3. After the last call of request_body() or body_filter(); the map is
     * SG_TRAILERS_REQUEST or SG_TRAILERS_RESPONSE, by the lane. */
    int32_t (*trailers)(void *instance, sg_exchange_tok exchange, uint32_t lane);

    /* Something happened. [worker] Since 0.3. Its answer is that of the waiting hook. */
    int32_t (*on_event)(void *instance, sg_exchange_tok exchange, const sg_event *event);

    /* A period of tick_every() is over. [foreign] Since 0.3. Never twice at the same time for one instance. */
    int32_t (*on_tick)(void *instance);

    /* An operation of this instance's background came to its end, or its wake token was used. [foreign] Since 0.3. */
    int32_t (*on_op_done)(void *instance, const sg_event *event);

    /* Another instance is about to take the place of this one: writes what it should know. [foreign] Since 0.3. Hooks of
     * this instance go on meanwhile, and for a while after. SG_E_NOT_FOUND: nothing to hand over. */
    int32_t (*export_state)(void *instance, sg_state_out *out);

    /* Takes over what an earlier instance exported, perhaps one of an earlier version. [foreign] Since 0.3. After
     * configure(), before start(). SG_E_VERSION: not a format this version reads. Any error: as the configuration
     * says, the instance starts empty or the change is refused. */
    int32_t (*import_state)(void *instance, uint32_t version, sg_str state, sg_error_buf *error);

    /* How much memory the image uses, as it counts itself. [any] Since 0.3. */
    int32_t (*memory)(sg_memory *out);
} sg_plugin;

/* ---- The two symbols ------------------------------------------------------------------------------------------ */

#define SG_MAGIC "SWAPGATE"

/*
 * The descriptor: inline bytes only, no pointers, so that it can be read from the file without loading it. Texts are
 * padded with zero bytes and end with at least one.
 */
typedef struct sg_descriptor {
    uint8_t magic[8]; /* SG_MAGIC, without its terminating zero */
    uint32_t struct_size;
    uint32_t abi_major;
    uint32_t abi_min_minor; /* the oldest minor of the gateway it runs on */
    uint32_t abi_max_minor; /* the newest it knows */
    uint32_t flags;         /* SG_DESC_* */
    uint32_t reserved;
    char sdk[32];           /* for example "c 0.1.0" */
    char toolchain[64];
    char id[64];
    char version[64];
} sg_descriptor;

typedef struct sg_entry_args {
    uint32_t struct_size;
    uint32_t abi_major;
    uint32_t abi_min_minor;
    uint32_t abi_max_minor;
    uint32_t flags; /* SG_ENTRY_* */
    uint32_t reserved;
    uint64_t features;
    const sg_host *host;
} sg_entry_args;

typedef struct sg_entry_out {
    uint32_t struct_size; /* set by the gateway: how much of this structure it reads */
    uint32_t abi_minor;   /* set by the plugin: the lower of the two maxima */
    const sg_plugin *plugin;
    sg_error_buf error;
} sg_entry_out;

#if defined(_WIN32)
#error "Swapgate runs on Linux and macOS"
#else
#define SG_EXPORT __attribute__((visibility("default")))
#endif

/* `extern` first, because a const object has internal linkage in C++. */
extern SG_EXPORT const sg_descriptor sg_plugin_abi;

/* [foreign] Callable again after unload(). SG_E_VERSION: this gateway and this plugin cannot talk. */
SG_EXPORT int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out);

typedef int32_t (*sg_entry_fn)(const sg_entry_args *args, sg_entry_out *out);

/* ---- The sizes this version has on 64-bit machines (compared with Rust in the tests) ---------------------------- */

#ifdef __cplusplus
#define SG_STATIC_ASSERT(condition, text) static_assert(condition, text)
#else
#define SG_STATIC_ASSERT(condition, text) _Static_assert(condition, text)
#endif

SG_STATIC_ASSERT(sizeof(sg_descriptor) == 256, "sg_descriptor has inline bytes only");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_str) == 16, "sg_str is a pointer and a length");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_label) == 32, "sg_label is two texts");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_host) == 328, "sg_host");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_plugin) == 248, "sg_plugin");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_event) == 40, "sg_event");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_state_out) == 24, "sg_state_out");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_memory) == 32, "sg_memory");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_http_request) == 96, "sg_http_request");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_http_answer) == 40, "sg_http_answer");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_kv) == 48, "sg_kv");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_entry_args) == 40, "sg_entry_args");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_entry_out) == 40, "sg_entry_out");

#ifdef __cplusplus
}
#endif

#endif /* SWAPGATE_H */
