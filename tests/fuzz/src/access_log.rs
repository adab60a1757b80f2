//! The line of the access log: whatever clients and upstreams send, it is one line and reads back.

use access_log::{escape, format};
use swapgate_plugin::serde_json;

use crate::input::Input;

/// A piece that is logged; the rest is a format.
pub fn access_log(data: &[u8]) {
    let mut input = Input::new(data);
    let value = input.piece();
    let mut out = b"\"".to_vec();
    escape::json(&mut out, value);
    out.push(b'"');
    let text = std::str::from_utf8(&out).expect("JSON is UTF-8");
    assert!(crate::is_one_line(text), "{text:?}");
    let read: String = serde_json::from_str(text).expect("it reads back");
    assert_eq!(read, String::from_utf8_lossy(value));
    out.clear();
    escape::text(&mut out, value);
    assert!(
        out.iter()
            .all(|byte| matches!(byte, b' '..=b'~') && *byte != b'"')
    );
    let written = String::from_utf8_lossy(input.rest());
    if let Err(why) = format::parse(&written, |name| name == "authorization") {
        assert!(crate::is_one_line(&why), "{why:?}");
    }
}
