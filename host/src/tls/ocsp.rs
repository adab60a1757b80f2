//! Answers of an authority about the state of a certificate (OCSP, RFC 6960), which are shown beside it.
//!
//! Nothing here checks who signed an answer: the clients do, and it is their trust that counts. What is looked at is what
//! an operator gets wrong: another file, the answer for another certificate, one that is too old.

use x509_parser::der_parser::ber::{BerObject, BerObjectContent};
use x509_parser::der_parser::der::parse_der;
use x509_parser::time::ASN1Time;

use super::facts::Moment;

/// The state that RFC 6960 calls `good`, `revoked` or `unknown`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing is known against it.
    Good,
    /// It is not to be believed any more.
    Revoked,
    /// The authority does not know it.
    Unknown,
}

/// What an answer says of one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// What it says.
    pub state: State,
    /// Until when it is good, where it tells.
    pub next_update: Option<Moment>,
}

/// Reads what an answer says of the certificate with this serial number. None: it says nothing of it.
///
/// # Errors
/// It is no answer; the text goes on after the name of the file.
pub fn read(der: &[u8], serial: &[u8]) -> Result<Option<Answer>, &'static str> {
    const NONE: &str = "is no answer of an OCSP responder in DER";
    let outer = whole(der).ok_or(NONE)?;
    let outer = list(&outer).ok_or(NONE)?;
    match outer.first().map(|status| &status.content) {
        Some(BerObjectContent::Enum(0)) => {}
        Some(BerObjectContent::Enum(_)) => {
            return Err("is the answer of an OCSP responder that refused to tell");
        }
        _ => return Err(NONE),
    }
    let tells = || {
        let bytes = whole(tagged(outer.get(1)?, 0)?)?;
        let basic = whole(octets(list(&bytes)?.get(1)?)?)?;
        let data = list(list(&basic)?.first()?)?;
        let answers = data.iter().rev().find_map(list)?;
        Some(answers.iter().find_map(|answer| one(answer, serial)))
    };
    tells().ok_or(NONE)
}

/// SingleResponse: certID, certStatus, thisUpdate, `[0]` nextUpdate.
fn one(answer: &BerObject<'_>, serial: &[u8]) -> Option<Answer> {
    let fields = list(answer)?;
    let BerObjectContent::Integer(number) = &list(fields.first()?)?.get(3)?.content else {
        return None;
    };
    if *number != serial {
        return None;
    }
    let state = match fields.get(1)?.header.tag().0 {
        0 => State::Good,
        1 => State::Revoked,
        _ => State::Unknown,
    };
    let next_update = fields.get(3).and_then(|field| whole(tagged(field, 0)?));
    let next_update = next_update.and_then(|time| match &time.content {
        BerObjectContent::GeneralizedTime(time) => {
            let time = ASN1Time::new(time.to_datetime().ok()?);
            Some(Moment::of(time))
        }
        _ => None,
    });
    Some(Answer { state, next_update })
}

fn whole(der: &[u8]) -> Option<BerObject<'_>> {
    let (rest, object) = parse_der(der).ok()?;
    rest.is_empty().then_some(object)
}

fn list<'a, 'b>(object: &'a BerObject<'b>) -> Option<&'a [BerObject<'b>]> {
    match &object.content {
        BerObjectContent::Sequence(objects) => Some(objects),
        _ => None,
    }
}

fn octets<'a>(object: &BerObject<'a>) -> Option<&'a [u8]> {
    match object.content {
        BerObjectContent::OctetString(bytes) => Some(bytes),
        _ => None,
    }
}

/// What stands in an explicit tag.
fn tagged<'a>(object: &'a BerObject<'_>, tag: u32) -> Option<&'a [u8]> {
    match &object.content {
        BerObjectContent::Unknown(any) if any.header.tag().0 == tag => Some(any.data),
        _ => None,
    }
}
