/*
 * @name@: a plugin for the Swapgate gateway.
 *
 * It does the two things most plugins do. It edits answers: each gets the header `x-greeting`. And it answers some requests
 * itself: those below the path `deny` get 403 and never reach the upstream. Read it from top to bottom, then make it yours.
 * swapgate.h is the reference: who calls what, when, on which thread, and who owns what.
 */
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "@name@"
#define VERSION "0.1.0"

/* The gateway reads this from the file before any code runs. Inline bytes only. */
const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'},
    .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR,
    .abi_min_minor = SG_ABI_MINOR,
    .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c @version@",
    .toolchain = "cc " __VERSION__,
    .id = ID,
    .version = VERSION,
};

/*
 * What the configuration may look like, as JSON Schema. The gateway refuses everything else before configure() is called, so
 * reading it needs no JSON library: the patterns admit no quotes, no backslashes and no control characters.
 */
static const char schema[] =
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"greeting\"], \"properties\": {"
    "\"greeting\": {\"type\": \"string\", \"pattern\": \"^[ !#-\\\\[\\\\]-~]{0,256}$\","
    " \"description\": \"the value of the header x-greeting\"},"
    "\"deny\": {\"type\": \"string\", \"pattern\": \"^/[!#-\\\\[\\\\]-~]{0,256}$\","
    " \"description\": \"requests to this path, and below it, are answered with 403\"}}}";

/* An instance: what one configuration became. All workers share it and call it at the same time, so hooks only read it. */
struct instance {
    const sg_host *host;
    char *greeting;
    char *deny; /* null: nothing is denied */
};

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

/* Writes an error text and answers the code. */
static int32_t fail(sg_error_buf *error, int32_t code, const char *why) {
    size_t len = strlen(why);
    error->len = len < error->cap ? len : error->cap;
    memcpy(error->ptr, why, error->len);
    return code;
}

/* ---- Reading the configuration -------------------------------------------------------------------------------- */

static const uint8_t *skip_space(const uint8_t *at, const uint8_t *end) {
    while (at < end && (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')) at++;
    return at;
}

/* Copies the text that begins at `at` to `*out` and answers where it ends; null if it is none without escapes. */
static const uint8_t *read_text(const uint8_t *at, const uint8_t *end, char **out) {
    if (at >= end || *at != '"') return NULL;
    const uint8_t *from = ++at;
    while (at < end && *at != '"') {
        if (*at == '\\') return NULL;
        at++;
    }
    if (at >= end) return NULL;
    size_t len = (size_t)(at - from);
    free(*out); /* the same key twice: the last one counts */
    *out = malloc(len + 1);
    if (*out == NULL) return NULL;
    memcpy(*out, from, len);
    (*out)[len] = '\0';
    return at + 1;
}

/* Reads {"key": "text", ...} into the instance; 0 if it is something else. */
static int read_config(struct instance *instance, sg_str config) {
    const uint8_t *at = config.ptr, *end = config.ptr + config.len;
    at = skip_space(at, end);
    if (at >= end || *at != '{') return 0;
    do {
        char *key = NULL;
        at = read_text(skip_space(at + 1, end), end, &key);
        if (at == NULL) return 0;
        char **place = strcmp(key, "greeting") == 0 ? &instance->greeting : strcmp(key, "deny") == 0 ? &instance->deny : NULL;
        free(key);
        at = skip_space(at, end);
        if (place == NULL || at >= end || *at != ':') return 0;
        at = read_text(skip_space(at + 1, end), end, place);
        if (at == NULL) return 0;
        at = skip_space(at, end);
    } while (at < end && *at == ',');
    return at < end && *at == '}' && skip_space(at + 1, end) == end && instance->greeting != NULL;
}

/* ---- The life of an instance ---------------------------------------------------------------------------------- */

/* Exactly once for every instance, when the last exchange that used it is over. */
static void destroy(void *self) {
    struct instance *instance = self;
    free(instance->greeting);
    free(instance->deny);
    free(instance);
}

/*
 * Once for each configuration, before any request. What it refuses is never served: the gateway keeps the configuration it had
 * and logs the text. It is tried in a throw-away process first; connections and threads belong into start().
 */
static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return fail(error, SG_E_FAILED, "out of memory: give the gateway more");
    instance->host = host;
    if (config.len == 0 || !read_config(instance, config)) {
        destroy(instance);
        return fail(error, SG_E_INVALID, "expected {\"greeting\": \"...\", \"deny\": \"/...\"}, texts without escapes");
    }
    if (instance->deny != NULL) {
        /* "/private/" means the same as "/private". */
        size_t len = strlen(instance->deny);
        while (len > 0 && instance->deny[len - 1] == '/') instance->deny[--len] = '\0';
    }
    *out = instance;
    return SG_OK;
}

/* ---- The hooks: on the threads that serve requests, several at once, so they never wait ------------------------- */

/* "/private" and "/private/a" are below "/private", "/privateer" is not. */
static int is_below(sg_str path, const char *top) {
    size_t len = strlen(top);
    return path.len >= len && memcmp(path.ptr, top, len) == 0 && (path.len == len || path.ptr[len] == '/');
}

/* The route is known, nothing was sent to the upstream yet. */
static int32_t access_(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    const sg_host *host = instance->host;
    if (instance->deny == NULL) return SG_CONTINUE;
    /* The path is normalised. It is a view into the gateway's memory, good until this hook returns. */
    sg_str path;
    int32_t result = host->attr_text(host, exchange, SG_ATTR_PATH, &path);
    if (result != SG_OK) return result;
    if (!is_below(path, instance->deny)) return SG_CONTINUE;
    host->log(host, SG_LOG_INFO, text("denied a request"));
    const sg_header headers[] = {{text("content-type"), text("application/problem+json")}};
    static const char body[] =
        "{\"type\": \"about:blank\", \"title\": \"Forbidden\", \"status\": 403, \"detail\": \"nobody gets in here\"}";
    /* The gateway copies everything. */
    result = host->respond(host, exchange, 403, headers, 1, text(body));
    return result == SG_OK ? SG_RESPOND : result;
}

/* The head of the answer is there, whoever made it: the upstream, another plugin, or the gateway itself. */
static int32_t header_filter(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    const sg_host *host = instance->host;
    int32_t result = host->header_set(host, exchange, SG_HEADERS_RESPONSE, text("x-greeting"), text(instance->greeting));
    if (result == SG_OK) return SG_CONTINUE;
    /* For the log; the client gets what `on_error` says. */
    host->set_error(host, exchange, text("the gateway did not take the header x-greeting"));
    return result;
}

/* ---- The door ------------------------------------------------------------------------------------------------- */

/* A hook that is left out is null, and costs nothing. */
static const sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .priority = 100, /* where it stands among other plugins; the highest comes first */
    .config_schema = {(const uint8_t *)schema, sizeof schema - 1},
    .configure = configure,
    .destroy = destroy,
    .access = access_,
    .header_filter = header_filter,
};

/* Called first. Gateway and plugin agree on a version of the contract, and the plugin hands out its table. */
int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
