/* Answers /own/STATUS itself, with a body whatever the status, and has targets asked for the head alone of /head. */
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "bodiless"
#define VERSION "0.1.0"
#define TEXT(literal) ((sg_str){(const uint8_t *)(literal), sizeof(literal) - 1})

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

static const sg_host *gateway;

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    (void)config, (void)error;
    gateway = host;
    *out = &gateway;
    return SG_OK;
}

static void destroy(void *self) { (void)self; }

static int asks(sg_exchange_tok exchange, sg_str expected) {
    sg_str path;
    return gateway->attr_text(gateway, exchange, SG_ATTR_PATH, &path) == SG_OK && path.len == expected.len &&
           memcmp(path.ptr, expected.ptr, path.len) == 0;
}

static int32_t rewrite(void *self, sg_exchange_tok exchange) {
    (void)self;
    if (!asks(exchange, TEXT("/head"))) return SG_CONTINUE;
    const int32_t code = gateway->attr_set(gateway, exchange, SG_ATTR_METHOD, TEXT("HEAD"));
    return code == SG_OK ? SG_CONTINUE : code;
}

static int32_t access_(void *self, sg_exchange_tok exchange) {
    (void)self;
    const uint32_t status = asks(exchange, TEXT("/own/204")) ? 204 : asks(exchange, TEXT("/own/304")) ? 304 : 0;
    if (status == 0) return SG_CONTINUE;
    const int32_t code = gateway->respond(gateway, exchange, status, NULL, 0, TEXT("hello"));
    return code == SG_OK ? SG_RESPOND : code;
}

static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .flags = SG_PLUGIN_REQUEST_HEADERS_EARLY,
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .configure = configure,
    .destroy = destroy,
    .rewrite = rewrite,
    .access = access_,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    const int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
