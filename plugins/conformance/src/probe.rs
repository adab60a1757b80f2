//! Every host function, with arguments that fit and arguments that do not. The order is that of `conformance.c`.

use swapgate_plugin::guest::call::Raw;
use swapgate_plugin::guest::handle::Exchange;

use crate::trace::Trace;

const REQUEST: u32 = 1;
const RESPONSE: u32 = 2;
/// A header map that does not exist.
const NO_MAP: u32 = 99;

const METHOD: u32 = 1;
const SCHEME: u32 = 2;
const PATH: u32 = 4;
const QUERY: u32 = 5;
const STATUS: u32 = 64;

/// One byte more than a variable may have.
const LONG_VARIABLE: usize = 64 * 1024 + 1;
/// One byte more than the name of a variable may have.
const LONG_NAME: usize = 129;
/// One byte more than a consumer may have.
const LONG_CONSUMER: usize = 257;

/// What is left in the exchange: the phase that left it.
struct Mark(&'static str);

pub(crate) fn probe(trace: &mut Trace, exchange: &mut Exchange<'_>) {
    let raw = exchange.raw();
    attributes(trace, raw);
    set_attributes(trace, raw);
    params(trace, raw);
    read_headers(trace, raw);
    change_headers(trace, raw);
    respond(trace, raw);
    variables(trace, raw);
    state(trace, exchange);
    let raw = exchange.raw();
    consumer(trace, raw);
    stale(trace, raw);
    texts(trace, raw);
}

fn attributes(trace: &mut Trace, raw: &Raw<'_>) {
    for attr in [METHOD, SCHEME, 3, PATH, QUERY, 9, 10] {
        trace.value(&format!("attr_text.{attr}"), raw.attr_text(attr));
    }
    // These differ from one exchange to the next; 60 does not exist, 64 is a number.
    let kept = [6, 7, 8, 11].into_iter().chain(12..=25);
    for attr in kept.chain([69, 60, STATUS]) {
        trace.code(&format!("attr_text.{attr}"), raw.attr_text(attr));
    }
    trace.number("attr_number.64", raw.attr_number(STATUS));
    // 999 does not exist, 1 is a text.
    for attr in [65, 66, 67, 68, 999, METHOD] {
        trace.code(&format!("attr_number.{attr}"), raw.attr_number(attr));
    }
}

fn set_attributes(trace: &mut Trace, raw: &mut Raw<'_>) {
    for attr in [METHOD, PATH, QUERY] {
        let value = raw
            .attr_text(attr)
            .map_or(Vec::new(), |value| value.to_vec());
        trace.code(&format!("attr_set.{attr}"), raw.attr_set(attr, &value));
    }
    trace.code("attr_set.bad_method", raw.attr_set(METHOD, b"GET /"));
    trace.code("attr_set.bad_path", raw.attr_set(PATH, b"x"));
    trace.code("attr_set.scheme", raw.attr_set(SCHEME, b"https"));
    trace.code("attr_set.unknown", raw.attr_set(999, b""));
}

fn params(trace: &mut Trace, raw: &Raw<'_>) {
    trace.value("param_get.id", raw.param_get("id"));
    trace.value("param_get.none", raw.param_get("none"));
    trace.value("param_nth.0", raw.param_nth(0).map(|(name, _)| name));
    trace.code("param_nth.99", raw.param_nth(99));
}

fn read_headers(trace: &mut Trace, raw: &Raw<'_>) {
    trace.value("header_get.request", raw.header_get(REQUEST, "X-Probe"));
    trace.value("header_get.none", raw.header_get(REQUEST, "x-none"));
    trace.value("header_get.response", raw.header_get(RESPONSE, "x-probe"));
    trace.code("header_get.no_map", raw.header_get(NO_MAP, "x-probe"));
    trace.value("header_nth.1", raw.header_nth(REQUEST, "x-probe", 1));
    trace.code("header_nth.99", raw.header_nth(REQUEST, "x-probe", 99));
    for (step, map) in [("request", REQUEST), ("response", RESPONSE)] {
        match raw.headers_list(map) {
            Ok(list) => {
                let found = list.iter().filter(|(name, _)| *name == "x-probe");
                trace.word(
                    &format!("headers_list.{step}"),
                    format_args!("0:{}", found.count()),
                );
            }
            Err(error) => trace.word(&format!("headers_list.{step}"), error.code()),
        }
    }
    trace.code("headers_list.no_map", raw.headers_list(NO_MAP));
}

fn change_headers(trace: &mut Trace, raw: &mut Raw<'_>) {
    for (step, map) in [("request", REQUEST), ("response", RESPONSE)] {
        trace.code(
            &format!("header_set.{step}"),
            raw.header_set(map, "x-conformance", b"1"),
        );
        trace.code(
            &format!("header_append.{step}"),
            raw.header_append(map, "X-Conformance", b"2\xff"),
        );
        trace.value(
            &format!("header_nth.{step}"),
            raw.header_nth(map, "x-conformance", 1),
        );
        trace.code(
            &format!("header_remove.{step}"),
            raw.header_remove(map, "x-conformance"),
        );
        trace.code(
            &format!("header_get.{step}_removed"),
            raw.header_get(map, "x-conformance"),
        );
    }
    // In the map that this phase can change, so that the mistake and not the phase is what is refused.
    let map = if matches!(trace.phase(), "R" | "A" | "W") {
        REQUEST
    } else {
        RESPONSE
    };
    for (step, name, value) in [
        ("bad_name", "bad name", b"1".as_slice()),
        ("no_name", "", b"1"),
        ("bad_value", "x-bad", b"a\nb"),
        ("connection", "Connection", b"close"),
        ("content_length", "content-length", b"1"),
        ("host", "host", b"example.com"),
        ("transfer_encoding", "transfer-encoding", b"chunked"),
    ] {
        trace.code(
            &format!("header_set.{step}"),
            raw.header_set(map, name, value),
        );
    }
    trace.code("header_set.no_map", raw.header_set(NO_MAP, "x-probe", b"1"));
    trace.code(
        "header_remove.none",
        raw.header_remove(map, "x-never-there"),
    );
    trace.code("header_remove.te", raw.header_remove(map, "te"));
}

fn respond(trace: &mut Trace, raw: &mut Raw<'_>) {
    trace.code("respond.status", raw.respond(199, &[], b""));
    trace.code("respond.large_status", raw.respond(600, &[], b""));
    trace.code("respond.header", raw.respond(200, &[("a b", b"")], b""));
    trace.code(
        "respond.forbidden",
        raw.respond(200, &[("connection", b"close")], b""),
    );
}

fn variables(trace: &mut Trace, raw: &mut Raw<'_>) {
    trace.value("var_get.none", raw.var_get("conformance.none"));
    trace.value("var_get.before", raw.var_get("conformance.phase"));
    let phase = trace.phase();
    trace.code(
        "var_set",
        raw.var_set("conformance.phase", phase.as_bytes()),
    );
    trace.value("var_get.after", raw.var_get("conformance.phase"));
    trace.code("var_set.long", raw.var_set(&"n".repeat(LONG_NAME), b""));
    trace.code(
        "var_set.large",
        raw.var_set("conformance.large", &vec![b'v'; LONG_VARIABLE]),
    );
}

fn state(trace: &mut Trace, exchange: &mut Exchange<'_>) {
    let before = exchange.state::<Mark>().map_or("none", |mark| mark.0);
    trace.word("state", before);
    let phase = trace.phase();
    let left = exchange.set_state(Mark(phase));
    trace.code("state_set", left);
    let after = exchange.state::<Mark>().map_or("none", |mark| mark.0);
    trace.word("state.after", after);
}

fn consumer(trace: &mut Trace, raw: &mut Raw<'_>) {
    trace.value("consumer_get", raw.consumer_get());
    trace.code("consumer_set.empty", raw.consumer_set(b""));
    trace.code("consumer_set.bad", raw.consumer_set(b"\xff"));
    trace.code(
        "consumer_set.long",
        raw.consumer_set(&[b'c'; LONG_CONSUMER]),
    );
    trace.code("consumer_set", raw.consumer_set(b"probe"));
    trace.value("consumer_get.after", raw.consumer_get());
}

fn stale(trace: &mut Trace, raw: &mut Raw<'_>) {
    let stale = !raw.token();
    trace.code("stale", raw.with_token(stale).attr_text(METHOD));
    trace.code("stale.zero", raw.with_token(0).var_get("conformance.phase"));
    trace.code(
        "stale.set",
        raw.with_token(stale).header_set(REQUEST, "x-stale", b"1"),
    );
}

fn texts(trace: &mut Trace, raw: &mut Raw<'_>) {
    trace.code("log", raw.log(3, "conformance"));
    trace.code("log.level", raw.log(99, "conformance"));
    trace.code("set_error", raw.set_error("nothing is wrong"));
}
