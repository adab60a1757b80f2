//! Bodies that come in chunks (RFC 9112, section 7.1).

/// The longest line between chunks.
const LINE: usize = 8 << 10;

/// Takes chunks apart as they arrive.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    state: State,
    /// What has arrived of a line.
    line: Vec<u8>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq)]
enum State {
    #[default]
    Size,
    Data(usize),
    AfterData,
    Trailers,
    Done,
}

impl Chunks {
    /// Whether the last line was read.
    pub(crate) fn done(&self) -> bool {
        self.state == State::Done
    }

    /// Takes `bytes` in and hands the data among them to `keep`; how many bytes stand behind the end comes back.
    pub(crate) fn feed(
        &mut self,
        mut bytes: &[u8],
        mut keep: impl FnMut(&[u8]),
    ) -> Result<usize, String> {
        while !bytes.is_empty() && !self.done() {
            if let State::Data(left) = self.state {
                let (data, rest) = bytes.split_at(left.min(bytes.len()));
                keep(data);
                bytes = rest;
                self.state = match left - data.len() {
                    0 => State::AfterData,
                    left => State::Data(left),
                };
                continue;
            }
            let end = bytes.iter().position(|byte| *byte == b'\n');
            let (part, rest) = bytes.split_at(end.map_or(bytes.len(), |end| end + 1));
            bytes = rest;
            self.line.extend(part);
            if self.line.len() > LINE {
                return Err(String::from("a line between chunks has no end"));
            }
            if end.is_some() {
                self.state = self.after_line()?;
                self.line.clear();
            }
        }
        Ok(bytes.len())
    }

    fn after_line(&self) -> Result<State, String> {
        let line = String::from_utf8_lossy(&self.line);
        let line = line.trim_end_matches(['\r', '\n']);
        match self.state {
            State::Size => {
                let size = line.split(';').next().unwrap_or_default().trim();
                match usize::from_str_radix(size, 16) {
                    Ok(0) => Ok(State::Trailers),
                    Ok(size) => Ok(State::Data(size)),
                    Err(_) => Err(format!("the size {size:?} of a chunk is not a number")),
                }
            }
            State::AfterData if line.is_empty() => Ok(State::Size),
            State::AfterData => Err(String::from("a chunk is longer than it says")),
            _ if line.is_empty() => Ok(State::Done),
            _ => Ok(State::Trailers),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Chunks;

    const BODY: &[u8] = b"5\r\nhello\r\n1;a=b\r\n \r\n00A\r\n0123456789\r\n0\r\nx-more: 1\r\n\r\n";

    #[test]
    fn data_is_found_whatever_the_pieces() {
        for piece in [1, 2, 3, 7, BODY.len()] {
            let (mut chunks, mut data) = (Chunks::default(), Vec::<u8>::new());
            for bytes in BODY.chunks(piece) {
                assert!(!chunks.done());
                assert_eq!(chunks.feed(bytes, |part| data.extend(part)), Ok(0));
            }
            assert!(chunks.done());
            assert_eq!(data, b"hello 0123456789");
        }
    }

    #[test]
    fn what_follows_the_end_is_told() {
        let bytes = [BODY, b"more"].concat();
        assert_eq!(Chunks::default().feed(&bytes, |_| ()), Ok(4));
    }

    #[test]
    fn bad_chunks_are_refused() {
        for bad in [&b"x\r\n"[..], b"2\r\nabc\r\n", b"\r\n", &[b'1'; 9000]] {
            assert!(Chunks::default().feed(bad, |_| ()).is_err(), "{bad:?}");
        }
    }
}
