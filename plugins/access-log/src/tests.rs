//! The plugin in a gateway in memory, with real files.

use std::fs;
use std::path::Path;

use swapgate_plugin::serde_json::{self, Value, json};
use swapgate_plugin::testing::{ClientCertificate, Exchange, Host, Phase, Tls};
use swapgate_plugin::{Plugin, Response};

use super::AccessLog;

/// The lines that these exchanges leave in a file, with `settings` in the configuration.
#[track_caller]
fn lines(settings: &Value, exchanges: &[Exchange]) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("access.log");
    let mut config = json!({"output": {"file": path}});
    for (name, value) in settings.as_object().unwrap() {
        config[name] = value.clone();
    }
    let host = Host::of::<AccessLog>();
    let instance = host.configure(&config.to_string()).unwrap();
    assert!(!path.exists(), "configure touches no file");
    instance.start().unwrap();
    for exchange in exchanges {
        let outcome = instance.run(exchange.clone());
        assert_eq!(outcome.failures(), []);
    }
    drop(instance);
    let text = fs::read_to_string(&path).unwrap();
    text.lines().map(str::to_owned).collect()
}

#[track_caller]
fn line(settings: &Value, exchange: Exchange) -> String {
    let mut lines = lines(settings, &[exchange]);
    assert_eq!(lines.len(), 1, "{lines:?}");
    lines.remove(0)
}

#[track_caller]
fn object(settings: &Value, exchange: Exchange) -> Value {
    let line = line(settings, exchange);
    serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))
}

#[track_caller]
fn refused(config: &Value, expected: &str) {
    let host = Host::of::<AccessLog>();
    let found = host.configure(&config.to_string()).map(drop).unwrap_err();
    assert_eq!(found, expected);
}

#[test]
fn a_line_of_json_has_the_usual_fields() {
    let exchange = Exchange::new()
        .method("POST")
        .path("/a?b=c&token=secret")
        .consumer("alice")
        .header("user-agent", "curl/8");
    let mut found = object(&json!({}), exchange);
    let time = found["time"].take();
    let time = time.as_str().unwrap();
    assert!(time.len() == 24 && time.ends_with('Z'), "{time}");
    let expected = json!({
        "time": null, "request_id": "test-request", "client": "192.0.2.1", "consumer": "alice", "method": "POST",
        "protocol": "HTTP/1.1", "host": "example.com", "path": "/a", "query": "b=c&token=***", "status": 200, "request_bytes": 0,
        "response_bytes": 0, "duration_ms": 0.0, "upstream_ms": 1.0, "target": "203.0.113.1:9000", "route": "test",
        "service": "test", "user_agent": "curl/8",
    });
    assert_eq!(found, expected);
}

#[test]
fn a_connection_with_tls_is_told() {
    let settings =
        json!({"fields": ["scheme", "protocol", "tls_version", "sni", "client_subject"]});
    let certificate = ClientCertificate {
        subject: "CN=alice,O=\"A\"".to_owned(),
        ..ClientCertificate::default()
    };
    let exchange = Exchange::new()
        .protocol("HTTP/2")
        .with_tls(Tls::sni("a.example"))
        .with_client_certificate(certificate);
    let expected = json!({
        "scheme": "https", "protocol": "HTTP/2", "tls_version": "TLSv1.3", "sni": "a.example",
        "client_subject": "CN=alice,O=\"A\"",
    });
    assert_eq!(object(&settings, exchange), expected);
    let expected = json!({
        "scheme": "http", "protocol": "HTTP/1.1", "tls_version": null, "sni": null, "client_subject": null,
    });
    assert_eq!(object(&settings, Exchange::new()), expected);
}

#[test]
fn what_is_not_there_is_null() {
    let found = object(&json!({}), Exchange::new().no_route());
    for name in [
        "consumer",
        "query",
        "upstream_ms",
        "target",
        "route",
        "service",
        "user_agent",
    ] {
        assert_eq!(found.get(name), Some(&Value::Null), "{name}");
    }
    assert_eq!(found["status"], 404);
}

#[test]
fn fields_and_headers_are_chosen() {
    let settings = json!({
        "fields": ["status", "peer", "referer"],
        "request_headers": ["X-A", "Authorization", "x-none", "referer"],
        "response_headers": ["location", "set-cookie"],
    });
    let upstream = Response::new(302)
        .header("location", "/b?key=k&x=1")
        .header("set-cookie", "a=b");
    let exchange = Exchange::new()
        .header("x-a", "1")
        .header("x-a", "2")
        .header("authorization", "Basic abc")
        .header("referer", "http://x/?password=p#y")
        .upstream(upstream);
    let expected = json!({
        "status": 302, "peer": "192.0.2.1:50000", "referer": "http://x/?password=***#y",
        "request_headers": {"x-a": "1, 2", "authorization": "***", "x-none": null, "referer": "http://x/?password=***#y"},
        "response_headers": {"location": "/b?key=***&x=1", "set-cookie": "***"},
    });
    assert_eq!(object(&settings, exchange), expected);
}

#[test]
fn what_is_masked_can_be_chosen_too() {
    let settings = json!({
        "fields": ["query"], "request_headers": ["authorization", "x-a"],
        "redact": {"query": ["Mine"], "headers": ["X-A"]},
    });
    let exchange = Exchange::new()
        .path("/?token=t&mine=m")
        .header("authorization", "open")
        .header("x-a", "hidden");
    let expected = json!({
        "query": "token=t&mine=***", "request_headers": {"authorization": "open", "x-a": "***"},
    });
    assert_eq!(object(&settings, exchange), expected);
}

#[test]
fn hostile_bytes_stay_in_their_place() {
    let hostile = b"\xff\"}\\\x1b[31m\tgr\xc3\xbcn";
    let exchange = || Exchange::new().header("user-agent", hostile);
    let found = object(&json!({"fields": ["user_agent", "status"]}), exchange());
    assert_eq!(found["user_agent"], "\u{fffd}\"}\\\u{1b}[31m\tgrün");
    assert_eq!(found["status"], 200);
    let format = json!({"format": "\"$user_agent\" $status"});
    let expected = r#""\xFF\x22}\x5C\x1B[31m\x09gr\xC3\xBCn" 200"#;
    assert_eq!(line(&format, exchange()), expected);
}

#[test]
fn a_format_of_ones_own() {
    let format = json!({
        "format": "$client $consumer \"$method $path\" ${status} $query ${request_header.cookie} ${response_header.etag} $$",
    });
    let exchange = Exchange::new()
        .path("/x?sig=1")
        .header("cookie", "a=b")
        .upstream(Response::new(200).header("etag", "W/1"));
    assert_eq!(
        line(&format, exchange),
        r#"192.0.2.1 - "GET /x" 200 sig=*** *** W/1 $"#
    );
}

#[test]
fn every_exchange_has_its_line_when_the_instance_ends() {
    let exchanges: Vec<_> = (0..5000)
        .map(|n| Exchange::new().path(&format!("/{n}")))
        .collect();
    let settings = json!({"format": "$path", "flush": "1m"});
    let expected: Vec<_> = (0..5000).map(|n| format!("/{n}")).collect();
    assert_eq!(lines(&settings, &exchanges), expected);
}

#[test]
fn a_full_device_and_a_preflight_disturb_nobody() {
    let host = Host::of::<AccessLog>();
    let config = r#"{"output": {"file": "/dev/full"}, "queue": 10, "flush": "1ms"}"#;
    let instance = host.configure(config).unwrap();
    for started in [false, true] {
        if started {
            instance.start().unwrap();
        }
        for _ in 0..100 {
            let outcome = instance.run(Exchange::new());
            assert_eq!((outcome.status(), outcome.failures()), (200, [].as_slice()));
        }
    }
    drop(instance);
    let of = |name: &str, labels: &[(&str, &str)]| {
        let labels = [&[("output", "/dev/full")], labels].concat();
        host.metric(name, &labels).unwrap().value
    };
    let lines = |outcome| of("lines", &[("outcome", outcome)]);
    assert!(
        lines("dropped") >= 80.0,
        "the queue and one batch wait, not more"
    );
    assert_eq!(lines("dropped") + lines("lost"), 100.0);
    assert_eq!(lines("written"), 0.0);
    assert!(of("write_errors", &[]) >= 1.0);
}

#[test]
fn lines_that_were_written_are_counted() {
    let host = Host::of::<AccessLog>();
    let instance = host
        .configure(r#"{"output": {"file": "/dev/null"}}"#)
        .unwrap();
    instance.start().unwrap();
    for _ in 0..7 {
        let _ = instance.run(Exchange::new());
    }
    drop(instance);
    let labels = [("output", "/dev/null"), ("outcome", "written")];
    assert_eq!(host.metric("lines", &labels).unwrap().value, 7.0);
}

#[test]
fn an_output_that_cannot_be_opened_refuses_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("log");
    let host = Host::of::<AccessLog>();
    let config = json!({"output": {"file": path}}).to_string();
    let instance = host.configure(&config).unwrap();
    fs::remove_dir(&inner).unwrap();
    let error = instance.start().unwrap_err();
    let expected = format!("{} cannot be opened: ", path.display());
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn bad_configurations_name_the_place() {
    let table = [
        (
            json!({"format": "$remote_addr"}),
            "format: names $remote_addr, which is unknown: here it is $client",
        ),
        (
            json!({"format": "$path", "fields": ["path"]}),
            "fields: is for format json only: name in the format what a line has, headers as ${request_header.NAME}",
        ),
        (
            json!({"fields": []}),
            "fields: is empty: name some, or leave it out for the usual ones",
        ),
        (
            json!({"fields": ["path", "status", "path"]}),
            "fields[2]: path stood before: name it once",
        ),
        (
            json!({"request_headers": ["a", "b c"]}),
            "request_headers[1]: is not a header name: use letters, digits and dashes",
        ),
        (
            json!({"response_headers": ["a", "A"]}),
            "response_headers[1]: a stood before: name it once",
        ),
        (
            json!({"redact": {"query": [""]}}),
            "redact.query[0]: is not a name of 1 to 64 bytes",
        ),
        (json!({"queue": 0}), "queue: is not between 1 and 1000000"),
        (
            json!({"flush": "1h"}),
            "flush: is no time from 1ms to 1m: write a number and a unit, such as 100ms or 1s",
        ),
        (
            json!({"output": {"file": "/no/such/folder/log"}}),
            "output.file: there is no folder /no/such/folder: make it, or name a file elsewhere",
        ),
        (
            json!({"output": {"file": "/dev"}}),
            "output.file: /dev is a folder: name a file, or use stdout",
        ),
        (
            json!({"output": {"file": ""}}),
            "output.file: is not the path of a file: name one",
        ),
    ];
    for (config, expected) in table {
        refused(&config, expected);
    }
    assert!(!Path::new("access.log").exists());
}

#[test]
fn only_the_phase_it_needs_and_the_flag_of_its_thread() {
    assert_eq!(Host::of::<AccessLog>().phases(), [Phase::Log]);
    assert_eq!(AccessLog::FLAGS, swapgate_plugin::flags::OWNS_THREADS);
}
