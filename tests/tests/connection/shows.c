/* Tells the upstream what it sees of the connection: a header `x-attr-N` for each attribute there is. */
#include <stdio.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "shows"
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

static const sg_host *gateway;

static int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) {
    (void)config, (void)error;
    gateway = host;
    *out = &gateway;
    return SG_OK;
}

static void destroy(void *self) { (void)self; }

/* What can stand in a header: bytes as hexadecimal, lines with bars between them. */
static size_t shown(uint32_t attr, sg_str from, char *to, size_t cap) {
    size_t len = 0;
    for (size_t i = 0; i < from.len && len + 2 < cap; i++) {
        if (attr == SG_ATTR_TLS_CLIENT_CERTIFICATE) {
            len += (size_t)snprintf(to + len, cap - len, "%02x", from.ptr[i]);
        } else {
            to[len++] = from.ptr[i] == '\n' ? '|' : (char)from.ptr[i];
        }
    }
    return len;
}

static int32_t rewrite(void *self, sg_exchange_tok exchange) {
    (void)self;
    static const uint32_t others[] = {SG_ATTR_SCHEME, SG_ATTR_CLIENT_ADDRESS, SG_ATTR_PEER_ADDRESS, SG_ATTR_LOCAL_ADDRESS};
    const size_t more = sizeof others / sizeof *others;
    for (uint32_t i = 0; i < more + SG_ATTR_PROXY_DESTINATION - SG_ATTR_PROTOCOL + 1; i++) {
        const uint32_t attr = i < more ? others[i] : SG_ATTR_PROTOCOL + i - (uint32_t)more;
        sg_str found;
        const int32_t code = gateway->attr_text(gateway, exchange, attr, &found);
        if (code == SG_E_NOT_FOUND) continue;
        if (code != SG_OK) return code;
        char name[32], value[8192];
        const int name_len = snprintf(name, sizeof name, "x-attr-%u", (unsigned)attr);
        const sg_str key = {(const uint8_t *)name, (size_t)name_len};
        const sg_str text = {(const uint8_t *)value, shown(attr, found, value, sizeof value)};
        const int32_t set = gateway->header_set(gateway, exchange, SG_HEADERS_REQUEST, key, text);
        if (set != SG_OK) return set;
    }
    return SG_CONTINUE;
}

static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin),
    .flags = SG_PLUGIN_REQUEST_HEADERS_EARLY,
    .id = {(const uint8_t *)ID, sizeof ID - 1},
    .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .configure = configure,
    .destroy = destroy,
    .rewrite = rewrite,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    const int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
