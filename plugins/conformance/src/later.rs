//! What came with contract 0.3: operations, the choice of the upstream, windows of bodies, values, trailers.

use swapgate_plugin::guest::call::Raw;
use swapgate_plugin::kv::Kv;
use swapgate_plugin::{HostError, Lane};

use crate::trace::Trace;

/// In nanoseconds: longer than any test takes.
pub(crate) const MINUTE: u64 = 60_000_000_000;
/// More bytes than a window has.
const MANY: u64 = 1 << 40;
/// A token that was never handed out.
const NOBODYS: u64 = 0x1234_5678_1234_5678;
/// One byte more than a key may have.
const LONG_KEY: usize = 513;
/// One byte more than a value may have.
const LONG_VALUE: usize = 1024 * 1024 + 1;

const SERVICE: u32 = 1;
const ADDRESS: u32 = 3;

pub(crate) fn probe(trace: &mut Trace, raw: &mut Raw<'_>) {
    waiting(trace, raw);
    bodies(trace, raw);
    if matches!(trace.phase(), "A" | "L") {
        values(trace);
    }
}

fn waiting(trace: &mut Trace, raw: &mut Raw<'_>) {
    let slept = raw.sleep(MINUTE);
    let op = slept.unwrap_or(0);
    trace.code("sleep", slept);
    let stale = !raw.token();
    trace.code("sleep.stale", raw.with_token(stale).sleep(MINUTE));
    trace.code("op_cancel", raw.op_cancel(op));
    trace.code("op_cancel.again", raw.op_cancel(op));
    trace.code("op_cancel.unknown", raw.op_cancel(NOBODYS));
    let (waker, again) = (raw.waker(), raw.waker());
    trace.code("waker", waker);
    trace.code("waker.again", again);
    let same = waker.unwrap_or(0) == again.unwrap_or(0);
    trace.word("waker.same", if same { "yes" } else { "no" });
    trace.code("wake.unknown", raw.wake(NOBODYS));
    trace.code("upstream_set.none", raw.upstream_set(SERVICE, "nobody"));
    trace.code("upstream_set.bad", raw.upstream_set(ADDRESS, "no address"));
    trace.code("upstream_set.kind", raw.upstream_set(99, "up"));
}

/// Length and bytes of the window, wherever its pieces end.
pub(crate) fn window(trace: &mut Trace, raw: &Raw<'_>, len: &str, pieces: &str) {
    trace.number(len, raw.body_len());
    let whole = whole(raw);
    trace.bytes(pieces, whole.as_deref().map_err(|error| *error));
}

pub(crate) fn whole(raw: &Raw<'_>) -> Result<Vec<u8>, HostError> {
    let pieces = raw.body_pieces()?;
    Ok(pieces.iter().flatten().copied().collect())
}

fn bodies(trace: &mut Trace, raw: &mut Raw<'_>) {
    window(trace, raw, "body_len", "body_pieces");
    trace.code("body_drain.many", raw.body_drain(MANY));
    trace.code("body_hold.many", raw.body_hold(MANY));
    trace.code("body_ignore.lane", raw.body_ignore(99));
}

fn values(trace: &mut Trace) {
    let Ok(kv) = Kv::open() else {
        trace.word("kv", "none");
        return;
    };
    let get = |trace: &mut Trace, step: &str| {
        let entry = kv
            .get("k")
            .and_then(|entry| entry.ok_or(HostError::NotFound));
        trace.bytes(
            step,
            entry
                .as_ref()
                .map(|entry| entry.value.as_slice())
                .map_err(|error| *error),
        );
        entry.map(|entry| entry.revision).ok()
    };
    trace.code("kv.remove", kv.remove("k"));
    get(trace, "kv.get.none");
    trace.code("kv.set", kv.set("k", "one", None));
    let revision = get(trace, "kv.get");
    let known = revision.is_some_and(|revision| revision != 0);
    trace.word("kv.revision", if known { "some" } else { "none" });
    trace.code(
        "kv.compare_and_set",
        kv.compare_and_set("k", revision, "two", None),
    );
    trace.code(
        "kv.compare_and_set.old",
        kv.compare_and_set("k", revision, "three", None),
    );
    trace.code(
        "kv.compare_and_set.none",
        kv.compare_and_set("k", None, "three", None),
    );
    get(trace, "kv.get.after");
    trace.code("kv.add.text", kv.add("k", 1, None));
    let minute = Some(std::time::Duration::from_secs(60));
    let sum = |sum: i64| u64::try_from(sum).unwrap_or(u64::MAX);
    trace.number("kv.add", kv.add("n", 5, minute).map(sum));
    trace.number("kv.add.less", kv.add("n", -2, minute).map(sum));
    trace.code("kv.remove.n", kv.remove("n"));
    trace.code("kv.remove.again", kv.remove("n"));
    trace.code("kv.set.long_key", kv.set([b'k'; LONG_KEY], "v", None));
    trace.code("kv.set.long", kv.set("long", vec![b'k'; LONG_VALUE], None));
}

pub(crate) fn trailers(trace: &mut Trace, raw: &mut Raw<'_>, lane: Lane) {
    let (map, other) = match lane {
        Lane::Request => (3, 4),
        Lane::Response => (4, 3),
    };
    trace.value("header_get.trailer", raw.header_get(map, "X-Trailer"));
    trace.value("header_get.other", raw.header_get(other, "x-trailer"));
    trace.code("header_set.trailer", raw.header_set(map, "x-added", b"1"));
    trace.code(
        "header_append.trailer",
        raw.header_append(map, "x-added", b"2"),
    );
    trace.value("header_nth.trailer", raw.header_nth(map, "x-added", 1));
    trace.code(
        "header_set.framing",
        raw.header_set(map, "content-length", b"1"),
    );
    trace.code("header_remove.trailer", raw.header_remove(map, "x-trailer"));
    trace.value("header_get.removed", raw.header_get(map, "x-trailer"));
}
