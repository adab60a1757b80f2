/*
 * Marks every exchange: the request hook stamps the request, the response hook the answer, both with the same text. The
 * twin of plugins/stamp.
 *
 * The text lies in the file behind a marker, in a field of fixed length, and so do id and version. Tests write other
 * texts there and so get any number of distinct files without a compiler.
 */
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define MARKER "SWAPGATE-STAMP:"

const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'},
    .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR,
    .abi_min_minor = SG_ABI_MINOR,
    .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c 0.1.0",
    .toolchain = "cc " __VERSION__,
    .id = "stamp-c",
    .version = "0.1.0",
};

/* Volatile, so that the compiler reads what stands in the file and not what it saw here. */
static const volatile char stamp[64] = MARKER "unset";

static const sg_host *gateway;
static char stamp_text[64];

/* The text in a field that is padded with zeros, read from memory. */
static size_t length(const volatile char *field, size_t size) {
    size_t len = 0;
    while (len < size && field[len] != '\0') len++;
    return len;
}

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

static int32_t configure(const sg_host *host, sg_str config, void **instance, sg_error_buf *error) {
    (void)host;
    (void)config; /* the schema admits only the empty object */
    (void)error;
    *instance = NULL; /* nothing differs between instances */
    return SG_OK;
}

static void destroy(void *instance) { (void)instance; }

static int32_t access_(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    return gateway->header_set(gateway, exchange, SG_HEADERS_REQUEST, text("x-stamp-request"), text(stamp_text));
}

static int32_t header_filter(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    return gateway->header_set(gateway, exchange, SG_HEADERS_RESPONSE, text("x-stamp-response"), text(stamp_text));
}

static const char schema[] = "{\"type\": \"object\", \"additionalProperties\": false}";

static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .priority = 100,
    .config_schema = {(const uint8_t *)schema, sizeof schema - 1},
    .configure = configure,
    .destroy = destroy,
    .access = access_,
    .header_filter = header_filter,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    gateway = args->host;
    size_t len = length(stamp, sizeof stamp);
    size_t from = sizeof MARKER - 1;
    for (size_t i = from; i < len; i++) stamp_text[i - from] = stamp[i];
    stamp_text[len > from ? len - from : 0] = '\0';
    /* The table says what the descriptor in the file says, also after it was patched. */
    plugin.id = (sg_str){(const uint8_t *)sg_plugin_abi.id, length(sg_plugin_abi.id, sizeof sg_plugin_abi.id)};
    plugin.version = (sg_str){(const uint8_t *)sg_plugin_abi.version, length(sg_plugin_abi.version, sizeof sg_plugin_abi.version)};
    out->plugin = &plugin;
    return SG_OK;
}
