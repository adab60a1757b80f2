//! Headers by table, and whatever bytes there are.

use proptest::prelude::*;

use super::header::{Flaw, Look, Told, look};
use super::v2;

#[track_caller]
fn ends(bytes: &[u8], source: &str, destination: &str) {
    let told = Told::Ends {
        source: source.parse().expect("an address"),
        destination: destination.parse().expect("an address"),
    };
    assert_eq!(look(bytes), Ok(Look::Header(told, bytes.len())));
}

#[track_caller]
fn nobody(bytes: &[u8]) {
    assert_eq!(look(bytes), Ok(Look::Header(Told::Nobody, bytes.len())));
}

#[track_caller]
fn itself(bytes: &[u8]) {
    assert_eq!(look(bytes), Ok(Look::Header(Told::Itself, bytes.len())));
}

#[track_caller]
fn flawed(bytes: &[u8], flaw: Flaw) {
    assert_eq!(look(bytes), Err(flaw));
}

/// A header of version 2; its length is that of `rest` unless said otherwise.
fn binary(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
    let length = u16::try_from(rest.len()).expect("short enough");
    let mut bytes = v2::SIGNATURE.to_vec();
    bytes.extend([command, family]);
    bytes.extend(length.to_be_bytes());
    bytes.extend(rest);
    bytes
}

const FOUR: [u8; 12] = [192, 0, 2, 1, 198, 51, 100, 2, 0xdc, 0x04, 0x01, 0xbb];

fn six() -> Vec<u8> {
    let mut block = [0x20, 0x01, 0x0d, 0xb8].to_vec();
    block.extend([0; 11]);
    block.push(1);
    block.extend([0xfd; 16]);
    block.extend([0, 1, 0xff, 0xff]);
    block
}

#[test]
fn lines_that_say_who() {
    ends(
        b"PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n",
        "192.0.2.1:56324",
        "198.51.100.2:443",
    );
    ends(
        b"PROXY TCP4 0.0.0.0 255.255.255.255 0 65535\r\n",
        "0.0.0.0:0",
        "255.255.255.255:65535",
    );
    ends(
        b"PROXY TCP6 2001:db8::1 ::1 1 80\r\n",
        "[2001:db8::1]:1",
        "[::1]:80",
    );
    let longest = b"PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n";
    let full = "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:65535";
    ends(longest, full, full);
    nobody(b"PROXY UNKNOWN\r\n");
    nobody(b"PROXY UNKNOWN ffff::1 whatever \xff it says\r\n");
}

#[test]
fn lines_that_are_refused() {
    for (line, flaw) in [
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\n", Flaw::LineEnd),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2\r \n", Flaw::LineEnd),
        ("PROXY UNKNOWN\rX", Flaw::LineEnd),
        ("PROXY UNKNOWNX\r\n", Flaw::Protocol),
        ("PROXY \r\n", Flaw::Protocol),
        ("PROXY UDP4 192.0.2.1 198.51.100.2 1 2\r\n", Flaw::Protocol),
        ("PROXY tcp4 192.0.2.1 198.51.100.2 1 2\r\n", Flaw::Protocol),
        ("PROXY  TCP4 192.0.2.1 198.51.100.2 1 2\r\n", Flaw::Protocol),
        ("PROXY TCP4\r\n", Flaw::Fields),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1\r\n", Flaw::Fields),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 3\r\n", Flaw::Fields),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 2 \r\n", Flaw::Fields),
        ("PROXY TCP4 192.0.2.1  198.51.100.2 1 2\r\n", Flaw::Address),
        ("PROXY TCP4 192.0.2.01 198.51.100.2 1 2\r\n", Flaw::Address),
        ("PROXY TCP4 192.0.2.256 198.51.100.2 1 2\r\n", Flaw::Address),
        ("PROXY TCP4 localhost 198.51.100.2 1 2\r\n", Flaw::Address),
        ("PROXY TCP4 ::1 ::2 1 2\r\n", Flaw::Address),
        ("PROXY TCP6 192.0.2.1 198.51.100.2 1 2\r\n", Flaw::Address),
        ("PROXY TCP6 fe80::1%eth0 ::2 1 2\r\n", Flaw::Address),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 65536 2\r\n", Flaw::Port),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 +1 2\r\n", Flaw::Port),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 01 2\r\n", Flaw::Port),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 00 2\r\n", Flaw::Port),
        ("PROXY TCP4 192.0.2.1 198.51.100.2 1 \r\n", Flaw::Port),
    ] {
        assert_eq!(look(line.as_bytes()), Err(flaw), "{line:?}");
    }
}

#[test]
fn a_line_has_107_bytes_at_most() {
    let line = |length: usize| {
        let mut line = b"PROXY UNKNOWN ".to_vec();
        line.resize(length - 2, b'x');
        line.extend(b"\r\n");
        line
    };
    nobody(&line(107));
    flawed(&line(108), Flaw::Endless);
    flawed(&line(2000), Flaw::Endless);
    let endless = line(107);
    assert_eq!(look(&endless[..105]), Ok(Look::More(106)));
    assert_eq!(look(&endless[..106]), Ok(Look::More(107)));
}

#[test]
fn bytes_that_say_who() {
    ends(
        &binary(0x21, 0x11, &FOUR),
        "192.0.2.1:56324",
        "198.51.100.2:443",
    );
    let wide = "[fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd:fdfd]:65535";
    ends(&binary(0x21, 0x21, &six()), "[2001:db8::1]:1", wide);
    // A field of a type nobody knows, an empty one, and one that says nothing.
    let mut fields = FOUR.to_vec();
    fields.extend([0xea, 0, 3, 1, 2, 3, 0x04, 0, 0, 0x20, 0, 1, 0]);
    ends(
        &binary(0x21, 0x11, &fields),
        "192.0.2.1:56324",
        "198.51.100.2:443",
    );
    nobody(&binary(0x21, 0x31, &[0; 216]));
    nobody(&binary(0x21, 0x00, &[]));
    itself(&binary(0x20, 0x00, &[]));
    // Whatever comes with LOCAL is not looked at.
    itself(&binary(0x20, 0x11, &[1, 2, 3]));
    nobody(&binary(0x21, 0x00, &[0x04, 0, 1, 0]));
}

#[test]
fn bytes_that_are_refused() {
    flawed(&binary(0x11, 0x11, &FOUR), Flaw::Command);
    flawed(&binary(0x22, 0x11, &FOUR), Flaw::Command);
    for family in [0x01, 0x10, 0x12, 0x22, 0x32, 0x41, 0xff] {
        flawed(&binary(0x21, family, &FOUR), Flaw::Family);
    }
    flawed(&binary(0x21, 0x11, &FOUR[..11]), Flaw::TooShort);
    flawed(&binary(0x21, 0x21, &FOUR), Flaw::TooShort);
    flawed(&binary(0x21, 0x31, &[0; 215]), Flaw::TooShort);
    let with = |field: &[u8]| binary(0x21, 0x11, &[&FOUR, field].concat());
    flawed(&with(&[4, 0]), Flaw::Field);
    flawed(&with(&[4, 0, 2, 0]), Flaw::Field);
    flawed(&with(&[3, 0, 3, 0, 0, 0]), Flaw::Checksum);
    flawed(&with(&[3, 0, 4, 0, 0, 0, 0]), Flaw::Checksum);
    // Addresses and one field that fills the rest.
    let field = v2::LONGEST - 16 - FOUR.len() - 3;
    let length = u16::try_from(field).expect("short enough").to_be_bytes();
    let mut padded = [&FOUR[..], &[4], &length, &vec![0; field]].concat();
    ends(
        &binary(0x21, 0x11, &padded),
        "192.0.2.1:56324",
        "198.51.100.2:443",
    );
    padded.push(0);
    flawed(&binary(0x21, 0x11, &padded), Flaw::TooLong);
    // It is refused before it is there.
    flawed(&binary(0x21, 0x11, &padded)[..16], Flaw::TooLong);
}

#[test]
fn a_checksum_is_checked() {
    // RFC 3720, B.4: 32 bytes of zero.
    assert_eq!(v2::crc32c([0; 32].into_iter()), 0x8a91_36aa);
    assert_eq!(v2::crc32c(b"123456789".iter().copied()), 0xe306_9283);
    let mut bytes = binary(0x21, 0x11, &[&FOUR[..], &[3, 0, 4, 0, 0, 0, 0]].concat());
    let sum = v2::crc32c(bytes.iter().copied()).to_be_bytes();
    let at = bytes.len() - 4;
    bytes[at..].copy_from_slice(&sum);
    ends(&bytes, "192.0.2.1:56324", "198.51.100.2:443");
    for place in 16..bytes.len() - 7 {
        bytes[place] ^= 1;
        flawed(&bytes, Flaw::Checksum);
        bytes[place] ^= 1;
    }
}

#[test]
fn what_is_something_else_is_left_alone() {
    for text in [
        &b"GET / HTTP/1.1\r\n"[..],
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"PROPFIND / HTTP/1.1\r\n",
        b"PROXYX",
        b"\x16\x03\x01",
        b"\r\n\r\nGET / HTTP/1.1\r\n",
        b"\r\n\r\n\0\r\nQUIT\r",
        b"proxy TCP4 ",
    ] {
        assert_eq!(look(text), Ok(Look::Absent), "{text:?}");
    }
    for text in [
        &b""[..],
        b"P",
        b"PRO",
        b"\r",
        b"\r\n\r\n",
        b"\r\n\r\n\0\r\nQUIT",
    ] {
        assert!(matches!(look(text), Ok(Look::More(_))), "{text:?}");
    }
}

fn headers() -> impl Strategy<Value = Vec<u8>> {
    let port = any::<u16>();
    let four = (any::<[u8; 4]>(), any::<[u8; 4]>(), port, any::<u16>()).prop_map(|(a, b, p, q)| {
        let (a, b) = (std::net::Ipv4Addr::from(a), std::net::Ipv4Addr::from(b));
        format!("PROXY TCP4 {a} {b} {p} {q}\r\n").into_bytes()
    });
    let six =
        (any::<[u8; 16]>(), any::<[u8; 16]>(), port, any::<u16>()).prop_map(|(a, b, p, q)| {
            let (a, b) = (std::net::Ipv6Addr::from(a), std::net::Ipv6Addr::from(b));
            format!("PROXY TCP6 {a} {b} {p} {q}\r\n").into_bytes()
        });
    let field = (4u8.., prop::collection::vec(any::<u8>(), 0..40)).prop_map(|(kind, value)| {
        let length = u16::try_from(value.len()).expect("short").to_be_bytes();
        [&[kind][..], &length, &value].concat()
    });
    let fields = prop::collection::vec(field, 0..5).prop_map(|fields| fields.concat());
    let bytes = (any::<[u8; 36]>(), 0..3usize, fields).prop_map(|(block, which, fields)| {
        let (family, length) = [(0x11, 12), (0x21, 36), (0x00, 0)][which];
        binary(0x21, family, &[&block[..length], &fields].concat())
    });
    prop_oneof![four, six, bytes]
}

proptest! {
    #[test]
    fn no_part_of_a_header_is_one_and_nothing_after_it_counts(header in headers(), after in prop::collection::vec(any::<u8>(), 0..200)) {
        let whole = look(&header);
        prop_assert!(matches!(whole, Ok(Look::Header(_, length)) if length == header.len()), "{whole:?}");
        for cut in 0..header.len() {
            let part = look(&header[..cut]);
            prop_assert!(matches!(part, Ok(Look::More(needed)) if cut < needed && needed <= header.len()), "{cut}: {part:?}");
        }
        let longer = [header, after].concat();
        prop_assert_eq!(look(&longer), whole);
    }

    #[test]
    fn any_byte_may_be_wrong(header in headers(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
        let mut header = header;
        let place = place.index(header.len());
        header[place] = byte;
        for cut in 0..=header.len() {
            if let Ok(Look::Header(_, length)) = look(&header[..cut]) {
                prop_assert!(length <= cut);
            }
        }
    }

    #[test]
    fn any_bytes_are_judged(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let text = [b"PROXY ", &bytes[..]].concat();
        let binary = [v2::SIGNATURE, &bytes[..]].concat();
        for bytes in [&bytes, &text, &binary] {
            if let Ok(Look::Header(_, length)) = look(bytes) {
                prop_assert!(length <= bytes.len());
            }
        }
    }
}
