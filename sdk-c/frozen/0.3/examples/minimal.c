/*
 * The smallest whole plugin: it sets one header on every answer. Its configuration is a JSON object with two texts:
 *
 *     {"name": "x-served-by", "value": "swapgate"}
 *
 * The schema makes the gateway refuse everything else before configure() is called, so reading it needs no JSON library:
 * names and values without quotes and backslashes are what the patterns admit.
 */
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "minimal-c"
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
    "{\"type\": \"object\", \"additionalProperties\": false, \"required\": [\"name\", \"value\"], \"properties\": {"
    "\"name\": {\"type\": \"string\", \"pattern\": \"^[A-Za-z0-9-]{1,64}$\"}, "
    "\"value\": {\"type\": \"string\", \"pattern\": \"^[ !#-\\\\[\\\\]-~]{0,256}$\"}}}";

/* One configuration. */
struct instance {
    const sg_host *host;
    char *name;
    char *value;
};

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

/* Writes an error text and answers the code. */
static int32_t fail(sg_error_buf *error, int32_t code, const char *why) {
    size_t len = strlen(why);
    error->len = len < error->cap ? len : error->cap;
    memcpy(error->ptr, why, error->len);
    return code;
}

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
        char **place = strcmp(key, "name") == 0 ? &instance->name : strcmp(key, "value") == 0 ? &instance->value : NULL;
        free(key);
        at = skip_space(at, end);
        if (place == NULL || at >= end || *at != ':') return 0;
        at = read_text(skip_space(at + 1, end), end, place);
        if (at == NULL) return 0;
        at = skip_space(at, end);
    } while (at < end && *at == ',');
    return at < end && *at == '}' && skip_space(at + 1, end) == end && instance->name != NULL && instance->value != NULL;
}

static void destroy(void *self) {
    struct instance *instance = self;
    free(instance->name);
    free(instance->value);
    free(instance);
}

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    struct instance *instance = calloc(1, sizeof *instance);
    if (instance == NULL) return fail(error, SG_E_FAILED, "out of memory: give the gateway more");
    instance->host = host;
    if (config.len == 0 || !read_config(instance, config)) {
        destroy(instance);
        return fail(error, SG_E_INVALID, "expected {\"name\": \"...\", \"value\": \"...\"}, two texts without escapes");
    }
    *out = instance;
    return SG_OK;
}

static int32_t header_filter(void *self, sg_exchange_tok exchange) {
    const struct instance *instance = self;
    const sg_host *host = instance->host;
    int32_t result = host->header_set(host, exchange, SG_HEADERS_RESPONSE, text(instance->name), text(instance->value));
    if (result == SG_OK) return SG_CONTINUE;
    host->set_error(host, exchange, text("the gateway did not take the header: choose another name"));
    return result;
}

static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .config_schema = {(const uint8_t *)schema, sizeof schema - 1},
    .configure = configure,
    .destroy = destroy,
    .header_filter = header_filter,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
