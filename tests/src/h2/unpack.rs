//! Header blocks of the gateway, read as strictly as they can be (RFC 7541).

use std::collections::VecDeque;

use super::huffman;

/// The static table (RFC 7541, Appendix A), one field a line.
const STATIC: &str = ":authority\n:method GET\n:method POST\n:path /\n:path /index.html\n:scheme http\n:scheme https\n\
:status 200\n:status 204\n:status 206\n:status 304\n:status 400\n:status 404\n:status 500\naccept-charset\n\
accept-encoding gzip, deflate\naccept-language\naccept-ranges\naccept\naccess-control-allow-origin\nage\nallow\n\
authorization\ncache-control\ncontent-disposition\ncontent-encoding\ncontent-language\ncontent-length\n\
content-location\ncontent-range\ncontent-type\ncookie\ndate\netag\nexpect\nexpires\nfrom\nhost\nif-match\n\
if-modified-since\nif-none-match\nif-range\nif-unmodified-since\nlast-modified\nlink\nlocation\nmax-forwards\n\
proxy-authenticate\nproxy-authorization\nrange\nreferer\nrefresh\nretry-after\nserver\nset-cookie\n\
strict-transport-security\ntransfer-encoding\nuser-agent\nvary\nvia\nwww-authenticate";

/// How many fields that are.
const STATIC_FIELDS: usize = 61;

/// Name and value, as they came.
pub type Field = (Vec<u8>, Vec<u8>);

/// One direction of a connection.
#[derive(Debug)]
pub struct Decoder {
    table: VecDeque<Field>,
    limit: usize,
    /// What the setting permits.
    permitted: usize,
}

impl Default for Decoder {
    fn default() -> Self {
        Self::new(4096)
    }
}

impl Decoder {
    /// A decoder whose peer was told this size of the dynamic table.
    #[must_use]
    pub fn new(permitted: usize) -> Self {
        let table = VecDeque::new();
        // Until an update says otherwise the size is the one the protocol begins with, or less if less is permitted.
        let limit = permitted.min(4096);
        Self {
            table,
            limit,
            permitted,
        }
    }

    /// The fields of one whole block.
    ///
    /// # Errors
    /// Whatever RFC 7541 calls a decoding error.
    pub fn decode(&mut self, block: &[u8]) -> Result<Vec<Field>, String> {
        let (mut fields, mut rest) = (Vec::new(), block);
        while let Some(&first) = rest.first() {
            match first {
                0x80.. => {
                    let index = integer(&mut rest, 7)?;
                    fields.push(self.field(index)?);
                }
                0x40.. => {
                    let field = self.literal(&mut rest, 6)?;
                    self.keep(field.clone());
                    fields.push(field);
                }
                0x20.. => {
                    let size = integer(&mut rest, 5)?;
                    if size > self.permitted || !fields.is_empty() {
                        return Err(format!("an update of the table to {size} bytes"));
                    }
                    self.limit = size;
                    self.evict();
                }
                _ => fields.push(self.literal(&mut rest, 4)?),
            }
        }
        Ok(fields)
    }

    fn literal(&self, rest: &mut &[u8], prefix: u8) -> Result<Field, String> {
        let name = match integer(rest, prefix)? {
            0 => string(rest)?,
            index => self.field(index)?.0,
        };
        Ok((name, string(rest)?))
    }

    fn field(&self, index: usize) -> Result<Field, String> {
        let at = index.checked_sub(1).ok_or("index 0")?;
        if let Some(line) = STATIC.lines().nth(at) {
            let (name, value) = line.split_once(' ').unwrap_or((line, ""));
            return Ok((name.into(), value.into()));
        }
        let kept = self.table.get(at - STATIC_FIELDS);
        kept.cloned()
            .ok_or(format!("index {index} stands for nothing"))
    }

    fn keep(&mut self, field: Field) {
        self.table.push_front(field);
        self.evict();
    }

    fn evict(&mut self) {
        let size = |(name, value): &Field| name.len() + value.len() + 32;
        while self.table.iter().map(size).sum::<usize>() > self.limit {
            self.table.pop_back();
        }
    }
}

fn integer(rest: &mut &[u8], prefix: u8) -> Result<usize, String> {
    let most = (1_usize << prefix) - 1;
    let value = usize::from(take(rest)?) & most;
    if value < most {
        return Ok(value);
    }
    let mut value = value;
    for shift in [0, 7, 14, 21] {
        let byte = take(rest)?;
        value += usize::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    Err("a number is too large".to_owned())
}

fn string(rest: &mut &[u8]) -> Result<Vec<u8>, String> {
    let coded = rest.first().is_some_and(|byte| byte & 0x80 != 0);
    let length = integer(rest, 7)?;
    let (bytes, after) = rest.split_at_checked(length).ok_or("a string is cut off")?;
    *rest = after;
    match coded {
        true => huffman::decode(bytes),
        false => Ok(bytes.to_vec()),
    }
}

fn take(rest: &mut &[u8]) -> Result<u8, String> {
    let (first, after) = rest.split_first().ok_or("a block is cut off")?;
    *rest = after;
    Ok(*first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::h2::pack::{self, Keep};

    fn text(fields: &[Field]) -> Vec<String> {
        let one =
            |(name, value): &Field| format!("{}={}", name.escape_ascii(), value.escape_ascii());
        fields.iter().map(one).collect()
    }

    /// RFC 7541, C.6: answers in Huffman's code, with a table of 256 bytes from which fields fall out.
    #[test]
    fn reads_the_examples_of_the_rfc() {
        let mut decoder = Decoder::new(256);
        let first = b"\x48\x82\x64\x02\x58\x85\xae\xc3\x77\x1a\x4b\x61\x96\xd0\x7a\xbe\x94\x10\x54\xd4\x44\xa8\x20\x05\x95\x04\x0b\x81\x66\xe0\x82\xa6\x2d\x1b\xff\x6e\x91\x9d\x29\xad\x17\x18\x63\xc7\x8f\x0b\x97\xc8\xe9\xae\x82\xae\x43\xd3";
        let expected = [
            ":status=302",
            "cache-control=private",
            "date=Mon, 21 Oct 2013 20:13:21 GMT",
            "location=https://www.example.com",
        ];
        assert_eq!(text(&decoder.decode(first).unwrap()), expected);
        let second = decoder.decode(b"\x48\x83\x64\x0e\xff\xc1\xc0\xbf").unwrap();
        assert_eq!(text(&second)[..2], [":status=307", expected[1]]);
        assert_eq!(decoder.table.len(), 4, "the oldest one fell out");
    }

    #[test]
    fn reads_what_the_harness_writes() {
        let mut decoder = Decoder::default();
        let fields = [(":method", "GET"), ("x-long", &"v".repeat(300))];
        let plain = decoder.decode(&pack::block(&fields)).unwrap();
        let kept = pack::literal(Keep::Indexed, fields[1].0, fields[1].1);
        assert_eq!(decoder.decode(&kept).unwrap(), plain[1..]);
        assert_eq!(decoder.decode(&pack::indexed(62)).unwrap(), plain[1..]);
        for broken in [
            &b"\x80"[..],
            b"\xff\xff\xff\xff\xff",
            b"\xbf\x41",
            b"\x00\x05ab",
        ] {
            assert!(decoder.decode(broken).is_err(), "{}", broken.escape_ascii());
        }
    }
}
