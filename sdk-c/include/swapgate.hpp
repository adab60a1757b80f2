/*
 * swapgate.hpp: plugins in C++17, on top of swapgate.h, which stays the reference.
 *
 * Header-only; needs exceptions, does not need run-time type information. A plugin is a class that derives from
 * swapgate::Plugin and writes the hooks it wants, each by the name and with the arguments it has there:
 *
 *     class Greeter : public swapgate::Plugin {
 *       public:
 *         Greeter(swapgate::Host host, std::string_view config);       // throws: the configuration is refused
 *         swapgate::Flow header_filter(swapgate::Exchange &exchange) const {
 *             exchange.set_header(swapgate::Headers::response, "x-greeting", "hello");
 *             return swapgate::Flow::proceed;
 *         }
 *     };
 *     SWAPGATE_PLUGIN(Greeter, "greeter", "0.1.0")
 *
 * A hook that is not written is absent and costs nothing. Hooks of one instance run on several threads at once: make them
 * `const`, or guard what they change.
 *
 * Errors. What the gateway answers below zero is thrown as swapgate::Error; only what may simply not be there comes as
 * std::optional. No exception leaves the plugin: every entry has a barrier. An Error becomes its own code; any other
 * exception becomes SG_E_PANIC. The text of a std::exception is what the log shows.
 *
 * Views (std::string_view) of headers are good until the next change of that map, all others until the hook returns or the
 * value is set. None lives across Flow::pending.
 */
#ifndef SWAPGATE_HPP
#define SWAPGATE_HPP

#include <array>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <exception>
#include <initializer_list>
#include <memory>
#include <new>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "swapgate.h"
#include "swapgate_version.h"

namespace swapgate {

/* ---- Texts and errors -------------------------------------------------------------------------------------------- */

/* Bytes for the gateway. It copies what it keeps. */
inline sg_str str(std::string_view text) noexcept {
    return sg_str{reinterpret_cast<const std::uint8_t *>(text.data()), text.size()};
}

/* Bytes of the gateway. */
inline std::string_view view(sg_str text) noexcept {
    return text.len == 0 ? std::string_view{} : std::string_view{reinterpret_cast<const char *>(text.ptr), text.len};
}

/* One header, for respond() and callouts. */
inline sg_header header(std::string_view name, std::string_view value) noexcept { return sg_header{str(name), str(value)}; }

/* A deliberate failure: of a host function, or of a hook that throws it. */
class Error : public std::runtime_error {
  public:
    Error(std::int32_t code, const std::string &what) : std::runtime_error(what), code_(code) {}
    /* Fails with SG_E_FAILED. */
    explicit Error(const std::string &what) : Error(SG_E_FAILED, what) {}
    /* SG_E_*. */
    std::int32_t code() const noexcept { return code_; }

  private:
    std::int32_t code_;
};

/* Throws what is not SG_OK. */
inline void check(std::int32_t result, const char *function) {
    if (result < 0) throw Error(result, std::string(function) + " answered " + std::to_string(result));
}

/* The code that a call comes to: SG_OK, or that of the Error it throws. */
template <class F> std::int32_t code_of(F &&call) {
    try {
        std::forward<F>(call)();
        return SG_OK;
    } catch (const Error &error) {
        return error.code();
    }
}

namespace detail {

/* True if there is something, false if not; everything else is thrown. */
inline bool found(std::int32_t result, const char *function) {
    if (result == SG_E_NOT_FOUND) return false;
    check(result, function);
    return true;
}

/* A time as the contract counts it. Zero means none there, which no other time may become. */
inline std::uint64_t milliseconds(std::chrono::milliseconds time, const char *what) {
    if (time.count() < 0) throw Error(SG_E_INVALID, std::string(what) + " is below zero");
    return static_cast<std::uint64_t>(time.count());
}

/* Writes to the room the gateway gave; what does not fit is cut off. */
inline void write_error(sg_error_buf *to, std::string_view text) noexcept {
    if (to == nullptr || to->ptr == nullptr) return;
    to->len = text.size() < to->cap ? text.size() : to->cap;
    if (to->len != 0) std::memcpy(to->ptr, text.data(), to->len);
}

/* Runs `call`; no exception comes out. `tell` gets the text of what did not work. */
template <class F, class Tell> std::int32_t barrier(F &&call, Tell &&tell) noexcept {
    try {
        return std::forward<F>(call)();
    } catch (const Error &error) {
        tell(std::string_view(error.what()));
        return error.code();
    } catch (const std::exception &exception) {
        tell(std::string_view(exception.what()));
        return SG_E_PANIC;
    } catch (...) {
        tell(std::string_view("an exception that is no std::exception"));
        return SG_E_PANIC;
    }
}

/* Deletes something whose destructor may throw. */
template <class T> void destroy(T *value) noexcept {
    try {
        delete value;
    } catch (...) {
        /* Nobody is left to be told, and it must not get out. */
    }
}

/* Deletes what was handed to the gateway as a context. */
template <class T> void release(void *context) noexcept { destroy(static_cast<T *>(context)); }

/* An address per type, in the place of run-time type information. */
template <class T> inline constexpr char type_tag = 0;

/* What lies in the state slot of an exchange. */
struct StateBase {
    const void *tag;
    explicit StateBase(const void *of) noexcept : tag(of) {}
};

/* A plain pointer, because ~unique_ptr() is noexcept: a destructor that throws in there ends the process. */
template <class T> struct State : StateBase {
    T *value;
    explicit State(T *of) noexcept : StateBase(&type_tag<T>), value(of) {}
    static void release(void *raw) noexcept {
        State *state = static_cast<State *>(static_cast<StateBase *>(raw));
        destroy(state->value);
        delete state;
    }
};

} // namespace detail

/* ---- The gateway ------------------------------------------------------------------------------------------------- */

enum class Level : std::uint32_t {
    error = SG_LOG_ERROR,
    warn = SG_LOG_WARN,
    info = SG_LOG_INFO,
    debug = SG_LOG_DEBUG,
    trace = SG_LOG_TRACE,
};

/* One series of a metric, for every thread. */
class Metric {
  public:
    Metric() noexcept = default;
    Metric(const sg_host *host, sg_metric_tok token) noexcept : host_(host), token_(token) {}
    sg_metric_tok token() const noexcept { return token_; }
    void add(double value) const { check(host_->metric_add(host_, token_, value), "metric_add"); }
    void set(double value) const { check(host_->metric_set(host_, token_, value), "metric_set"); }
    void observe(double value) const { check(host_->metric_observe(host_, token_, value), "metric_observe"); }

  private:
    const sg_host *host_ = nullptr;
    sg_metric_tok token_ = 0;
};

/* Values for all workers, which survive swaps; sg.kv/1. For every thread. */
class Kv {
  public:
    struct Entry {
        std::string value;
        std::uint64_t revision = 0;
    };

    Kv(const sg_host *host, const sg_kv *table) noexcept : host_(host), table_(table) {}

    std::optional<Entry> get(std::string_view key) const {
        Entry entry;
        entry.value.resize(256);
        /* It may grow between two calls. */
        for (;;) {
            sg_buf out{reinterpret_cast<std::uint8_t *>(entry.value.data()), entry.value.size(), 0};
            if (!detail::found(table_->get(host_, str(key), &out, &entry.revision), "kv.get")) return std::nullopt;
            const bool whole = out.len <= entry.value.size();
            entry.value.resize(out.len);
            if (whole) return entry;
        }
    }
    void set(std::string_view key, std::string_view value, std::chrono::milliseconds ttl = {}) const {
        check(table_->set(host_, str(key), str(value), ms(ttl)), "kv.set");
    }
    std::int64_t add(std::string_view key, std::int64_t delta, std::chrono::milliseconds ttl = {}) const {
        std::int64_t sum = 0;
        check(table_->add(host_, str(key), delta, ms(ttl), &sum), "kv.add");
        return sum;
    }
    /* False: somebody else was first. A revision of 0 means that there is no value yet. */
    bool compare_and_set(std::string_view key, std::uint64_t revision, std::string_view value,
                         std::chrono::milliseconds ttl = {}) const {
        const std::int32_t result = table_->compare_and_set(host_, str(key), revision, str(value), ms(ttl));
        if (result == SG_E_CONFLICT) return false;
        check(result, "kv.compare_and_set");
        return true;
    }
    void remove(std::string_view key) const { check(table_->remove(host_, str(key)), "kv.remove"); }

  private:
    static std::uint64_t ms(std::chrono::milliseconds ttl) { return detail::milliseconds(ttl, "a ttl"); }
    const sg_host *host_;
    const sg_kv *table_;
};

/* The host table. Valid until unload() returns. */
class Host {
  public:
    explicit Host(const sg_host *raw) noexcept : raw_(raw) {}
    const sg_host *raw() const noexcept { return raw_; }

    void log(Level level, std::string_view text) const {
        check(raw_->log(raw_, static_cast<std::uint32_t>(level), str(text)), "log");
    }

    /* A larger area; null if this gateway has none of that id, or an older and shorter one. */
    template <class T> const T *extension(std::string_view id) const noexcept {
        const auto *table = static_cast<const T *>(raw_->extension(raw_, str(id)));
        return table != nullptr && table->struct_size >= sizeof(T) ? table : nullptr;
    }
    std::optional<Kv> kv() const noexcept {
        const auto *table = extension<sg_kv>(SG_KV_ID);
        return table == nullptr ? std::nullopt : std::optional<Kv>(Kv(raw_, table));
    }

    using Labels = std::vector<std::pair<std::string_view, std::string_view>>;
    Metric declare(std::uint32_t kind, std::string_view name, std::string_view help, const Labels &labels = {},
                   const std::vector<double> &bounds = {}) const {
        std::vector<sg_label> raw;
        raw.reserve(labels.size());
        for (const auto &label : labels) raw.push_back(sg_label{str(label.first), str(label.second)});
        sg_metric_tok token = 0;
        check(raw_->metric_declare(raw_, kind, str(name), str(help), raw.empty() ? nullptr : raw.data(), raw.size(),
                                   bounds.empty() ? nullptr : bounds.data(), bounds.size(), &token),
              "metric_declare");
        return Metric(raw_, token);
    }
    Metric counter(std::string_view name, std::string_view help, const Labels &labels = {}) const {
        return declare(SG_METRIC_COUNTER, name, help, labels);
    }
    Metric gauge(std::string_view name, std::string_view help, const Labels &labels = {}) const {
        return declare(SG_METRIC_GAUGE, name, help, labels);
    }
    Metric histogram(std::string_view name, std::string_view help, const std::vector<double> &bounds,
                     const Labels &labels = {}) const {
        return declare(SG_METRIC_HISTOGRAM, name, help, labels, bounds);
    }

  private:
    const sg_host *raw_;
};

/* ---- Waiting ----------------------------------------------------------------------------------------------------- */

/*
 * Wakes the lane it was made in, from any thread; move it there. It wakes by itself when it is destroyed, so that a thread
 * that ends early leaves nobody waiting. A plugin with threads sets SG_PLUGIN_OWNS_THREADS or joins them in ~Plugin.
 */
class Waker {
  public:
    Waker() noexcept = default;
    Waker(const sg_host *host, sg_wake_tok token) noexcept : host_(host), token_(token) {}
    Waker(Waker &&other) noexcept : host_(std::exchange(other.host_, nullptr)), token_(other.token_) {}
    Waker &operator=(Waker &&other) noexcept {
        if (this != &other) {
            wake();
            host_ = std::exchange(other.host_, nullptr);
            token_ = other.token_;
        }
        return *this;
    }
    Waker(const Waker &) = delete;
    Waker &operator=(const Waker &) = delete;
    ~Waker() { wake(); }

    sg_wake_tok token() const noexcept { return token_; }
    /* SG_E_STALE: the exchange is over, which harms nobody. Once; the waker is empty afterwards. */
    std::int32_t wake() noexcept {
        const sg_host *host = std::exchange(host_, nullptr);
        return host == nullptr ? SG_OK : host->wake(host, token_);
    }
    /* Wakes and stays usable. */
    std::int32_t wake_again() const noexcept { return host_ == nullptr ? SG_OK : host_->wake(host_, token_); }
    /* Lets go without waking. */
    void forget() noexcept { host_ = nullptr; }

  private:
    const sg_host *host_ = nullptr;
    sg_wake_tok token_ = 0;
};

/* A request to another service. */
struct HttpRequest {
    std::string_view service; /* empty: `url` is absolute and on the allow list */
    std::string_view url;
    std::string_view method;
    std::vector<sg_header> headers;
    std::string_view body;
    std::chrono::milliseconds timeout{0};
    std::uint64_t max_body = 0;
};

/* Its answer, good until on_event() or on_op_done() returns. */
class HttpAnswer {
  public:
    explicit HttpAnswer(const sg_http_answer *raw) noexcept : raw_(raw) {}
    std::uint32_t status() const noexcept { return raw_->status; }
    std::string_view body() const noexcept { return view(raw_->body); }
    std::size_t header_count() const noexcept { return raw_->header_count; }
    /* The name in lower case. */
    std::optional<std::string_view> header(std::string_view name) const noexcept {
        for (std::size_t i = 0; i < raw_->header_count; i++)
            if (view(raw_->headers[i].name) == name) return view(raw_->headers[i].value);
        return std::nullopt;
    }

  private:
    const sg_http_answer *raw_;
};

/* What happened. */
class Event {
  public:
    explicit Event(const sg_event *raw) noexcept : raw_(raw) {}
    const sg_event *raw() const noexcept { return raw_; }
    std::uint32_t kind() const noexcept { return raw_->kind; }
    std::uint32_t lane() const noexcept { return raw_->lane; }
    std::uint32_t phase() const noexcept { return raw_->phase; }
    sg_op_tok op() const noexcept { return raw_->op; }
    std::int32_t result() const noexcept { return raw_->result; }
    std::uint32_t flags() const noexcept { return raw_->flags; }
    bool op_done() const noexcept { return raw_->kind == SG_EVENT_OP_DONE; }
    bool woken() const noexcept { return raw_->kind == SG_EVENT_WAKE; }
    bool cancelled() const noexcept { return raw_->kind == SG_EVENT_CANCEL; }
    /* Of a callout that is done; throws what it came to instead. */
    HttpAnswer answer() const {
        check(raw_->result, "the callout");
        if (raw_->data == nullptr) throw Error(SG_E_INVALID, "this event has no answer");
        return HttpAnswer(static_cast<const sg_http_answer *>(raw_->data));
    }
    /* Of a look-up that is done. */
    std::vector<std::string_view> addresses() const {
        check(raw_->result, "the look-up");
        std::vector<std::string_view> found;
        const auto *resolved = static_cast<const sg_resolved *>(raw_->data);
        for (std::size_t i = 0; resolved != nullptr && i < resolved->count; i++) found.push_back(view(resolved->addresses[i]));
        return found;
    }

  private:
    const sg_event *raw_;
};

/* Where operations belong: an exchange, or an instance in the background. Each completes later, as one event. */
class Scope {
  public:
    Scope(const sg_host *host, sg_scope_tok token) noexcept : host_(host), token_(token) {}
    Host host() const noexcept { return Host(host_); }
    sg_scope_tok token() const noexcept { return token_; }

    sg_op_tok sleep(std::chrono::nanoseconds time) const {
        sg_op_tok op = 0;
        const auto nanoseconds = time.count() > 0 ? static_cast<std::uint64_t>(time.count()) : 0;
        check(host_->sleep(host_, token_, nanoseconds, &op), "sleep");
        return op;
    }
    /* False: there is none any more; its event may have been handed over already. */
    bool cancel(sg_op_tok op) const { return detail::found(host_->op_cancel(host_, token_, op), "op_cancel"); }
    Waker waker() const {
        sg_wake_tok token = 0;
        check(host_->waker(host_, token_, &token), "waker");
        return Waker(host_, token);
    }
    sg_op_tok callout(const HttpRequest &request) const {
        sg_http_request raw{};
        raw.struct_size = sizeof raw;
        const std::uint64_t timeout = detail::milliseconds(request.timeout, "a timeout");
        raw.timeout_ms = timeout < UINT32_MAX ? static_cast<std::uint32_t>(timeout) : UINT32_MAX;
        raw.service = str(request.service);
        raw.url = str(request.url);
        raw.method = str(request.method);
        raw.headers = request.headers.empty() ? nullptr : request.headers.data();
        raw.header_count = request.headers.size();
        raw.body = str(request.body);
        raw.max_body = request.max_body;
        sg_op_tok op = 0;
        check(need<sg_http_callout>(SG_HTTP_CALLOUT_ID)->start(host_, token_, &raw, &op), "http_callout");
        return op;
    }
    sg_op_tok resolve(std::string_view name) const {
        sg_op_tok op = 0;
        check(need<sg_resolve>(SG_RESOLVE_ID)->start(host_, token_, str(name), &op), "resolve");
        return op;
    }
    /* Runs `work` on a thread of the gateway; what it returns is the event's result, an exception of it SG_E_PANIC. It must
     * not call anything of the gateway but what is said to be for every thread. */
    template <class F> sg_op_tok blocking(F work) const {
        auto context = std::make_unique<F>(std::move(work));
        sg_op_tok op = 0;
        check(need<sg_blocking>(SG_BLOCKING_ID)->start(host_, token_, run<F>, detail::release<F>, context.get(), &op), "blocking");
        context.release(); /* The gateway's now. */
        return op;
    }

  protected:
    const sg_host *host_;
    sg_scope_tok token_;

  private:
    template <class T> const T *need(const char *id) const {
        const T *table = host().template extension<T>(id);
        if (table == nullptr) throw Error(SG_E_UNAVAILABLE, std::string("this gateway has no ") + id);
        return table;
    }
    template <class F> static std::int32_t run(void *context) noexcept {
        return detail::barrier([context] { return static_cast<std::int32_t>((*static_cast<F *>(context))()); },
                               [](std::string_view) {});
    }
};

/* The background of an instance, from start() until its destructor runs. For every thread. */
class Background : public Scope {
  public:
    using Scope::Scope;
    /* Zero: no more. */
    void tick_every(std::chrono::milliseconds period) const {
        check(host_->tick_every(host_, token_, detail::milliseconds(period, "a period")), "tick_every");
    }
};

/* ---- Exchanges ---------------------------------------------------------------------------------------------------- */

/* What a hook answers. */
enum class Flow : std::int32_t {
    proceed = SG_CONTINUE,
    pending = SG_PENDING,
    respond = SG_RESPOND,
    buffer = SG_BUFFER,
};

enum class Headers : std::uint32_t {
    request = SG_HEADERS_REQUEST,
    response = SG_HEADERS_RESPONSE,
    request_trailers = SG_TRAILERS_REQUEST,
    response_trailers = SG_TRAILERS_RESPONSE,
};

/* The window of a body: what has arrived and was not passed on. In request_body(), body_filter(), and on_event() for them. */
class Window {
  public:
    Window(const sg_host *host, sg_exchange_tok token) noexcept : host_(host), token_(token) {}

    std::uint64_t size() const {
        std::uint64_t size = 0;
        check(host_->body_len(host_, token_, &size), "body_len");
        return size;
    }
    /* Without copying. */
    std::vector<std::string_view> pieces() const {
        std::size_t count = 0;
        check(host_->body_pieces(host_, token_, nullptr, 0, &count), "body_pieces");
        std::vector<sg_str> raw(count);
        if (count != 0) check(host_->body_pieces(host_, token_, raw.data(), raw.size(), &count), "body_pieces");
        std::vector<std::string_view> pieces;
        pieces.reserve(raw.size());
        for (const sg_str &piece : raw) pieces.push_back(view(piece));
        return pieces;
    }
    /* A copy of all of it. */
    std::string text() const {
        std::string text;
        for (const std::string_view piece : pieces()) text.append(piece);
        return text;
    }
    void drain(std::uint64_t bytes) const { check(host_->body_drain(host_, token_, bytes), "body_drain"); }
    void replace(std::string_view bytes) const { check(host_->body_replace(host_, token_, str(bytes)), "body_replace"); }
    void append(std::string_view bytes) const { check(host_->body_append(host_, token_, str(bytes)), "body_append"); }
    /* Without copying: the gateway keeps the text until it is sent. */
    void append_own(std::string bytes) const {
        auto own = std::make_unique<std::string>(std::move(bytes));
        check(host_->body_append_own(host_, token_, str(*own), detail::release<std::string>, own.get()), "body_append_own");
        own.release(); /* The gateway's now. */
    }
    /* Keeps the last bytes back: they begin the next window. */
    void hold(std::uint64_t bytes) const { check(host_->body_hold(host_, token_, bytes), "body_hold"); }

  private:
    const sg_host *host_;
    sg_exchange_tok token_;
};

class Exchange;

/* What is known of the connection an exchange came on. Reads when asked, and copies nothing. */
class Connection {
  public:
    explicit Connection(const Exchange &exchange) noexcept : exchange_(&exchange) {}

    /* "HTTP/1.0", "HTTP/1.1" or "HTTP/2". */
    std::string_view protocol() const { return known(SG_ATTR_PROTOCOL); }
    std::string_view listener() const { return known(SG_ATTR_LISTENER); }
    bool tls() const { return attr(SG_ATTR_TLS_VERSION).has_value(); }
    /* "TLSv1.2" or "TLSv1.3"; empty without TLS, like the next one. */
    std::string_view tls_version() const { return known(SG_ATTR_TLS_VERSION); }
    std::string_view cipher() const { return known(SG_ATTR_TLS_CIPHER); }
    std::optional<std::string_view> sni() const { return attr(SG_ATTR_TLS_SNI); }
    std::optional<std::string_view> alpn() const { return attr(SG_ATTR_TLS_ALPN); }
    /* Of the certificate that the client showed and that was checked; none without one, like the next ones. */
    std::optional<std::string_view> client_subject() const { return attr(SG_ATTR_TLS_CLIENT_SUBJECT); }
    std::optional<std::string_view> client_issuer() const { return attr(SG_ATTR_TLS_CLIENT_ISSUER); }
    std::optional<std::string_view> client_serial() const { return attr(SG_ATTR_TLS_CLIENT_SERIAL); }
    std::optional<std::string_view> client_fingerprint() const { return attr(SG_ATTR_TLS_CLIENT_FINGERPRINT); }
    /* One a line: "DNS:a.example". */
    std::optional<std::string_view> client_names() const { return attr(SG_ATTR_TLS_CLIENT_NAMES); }
    /* DER. */
    std::optional<std::string_view> client_certificate() const { return attr(SG_ATTR_TLS_CLIENT_CERTIFICATE); }
    /* What a PROXY header named, with port. */
    std::optional<std::string_view> proxy_source() const { return attr(SG_ATTR_PROXY_SOURCE); }
    std::optional<std::string_view> proxy_destination() const { return attr(SG_ATTR_PROXY_DESTINATION); }

  private:
    inline std::optional<std::string_view> attr(std::uint32_t id) const;
    std::string_view known(std::uint32_t id) const { return attr(id).value_or(std::string_view{}); }

    const Exchange *exchange_;
};

/* One request and its answer. Only in the hook it was given to, and on its thread. */
class Exchange : public Scope {
  public:
    using Scope::Scope;

    /* A text, SG_ATTR_*; none if it is not known in this exchange. */
    std::optional<std::string_view> attr(std::uint32_t id) const {
        return text([&](sg_str *out) { return host_->attr_text(host_, token_, id, out); }, "attr_text");
    }
    std::optional<std::uint64_t> number(std::uint32_t id) const {
        std::uint64_t out = 0;
        if (!detail::found(host_->attr_number(host_, token_, id, &out), "attr_number")) return std::nullopt;
        return out;
    }
    void set_attr(std::uint32_t id, std::string_view value) const {
        check(host_->attr_set(host_, token_, id, str(value)), "attr_set");
    }
    std::string_view method() const { return attr(SG_ATTR_METHOD).value_or(std::string_view{}); }
    std::string_view path() const { return attr(SG_ATTR_PATH).value_or(std::string_view{}); }
    std::string_view query() const { return attr(SG_ATTR_QUERY).value_or(std::string_view{}); }
    Connection connection() const noexcept { return Connection(*this); }

    std::optional<std::string_view> param(std::string_view name) const {
        return text([&](sg_str *out) { return host_->param_get(host_, token_, str(name), out); }, "param_get");
    }
    /* Name and value. */
    std::optional<std::pair<std::string_view, std::string_view>> param(std::size_t index) const {
        sg_str name{}, value{};
        if (!detail::found(host_->param_nth(host_, token_, index, &name, &value), "param_nth")) return std::nullopt;
        return std::pair(view(name), view(value));
    }

    std::optional<std::string_view> header(Headers map, std::string_view name) const {
        return text([&](sg_str *out) { return host_->header_get(host_, token_, id(map), str(name), out); }, "header_get");
    }
    std::optional<std::string_view> header(Headers map, std::string_view name, std::size_t index) const {
        return text([&](sg_str *out) { return host_->header_nth(host_, token_, id(map), str(name), index, out); },
                    "header_nth");
    }
    std::vector<std::pair<std::string_view, std::string_view>> headers(Headers map) const {
        std::size_t count = 0;
        check(host_->headers_list(host_, token_, id(map), nullptr, 0, &count), "headers_list");
        std::vector<sg_header> raw(count);
        if (count != 0) check(host_->headers_list(host_, token_, id(map), raw.data(), raw.size(), &count), "headers_list");
        std::vector<std::pair<std::string_view, std::string_view>> all;
        all.reserve(raw.size());
        for (const sg_header &one : raw) all.emplace_back(view(one.name), view(one.value));
        return all;
    }
    void set_header(Headers map, std::string_view name, std::string_view value) const {
        check(host_->header_set(host_, token_, id(map), str(name), str(value)), "header_set");
    }
    void append_header(Headers map, std::string_view name, std::string_view value) const {
        check(host_->header_append(host_, token_, id(map), str(name), str(value)), "header_append");
    }
    void remove_header(Headers map, std::string_view name) const {
        check(host_->header_remove(host_, token_, id(map), str(name)), "header_remove");
    }

    /* Makes the answer: `return exchange.respond(401, {header("www-authenticate", "Bearer")}, "who?")`. */
    Flow respond(std::uint32_t status, std::initializer_list<sg_header> headers = {}, std::string_view body = {}) const {
        return respond(status, headers.begin(), headers.size(), body);
    }
    Flow respond(std::uint32_t status, const std::vector<sg_header> &headers, std::string_view body = {}) const {
        return respond(status, headers.data(), headers.size(), body);
    }

    std::optional<std::string_view> var(std::string_view name) const {
        return text([&](sg_str *out) { return host_->var_get(host_, token_, str(name), out); }, "var_get");
    }
    void set_var(std::string_view name, std::string_view value) const {
        check(host_->var_set(host_, token_, str(name), str(value)), "var_set");
    }

    /* What this instance left here; null if nothing, or something of another type. */
    template <class T> T *state() const {
        void *raw = nullptr;
        check(host_->state_get(host_, token_, &raw), "state_get");
        auto *base = static_cast<detail::StateBase *>(raw);
        if (base == nullptr || base->tag != &detail::type_tag<T>) return nullptr;
        return static_cast<detail::State<T> *>(base)->value;
    }
    /* Deleted after request_end(), or when another takes its place. */
    template <class T> void set_state(std::unique_ptr<T> state) const {
        auto slot = std::make_unique<detail::State<T>>(state.get());
        check(host_->state_set(host_, token_, static_cast<detail::StateBase *>(slot.get()), detail::State<T>::release),
              "state_set");
        slot.release(); /* Both are the gateway's now. */
        state.release();
    }

    std::optional<std::string_view> consumer() const {
        return text([&](sg_str *out) { return host_->consumer_get(host_, token_, out); }, "consumer_get");
    }
    void set_consumer(std::string_view name) const { check(host_->consumer_set(host_, token_, str(name)), "consumer_set"); }
    void set_error(std::string_view why) const { check(host_->set_error(host_, token_, str(why)), "set_error"); }

    void set_upstream(std::uint32_t kind, std::string_view value) const {
        check(host_->upstream_set(host_, token_, kind, str(value)), "upstream_set");
    }
    Window body() const noexcept { return Window(host_, token_); }
    /* This exchange's body of that lane does not matter to this instance. */
    void ignore_body(std::uint32_t lane) const { check(host_->body_ignore(host_, token_, lane), "body_ignore"); }

  private:
    static std::uint32_t id(Headers map) noexcept { return static_cast<std::uint32_t>(map); }
    template <class F> static std::optional<std::string_view> text(F &&call, const char *function) {
        sg_str out{};
        if (!detail::found(std::forward<F>(call)(&out), function)) return std::nullopt;
        return view(out);
    }
    Flow respond(std::uint32_t status, const sg_header *headers, std::size_t count, std::string_view body) const {
        check(host_->respond(host_, token_, status, count == 0 ? nullptr : headers, count, str(body)), "respond");
        return Flow::respond;
    }
};

/* ---- Plugins ------------------------------------------------------------------------------------------------------ */

inline std::optional<std::string_view> Connection::attr(std::uint32_t id) const { return exchange_->attr(id); }

/* Where export_state() writes. */
class StateOut {
  public:
    explicit StateOut(sg_state_out *raw) noexcept : raw_(raw) {}
    void write(std::string_view bytes) const { check(raw_->write(raw_, str(bytes)), "export_state"); }

  private:
    sg_state_out *raw_;
};

/*
 * The hooks and settings there are. A class derives from this and writes its own under the same names; what it does not
 * write is absent. None of the functions here is ever called.
 */
class Plugin {
  public:
    /* Where it stands in every phase; highest first. */
    static constexpr std::int32_t priority = 0;
    /* SG_PLUGIN_*. */
    static constexpr std::uint32_t flags = 0;
    /* SG_BODY_*. */
    static constexpr std::uint32_t request_body_need = SG_BODY_NONE;
    static constexpr std::uint32_t response_body_need = SG_BODY_NONE;
    static constexpr std::uint64_t buffer_bytes = 0;
    /* JSON Schema of the configuration; empty: anything goes. */
    static constexpr std::string_view config_schema{};
    /* The version of the format that export_state() writes. */
    static constexpr std::uint32_t state_version = 1;

    static void load(Host) {}
    static void unload(std::chrono::milliseconds) {}
    static void memory(sg_memory &) {}

    void start(Background) {}
    Flow rewrite(Exchange &) { return Flow::proceed; }
    Flow access(Exchange &) { return Flow::proceed; }
    Flow request_body(Exchange &, std::uint32_t /* flags */) { return Flow::proceed; }
    Flow header_filter(Exchange &) { return Flow::proceed; }
    Flow body_filter(Exchange &, std::uint32_t /* flags */) { return Flow::proceed; }
    Flow trailers(Exchange &, std::uint32_t /* lane */) { return Flow::proceed; }
    Flow on_event(Exchange &, const Event &) { return Flow::proceed; }
    void log(Exchange &) {}
    void request_end(Exchange &) {}
    void on_tick() {}
    void on_op_done(const Event &) {}
    /* False: nothing to hand over. */
    bool export_state(StateOut &) { return false; }
    void import_state(std::uint32_t /* version */, std::string_view) {}
};

namespace detail {

/* One instance as the gateway holds it. */
template <class T> struct Instance {
    const sg_host *host;
    T plugin;
    Instance(const sg_host *of, std::string_view config) : host(of), plugin(Host(of), config) {}
};

template <class T> Instance<T> &instance(void *raw) noexcept { return *static_cast<Instance<T> *>(raw); }

/* Runs a hook of an exchange; what goes wrong is told with set_error(). */
template <class T, class F> std::int32_t hook(void *raw, sg_exchange_tok token, F &&call) noexcept {
    const sg_host *host = instance<T>(raw).host;
    return barrier(
        [&] {
            Exchange exchange(host, token);
            return static_cast<std::int32_t>(call(instance<T>(raw).plugin, exchange));
        },
        [&](std::string_view why) { host->set_error(host, token, str(why)); });
}

/* Runs a hook of the background; what goes wrong is written to the log. */
template <class F> std::int32_t background(const sg_host *host, F &&call) noexcept {
    return barrier(
        [&] {
            call();
            return std::int32_t{SG_OK};
        },
        [&](std::string_view why) { host->log(host, SG_LOG_ERROR, str(why)); });
}

template <class T> struct Table {
    static std::int32_t load(const sg_host *host, sg_error_buf *error) noexcept {
        return barrier([&] { return T::load(Host(host)), std::int32_t{SG_OK}; },
                       [&](std::string_view why) { write_error(error, why); });
    }
    static std::int32_t unload(std::uint64_t deadline_ms) noexcept {
        return barrier(
            [&] {
                T::unload(std::chrono::milliseconds(static_cast<std::int64_t>(deadline_ms)));
                return std::int32_t{SG_OK};
            },
            [](std::string_view) {});
    }
    static std::int32_t configure(const sg_host *host, sg_str config, void **out, sg_error_buf *error) noexcept {
        return barrier(
            [&] {
                *out = new Instance<T>(host, view(config));
                return std::int32_t{SG_OK};
            },
            [&](std::string_view why) { write_error(error, why); });
    }
    static std::int32_t start(void *raw, sg_instance_tok token, sg_error_buf *error) noexcept {
        return barrier(
            [&] {
                instance<T>(raw).plugin.start(Background(instance<T>(raw).host, token));
                return std::int32_t{SG_OK};
            },
            [&](std::string_view why) { write_error(error, why); });
    }
    static void destroy(void *raw) noexcept { detail::destroy(&instance<T>(raw)); }

    static std::int32_t rewrite(void *raw, sg_exchange_tok token) noexcept {
        return hook<T>(raw, token, [](T &plugin, Exchange &exchange) { return plugin.rewrite(exchange); });
    }
    static std::int32_t access(void *raw, sg_exchange_tok token) noexcept {
        return hook<T>(raw, token, [](T &plugin, Exchange &exchange) { return plugin.access(exchange); });
    }
    static std::int32_t request_body(void *raw, sg_exchange_tok token, std::uint32_t flags) noexcept {
        return hook<T>(raw, token, [&](T &plugin, Exchange &exchange) { return plugin.request_body(exchange, flags); });
    }
    static std::int32_t header_filter(void *raw, sg_exchange_tok token) noexcept {
        return hook<T>(raw, token, [](T &plugin, Exchange &exchange) { return plugin.header_filter(exchange); });
    }
    static std::int32_t body_filter(void *raw, sg_exchange_tok token, std::uint32_t flags) noexcept {
        return hook<T>(raw, token, [&](T &plugin, Exchange &exchange) { return plugin.body_filter(exchange, flags); });
    }
    static std::int32_t trailers(void *raw, sg_exchange_tok token, std::uint32_t lane) noexcept {
        return hook<T>(raw, token, [&](T &plugin, Exchange &exchange) { return plugin.trailers(exchange, lane); });
    }
    static std::int32_t on_event(void *raw, sg_exchange_tok token, const sg_event *event) noexcept {
        return hook<T>(raw, token, [&](T &plugin, Exchange &exchange) { return plugin.on_event(exchange, Event(event)); });
    }
    static std::int32_t log(void *raw, sg_exchange_tok token) noexcept {
        return hook<T>(raw, token, [](T &plugin, Exchange &exchange) { return plugin.log(exchange), Flow::proceed; });
    }
    static void request_end(void *raw, sg_exchange_tok token) noexcept {
        const sg_host *host = instance<T>(raw).host;
        background(host, [&] {
            Exchange exchange(host, token);
            instance<T>(raw).plugin.request_end(exchange);
        });
    }
    static std::int32_t on_tick(void *raw) noexcept {
        return background(instance<T>(raw).host, [&] { instance<T>(raw).plugin.on_tick(); });
    }
    static std::int32_t on_op_done(void *raw, const sg_event *event) noexcept {
        return background(instance<T>(raw).host, [&] { instance<T>(raw).plugin.on_op_done(Event(event)); });
    }
    static std::int32_t export_state(void *raw, sg_state_out *out) noexcept {
        const sg_host *host = instance<T>(raw).host;
        return barrier(
            [&] {
                out->version = T::state_version;
                StateOut to(out);
                return instance<T>(raw).plugin.export_state(to) ? SG_OK : SG_E_NOT_FOUND;
            },
            [&](std::string_view why) { host->log(host, SG_LOG_ERROR, str(why)); });
    }
    static std::int32_t import_state(void *raw, std::uint32_t version, sg_str state, sg_error_buf *error) noexcept {
        return barrier(
            [&] {
                instance<T>(raw).plugin.import_state(version, view(state));
                return std::int32_t{SG_OK};
            },
            [&](std::string_view why) { write_error(error, why); });
    }
    static std::int32_t memory(sg_memory *out) noexcept {
        return barrier([&] { return T::memory(*out), std::int32_t{SG_OK}; }, [](std::string_view) {});
    }
};

/*
 * Whether a class writes a hook itself: the type of the member tells where it comes from. Not by trying whether it can be
 * called: a hook with wrong arguments or a private one has to be an error of the compiler, and not a hook that is absent.
 */
template <class Found, class Default> inline constexpr bool written = !std::is_same_v<Found, Default>;

#define SWAPGATE_HOOK(name) \
    if constexpr (written<decltype(&T::name), decltype(&Plugin::name)>) table.name = Table<T>::name

/* The table of hooks of a class. */
template <class T> sg_plugin table(std::string_view id, std::string_view version) noexcept {
    static_assert(std::is_base_of_v<Plugin, T>, "a plugin derives from swapgate::Plugin");
    static_assert(std::is_constructible_v<T, Host, std::string_view>,
                  "a plugin is made from (swapgate::Host, std::string_view config)");
    sg_plugin table{};
    table.struct_size = sizeof table;
    table.flags = T::flags;
    table.id = str(id);
    table.version = str(version);
    table.priority = T::priority;
    table.request_body_need = T::request_body_need;
    table.response_body_need = T::response_body_need;
    table.buffer_bytes = T::buffer_bytes;
    table.config_schema = str(T::config_schema);
    table.configure = Table<T>::configure;
    table.destroy = Table<T>::destroy;
    /* Static ones have the same type wherever they come from, so these are told apart by their addresses. */
    if (&T::load != &Plugin::load) table.load = Table<T>::load;
    if (&T::unload != &Plugin::unload) table.unload = Table<T>::unload;
    if (&T::memory != &Plugin::memory) table.memory = Table<T>::memory;
    SWAPGATE_HOOK(start);
    SWAPGATE_HOOK(rewrite);
    SWAPGATE_HOOK(access);
    SWAPGATE_HOOK(request_body);
    SWAPGATE_HOOK(header_filter);
    SWAPGATE_HOOK(body_filter);
    SWAPGATE_HOOK(trailers);
    SWAPGATE_HOOK(log);
    SWAPGATE_HOOK(request_end);
    SWAPGATE_HOOK(on_event);
    SWAPGATE_HOOK(on_tick);
    SWAPGATE_HOOK(on_op_done);
    SWAPGATE_HOOK(export_state);
    SWAPGATE_HOOK(import_state);
    return table;
}

#undef SWAPGATE_HOOK

template <std::size_t Room, std::size_t N> constexpr void copy(char (&to)[Room], const char (&from)[N]) noexcept {
    static_assert(N <= Room, "longer than the descriptor has room for");
    for (std::size_t i = 0; i < N; i++) to[i] = from[i];
}

} // namespace detail

/* The descriptor, as constant data. */
template <std::size_t Id, std::size_t Version>
constexpr sg_descriptor descriptor(const char (&id)[Id], const char (&version)[Version]) noexcept {
    sg_descriptor made{};
    for (std::size_t i = 0; i < sizeof made.magic; i++) made.magic[i] = static_cast<std::uint8_t>(SG_MAGIC[i]);
    made.struct_size = sizeof made;
    made.abi_major = SG_ABI_MAJOR;
    made.abi_min_minor = SG_ABI_MINOR;
    made.abi_max_minor = SG_ABI_MINOR;
    detail::copy(made.sdk, "c++ 0.1.0");
    /* The text of the compiler is longer than the field with some. */
    constexpr std::string_view compiler = "c++ " __VERSION__;
    for (std::size_t i = 0; i + 1 < sizeof made.toolchain && i < compiler.size(); i++) made.toolchain[i] = compiler[i];
    detail::copy(made.id, id);
    detail::copy(made.version, version);
    return made;
}

} // namespace swapgate

/* Makes a class the plugin of this library: both symbols of the contract. Once, outside of every namespace. */
#define SWAPGATE_PLUGIN(Class, id, version) \
    constexpr sg_descriptor sg_plugin_abi = ::swapgate::descriptor(id, version); \
    std::int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) { \
        const std::int32_t code = sg_negotiate(args, out); \
        if (code != SG_OK) return code; \
        static const sg_plugin table = ::swapgate::detail::table<Class>(id, version); \
        out->plugin = &table; \
        return SG_OK; \
    } \
    static_assert(true, "so that a semicolon may follow")

#endif /* SWAPGATE_HPP */
