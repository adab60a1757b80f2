//! Cases: what is sent, and what must become of it.

use std::fs;
use std::path::Path;

use swapgate_tests::artifacts;

use crate::text::{Block, Line, blocks, unescape};

/// What cases are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Request,
    Answer,
    Http2,
}

/// One case.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) file: String,
    pub(crate) name: String,
    /// Where the RFCs speak of it.
    pub(crate) rfc: Vec<String>,
    pub(crate) why: Vec<String>,
    /// What goes over the wire: of the client, or of the upstream.
    pub(crate) bytes: Vec<u8>,
    /// The client says that nothing more will come.
    pub(crate) finish: bool,
    pub(crate) expect: Vec<Expect>,
    /// Whether the connection goes on, where the case says so.
    pub(crate) kept: Option<bool>,
    pub(crate) answer: Answer,
    pub(crate) stream: Stream,
}

/// What must become of a request.
#[derive(Debug)]
pub(crate) enum Expect {
    Forwarded(Forwarded),
    /// The gateway answers with one of these.
    Answered(Vec<u16>),
    /// The connection ends, with or without a refusal.
    Dropped,
    /// HTTP/2: the stream is reset.
    Reset,
    /// HTTP/2: the stream is reset, or answered 400.
    Malformed,
    /// HTTP/2: GOAWAY, and the connection is closed.
    Ended,
}

/// What the upstream must have got.
#[derive(Debug, Default)]
pub(crate) struct Forwarded {
    pub(crate) line: String,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    /// Fields that the gateway sets.
    pub(crate) set: Vec<(String, Vec<u8>)>,
    pub(crate) host: Option<Vec<u8>>,
    pub(crate) body: Vec<u8>,
    pub(crate) trailers: Vec<u8>,
}

/// What an upstream does, and what the client must see of it.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) method: Option<String>,
    pub(crate) then: Then,
    /// The interim answers the client gets: all of them, with all of their fields but `via`.
    pub(crate) interim: Vec<Interim>,
    pub(crate) seen: Option<Outcome>,
    /// The same where single bytes come, if it differs.
    pub(crate) in_pieces: Option<Outcome>,
    pub(crate) fields: Vec<(String, Vec<u8>)>,
    pub(crate) without: Vec<String>,
    pub(crate) body: Option<Vec<u8>>,
    pub(crate) reused: Option<bool>,
}

/// An interim answer.
pub(crate) type Interim = (u16, Vec<(String, Vec<u8>)>);

/// What an upstream does after its answer.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Then {
    #[default]
    Keep,
    Close,
    Reset,
}

/// What a client sees of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Status(u16),
    /// 502 in the gateway's own words.
    Refused,
    /// Nothing that looks whole.
    Broken,
    /// One of the two.
    Spoiled,
}

/// A request in HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct Stream {
    pub(crate) fields: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) data: Option<Vec<u8>>,
    pub(crate) trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// All cases of a kind, in the order of files and lines.
pub(crate) fn all(kind: Kind) -> Vec<Case> {
    let folder = match kind {
        Kind::Request => "requests",
        Kind::Answer => "answers",
        Kind::Http2 => "http2",
    };
    let folder = artifacts::root().join("tests/tests/corpus").join(folder);
    let entries = fs::read_dir(&folder).expect("the folder is there");
    let mut files: Vec<_> = entries.map(|entry| entry.expect("a file").path()).collect();
    files.sort();
    files.iter().flat_map(|file| of_file(file)).collect()
}

/// All cases of a file.
fn of_file(file: &Path) -> Vec<Case> {
    let text = fs::read_to_string(file).expect("a text");
    let name = file.file_stem().unwrap_or_default().to_string_lossy();
    let cases: Vec<Case> = blocks(&name, &text).iter().map(Case::read).collect();
    for (at, case) in cases.iter().enumerate() {
        let twice = cases[..at].iter().any(|other| other.name == case.name);
        assert!(!twice, "{name}: two cases are called \"{}\"", case.name);
    }
    cases
}

impl Case {
    fn read(block: &Block) -> Self {
        let mut case = Self {
            file: block.file.clone(),
            name: block.name.clone(),
            rfc: Vec::new(),
            why: Vec::new(),
            bytes: Vec::new(),
            finish: false,
            expect: Vec::new(),
            kept: None,
            answer: Answer::default(),
            stream: Stream::default(),
        };
        for line in &block.lines {
            if let Err(why) = case.take(line) {
                block.fail(line, &why);
            }
        }
        let expects = !case.expect.is_empty() || case.answer.seen.is_some();
        assert!(expects, "{}: \"{}\" expects nothing", case.file, case.name);
        assert!(
            !case.rfc.is_empty(),
            "{}: \"{}\" names no RFC",
            case.file,
            case.name
        );
        case
    }

    fn take(&mut self, line: &Line) -> Result<(), String> {
        let rest = line.rest.as_str();
        match line.word.as_str() {
            "rfc" => self.rfc.push(rest.to_owned()),
            "why" => self.why.push(rest.to_owned()),
            ">" | "<" => self.bytes.extend(unescape(rest)?),
            "finish" => self.finish = true,
            "forwarded" => self.expect.push(Expect::Forwarded(Forwarded {
                line: rest.to_owned(),
                ..Forwarded::default()
            })),
            "answered" => self.expect.push(Expect::Answered(statuses(rest)?)),
            "dropped" => self.expect.push(Expect::Dropped),
            "reset" => self.expect.push(Expect::Reset),
            "malformed" => self.expect.push(Expect::Malformed),
            "ended" => self.expect.push(Expect::Ended),
            "kept" => self.kept = Some(true),
            "closed" => self.kept = Some(false),
            "" => self.take_field(rest)?,
            "body" if self.answer.seen.is_some() => {
                let body = self.answer.body.get_or_insert_default();
                body.extend(unescape(rest)?);
            }
            "body" => self.forwarded()?.body.extend(unescape(rest)?),
            "host" => self.forwarded()?.host = Some(unescape(rest)?),
            "trailers" => self.forwarded()?.trailers.extend(unescape(rest)?),
            word => match word.strip_prefix(">*").or(word.strip_prefix("<*")) {
                Some(count) => {
                    let count = count.parse().map_err(|_| "no number".to_owned())?;
                    self.bytes.extend(unescape(rest)?.repeat(count));
                }
                None if self.take_stream(word, rest)? || self.take_answer(word, rest)? => {}
                None => return Err("an unknown word".to_owned()),
            },
        }
        Ok(())
    }

    fn take_field(&mut self, text: &str) -> Result<(), String> {
        if let Some((name, value)) = text.split_once("+ ") {
            let field = (name.to_owned(), unescape(value)?);
            self.forwarded()?.set.push(field);
            return Ok(());
        }
        let (name, value) = text.split_once(':').ok_or("no colon")?;
        let field = (name.to_owned(), unescape(value.trim_start())?);
        match self.answer.seen {
            Some(_) => self.answer.fields.push(field),
            None => match self.answer.interim.last_mut() {
                Some((_, fields)) => fields.push(field),
                None => self.forwarded()?.fields.push(field),
            },
        }
        Ok(())
    }

    fn take_answer(&mut self, word: &str, rest: &str) -> Result<bool, String> {
        let answer = &mut self.answer;
        match word {
            "ask" => answer.method = Some(rest.to_owned()),
            "then" => {
                answer.then = match rest {
                    "close" => Then::Close,
                    "reset" => Then::Reset,
                    _ => return Err("close or reset".to_owned()),
                }
            }
            "interim" => {
                let (status, times) = counted(rest)?;
                let each = (status, Vec::new());
                answer.interim.extend(vec![each; times]);
            }
            "client" => answer.seen = Some(Outcome::Status(status(rest)?)),
            "refused" => answer.seen = Some(Outcome::Refused),
            "broken" => answer.seen = Some(Outcome::Broken),
            "spoiled" => answer.seen = Some(Outcome::Spoiled),
            "in-pieces" if rest == "spoiled" => answer.in_pieces = Some(Outcome::Spoiled),
            "without" => answer.without.push(rest.to_owned()),
            "reused" => answer.reused = Some(true),
            "unused" => answer.reused = Some(false),
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn take_stream(&mut self, word: &str, rest: &str) -> Result<bool, String> {
        let field = || -> Result<(Vec<u8>, Vec<u8>), String> {
            let nothing = || rest.strip_suffix(" =").map(|name| (name, ""));
            let (name, value) = rest.split_once(" = ").or_else(nothing).ok_or("no ` = `")?;
            Ok((unescape(name)?, unescape(value)?))
        };
        match word {
            "get" | "post" => {
                let method = word.to_uppercase();
                for (name, value) in swapgate_tests::h2::connection::request(&method, rest) {
                    self.stream.fields.push((name.into(), value.into()));
                }
            }
            "field" | "raw" => self.stream.fields.push(field()?),
            "trailer" => self.stream.trailers.push(field()?),
            "data" => {
                let data = self.stream.data.get_or_insert_default();
                data.extend(unescape(rest)?);
            }
            _ => match word.strip_prefix("trailer*") {
                Some(count) => {
                    let count = count.parse().map_err(|_| "no number".to_owned())?;
                    self.stream.trailers.extend(vec![field()?; count]);
                }
                None => return Ok(false),
            },
        }
        Ok(true)
    }

    fn forwarded(&mut self) -> Result<&mut Forwarded, String> {
        match self.expect.last_mut() {
            Some(Expect::Forwarded(forwarded)) => Ok(forwarded),
            _ => Err("this belongs behind `forwarded`".to_owned()),
        }
    }
}

/// A status, and how often it comes: `102 * 16`.
fn counted(text: &str) -> Result<(u16, usize), String> {
    let (one, times) = text.split_once(" * ").unwrap_or((text, "1"));
    let times = times.parse().map_err(|_| format!("no number: {times}"))?;
    Ok((status(one)?, times))
}

fn statuses(text: &str) -> Result<Vec<u16>, String> {
    text.split(' ').map(status).collect()
}

fn status(text: &str) -> Result<u16, String> {
    text.parse().map_err(|_| format!("no status: {text}"))
}
