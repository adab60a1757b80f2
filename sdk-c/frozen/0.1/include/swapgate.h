/*
 * swapgate.h: the contract between the Swapgate gateway and a plugin, version 0.1.
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
 *   6. start()                    once per instance, in the serving process only
 *   7. rewrite() access() header_filter() log() request_end()      for every exchange
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
 *
 * Ownership stands in the name or in the comment: a `sg_str` that goes IN is read during the call and never kept; a
 * `sg_str` that comes OUT is a view into memory of the gateway. A view of a header is valid until the next change of
 * the same header map or until the hook returns, whichever is first; every other view until the hook returns, or
 * until the value it shows is set. Arguments may alias views: the gateway copies before it changes anything.
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
#define SG_ABI_MINOR 1u

/* ---- Results -------------------------------------------------------------------------------------------------- */

/*
 * Every function answers an int32_t. Zero and above: success or an action. Below zero: an error. A value the gateway
 * does not know is an error of the plugin, and the exchange is refused (500) whatever the route's `on_error` says:
 * an unknown answer is never guessed to mean "continue".
 */
#define SG_OK 0

/* Actions, answered by request hooks. */
#define SG_CONTINUE 0 /* go on with the next plugin */
/* 1 is reserved for PENDING (waiting without blocking). In 0.1 it is an unknown value. */
#define SG_RESPOND 2 /* the answer given to respond() is the answer; only from rewrite() and access() */
/* 3 is reserved for BUFFER (bodies). In 0.1 it is an unknown value. */

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
#define SG_E_FORBIDDEN -11  /* framing and hop-by-hop headers belong to the gateway */

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

/*
 * Room for an error text, given by the gateway. The plugin copies at most `cap` bytes of UTF-8 to `ptr` and sets
 * `len` to the number copied. The memory stays the gateway's.
 */
typedef struct sg_error_buf {
    uint8_t *ptr;
    size_t cap;
    size_t len;
} sg_error_buf;

/*
 * Names one running exchange. A token is never reused within a process: a stale one is answered SG_E_STALE and harms
 * nobody.
 */
typedef uint64_t sg_exchange_tok;

/* ---- Constants ------------------------------------------------------------------------------------------------ */

/* Phases, as numbered in logs and in the accounts of the gateway. Numbers left out are reserved. */
#define SG_PHASE_REWRITE 1u
#define SG_PHASE_ACCESS 2u
/* 3 request_body: reserved */
#define SG_PHASE_HEADER_FILTER 4u
/* 5 body_filter, 6 trailers: reserved */
#define SG_PHASE_LOG 7u
#define SG_PHASE_REQUEST_END 8u
/* 9 on_event, 10 on_tick, 11 on_op_done: reserved */

/* Log levels. */
#define SG_LOG_ERROR 1u
#define SG_LOG_WARN 2u
#define SG_LOG_INFO 3u
#define SG_LOG_DEBUG 4u
#define SG_LOG_TRACE 5u

/* Which header map. */
#define SG_HEADERS_REQUEST 1u
#define SG_HEADERS_RESPONSE 2u

/* Attributes. Text: attr_text(). Number: attr_number(). 1 to 63 belong to the request, 64 and up to the answer. */
#define SG_ATTR_METHOD 1u         /* text; may be set in rewrite() */
#define SG_ATTR_SCHEME 2u         /* text: "http" */
#define SG_ATTR_HOST 3u           /* text: host the client asked for, without port, lower case */
#define SG_ATTR_PATH 4u           /* text: the normalised path; may be set in rewrite() */
#define SG_ATTR_QUERY 5u          /* text: without the question mark, empty if there is none; may be set in rewrite() */
#define SG_ATTR_CLIENT_ADDRESS 6u /* text: the client, as trusted proxies report it; without port */
#define SG_ATTR_PEER_ADDRESS 7u   /* text: the other end of the connection, with port */
#define SG_ATTR_LOCAL_ADDRESS 8u  /* text: this end of the connection, with port */
#define SG_ATTR_ROUTE 9u          /* text: name of the route; from access() on, SG_E_NOT_FOUND where none matched */
#define SG_ATTR_SERVICE 10u       /* text: name of the service; like ROUTE */
#define SG_ATTR_REQUEST_ID 11u    /* text: the id this exchange has in logs, at the upstream and in answers of the gateway */
#define SG_ATTR_STATUS 64u          /* number: status code of the answer; from header_filter() on */
#define SG_ATTR_REQUEST_BYTES 65u   /* number: body bytes received from the client; log() */
#define SG_ATTR_RESPONSE_BYTES 66u  /* number: body bytes sent to the client; log() */
#define SG_ATTR_DURATION_NS 67u     /* number: from the parsed head to the end of the answer; log() */
#define SG_ATTR_UPSTREAM_NS 68u     /* number: from the choice of a target to its answer head; SG_E_NOT_FOUND if none */
#define SG_ATTR_TARGET 69u          /* text: address of the target that answered; SG_E_NOT_FOUND if none */

/* Flags of the descriptor. */
#define SG_DESC_PANIC_ABORT 1u /* built so that a panic ends the process: refused */

/* Flags of the entry arguments. */
#define SG_ENTRY_PREFLIGHT 1u /* this is the throw-away child: no connections, no files, no threads, please */

/* Flags of the plugin table. */
#define SG_PLUGIN_OWNS_THREADS 1u   /* has threads of its own: the image is never unmapped */
#define SG_PLUGIN_RESIDENT 2u       /* asks never to be unmapped */
#define SG_PLUGIN_ONE_IMAGE_ONLY 4u /* at most one image with this flag in a process, whatever the plugin */

/* ---- What the gateway offers ---------------------------------------------------------------------------------- */

typedef struct sg_host sg_host;

/*
 * The host table. One per image; valid from sg_plugin_entry() until unload() returns. Append-only: read `struct_size`
 * before using a function that was added after 0.1. Every function since 0.1. No function calls back into the plugin.
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
};

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
    uint64_t features_required; /* none exist in 0.1: must be 0 */
    uint64_t features_optional;
    int32_t priority;           /* where it stands in every phase; highest first. A use may override it */
    uint32_t request_body;      /* what it needs of bodies; 0 (none) is the only value in 0.1 */
    uint32_t response_body;
    uint32_t reserved;
    sg_str config_schema;       /* JSON Schema (2020-12) of the configuration; empty: anything goes */

    /* Prepares the image. [foreign] Not SG_OK: refused with the text in `error`. */
    int32_t (*load)(const sg_host *host, sg_error_buf *error);

    /* Undoes load(). All instances are destroyed. [foreign] After it returns, no code or memory of the plugin is used
     * until sg_plugin_entry() is called again. `deadline_ms` is how long the gateway waits before it reports. */
    int32_t (*unload)(uint64_t deadline_ms);

    /* Makes an instance out of one configuration (JSON text). [foreign] Must not connect, listen, or start threads:
     * that is start()'s. On SG_OK `*instance` is handed to every other hook (null is allowed); otherwise `error` says
     * what is wrong with the configuration and how to mend it. Required if any hook below is present. */
    int32_t (*configure)(const sg_host *host, sg_str config, void **instance, sg_error_buf *error);

    /* The instance is about to serve. [foreign, serving process only] */
    int32_t (*start)(void *instance, sg_error_buf *error);

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
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_host) == 176, "sg_host");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_plugin) == 168, "sg_plugin");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_entry_args) == 40, "sg_entry_args");
SG_STATIC_ASSERT(sizeof(void *) != 8 || sizeof(sg_entry_out) == 40, "sg_entry_out");

#ifdef __cplusplus
}
#endif

#endif /* SWAPGATE_H */
