//! The policy on header fields: what of a request goes on, what of an answer, and what a plugin may set.

use std::net::IpAddr;

use http::header::{CONTENT_LENGTH, HOST, TRANSFER_ENCODING};
use http::{HeaderMap, HeaderName, HeaderValue};
use ipnet::IpNet;
use swapgate::context::headers::{self as policy, Survey, is_hop_by_hop, strip_hop_by_hop};
use swapgate::context::trailers;
use swapgate::exchange::forwarding::{self, PeerValues, Told};
use swapgate::exchange::ingress::{self, Framing};
use swapgate::stream::reframe;

use crate::input::Input;

/// The first byte is flags. Then lines: `name: value`, those after an empty line are what a plugin sets.
pub fn headers(data: &[u8]) {
    let mut input = Input::new(data);
    let flags = input.byte();
    let mut lines = input.rest().split(|byte| *byte == b'\n');
    let mut map = HeaderMap::new();
    for line in lines.by_ref().take_while(|line| !line.is_empty()) {
        if let Some((name, value)) = field(line) {
            map.append(name, value);
        }
    }
    request(map.clone(), flags & 1 == 1);
    answer(map.clone());
    let mut trailers = map.clone();
    trailers::clean(&mut trailers);
    assert!(trailers.keys().all(|name| !trailers::is_forbidden(name)));
    if let Some(announced) = trailers::announced(&map) {
        assert!(!announced.is_empty());
        let names = announced.as_bytes().split(|byte| *byte == b',');
        for name in names {
            let name = HeaderName::from_bytes(name.trim_ascii()).expect("a name");
            assert!(!trailers::is_forbidden(&name), "{name}");
        }
    }
    for line in lines {
        plugin_sets(line, &mut map, flags & 2 == 2);
    }
}

/// A line that hyper would take.
fn field(line: &[u8]) -> Option<(HeaderName, HeaderValue)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let (name, value) = line.split_at(colon);
    let name = HeaderName::from_bytes(name).ok()?;
    let value = HeaderValue::from_bytes(value.get(1..)?.trim_ascii()).ok()?;
    Some((name, value))
}

fn request(mut map: HeaderMap, trusted: bool) {
    let survey = Survey::of(&map);
    let sent = map.clone();
    let framing = ingress::framing(&mut map, survey);
    let codings = sent.get_all(TRANSFER_ENCODING).iter().count();
    match framing {
        Ok(Framing::Chunked) => {
            assert_eq!(codings, 1);
            assert!(
                !map.contains_key(CONTENT_LENGTH),
                "two ways to say how long it is"
            );
        }
        Ok(Framing::Length) => assert_eq!(codings, 0),
        Err(_) => return,
    }
    assert!(!map.contains_key(http::header::EXPECT));
    stripped(&mut map, survey);
    forwarded(&mut map, &sent, trusted);
}

/// What is left is what was there, without what belongs to one connection.
fn stripped(map: &mut HeaderMap, survey: Survey) {
    let before = map.clone();
    strip_hop_by_hop(map, survey);
    let listed: Vec<Vec<u8>> = before
        .get_all(http::header::CONNECTION)
        .iter()
        .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
        .map(|option| option.trim_ascii().to_ascii_lowercase())
        .collect();
    for name in before.keys() {
        let kept = [HOST, CONTENT_LENGTH].contains(name);
        let option = listed.iter().any(|one| one == name.as_str().as_bytes());
        let goes = is_hop_by_hop(name) || (option && !kept);
        let left: Vec<_> = map.get_all(name).iter().collect();
        if goes {
            assert!(left.is_empty(), "{name} is left");
        } else {
            assert_eq!(left, before.get_all(name).iter().collect::<Vec<_>>());
        }
    }
    assert!(map.keys().all(|name| before.contains_key(name)));
}

/// What is said of the client is said by the gateway or by whoever it trusts.
fn forwarded(map: &mut HeaderMap, sent: &HeaderMap, trusted: bool) {
    let any = "0.0.0.0/0".parse::<IpNet>().expect("a network");
    let nets = if trusted { &[any][..] } else { &[] };
    let values = PeerValues::new(
        "192.0.2.9:5".parse().expect("an address"),
        "192.0.2.1:80".parse().expect("an address"),
        "http",
    );
    let peer: IpAddr = [192, 0, 2, 9].into();
    assert_eq!(forwarding::is_trusted(peer, nets), trusted);
    let told = Told {
        peer: &values,
        trusted: nets,
        request_id: HeaderValue::from_static("id"),
        host: map.get(HOST).cloned(),
    };
    let survey = Survey::of(map);
    let client = forwarding::apply(map, survey, told);
    for name in ["proxy", "forwarded"] {
        assert!(!map.contains_key(name), "{name}");
    }
    let last = map.get_all("x-forwarded-for").iter().next_back();
    assert_eq!(last, Some(&HeaderValue::from_static("192.0.2.9")));
    assert_eq!(
        map.get_all("x-request-id").iter().collect::<Vec<_>>(),
        ["id"]
    );
    assert_eq!(
        map.get_all("x-real-ip").iter().collect::<Vec<_>>(),
        [client.to_string().as_str()]
    );
    if trusted {
        return;
    }
    assert_eq!(client, peer);
    let own = [
        "x-forwarded-for",
        "x-forwarded-proto",
        "x-forwarded-port",
        "x-forwarded-host",
    ];
    for name in map
        .keys()
        .filter(|name| name.as_str().starts_with("x-forwarded-"))
    {
        assert!(own.contains(&name.as_str()), "{name} of a stranger");
        assert_eq!(map.get_all(name).iter().count(), 1, "{name}");
    }
    assert_eq!(
        map.get("x-forwarded-host"),
        sent.get(HOST).filter(|_| map.contains_key(HOST))
    );
}

/// A body that changes takes along what is said of its bytes.
fn answer(mut map: HeaderMap) {
    let survey = Survey::of(&map);
    stripped(&mut map, survey);
    reframe::answer(&mut map);
    for name in ["content-length", "accept-ranges", "content-md5", "digest"] {
        assert!(!map.contains_key(name), "{name}");
    }
    let tags: Vec<_> = map.get_all("etag").iter().collect();
    assert!(tags.iter().all(|tag| tag.as_bytes().starts_with(b"W/\"")));
    assert!(tags.len() <= 1);
}

/// Whatever a plugin sets: it is one field, and none that belongs to the gateway.
fn plugin_sets(line: &[u8], map: &mut HeaderMap, request: bool) {
    let colon = line.iter().position(|byte| *byte == b':');
    let (name, value) = line.split_at(colon.unwrap_or(line.len()));
    let value = policy::value(value.get(1..).unwrap_or_default());
    if let (Ok(name), Ok(value)) = (policy::changeable(name, request), value) {
        assert!(!is_hop_by_hop(&name) && name != CONTENT_LENGTH);
        assert!(!request || name != HOST);
        let bytes = value.as_bytes();
        assert!(!bytes.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)));
        let _ = policy::append(map, name.clone(), value.clone());
        let _ = policy::set(map, name, value);
        assert!(map.len() <= policy::LINES);
    }
}
