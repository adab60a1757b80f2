//! Rows: what a client sends, and what must become of it.

/// One row.
pub(crate) struct Case {
    /// What is special about it.
    pub(crate) name: &'static str,
    /// Where the RFCs speak of it.
    pub(crate) section: &'static str,
    pub(crate) request: Vec<u8>,
    pub(crate) expect: Expect,
    pub(crate) half_close: bool,
}

/// What must become of a row.
pub(crate) enum Expect {
    Forwarded(Forwarded),
    /// One of these statuses, then the connection closes; nothing whole reaches the upstream.
    Refused(Vec<u16>),
    /// The gateway answers itself with one of these statuses; the connection may stay, but only in step.
    Answered(Vec<u16>),
    /// The connection ends, with or without a refusal; nothing whole reaches the upstream.
    Dropped,
}

/// What the upstream must have received.
#[derive(Default)]
pub(crate) struct Forwarded {
    pub(crate) line: &'static str,
    pub(crate) headers: Vec<(&'static str, &'static [u8])>,
    pub(crate) set: Vec<(&'static str, &'static str)>,
    pub(crate) body: &'static [u8],
    pub(crate) closes: bool,
}

/// A request that is forwarded with this request line.
pub(crate) fn forwarded(line: &'static str) -> Forwarded {
    Forwarded {
        line,
        ..Forwarded::default()
    }
}

impl Forwarded {
    /// It has this field too. All fields that are not the gateway's own must be named.
    pub(crate) fn with(self, name: &'static str, value: &'static str) -> Self {
        self.with_bytes(name, value.as_bytes())
    }

    /// The same for a value that is no text.
    pub(crate) fn with_bytes(mut self, name: &'static str, value: &'static [u8]) -> Self {
        self.headers.push((name, value));
        self
    }

    /// The gateway set this field to this value.
    pub(crate) fn and_set(mut self, name: &'static str, value: &'static str) -> Self {
        self.set.push((name, value));
        self
    }

    /// Its body, chunk sizes and all.
    pub(crate) fn body(mut self, body: &'static str) -> Self {
        self.body = body.as_bytes();
        self
    }

    /// The client's connection closes after the answer.
    pub(crate) fn closes(mut self) -> Self {
        self.closes = true;
        self
    }
}

/// A row that must be forwarded so.
pub(crate) fn passes(
    name: &'static str,
    section: &'static str,
    request: impl Into<Vec<u8>>,
    expect: Forwarded,
) -> Case {
    case(name, section, request.into(), Expect::Forwarded(expect))
}

/// A row that must be refused with this status, and the connection closed.
pub(crate) fn refused(
    name: &'static str,
    section: &'static str,
    request: impl Into<Vec<u8>>,
    statuses: &[u16],
) -> Case {
    let expect = Expect::Refused(statuses.to_vec());
    case(name, section, request.into(), expect)
}

/// A row the gateway must answer itself.
pub(crate) fn answered(
    name: &'static str,
    section: &'static str,
    request: impl Into<Vec<u8>>,
    statuses: &[u16],
) -> Case {
    let expect = Expect::Answered(statuses.to_vec());
    case(name, section, request.into(), expect)
}

/// A row after which the connection ends without a word being owed.
pub(crate) fn dropped(
    name: &'static str,
    section: &'static str,
    request: impl Into<Vec<u8>>,
) -> Case {
    case(name, section, request.into(), Expect::Dropped)
}

impl Case {
    /// The client says that nothing more will come.
    pub(crate) fn then_half_close(mut self) -> Self {
        self.half_close = true;
        self
    }
}

fn case(name: &'static str, section: &'static str, request: Vec<u8>, expect: Expect) -> Case {
    Case {
        name,
        section,
        request,
        expect,
        half_close: false,
    }
}
