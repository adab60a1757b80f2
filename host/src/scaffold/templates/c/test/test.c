/*
 * The tests: they load the built plugin as the gateway does, and play the gateway.
 *
 * `make test` gives the file as an argument. With LINKED_IN the plugin is a part of this program instead, so that
 * AddressSanitizer sees all of it.
 */
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "swapgate.h"

static int failed;

#define CHECK(condition) \
    do { \
        if (!(condition)) { \
            fprintf(stderr, "%s:%d: %s: not so: %s\n", __FILE__, __LINE__, __func__, #condition); \
            failed++; \
        } \
    } while (0)

/* ---- A gateway in memory: as much of the host table as the plugin uses ------------------------------------------ */

#define TOKEN 7u

struct exchange {
    const char *path;
    char header[64]; /* "name: value" of the last header set on the answer */
    uint32_t status; /* of the answer the plugin made; 0: none */
};

static struct exchange running;

static sg_str text(const char *s) { return (sg_str){(const uint8_t *)s, strlen(s)}; }

static int32_t host_log(const sg_host *host, uint32_t level, sg_str line) {
    (void)host;
    printf("  log %u: %.*s\n", level, (int)line.len, (const char *)line.ptr);
    return SG_OK;
}

static int32_t host_attr_text(const sg_host *host, sg_exchange_tok exchange, uint32_t attr, sg_str *out) {
    (void)host;
    if (exchange != TOKEN) return SG_E_STALE;
    if (attr != SG_ATTR_PATH) return SG_E_NOT_FOUND;
    *out = text(running.path);
    return SG_OK;
}

static int32_t host_header_set(const sg_host *host, sg_exchange_tok exchange, uint32_t map, sg_str name, sg_str value) {
    (void)host;
    if (exchange != TOKEN) return SG_E_STALE;
    if (map != SG_HEADERS_RESPONSE) return SG_E_WRONG_PHASE;
    snprintf(running.header, sizeof running.header, "%.*s: %.*s", (int)name.len, (const char *)name.ptr, (int)value.len,
             (const char *)value.ptr);
    return SG_OK;
}

static int32_t host_respond(const sg_host *host, sg_exchange_tok exchange, uint32_t status, const sg_header *headers,
                            size_t header_count, sg_str body) {
    (void)host, (void)headers, (void)header_count, (void)body;
    if (exchange != TOKEN) return SG_E_STALE;
    running.status = status;
    return SG_OK;
}

static int32_t host_set_error(const sg_host *host, sg_exchange_tok exchange, sg_str why) {
    (void)host, (void)exchange;
    printf("  error: %.*s\n", (int)why.len, (const char *)why.ptr);
    return SG_OK;
}

/* What is left out is null: a plugin that calls more needs more of it here. */
static const sg_host host = {
    .struct_size = sizeof(sg_host),
    .abi_minor = SG_ABI_MINOR,
    .log = host_log,
    .attr_text = host_attr_text,
    .header_set = host_header_set,
    .respond = host_respond,
    .set_error = host_set_error,
};

/* ---- Calling the plugin ---------------------------------------------------------------------------------------- */

static sg_entry_fn entry;
static char error_text[256];

static sg_error_buf error_buf(void) { return (sg_error_buf){(uint8_t *)error_text, sizeof error_text - 1, 0}; }

/* Goes in by the door of the contract, as a gateway with this minor version. */
static int32_t enter(uint32_t minor, const sg_plugin **plugin) {
    const sg_entry_args args = {
        .struct_size = sizeof args,
        .abi_major = SG_ABI_MAJOR,
        .abi_min_minor = minor,
        .abi_max_minor = minor,
        .host = &host,
    };
    sg_entry_out out = {.struct_size = sizeof out, .error = error_buf()};
    int32_t code = entry(&args, &out);
    error_text[out.error.len] = '\0';
    *plugin = out.plugin;
    return code;
}

/* An instance; null if the plugin refuses the configuration, and then error_text says why. */
static void *configured(const sg_plugin *plugin, const char *config) {
    void *instance = NULL;
    sg_error_buf error = error_buf();
    int32_t code = plugin->configure(&host, text(config), &instance, &error);
    error_text[error.len] = '\0';
    return code == SG_OK ? instance : NULL;
}

/* Runs one request through the hooks, in the order of the gateway; answers what access() did. */
static int32_t run(const sg_plugin *plugin, void *instance, const char *path) {
    running = (struct exchange){.path = path};
    int32_t result = plugin->access(instance, TOKEN);
    CHECK(plugin->header_filter(instance, TOKEN) == SG_CONTINUE);
    return result;
}

/* ---- The tests -------------------------------------------------------------------------------------------------- */

static void test_versions(void) {
    const sg_plugin *plugin = NULL;
    CHECK(enter(SG_ABI_MINOR + 1, &plugin) == SG_E_VERSION);
    CHECK(plugin == NULL);
    CHECK(strstr(error_text, "needs plugin contract") != NULL);
}

static void test_every_answer_is_greeted(const sg_plugin *plugin) {
    void *instance = configured(plugin, "{\"greeting\": \"hello\"}");
    CHECK(instance != NULL);
    if (instance == NULL) return;
    CHECK(run(plugin, instance, "/private") == SG_CONTINUE);
    CHECK(strcmp(running.header, "x-greeting: hello") == 0);
    plugin->destroy(instance);
}

static void test_a_path_and_what_is_below_it_is_denied(const sg_plugin *plugin) {
    void *instance = configured(plugin, "{\"greeting\": \"hello\", \"deny\": \"/private/\"}");
    CHECK(instance != NULL);
    if (instance == NULL) return;
    static const char *const denied[] = {"/private", "/private/", "/private/a"};
    for (size_t i = 0; i < sizeof denied / sizeof *denied; i++) {
        CHECK(run(plugin, instance, denied[i]) == SG_RESPOND);
        CHECK(running.status == 403);
        CHECK(strcmp(running.header, "x-greeting: hello") == 0);
    }
    static const char *const passed[] = {"/", "/privateer", "/a/private"};
    for (size_t i = 0; i < sizeof passed / sizeof *passed; i++) {
        CHECK(run(plugin, instance, passed[i]) == SG_CONTINUE);
        CHECK(running.status == 0);
    }
    plugin->destroy(instance);
}

static void test_bad_configurations_are_refused(const sg_plugin *plugin) {
    static const char *const bad[] = {"", "{}", "[]", "{\"greeting\": 1}", "{\"greeting\": \"a\"", "{\"other\": \"a\"}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(configured(plugin, bad[i]) == NULL);
        CHECK(strstr(error_text, "expected") != NULL);
    }
}

/* Finds the door: in the file, or linked in. */
static void open_door(int argc, char **argv) {
#ifdef LINKED_IN
    (void)argc, (void)argv;
    entry = sg_plugin_entry;
#else
    void *library = argc == 2 ? dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : NULL;
    if (library == NULL) {
        fprintf(stderr, "cannot load the plugin: %s\n", argc == 2 ? dlerror() : "name its file");
        exit(1);
    }
    *(void **)&entry = dlsym(library, "sg_plugin_entry");
    const sg_descriptor *descriptor = dlsym(library, "sg_plugin_abi");
    if (entry == NULL || descriptor == NULL || memcmp(descriptor->magic, SG_MAGIC, 8) != 0) {
        fprintf(stderr, "it does not export sg_plugin_entry and sg_plugin_abi\n");
        exit(1);
    }
#endif
}

int main(int argc, char **argv) {
    open_door(argc, argv);
    test_versions();
    const sg_plugin *plugin = NULL;
    if (enter(SG_ABI_MINOR, &plugin) != SG_OK) {
        fprintf(stderr, "the plugin refuses this gateway: %s\n", error_text);
        return 1;
    }
    test_every_answer_is_greeted(plugin);
    test_a_path_and_what_is_below_it_is_denied(plugin);
    test_bad_configurations_are_refused(plugin);
    printf(failed == 0 ? "all tests passed\n" : "%d checks failed\n", failed);
    return failed != 0;
}
