/* Tries to put more into a head than one field: in requests, in answers, in answers of its own, behind bodies, in what it
 * may set besides. Says in `x-worked` how much of that worked, by the letters of the tries. */
#include <stdio.h>
#include <string.h>

#include "swapgate.h"
#include "swapgate_version.h"

#define ID "splitter"
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

static const sg_str values[] = {
    {(const uint8_t *)"a\r\nx-evil: 1", 12}, {(const uint8_t *)"a\nx-evil: 1", 11},  {(const uint8_t *)"a\rx-evil: 1", 11},
    {(const uint8_t *)"a\0x-evil: 1", 11},   {(const uint8_t *)"a\r\n\r\nevil", 9}, {(const uint8_t *)"a\r\n x-evil: 1", 13},
};
static const sg_str names[] = {
    {(const uint8_t *)"x-a\r\nx-evil", 11}, {(const uint8_t *)"x-evil: 1\r\nx-a", 14}, {(const uint8_t *)"x-a:", 4},
    {(const uint8_t *)"x a", 3},            {(const uint8_t *)"", 0},                   {(const uint8_t *)"x-\0a", 4},
};
static const sg_str framing[] = {
    {(const uint8_t *)"content-length", 14}, {(const uint8_t *)"Transfer-Encoding", 17}, {(const uint8_t *)"connection", 10},
    {(const uint8_t *)"upgrade", 7},         {(const uint8_t *)"trailer", 7},            {(const uint8_t *)"te", 2},
};

/* How many of these tries worked. */
static size_t tries(sg_exchange_tok exchange, uint32_t map) {
    size_t worked = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        worked += gateway->header_set(gateway, exchange, map, TEXT("x-a"), values[i]) == SG_OK;
        worked += gateway->header_append(gateway, exchange, map, TEXT("location"), values[i]) == SG_OK;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        worked += gateway->header_set(gateway, exchange, map, names[i], TEXT("1")) == SG_OK;
        worked += gateway->header_append(gateway, exchange, map, names[i], TEXT("1")) == SG_OK;
    }
    for (size_t i = 0; i < sizeof framing / sizeof *framing; i++) {
        worked += gateway->header_set(gateway, exchange, map, framing[i], TEXT("chunked")) == SG_OK;
        worked += gateway->header_append(gateway, exchange, map, framing[i], TEXT("5")) == SG_OK;
    }
    return worked;
}

static void says(sg_exchange_tok exchange, uint32_t map, size_t worked) {
    char text[32];
    const int len = snprintf(text, sizeof text, "%zu", worked);
    const sg_str value = {(const uint8_t *)text, (size_t)len};
    (void)gateway->header_append(gateway, exchange, map, TEXT("x-worked"), value);
}

static int32_t rewrite(void *self, sg_exchange_tok exchange) {
    (void)self;
    size_t worked = 0;
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        worked += gateway->attr_set(gateway, exchange, SG_ATTR_QUERY, values[i]) == SG_OK;
        worked += gateway->attr_set(gateway, exchange, SG_ATTR_METHOD, values[i]) == SG_OK;
        worked += gateway->attr_set(gateway, exchange, SG_ATTR_PATH, values[i]) == SG_OK;
    }
    worked += gateway->attr_set(gateway, exchange, SG_ATTR_PATH, TEXT("/a HTTP/1.1\r\nx-evil: 1\r\n\r\n")) == SG_OK;
    worked += gateway->attr_set(gateway, exchange, SG_ATTR_QUERY, TEXT("a HTTP/1.1")) == SG_OK;
    worked += gateway->attr_set(gateway, exchange, SG_ATTR_METHOD, TEXT("GET / HTTP/1.1")) == SG_OK;
    says(exchange, SG_HEADERS_REQUEST, worked);
    return SG_CONTINUE;
}

static int32_t access_(void *self, sg_exchange_tok exchange) {
    (void)self;
    size_t worked = tries(exchange, SG_HEADERS_REQUEST);
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        const sg_header bad = {TEXT("x-a"), values[i]};
        worked += gateway->respond(gateway, exchange, 200, &bad, 1, TEXT("evil")) == SG_OK;
        const sg_header name = {names[i], TEXT("1")};
        worked += gateway->respond(gateway, exchange, 200, &name, 1, TEXT("evil")) == SG_OK;
        const sg_header frame = {framing[i], TEXT("5")};
        worked += gateway->respond(gateway, exchange, 200, &frame, 1, TEXT("evil")) == SG_OK;
    }
    for (uint32_t status = 0; status < 200; status++) {
        worked += gateway->respond(gateway, exchange, status, NULL, 0, TEXT("evil")) == SG_OK;
    }
    says(exchange, SG_HEADERS_REQUEST, worked);
    return SG_CONTINUE;
}

static int32_t header_filter(void *self, sg_exchange_tok exchange) {
    (void)self;
    says(exchange, SG_HEADERS_RESPONSE, tries(exchange, SG_HEADERS_RESPONSE));
    return SG_CONTINUE;
}

static int32_t trailers(void *self, sg_exchange_tok exchange, uint32_t lane) {
    (void)self;
    const uint32_t map = lane == SG_LANE_REQUEST ? SG_TRAILERS_REQUEST : SG_TRAILERS_RESPONSE;
    says(exchange, map, tries(exchange, map));
    return SG_CONTINUE;
}

static int32_t body(void *self, sg_exchange_tok exchange, uint32_t flags) {
    (void)self, (void)exchange, (void)flags;
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
    .access = access_,
    .header_filter = header_filter,
    .trailers = trailers,
    .request_body = body,
    .body_filter = body,
    .request_body_need = SG_BODY_OBSERVE,
    .response_body_need = SG_BODY_OBSERVE,
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    const int32_t code = sg_negotiate(args, out);
    if (code != SG_OK) return code;
    out->plugin = &plugin;
    return SG_OK;
}
