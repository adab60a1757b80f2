//! What the file says of the process and its clients, and values that come from outside of it.

use super::*;
use crate::config::ready::OnError;

#[test]
fn what_clients_may_say_and_as_whom_the_process_runs() {
    check_more("client_headers: {identity: [\"x-*-id\", \"ho*\", Host, x-user-id]}", "
        3:29: client_headers.identity[0]: this value does not fit: found \"x-*-id\", expected the name of a header such as x-user-id, or its beginning such as x-user-*
        3:39: client_headers.identity[1]: this value does not fit: found \"ho*\", expected a header that a request can be without
        3:46: client_headers.identity[2]: this value does not fit: found \"Host\", expected a header that a request can be without");
    check_more(
        "process: {group: staff}",
        "
        3:18: process.group: a group without a user; write process.user as well",
    );
    check_more("limits: {uri_bytes: 1}", "
        3:21: limits.uri_bytes: this value does not fit: found the number 1, expected a size from 1KiB to 64KiB");
}

#[test]
fn a_token_is_needed_where_others_can_connect() {
    check_more(
        "admin: {address: '0.0.0.0:1'}",
        "3:8: admin.token: an admin address that is not loopback needs a token; write token: \"${env:NAME}\", or bind to 127.0.0.1",
    );
    let config = good(&format!(
        "{MINIMAL}admin: {{address: '0.0.0.0:1', token: '${{env:TOKEN}}'}}"
    ));
    assert_eq!(
        config.admin.token.as_ref().unwrap().reveal(),
        "s3cr3t-t0ken"
    );
    assert!(!format!("{config:?}").contains("s3cr3t"));
}

#[test]
fn values_from_outside_are_filled_in_and_never_shown() {
    check_more("via: '${env:NOPE} ${file:nope} ${env:} ${x} ${env:KEY'", "
        3:6: via: a \"${\" without its \"}\": found \"${env:KEY\"; close it with \"}\"
        3:6: via: the environment variable NOPE cannot be used, it is not set: found \"${env:NOPE}\"; set it for the gateway
        3:6: via: the file /etc/gate/nope cannot be used, no such file: found \"${file:nope}\"; relative paths start at the folder of gate.yaml
        3:6: via: this form is not known here: found \"${x}\"; use ${env:NAME} or ${file:PATH}
        3:6: via: this is not a name of an environment variable: found \"${env:}\"; use letters, digits and \"_\"");
    check_more("admin: {address: '127.0.0.1:${env:PORT}'}\nroutes: [{name: r, service: '${env:KEY}', paths: ['/${env:PORT}/{']}]", "
        3:18: admin.address: this value does not fit: found \"127.0.0.1:${env:PORT}\", expected an IP address and a port such as 127.0.0.1:8000 or [::1]:8000
        4:29: routes[0].service: there is no service of this name: found \"${env:KEY}\", expected the name of an entry of services, which is empty
        4:51: routes[0].paths[0]: this value does not fit: found \"/${env:PORT}/{\"");
    check_more(
        "workers: '${env:KEY}'",
        "3:10: workers: this value does not fit: found \"${env:KEY}\", expected a whole number; what ${env:...} and ${file:...} give is always a text",
    );
}

#[test]
fn other_forms_belong_to_the_plugin() {
    let config = good(&format!(
        "{MINIMAL}plugins:\n- name: p\n  on_error: open\n  config: {{z: '${{consumer}} ${{env:KEY}} ${{open', a: '${{file:keys/one}}', n: 1.0}}\n"
    ));
    let plugin = &config.plugins[0];
    assert_eq!(
        plugin.config.reveal(),
        r#"{"a":"of-a-file","n":1,"z":"${consumer} hunter2-hunter2 ${open"}"#
    );
    assert_eq!(plugin.on_error, OnError::Open);
    assert_eq!(plugin.place.to_string(), "gate.yaml:4:3: plugins[0]");
    assert!(!format!("{config:?}").contains("hunter2"));
}
