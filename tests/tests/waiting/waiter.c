/*
 * A plugin that waits in every way there is: `x-do` of a request says how. What it is told it counts, by kind of event.
 *
 *   sleep:MS     waits so long                            told:MS   begins the same, and goes on at once
 *   hold         waits until a request says `release`     release   wakes all that hold, from a thread
 *   late         has a thread wake it after its end       thread    has a thread wake it
 *   error:MS     waits, and then fails                    respond:MS  waits, and then answers
 *   many         begins as many operations as it may      cancel:MS   ends an operation, and waits for another
 *   spin:MS      wakes itself again and again until it has slept so long
 *   panic:MS odd:MS   goes on at once, and on_event() answers a panic, or what nobody knows
 *   service:X target:X address:X   chooses the upstream   filter:MS   waits in header_filter
 */
#define _POSIX_C_SOURCE 200809L
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "swapgate_version.h"

#ifndef VERSION
#define VERSION "1.0.0"
#endif

#define TEXT(text) ((sg_str){(const uint8_t *)(text), strlen(text)})

const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'}, .struct_size = sizeof(sg_descriptor),
    .abi_major = SG_ABI_MAJOR, .abi_min_minor = SG_ABI_MINOR, .abi_max_minor = SG_ABI_MINOR,
    .sdk = "c", .toolchain = "cc", .id = "waiter", .version = VERSION,
};

static const sg_host *gateway;
static sg_metric_tok done, woken, cancelled, timed_out, drained, told, stale, holding, woken_late;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static sg_wake_tok held[4096];
static size_t held_count;

static int32_t declare(const char *kind, sg_metric_tok *out) {
    const sg_label label = {TEXT("kind"), TEXT(kind)};
    return gateway->metric_declare(gateway, SG_METRIC_COUNTER, TEXT("events"), TEXT("What it was told."), &label, 1, NULL,
                                   0, out);
}

static int32_t configure(const sg_host *host, sg_str config, void **instance, sg_error_buf *error) {
    (void)config, (void)error;
    gateway = host;
    *instance = &gateway;
    declare("done", &done), declare("wake", &woken), declare("cancel", &cancelled), declare("timeout", &timed_out);
    declare("drain", &drained), declare("told", &told), declare("stale", &stale), declare("woken_late", &woken_late);
    return gateway->metric_declare(gateway, SG_METRIC_GAUGE, TEXT("holding"), TEXT("Requests that hold."), NULL, 0, NULL, 0,
                                   &holding);
}

static void pause_ms(long ms) {
    const struct timespec time = {ms / 1000, ms % 1000 * 1000000};
    nanosleep(&time, NULL);
}

static void *wake_one(void *token) {
    pause_ms(20);
    gateway->wake(gateway, (sg_wake_tok)(uintptr_t)token);
    gateway->wake(gateway, (sg_wake_tok)(uintptr_t)token);
    return NULL;
}

/* Wakes until it is told that nobody is there any more, and a few times after that. */
static void *wake_late(void *token) {
    while (gateway->wake(gateway, (sg_wake_tok)(uintptr_t)token) != SG_E_STALE) pause_ms(5);
    gateway->metric_add(gateway, woken_late, 1);
    if (gateway->wake(gateway, (sg_wake_tok)(uintptr_t)token) == SG_E_STALE) gateway->metric_add(gateway, stale, 1);
    return NULL;
}

static void *wake_held(void *nothing) {
    (void)nothing;
    pthread_mutex_lock(&lock);
    for (size_t at = 0; at < held_count; at++) gateway->wake(gateway, held[at]);
    held_count = 0;
    pthread_mutex_unlock(&lock);
    return NULL;
}

static void thread(void *(*work)(void *), sg_wake_tok token) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, work, (void *)(uintptr_t)token) == 0) pthread_detach(thread);
}

/* What the request asks for: the word, and what stands behind the colon. */
static void read_do(sg_exchange_tok exchange, char word[16], char value[64]) {
    sg_str text;
    word[0] = value[0] = '\0';
    char whole[80];
    if (gateway->header_get(gateway, exchange, SG_HEADERS_REQUEST, TEXT("x-do"), &text) != SG_OK) return;
    snprintf(whole, sizeof whole, "%.*s", (int)text.len, (const char *)text.ptr);
    sscanf(whole, "%15[^:]:%63s", word, value);
}

static void set_result(sg_exchange_tok exchange, const char *name, int32_t code) {
    char text[16];
    snprintf(text, sizeof text, "%d", (int)code);
    gateway->header_set(gateway, exchange, SG_HEADERS_REQUEST, TEXT(name), TEXT(text));
}

static int32_t sleep_ms(sg_exchange_tok exchange, const char *ms) {
    sg_op_tok op;
    return gateway->sleep(gateway, exchange, strtoull(ms, NULL, 10) * 1000000, &op);
}

static int32_t spin(sg_exchange_tok exchange) {
    sg_wake_tok token;
    const int32_t code = gateway->waker(gateway, exchange, &token);
    return code == SG_OK ? gateway->wake(gateway, token) : code;
}

static int32_t access_(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    char word[16], value[64];
    sg_wake_tok token;
    sg_op_tok op;
    int32_t code;
#define IS(what) (strcmp(word, what) == 0)
    read_do(exchange, word, value);
#ifdef ALWAYS
    return SG_PENDING;
#endif
    if (IS("pending")) return SG_PENDING;
    if (IS("sleep") || IS("error") || IS("respond")) return (code = sleep_ms(exchange, value)) ? code : SG_PENDING;
    if (IS("told") || IS("panic") || IS("odd")) return sleep_ms(exchange, value);
    if (IS("hold") || IS("thread") || IS("late")) {
        sg_wake_tok again = 0;
        if ((code = gateway->waker(gateway, exchange, &token)) != SG_OK) return code;
        if (gateway->waker(gateway, exchange, &again) != SG_OK || again != token) return SG_E_FAILED;
        if (IS("thread")) return thread(wake_one, token), SG_PENDING;
        if (IS("late")) return thread(wake_late, token), SG_CONTINUE;
        pthread_mutex_lock(&lock);
        held[held_count++] = token;
        pthread_mutex_unlock(&lock);
        gateway->metric_add(gateway, holding, 1);
        return SG_PENDING;
    }
    if (IS("spin")) return spin(exchange) || sleep_ms(exchange, value) ? SG_E_FAILED : SG_PENDING;
    if (IS("release")) thread(wake_held, 0);
    if (IS("many")) {
        for (int count = 0; count < 64; count++)
            if ((code = sleep_ms(exchange, "1000000")) != SG_OK) return code;
        set_result(exchange, "x-result", sleep_ms(exchange, "1"));
    }
    if (IS("cancel")) {
        if (gateway->sleep(gateway, exchange, 0, &op) || gateway->op_cancel(gateway, exchange, op)) return SG_E_FAILED;
        set_result(exchange, "x-result", gateway->op_cancel(gateway, exchange, op));
        return sleep_ms(exchange, value) ? SG_E_FAILED : SG_PENDING;
    }
    if (IS("service")) code = gateway->upstream_set(gateway, exchange, SG_UPSTREAM_SERVICE, TEXT(value));
    else if (IS("target")) code = gateway->upstream_set(gateway, exchange, SG_UPSTREAM_TARGET, TEXT(value));
    else if (IS("address")) code = gateway->upstream_set(gateway, exchange, SG_UPSTREAM_ADDRESS, TEXT(value));
    else return SG_CONTINUE;
    set_result(exchange, "x-result", code);
    return SG_CONTINUE;
}

static int32_t header_filter(void *instance, sg_exchange_tok exchange) {
    (void)instance;
    char word[16], value[64];
    gateway->header_set(gateway, exchange, SG_HEADERS_RESPONSE, TEXT("x-version"), TEXT(VERSION));
    read_do(exchange, word, value);
    if (!IS("filter")) return SG_CONTINUE;
    return sleep_ms(exchange, value) ? SG_E_FAILED : SG_PENDING;
}

static int32_t on_event(void *instance, sg_exchange_tok exchange, const sg_event *event) {
    (void)instance;
    char word[16], value[64];
    if (event->kind == SG_EVENT_CANCEL) {
        gateway->metric_add(gateway, event->result == SG_E_TIMEOUT ? timed_out : cancelled, 1);
        gateway->log(gateway, SG_LOG_INFO, TEXT("nobody waits for it any more"));
        return SG_CONTINUE;
    }
    if (event->kind == SG_EVENT_DRAIN) return gateway->metric_add(gateway, drained, 1), SG_PENDING;
    gateway->metric_add(gateway, event->kind == SG_EVENT_WAKE ? woken : done, 1);
    read_do(exchange, word, value);
    if (IS("panic") || IS("odd")) return gateway->metric_add(gateway, told, 1), IS("odd") ? 77 : SG_E_PANIC;
    if (event->phase == 0) return gateway->metric_add(gateway, told, 1), SG_CONTINUE;
    if (event->phase == SG_PHASE_HEADER_FILTER)
        return gateway->header_set(gateway, exchange, SG_HEADERS_RESPONSE, TEXT("x-waited"), TEXT("filter"));
    if (IS("hold")) gateway->metric_add(gateway, holding, -1);
    if (IS("spin") && event->kind == SG_EVENT_WAKE) return spin(exchange) ? SG_E_FAILED : SG_PENDING;
    if (IS("error")) return gateway->set_error(gateway, exchange, TEXT("it waited in vain")), SG_E_FAILED;
    if (IS("respond")) {
        if (gateway->respond(gateway, exchange, 403, NULL, 0, TEXT("late")) != SG_OK) return SG_E_FAILED;
        return SG_RESPOND;
    }
    return gateway->header_set(gateway, exchange, SG_HEADERS_REQUEST, TEXT("x-waited"), TEXT("access"));
}

static sg_plugin plugin = {
    .struct_size = sizeof(sg_plugin), .flags = SG_PLUGIN_OWNS_THREADS,
    .id = {(const uint8_t *)"waiter", 6}, .version = {(const uint8_t *)VERSION, sizeof VERSION - 1},
    .configure = configure, .access = access_, .header_filter = header_filter,
#ifndef NO_EVENTS
    .on_event = on_event,
#endif
};

int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    (void)on_event;
    out->plugin = &plugin;
    return sg_negotiate(args, out);
}
