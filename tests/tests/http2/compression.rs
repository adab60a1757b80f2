//! Header compression: the state both sides keep (RFC 9113, 4.3, and RFC 7541).

use swapgate_tests::h2::connection::get;
use swapgate_tests::h2::frame::{self, code, flag, setting};
use swapgate_tests::h2::pack::{self, Keep};
use swapgate_tests::h2::{Connection, Frame, huffman};

use crate::rows::{Row, row, whole};
use crate::stage::Stage;

/// A GET whose block ends in these bytes.
fn raw(stream: u32, rest: impl AsRef<[u8]>) -> Frame {
    let block = [pack::block(&get("/case")), rest.as_ref().to_vec()].concat();
    frame::headers(stream, block).with(flag::END_STREAM)
}

/// h2 has one code for everything that goes wrong in a block.
fn broken(section: &'static str, name: &str, rest: impl AsRef<[u8]>) -> Row {
    row(section, name, raw(1, rest))
        .general_code("COMPRESSION_ERROR")
        .unforwarded()
}

#[test]
fn what_cannot_be_decoded() {
    let kept = pack::literal(Keep::Indexed, "x-kept", "1");
    let value = |bytes: Vec<u8>| [vec![0x00], pack::string("x"), bytes].concat();
    Stage::new().play(&[
        broken("RFC 7541 2.3.3", "index 0", b"\x80"),
        broken(
            "RFC 7541 2.3.3",
            "an index beyond both tables",
            pack::indexed(62),
        ),
        broken(
            "RFC 7541 2.3.3",
            "an index far beyond",
            pack::indexed(100_000),
        ),
        broken(
            "RFC 7541 2.3.3",
            "a name beyond both tables",
            pack::literal_indexed_name(Keep::Not, 70, "1"),
        ),
        broken(
            "RFC 7541 4.2",
            "a table larger than the setting",
            [pack::size_update(4097), kept.clone()].concat(),
        ),
        broken("RFC 7541 4.2", "a size after a field", pack::size_update(0)),
        broken(
            "RFC 7541 5.1",
            "a number that never ends",
            [&[0xff; 1][..], &[0x80; 30], &[0]].concat(),
        ),
        broken(
            "RFC 7541 5.1",
            "a number over 32 bits",
            b"\xff\xff\xff\xff\xff\xff\x0f",
        ),
        broken(
            "RFC 7541 5.2",
            "a string longer than its block",
            value(b"\x7fab".to_vec()),
        ),
        broken(
            "RFC 7541 5.2",
            "a block that ends within a field",
            b"\x00\x01x",
        ),
        broken(
            "RFC 7541 5.2",
            "EOS in a string",
            value(pack::said_huffman([0xff; 4])),
        ),
        broken(
            "RFC 7541 5.2",
            "eight bits of padding",
            value(pack::said_huffman(b"\x1f\xff")),
        ),
        broken(
            "RFC 7541 5.2",
            "padding of zeros",
            value(pack::said_huffman(b"\x18")),
        ),
        broken(
            "RFC 7541 4.4",
            "an entry larger than the table is not kept",
            [
                pack::literal(Keep::Indexed, "x", "v".repeat(4096)),
                pack::indexed(62),
            ]
            .concat(),
        ),
        broken(
            "RFC 7541 4.2",
            "a table of nothing forgets",
            [kept, pack::indexed(63)].concat(),
        ),
    ]);
}

#[test]
fn what_can_be_decoded() {
    let kept = || pack::literal(Keep::Indexed, "x-kept", "1");
    let first = |updates: &[u64]| {
        let updates: Vec<u8> = updates
            .iter()
            .flat_map(|size| pack::size_update(*size))
            .collect();
        frame::headers(1, [updates, pack::block(&get("/case"))].concat()).with(flag::END_STREAM)
    };
    let coded = |text: &str| pack::said_huffman(huffman::encode(text.as_bytes()));
    let value = |bytes: Vec<u8>| [vec![0x00], pack::string("x"), bytes].concat();
    let mut full = kept();
    full.extend(
        (0..200).flat_map(|n| pack::literal(Keep::Indexed, format!("x-{n}"), "some value")),
    );
    full.extend(pack::indexed(62));
    Stage::with("limits: {headers: 1000, header_bytes: 64KiB}").play(&[
        row("RFC 7541 4.2", "a table of nothing", first(&[0])).answer(1, 200),
        row(
            "RFC 7541 4.2",
            "two sizes, the second larger",
            first(&[0, 4096]),
        )
        .answer(1, 200),
        row(
            "RFC 7541 5.2",
            "a string in Huffman's code",
            raw(1, value(coded("~{}|all of it"))),
        )
        .answer(1, 200),
        row(
            "RFC 7541 5.2",
            "an empty string in Huffman's code",
            raw(1, value(coded(""))),
        )
        .answer(1, 200),
        row(
            "RFC 7541 6.1",
            "fields of the static table",
            whole_indexed(),
        )
        .answer(1, 200),
        row(
            "RFC 7541 6.2.1",
            "a field kept within its own block",
            raw(1, [kept(), pack::indexed(62)].concat()),
        )
        .answer(1, 200),
        row(
            "RFC 7541 6.2.1",
            "a field kept for the next block",
            [raw(1, kept()), raw(3, pack::indexed(62))],
        )
        .answer(3, 200),
        row(
            "RFC 7541 6.2.3",
            "a field never kept",
            raw(1, pack::literal(Keep::Never, "x-secret", "1")),
        )
        .answer(1, 200),
        row("RFC 7541 4.4", "a table that overflows", raw(1, full)).answer(1, 200),
    ]);
}

/// Whatever becomes of a request, its block was decoded, or the connection is over: otherwise all later blocks mean
/// something else.
#[test]
fn the_table_outlives_refused_requests() {
    let keeping = |stream, fields: &[(&str, &str)]| {
        let block = [
            pack::block(fields),
            pack::literal(Keep::Indexed, "x-kept", "1"),
        ]
        .concat();
        frame::headers(stream, block).with(flag::END_STREAM)
    };
    let good = get("/case");
    let using = raw(3, pack::indexed(62));
    let too_large: Vec<u8> = (0..20)
        .flat_map(|_| pack::literal(Keep::Not, "x-large", "v".repeat(1000)))
        .collect();
    let over = |stream| {
        let large = [
            pack::block(&good),
            too_large.clone(),
            pack::literal(Keep::Indexed, "x-kept", "1"),
        ]
        .concat();
        let (first, second) = large.split_at(12_000);
        [
            frame::headers(stream, first)
                .with(flag::END_STREAM)
                .without(flag::END_HEADERS),
            frame::continuation(stream, second),
        ]
    };
    let [first, second] = over(1);
    Stage::with("limits: {header_bytes: 16KiB}").play(&[
        row(
            "4.3",
            "after a malformed request",
            [keeping(1, &good[..2]), using.clone()],
        )
        .answer(3, 200),
        row(
            "4.3",
            "after a request that was reset at once",
            [
                keeping(1, &good),
                frame::reset(1, code::CANCEL),
                using.clone(),
            ],
        )
        .answer(3, 200),
        row(
            "4.3",
            "after a head over the limit",
            [first, second, using.clone()],
        )
        .answer(3, 200),
    ]);
    let mut held = vec![crate::rows::held(1)];
    held.extend([
        keeping(3, &good),
        raw(5, pack::indexed(62)),
        frame::reset(1, code::CANCEL),
    ]);
    Stage::with("limits: {streams: 1}").play(&[row("5.1.2", "after a refused stream", held)
        .stream(3, code::REFUSED_STREAM)
        .last()]);
}

/// The gateway's encoder obeys the client's setting. The harness refuses an answer in which it does not.
#[test]
fn the_table_of_the_client() {
    let stage = Stage::new();
    for size in [0, 64, 100, 4096, 1 << 20] {
        let settings = [(setting::HEADER_TABLE_SIZE, size)];
        let mut connection = Connection::open_with(stage.gateway.address(), &settings);
        for turn in 0..5 {
            let path = format!("/{size}/{turn}");
            let answer = connection.get(&path).unwrap();
            assert_eq!(answer.json()["target"], path.as_str());
        }
    }
    // A size that changes while answers come.
    let mut connection = stage.open();
    for size in [0, 4096, 32, 0, 4096] {
        connection.send(frame::settings(&[(setting::HEADER_TABLE_SIZE, size)]).encode());
        assert_eq!(connection.get("/case").unwrap().status, 200);
    }
}

fn whole_indexed() -> Frame {
    let block = [
        pack::indexed(2),
        pack::indexed(6),
        pack::literal_indexed_name(Keep::Not, 1, "a.test"),
        pack::indexed(5),
    ]
    .concat();
    let mut frame = whole(1, &get("/case"));
    frame.payload = block;
    frame
}
