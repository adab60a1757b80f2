/*
 * Calls every host function in every phase and writes down the answers, for the tests of the gateway: the twin of
 * conformance.c and of plugins/conformance, word for word, through the layer for C++. All must have the same trace.
 */
#include <cmath>
#include <memory>
#include <string>
#include <thread>

#include "swapgate.hpp"

using swapgate::Exchange;
using swapgate::Flow;
using swapgate::Headers;
using swapgate::Host;
using swapgate::Metric;

namespace {

constexpr const char *trace_variable = "conformance.trace";

/* A header map that does not exist. */
constexpr auto no_map = static_cast<Headers>(99);

constexpr auto minute = std::chrono::minutes(1);
constexpr std::uint64_t many = std::uint64_t{1} << 40;
constexpr std::uint64_t nobodys = 0x1234567812345678;

/* The words of one phase. */
class Trace {
  public:
    explicit Trace(char phase) : phase_(phase) {}
    char phase() const { return phase_; }
    const std::string &words() const { return words_; }

    void word(const std::string &step, const std::string &answer) {
        if (!words_.empty()) words_ += ' ';
        words_ += phase_;
        words_ += '.' + step + '=' + answer;
    }
    void code(const std::string &step, std::int32_t result) { word(step, std::to_string(result)); }
    /* The code of a call that answers nothing else. */
    template <class F> void call(const std::string &step, F &&f) { code(step, swapgate::code_of(std::forward<F>(f))); }
    /* The code of a call that answers something or nothing. */
    template <class F> void code_of(const std::string &step, F &&f) { told(step, f, [](const auto &) { return std::string(); }); }
    template <class F> void value(const std::string &step, F &&f) {
        told(step, f, [](std::string_view found) { return ':' + plain(found); });
    }
    template <class F> void number(const std::string &step, F &&f) {
        told(step, f, [](std::uint64_t found) { return ':' + std::to_string(found); });
    }

  private:
    template <class F, class Show> void told(const std::string &step, F &&f, Show &&show) {
        try {
            const auto found = f();
            word(step, found ? '0' + show(*found) : std::to_string(SG_E_NOT_FOUND));
        } catch (const swapgate::Error &error) {
            code(step, error.code());
        }
    }
    static std::string plain(std::string_view value) {
        std::string plain(value.substr(0, 64));
        for (char &c : plain)
            if (c <= ' ' || c >= 0x7f) c = '?';
        return plain;
    }

    char phase_;
    std::string words_;
};

/* What declaring was answered. */
struct Declared {
    std::int32_t code = SG_OK;
    Metric metric;
};

template <class F> Declared declared(F &&call) {
    Declared made;
    made.code = swapgate::code_of([&] { made.metric = call(); });
    return made;
}

struct Metrics {
    Declared counter, again, gauge, histogram;
    std::vector<std::pair<const char *, std::int32_t>> refused;

    explicit Metrics(Host host) {
        const auto probes = [&] { return host.counter("probes", "Probes.", {{"by", "probe"}}); };
        counter = declared(probes);
        again = declared(probes);
        gauge = declared([&] { return host.gauge("level", "Help."); });
        histogram = declared([&] { return host.histogram("size_bytes", "Help.", {1, 10}); });
        const auto plain = [&](const char *step, std::uint32_t kind, const std::string &name, std::vector<double> bounds = {}) {
            refused.emplace_back(step, declared([&] { return host.declare(kind, name, "Help.", {}, bounds); }).code);
        };
        plain("bad_name", SG_METRIC_COUNTER, "Probes");
        plain("ending", SG_METRIC_COUNTER, "x_total");
        refused.emplace_back("no_help", declared([&] { return host.counter("x", ""); }).code);
        plain("no_labels", SG_METRIC_COUNTER, "probes");
        plain("other_kind", SG_METRIC_COUNTER, "level");
        plain("other_bounds", SG_METRIC_HISTOGRAM, "size_bytes", {1});
        plain("no_bounds", SG_METRIC_HISTOGRAM, "x");
        plain("bounds", SG_METRIC_GAUGE, "x", {1});
        plain("falling", SG_METRIC_HISTOGRAM, "x", {2, 1});
        refused.emplace_back("le", declared([&] { return host.counter("x", "Help.", {{"le", "1"}}); }).code);
        plain("long", SG_METRIC_COUNTER, std::string(101, 'n'));
    }

    void tell(Trace &t) const {
        t.code("metric_declare.counter", counter.code);
        t.code("metric_declare.gauge", gauge.code);
        t.code("metric_declare.histogram", histogram.code);
        t.word("metric_declare.same", counter.metric.token() == again.metric.token() ? "yes" : "no");
        for (const auto &one : refused) t.code(std::string("metric_declare.") + one.first, one.second);
    }

    void count(Trace &t, Host host) const {
        const Metric &c = counter.metric, &g = gauge.metric, &h = histogram.metric;
        const double infinite = INFINITY;
        t.call("metric_add.counter", [&] { c.add(1); });
        t.call("metric_add.negative", [&] { c.add(-1); });
        t.call("metric_add.infinite", [&] { c.add(infinite); });
        t.call("metric_add.gauge", [&] { g.add(-2); });
        t.call("metric_add.histogram", [&] { h.add(1); });
        t.call("metric_set.gauge", [&] { g.set(5); });
        t.call("metric_set.infinite", [&] { g.set(infinite); });
        t.call("metric_set.counter", [&] { c.set(1); });
        t.call("metric_observe.histogram", [&] { h.observe(3); });
        t.call("metric_observe.counter", [&] { c.observe(1); });
        t.call("metric_add.stale", [&] { Metric(host.raw(), ~c.token()).add(1); });
        t.call("metric_set.zero", [&] { Metric(host.raw(), 0).set(1); });
        t.call("metric_declare.hook", [&] { host.counter("x", "Help."); });
    }
};

void attributes(Trace &t, const Exchange &x) {
    for (const std::uint32_t id : {1, 2, 3, 4, 5, 9, 10}) t.value("attr_text." + std::to_string(id), [&] { return x.attr(id); });
    for (const std::uint32_t id : {6, 7, 8, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 69, 60, 64})
        t.code_of("attr_text." + std::to_string(id), [&] { return x.attr(id); });
    t.number("attr_number.64", [&] { return x.number(SG_ATTR_STATUS); });
    for (const std::uint32_t id : {65, 66, 67, 68, 999, 1})
        t.code_of("attr_number." + std::to_string(id), [&] { return x.number(id); });
}

void set_attributes(Trace &t, const Exchange &x) {
    for (const std::uint32_t id : {1, 4, 5}) {
        std::string_view now;
        swapgate::code_of([&] { now = x.attr(id).value_or(std::string_view{}); });
        /* The view itself goes in: arguments may alias views. */
        t.call("attr_set." + std::to_string(id), [&] { x.set_attr(id, now); });
    }
    t.call("attr_set.bad_method", [&] { x.set_attr(SG_ATTR_METHOD, "GET /"); });
    t.call("attr_set.bad_path", [&] { x.set_attr(SG_ATTR_PATH, "x"); });
    t.call("attr_set.scheme", [&] { x.set_attr(SG_ATTR_SCHEME, "https"); });
    t.call("attr_set.unknown", [&] { x.set_attr(999, ""); });
}

void params(Trace &t, const Exchange &x) {
    t.value("param_get.id", [&] { return x.param("id"); });
    t.value("param_get.none", [&] { return x.param("none"); });
    t.value("param_nth.0", [&] {
        const auto found = x.param(std::size_t{0});
        return found ? std::optional(found->first) : std::nullopt;
    });
    t.code_of("param_nth.99", [&] { return x.param(std::size_t{99}); });
}

void list(Trace &t, const Exchange &x, const char *step, Headers map) {
    t.number(std::string("headers_list.") + step, [&] {
        std::uint64_t found = 0;
        for (const auto &one : x.headers(map)) found += one.first == "x-probe";
        return std::optional(found);
    });
}

void read_headers(Trace &t, const Exchange &x) {
    t.value("header_get.request", [&] { return x.header(Headers::request, "X-Probe"); });
    t.value("header_get.none", [&] { return x.header(Headers::request, "x-none"); });
    t.value("header_get.response", [&] { return x.header(Headers::response, "x-probe"); });
    t.value("header_get.no_map", [&] { return x.header(no_map, "x-probe"); });
    t.value("header_nth.1", [&] { return x.header(Headers::request, "x-probe", 1); });
    t.value("header_nth.99", [&] { return x.header(Headers::request, "x-probe", 99); });
    list(t, x, "request", Headers::request);
    list(t, x, "response", Headers::response);
    list(t, x, "no_map", no_map);
}

void change_headers(Trace &t, const Exchange &x) {
    for (const Headers map : {Headers::request, Headers::response}) {
        const std::string name = map == Headers::request ? "request" : "response";
        t.call("header_set." + name, [&] { x.set_header(map, "x-conformance", "1"); });
        t.call("header_append." + name, [&] { x.append_header(map, "X-Conformance", "2\xff"); });
        t.value("header_nth." + name, [&] { return x.header(map, "x-conformance", 1); });
        t.call("header_remove." + name, [&] { x.remove_header(map, "x-conformance"); });
        t.code_of("header_get." + name + "_removed", [&] { return x.header(map, "x-conformance"); });
    }
    const Headers map = t.phase() == 'R' || t.phase() == 'A' || t.phase() == 'W' ? Headers::request : Headers::response;
    t.call("header_set.bad_name", [&] { x.set_header(map, "bad name", "1"); });
    t.call("header_set.no_name", [&] { x.set_header(map, "", "1"); });
    t.call("header_set.bad_value", [&] { x.set_header(map, "x-bad", "a\nb"); });
    t.call("header_set.connection", [&] { x.set_header(map, "Connection", "close"); });
    t.call("header_set.content_length", [&] { x.set_header(map, "content-length", "1"); });
    t.call("header_set.host", [&] { x.set_header(map, "host", "example.com"); });
    t.call("header_set.transfer_encoding", [&] { x.set_header(map, "transfer-encoding", "chunked"); });
    t.call("header_set.no_map", [&] { x.set_header(no_map, "x-probe", "1"); });
    t.call("header_remove.none", [&] { x.remove_header(map, "x-never-there"); });
    t.call("header_remove.te", [&] { x.remove_header(map, "te"); });
}

void respond(Trace &t, const Exchange &x) {
    t.call("respond.status", [&] { x.respond(199); });
    t.call("respond.large_status", [&] { x.respond(600); });
    t.call("respond.header", [&] { x.respond(200, {swapgate::header("a b", "")}); });
    t.call("respond.forbidden", [&] { x.respond(200, {swapgate::header("connection", "close")}); });
}

void variables(Trace &t, const Exchange &x) {
    const char phase = t.phase();
    t.value("var_get.none", [&] { return x.var("conformance.none"); });
    t.value("var_get.before", [&] { return x.var("conformance.phase"); });
    t.call("var_set", [&] { x.set_var("conformance.phase", std::string_view(&phase, 1)); });
    t.value("var_get.after", [&] { return x.var("conformance.phase"); });
    t.call("var_set.long", [&] { x.set_var(std::string(129, 'n'), ""); });
    t.call("var_set.large", [&] { x.set_var("conformance.large", std::string(64 * 1024 + 1, 'v')); });
}

void mark(Trace &t, const Exchange &x, const char *step) {
    const char *left = nullptr;
    swapgate::code_of([&] { left = x.state<char>(); });
    t.word(step, left == nullptr ? std::string("none") : std::string(1, *left));
}

void state(Trace &t, const Exchange &x) {
    mark(t, x, "state");
    t.call("state_set", [&] { x.set_state(std::make_unique<char>(t.phase())); });
    mark(t, x, "state.after");
}

void consumer(Trace &t, const Exchange &x) {
    t.value("consumer_get", [&] { return x.consumer(); });
    t.call("consumer_set.empty", [&] { x.set_consumer(""); });
    t.call("consumer_set.bad", [&] { x.set_consumer("\xff"); });
    t.call("consumer_set.long", [&] { x.set_consumer(std::string(257, 'c')); });
    t.call("consumer_set", [&] { x.set_consumer("probe"); });
    t.value("consumer_get.after", [&] { return x.consumer(); });
}

void stale(Trace &t, const Exchange &x) {
    const Exchange other(x.host().raw(), ~x.token()), none(x.host().raw(), 0);
    t.code_of("stale", [&] { return other.attr(SG_ATTR_METHOD); });
    t.code_of("stale.zero", [&] { return none.var("conformance.phase"); });
    t.call("stale.set", [&] { other.set_header(Headers::request, "x-stale", "1"); });
}

void texts(Trace &t, const Exchange &x) {
    t.call("log", [&] { x.host().log(swapgate::Level::info, "conformance"); });
    t.call("log.level", [&] { x.host().log(static_cast<swapgate::Level>(99), "conformance"); });
    t.call("set_error", [&] { x.set_error("nothing is wrong"); });
}

void waiting(Trace &t, const Exchange &x) {
    const Exchange other(x.host().raw(), ~x.token());
    sg_op_tok op = 0;
    swapgate::Waker first, second;
    t.call("sleep", [&] { op = x.sleep(minute); });
    t.call("sleep.stale", [&] { other.sleep(minute); });
    const auto cancel = [&](const char *step, sg_op_tok which) {
        t.code_of(step, [&] { return x.cancel(which) ? std::optional(true) : std::nullopt; });
    };
    cancel("op_cancel", op);
    cancel("op_cancel.again", op);
    cancel("op_cancel.unknown", nobodys);
    t.call("waker", [&] { first = x.waker(); });
    t.call("waker.again", [&] { second = x.waker(); });
    t.word("waker.same", first.token() == second.token() ? "yes" : "no");
    /* These were not made to wake anybody. */
    first.forget();
    second.forget();
    t.code("wake.unknown", swapgate::Waker(x.host().raw(), nobodys).wake());
    t.call("upstream_set.none", [&] { x.set_upstream(SG_UPSTREAM_SERVICE, "nobody"); });
    t.call("upstream_set.bad", [&] { x.set_upstream(SG_UPSTREAM_ADDRESS, "no address"); });
    t.call("upstream_set.kind", [&] { x.set_upstream(99, "up"); });
}

void tell_window(Trace &t, const Exchange &x, const char *len, const char *pieces) {
    t.number(len, [&] { return std::optional(x.body().size()); });
    t.value(pieces, [&] { return std::optional(x.body().text()); });
}

void bodies(Trace &t, const Exchange &x) {
    tell_window(t, x, "body_len", "body_pieces");
    t.call("body_drain.many", [&] { x.body().drain(many); });
    t.call("body_hold.many", [&] { x.body().hold(many); });
    t.call("body_ignore.lane", [&] { x.ignore_body(99); });
}

void values(Trace &t, const Exchange &x) {
    const auto area = x.host().kv();
    if (!area) return t.word("kv", "none");
    const swapgate::Kv &kv = *area;
    std::uint64_t revision = 0;
    const auto get = [&](const char *step) {
        t.value(step, [&] {
            const auto entry = kv.get("k");
            if (!entry) return std::optional<std::string>();
            revision = entry->revision;
            return std::optional(entry->value);
        });
    };
    const auto compare_and_set = [&](const char *step, std::uint64_t known, const char *value) {
        std::int32_t code = SG_OK;
        t.code(step, swapgate::code_of([&] { code = kv.compare_and_set("k", known, value) ? SG_OK : SG_E_CONFLICT; }) | code);
    };
    t.call("kv.remove", [&] { kv.remove("k"); });
    get("kv.get.none");
    t.call("kv.set", [&] { kv.set("k", "one"); });
    get("kv.get");
    const std::uint64_t first = revision;
    t.word("kv.revision", first != 0 ? "some" : "none");
    compare_and_set("kv.compare_and_set", first, "two");
    compare_and_set("kv.compare_and_set.old", first, "three");
    compare_and_set("kv.compare_and_set.none", 0, "three");
    get("kv.get.after");
    t.call("kv.add.text", [&] { kv.add("k", 1); });
    const auto add = [&](const char *step, std::int64_t delta) {
        t.number(step, [&] { return std::optional(static_cast<std::uint64_t>(kv.add("n", delta, minute))); });
    };
    add("kv.add", 5);
    add("kv.add.less", -2);
    t.call("kv.remove.n", [&] { kv.remove("n"); });
    t.call("kv.remove.again", [&] { kv.remove("n"); });
    t.call("kv.set.long_key", [&] { kv.set(std::string(513, 'k'), "v"); });
    t.call("kv.set.long", [&] { kv.set("long", std::string(1024 * 1024 + 1, 'k')); });
}

class Conformance : public swapgate::Plugin {
  public:
    static constexpr std::int32_t priority = 10;
    static constexpr std::string_view config_schema =
        R"({"type": "object", "additionalProperties": false, "properties": {)"
        R"("respond": {"type": "string", "enum": ["", "rewrite", "access"]},)"
        R"("wait": {"type": "string", "enum": ["", "sleep", "wake", "callout", "blocking", "never"]}}})";
    static constexpr std::uint32_t request_body_need = SG_BODY_BUFFER;
    static constexpr std::uint32_t response_body_need = SG_BODY_BUFFER;
    static constexpr std::uint32_t state_version = 3;

    Conformance(Host host, std::string_view config) : metrics_(host) {
        const auto has = [&](const char *word) { return config.find(word) != std::string_view::npos; };
        /* The schema admits nothing but these words as values. */
        respond_ = has("\"rewrite\"") ? 'R' : has("\"access\"") ? 'A' : '\0';
        for (const char *wait : {"\"sleep\"", "\"wake\"", "\"callout\"", "\"blocking\"", "\"never\""})
            if (has(wait)) wait_ = wait[1];
    }

    Flow rewrite(Exchange &x) const { return request_hook(x, 'R'); }
    Flow access(Exchange &x) const {
        const Flow flow = request_hook(x, 'A');
        return wait_ == '\0' ? flow : wait(x);
    }
    Flow on_event(Exchange &x, const swapgate::Event &event) const {
        if (event.cancelled()) {
            x.host().log(swapgate::Level::info, "trace X: cancelled=yes");
            return Flow::proceed;
        }
        if (event.kind() == SG_EVENT_DRAIN) return Flow::pending;
        Trace t('W');
        tell_event(t, event);
        probe(t, x);
        store(t, x);
        return Flow::proceed;
    }
    /* Where pieces end differs from one run to the next, so these look at whole bodies only. */
    Flow request_body(Exchange &x, std::uint32_t flags) const {
        if (!(flags & SG_BODY_END)) return Flow::buffer;
        Trace t('B');
        change_body(t, x);
        store(t, x);
        return Flow::proceed;
    }
    Flow body_filter(Exchange &x, std::uint32_t flags) const {
        if (!(flags & SG_BODY_END)) return Flow::buffer;
        Trace t('F');
        change_body(t, x);
        x.host().log(swapgate::Level::info, "trace " + t.words());
        return Flow::proceed;
    }
    Flow trailers(Exchange &x, std::uint32_t lane) const {
        const bool request = lane == SG_LANE_REQUEST;
        Trace t(request ? 'T' : 'U');
        const Headers map = request ? Headers::request_trailers : Headers::response_trailers;
        const Headers other = request ? Headers::response_trailers : Headers::request_trailers;
        t.value("header_get.trailer", [&] { return x.header(map, "X-Trailer"); });
        t.value("header_get.other", [&] { return x.header(other, "x-trailer"); });
        t.call("header_set.trailer", [&] { x.set_header(map, "x-added", "1"); });
        t.call("header_append.trailer", [&] { x.append_header(map, "x-added", "2"); });
        t.value("header_nth.trailer", [&] { return x.header(map, "x-added", 1); });
        t.call("header_set.framing", [&] { x.set_header(map, "content-length", "1"); });
        t.call("header_remove.trailer", [&] { x.remove_header(map, "x-trailer"); });
        t.value("header_get.removed", [&] { return x.header(map, "x-trailer"); });
        if (request) store(t, x);
        else x.host().log(swapgate::Level::info, "trace " + t.words());
        return Flow::proceed;
    }
    bool export_state(swapgate::StateOut &out) const {
        out.write("all it knows");
        return true;
    }
    void import_state(std::uint32_t version, std::string_view state) {
        if (version != state_version) throw swapgate::Error(SG_E_VERSION, "not a format of mine");
        imported_ = std::string(state);
    }
    Flow header_filter(Exchange &x) const {
        Trace t('H');
        probe(t, x);
        x.set_header(Headers::response, "x-trace", store(t, x));
        return Flow::proceed;
    }
    void log(Exchange &x) const { tell(x, 'L'); }
    void request_end(Exchange &x) const { tell(x, 'E'); }

  private:
    Flow wait(const Exchange &x) const {
        swapgate::HttpRequest request;
        request.service = "up";
        request.url = "/called";
        switch (wait_) {
        case 's': x.sleep(std::chrono::milliseconds(1)); break;
        case 'n':
            x.host().log(swapgate::Level::info, "conformance: waits for the client to go");
            x.sleep(minute);
            break;
        case 'c': x.callout(request); break;
        case 'b': x.blocking([] { return 7; }); break;
        default: std::thread([waker = x.waker()]() mutable { waker.wake(); }).detach();
        }
        return Flow::pending;
    }
    void tell_event(Trace &t, const swapgate::Event &event) const {
        if (event.phase() != SG_PHASE_ACCESS || event.lane() != SG_LANE_REQUEST) t.word("event", "of another hook");
        if (wait_ == 'w') t.code("wake", event.woken() ? SG_OK : SG_E_INVALID);
        if (wait_ == 's') t.code("sleep", event.op_done() ? event.result() : SG_E_INVALID);
        if (wait_ == 'b') t.number("blocking", [&] { return std::optional(static_cast<std::uint64_t>(event.result())); });
        if (wait_ == 'c') {
            t.number("callout", [&] { return std::optional<std::uint64_t>(event.answer().status()); });
            t.value("callout.body", [&] { return std::optional(event.answer().body()); });
        }
    }
    void change_body(Trace &t, const Exchange &x) const {
        probe(t, x);
        t.call("body_append", [&] { x.body().append("+copy"); });
        t.call("body_append_own", [&] { x.body().append_own("+own"); });
        tell_window(t, x, "body_len.more", "body_pieces.more");
        t.call("body_drain", [&] { x.body().drain(1); });
        t.call("body_hold", [&] { x.body().hold(1); });
        tell_window(t, x, "body_len.less", "body_pieces.less");
        std::string all;
        swapgate::code_of([&] { all = x.body().text(); });
        t.call("body_replace", [&] { x.body().replace(all); });
    }
    void tell_import(Trace &t) const {
        if (!imported_) return t.word("import", "none");
        t.value("import", [&] { return imported_; });
        t.number("import.version", [&] { return std::optional<std::uint64_t>(state_version); });
    }
    void probe(Trace &t, const Exchange &x) const {
        if (t.phase() == 'R') metrics_.tell(t);
        if (t.phase() == 'R') tell_import(t);
        attributes(t, x);
        set_attributes(t, x);
        params(t, x);
        read_headers(t, x);
        change_headers(t, x);
        ::respond(t, x);
        variables(t, x);
        state(t, x);
        consumer(t, x);
        stale(t, x);
        texts(t, x);
        metrics_.count(t, x.host());
        waiting(t, x);
        bodies(t, x);
        if (t.phase() == 'A' || t.phase() == 'L') values(t, x);
    }
    /* Appends the words to those of the phases before, and answers all of them. */
    static std::string store(const Trace &t, const Exchange &x) {
        std::string all(x.var(trace_variable).value_or(std::string_view{}));
        if (!all.empty()) all += ' ';
        all += t.words();
        swapgate::code_of([&] { x.set_var(trace_variable, all); });
        return all;
    }
    Flow request_hook(const Exchange &x, char phase) const {
        Trace t(phase);
        probe(t, x);
        store(t, x);
        if (respond_ != phase) return Flow::proceed;
        return x.respond(299, {swapgate::header("x-answer", "conformance")}, "conformance\n");
    }
    void tell(const Exchange &x, char phase) const {
        Trace t(phase);
        probe(t, x);
        x.host().log(swapgate::Level::info, "trace " + t.words());
    }

    Metrics metrics_;
    char respond_, wait_ = '\0';
    std::optional<std::string> imported_;
};

} // namespace

SWAPGATE_PLUGIN(Conformance, "conformance-cpp", "0.1.0");
