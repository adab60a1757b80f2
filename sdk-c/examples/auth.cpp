/*
 * Lets in only whom another service knows: an example of waiting, in C++.
 *
 *     {"service": "auth", "path": "/check"}       asks that service, with the client's `authorization`
 *     {"token": "secret", "sleep_ms": 50}         knows one token itself, and takes its time
 *
 * No thread waits: access() starts an operation and answers Flow::pending, and the worker serves others until on_event() is
 * called. If the client goes away, the gateway ends the operation.
 */
#include <cctype>
#include <string>

#include "swapgate.hpp"

using swapgate::Error;
using swapgate::Event;
using swapgate::Exchange;
using swapgate::Flow;
using swapgate::Headers;

namespace {

/* The value of a key in a flat JSON object, as its text. The schema admits neither escapes nor objects in it. */
std::string value_of(std::string_view config, std::string_view key) {
    const std::string quoted = '"' + std::string(key) + '"';
    std::size_t at = config.find(quoted);
    if (at == std::string_view::npos) return {};
    at = config.find(':', at + quoted.size());
    if (at == std::string_view::npos) return {};
    do at++; while (at < config.size() && std::isspace(static_cast<unsigned char>(config[at])));
    if (at < config.size() && config[at] == '"') return std::string(config.substr(at + 1, config.find('"', at + 1) - at - 1));
    return std::string(config.substr(at, config.find_first_of(",} \t\r\n", at) - at));
}

class Auth : public swapgate::Plugin {
  public:
    static constexpr std::int32_t priority = 2000;
    static constexpr std::string_view config_schema =
        R"({"type": "object", "additionalProperties": false, "properties": {)"
        R"("service": {"type": "string", "pattern": "^[a-z0-9-]{1,64}$"},)"
        R"("path": {"type": "string", "pattern": "^/[!#-\\[\\]-~]{0,256}$"},)"
        R"("token": {"type": "string", "pattern": "^[!#-\\[\\]-~]{1,256}$"},)"
        R"("sleep_ms": {"type": "integer", "minimum": 0, "maximum": 60000}},)"
        R"("oneOf": [{"required": ["service"]}, {"required": ["token"]}]})";

    Auth(swapgate::Host, std::string_view config)
        : service_(value_of(config, "service")), path_(value_of(config, "path")), token_(value_of(config, "token")) {
        const std::string milliseconds = value_of(config, "sleep_ms");
        if (!milliseconds.empty()) sleep_ = std::chrono::milliseconds(std::stoul(milliseconds));
        if (path_.empty()) path_ = "/";
    }

    Flow access(Exchange &exchange) const {
        const auto authorization = exchange.header(Headers::request, "authorization");
        if (!authorization) return refuse(exchange);
        if (service_.empty()) {
            exchange.sleep(sleep_);
            return Flow::pending;
        }
        swapgate::HttpRequest request;
        request.service = service_;
        request.url = path_;
        request.headers = {swapgate::header("authorization", *authorization)};
        exchange.callout(request);
        return Flow::pending;
    }

    /* There is one operation, so it is that one. */
    Flow on_event(Exchange &exchange, const Event &event) const {
        if (!event.op_done()) return Flow::pending;
        if (service_.empty()) return known(exchange) ? let_in(exchange, "holder") : refuse(exchange);
        const swapgate::HttpAnswer answer = event.answer();
        if (answer.status() == 401 || answer.status() == 403) return refuse(exchange);
        if (answer.status() != 200) throw Error("the service answered " + std::to_string(answer.status()));
        return let_in(exchange, answer.header("x-consumer").value_or("somebody"));
    }

  private:
    bool known(const Exchange &exchange) const {
        return exchange.header(Headers::request, "authorization") == "Bearer " + token_;
    }
    static Flow let_in(const Exchange &exchange, std::string_view consumer) {
        exchange.set_consumer(consumer);
        exchange.set_header(Headers::request, "x-consumer", consumer);
        return Flow::proceed;
    }
    static Flow refuse(const Exchange &exchange) {
        return exchange.respond(401, {swapgate::header("www-authenticate", "Bearer")}, "who are you?\n");
    }

    std::string service_, path_, token_;
    std::chrono::milliseconds sleep_{0};
};

} // namespace

SWAPGATE_PLUGIN(Auth, "auth-cpp", "0.1.0");
