//! Rows: what a client sends, frame by frame, and what must become of it.

use swapgate_tests::h2::frame::{self, code, flag};
use swapgate_tests::h2::{Frame, connection, pack};

/// h2 says the general code where the RFC has a special one. RFC 9113, 5.4.1 wants the connection ended, which it is; the
/// code is for whoever debugs the client, and `PROTOCOL_ERROR` sends them to the right side.
pub(crate) const GENERAL_CODE: &str = "the general code; the connection ends all the same";

/// RFC 9113, 5.4: "an endpoint MAY choose to treat a stream error as a connection error".
pub(crate) const WHOLE_CONNECTION: &str =
    "a stream error may be treated as a connection error (5.4)";

/// One row.
pub(crate) struct Row {
    /// Where RFC 9113 speaks of it, unless another RFC is named.
    pub(crate) section: &'static str,
    /// What is special about it.
    pub(crate) name: String,
    pub(crate) steps: Vec<Step>,
    pub(crate) expect: Expect,
    /// The client's settings.
    pub(crate) settings: Vec<(u16, u32)>,
    /// Nothing is exchanged before the steps, not even the preface.
    pub(crate) bare: bool,
    /// No stream can be opened after it.
    pub(crate) last: bool,
    /// It must not reach the upstream as a whole request.
    pub(crate) unforwarded: bool,
    /// What the RFC would rather have, and why this does as well.
    pub(crate) differs: Option<(&'static str, &'static str)>,
}

/// One thing the client does.
pub(crate) enum Step {
    Send(Vec<u8>),
    /// Waits for the end of a stream.
    Over(u32),
    /// Waits until everything sent so far was read.
    Synchronize,
    /// Says that nothing more will come.
    Finish,
}

/// What must become of a row.
#[derive(Debug)]
pub(crate) enum Expect {
    /// GOAWAY with this code, and the connection is closed.
    Connection(u32),
    /// The connection is closed, and no request is answered with success.
    Closed,
    /// RST_STREAM with this code on this stream; the connection lives on.
    Stream(u32, u32),
    /// This stream is answered whole with this status; the connection lives on.
    Answer(u32, u16),
    /// Nothing at all; the connection lives on.
    Ignored,
}

/// What can be sent.
pub(crate) trait Sent {
    fn bytes(self) -> Vec<u8>;
}

impl Sent for Frame {
    fn bytes(self) -> Vec<u8> {
        self.encode()
    }
}

impl Sent for Vec<u8> {
    fn bytes(self) -> Vec<u8> {
        self
    }
}

impl<const N: usize> Sent for [Frame; N] {
    fn bytes(self) -> Vec<u8> {
        self.iter().flat_map(Frame::encode).collect()
    }
}

impl Sent for Vec<Frame> {
    fn bytes(self) -> Vec<u8> {
        self.iter().flat_map(Frame::encode).collect()
    }
}

/// A row that sends this after the prefaces and settings; so far the connection lives on.
pub(crate) fn row(section: &'static str, name: impl Into<String>, sent: impl Sent) -> Row {
    Row {
        section,
        name: name.into(),
        steps: vec![Step::Send(sent.bytes())],
        expect: Expect::Ignored,
        settings: Vec::new(),
        bare: false,
        last: false,
        unforwarded: false,
        differs: None,
    }
}

impl Row {
    /// And then sends this, in a packet of its own.
    pub(crate) fn then(mut self, sent: impl Sent) -> Self {
        self.steps.push(Step::Send(sent.bytes()));
        self
    }

    /// And waits until a stream is over.
    pub(crate) fn over(mut self, stream: u32) -> Self {
        self.steps.push(Step::Over(stream));
        self
    }

    /// And waits until the gateway has read everything so far.
    pub(crate) fn read(mut self) -> Self {
        self.steps.push(Step::Synchronize);
        self
    }

    /// And says that nothing more will come.
    pub(crate) fn finish(mut self) -> Self {
        self.steps.push(Step::Finish);
        self
    }

    /// The client begins with these settings.
    pub(crate) fn settings(mut self, settings: &[(u16, u32)]) -> Self {
        self.settings = settings.to_vec();
        self
    }

    /// The steps are the very first bytes of the connection.
    pub(crate) fn bare(mut self) -> Self {
        self.bare = true;
        self
    }

    /// No further stream can be opened afterwards.
    pub(crate) fn last(mut self) -> Self {
        self.last = true;
        self
    }

    /// Nothing whole may reach the upstream.
    pub(crate) fn unforwarded(mut self) -> Self {
        self.unforwarded = true;
        self
    }

    /// The connection ends with this code.
    pub(crate) fn connection(mut self, code: u32) -> Self {
        self.expect = Expect::Connection(code);
        self
    }

    /// The connection ends.
    pub(crate) fn closed(mut self) -> Self {
        self.expect = Expect::Closed;
        self
    }

    /// The stream ends with this code.
    pub(crate) fn stream(mut self, stream: u32, code: u32) -> Self {
        self.expect = Expect::Stream(stream, code);
        self
    }

    /// The stream is answered.
    pub(crate) fn answer(mut self, stream: u32, status: u16) -> Self {
        self.expect = Expect::Answer(stream, status);
        self
    }

    /// The connection ends with `PROTOCOL_ERROR`, where the RFC has a more special code.
    pub(crate) fn general_code(self, rather: &'static str) -> Self {
        self.connection(code::PROTOCOL_ERROR)
            .rather(rather, GENERAL_CODE)
    }

    /// What the RFC would rather have, and why this does as well.
    pub(crate) fn rather(mut self, what: &'static str, why: &'static str) -> Self {
        self.differs = Some((what, why));
        self
    }
}

/// A request that is whole with its head.
pub(crate) fn ask(stream: u32) -> Frame {
    whole(stream, &connection::get("/case"))
}

/// A request that is never answered.
pub(crate) fn held(stream: u32) -> Frame {
    whole(stream, &connection::get("/held"))
}

/// A request whose body is still to come.
pub(crate) fn begin(stream: u32) -> Frame {
    frame::headers(stream, pack::block(&connection::request("POST", "/case")))
}

/// A request with these fields and no body.
pub(crate) fn whole<N: AsRef<[u8]>, V: AsRef<[u8]>>(stream: u32, fields: &[(N, V)]) -> Frame {
    frame::headers(stream, pack::block(fields)).with(flag::END_STREAM)
}

/// A GET with further fields.
pub(crate) fn with<V: AsRef<[u8]>>(stream: u32, fields: &[(&str, V)]) -> Frame {
    let block = [pack::block(&connection::get("/case")), pack::block(fields)].concat();
    frame::headers(stream, block).with(flag::END_STREAM)
}

/// A POST with further fields, whose body is still to come.
pub(crate) fn begin_with<V: AsRef<[u8]>>(stream: u32, fields: &[(&str, V)]) -> Frame {
    let post = pack::block(&connection::request("POST", "/case"));
    frame::headers(stream, [post, pack::block(fields)].concat())
}
