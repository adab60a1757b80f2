/*
 * @name@: a plugin for the Swapgate gateway.
 *
 * It does the two things most plugins do. It edits answers: each gets the header `x-greeting`. And it answers some requests
 * itself: those below the path `deny` get 403 and never reach the upstream. Read it from top to bottom, then make it yours.
 * swapgate.hpp says what there is in C++, and swapgate.h is the reference: who calls what, when, and on which thread.
 */
#include <string>
#include <string_view>

#include "swapgate.hpp"

using swapgate::Error;
using swapgate::Exchange;
using swapgate::Flow;
using swapgate::Headers;

namespace {

/* Reads {"key": "text", ...}. The schema below makes the gateway refuse everything else before a plugin is made, so this
 * needs no JSON library: the patterns admit no quotes, no backslashes and no control characters. */
class Reader {
  public:
    explicit Reader(std::string_view text) : rest_(text) {}

    /* Calls `take` with each key and its text. */
    template <class F> void object(F &&take) {
        need('{');
        do {
            const std::string_view key = text();
            need(':');
            take(key, text());
        } while (next(','));
        need('}');
        skip_space();
        if (!rest_.empty()) fail();
    }
    [[noreturn]] static void fail() {
        throw Error(SG_E_INVALID, "expected {\"greeting\": \"...\"} and perhaps \"deny\": \"/...\", texts without escapes");
    }

  private:
    void skip_space() {
        const std::size_t found = rest_.find_first_not_of(" \t\r\n");
        rest_.remove_prefix(found == std::string_view::npos ? rest_.size() : found);
    }
    bool next(char c) {
        skip_space();
        if (rest_.empty() || rest_.front() != c) return false;
        rest_.remove_prefix(1);
        return true;
    }
    void need(char c) {
        if (!next(c)) fail();
    }
    std::string_view text() {
        need('"');
        const std::size_t end = rest_.find_first_of("\"\\");
        if (end == std::string_view::npos || rest_[end] != '"') fail();
        const std::string_view found = rest_.substr(0, end);
        rest_.remove_prefix(end + 1);
        return found;
    }
    std::string_view rest_;
};

/* An instance: what one configuration became. All workers share it and call it at the same time, so hooks are `const`. */
class Greeter : public swapgate::Plugin {
  public:
    /* Where it stands among other plugins; the highest comes first. */
    static constexpr std::int32_t priority = 100;

    /* What the configuration may look like, as JSON Schema. */
    static constexpr std::string_view config_schema =
        R"({"type": "object", "additionalProperties": false, "required": ["greeting"], "properties": {)"
        R"("greeting": {"type": "string", "pattern": "^[ !#-\\[\\]-~]{0,256}$",)"
        R"( "description": "the value of the header x-greeting"},)"
        R"("deny": {"type": "string", "pattern": "^/[!#-\\[\\]-~]{0,256}$",)"
        R"( "description": "requests to this path, and below it, are answered with 403"}}})";

    /* Once per configuration. What it throws is why the configuration is refused. */
    Greeter(swapgate::Host, std::string_view config) {
        bool greets = false;
        Reader(config).object([&](std::string_view key, std::string_view value) {
            if (key == "greeting") greeting_ = value, greets = true;
            else if (key == "deny") deny_ = value;
            else Reader::fail();
        });
        if (!greets) Reader::fail();
        while (!deny_.empty() && deny_.back() == '/') deny_.pop_back();
    }

    /* The route is known, nothing was sent to the upstream yet. */
    Flow access(Exchange &exchange) const {
        /* The path is normalised. It is a view into the gateway's memory, good until this hook returns. */
        if (deny_.empty() || !is_below(exchange.path(), deny_)) return Flow::proceed;
        exchange.host().log(swapgate::Level::info, "denied a request");
        return exchange.respond(403, {swapgate::header("content-type", "application/problem+json")},
                                R"({"type": "about:blank", "title": "Forbidden", "status": 403, )"
                                R"("detail": "nobody gets in here"})");
    }

    /* The head of the answer is there, whoever made it: the upstream, another plugin, or the gateway itself. */
    Flow header_filter(Exchange &exchange) const {
        /* If the gateway does not take it, this throws: the log tells why, and the client gets what `on_error` says. */
        exchange.set_header(Headers::response, "x-greeting", greeting_);
        return Flow::proceed;
    }

  private:
    /* Whether a path is this one or lies below it: /a and /a/b, not /ab. */
    static bool is_below(std::string_view path, std::string_view deny) {
        return path.substr(0, deny.size()) == deny && (path.size() == deny.size() || path[deny.size()] == '/');
    }

    std::string greeting_, deny_;
};

} // namespace

/* The two symbols of the contract. */
SWAPGATE_PLUGIN(Greeter, "@name@", "0.1.0");
