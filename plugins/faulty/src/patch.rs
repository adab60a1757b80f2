//! Faults that are asked for in the file: tests write into a marked field of the built library.
//!
//! After the marker stand up to 48 bytes, padded with zeros: `STEP=FAULT`, where the step is `constructor`, `load`,
//! `unload` or `access` (so that two versions differ under one configuration) and the fault one of `refuse`, `panic`, `hang`, `abort`, `segv`.

use std::hint::black_box;

use crate::Fault;

const MARKER_LEN: usize = 15;

static FIELD: [u8; 64] = {
    let text = b"SWAPGATE-FAULT:none";
    let mut field = [0; 64];
    let mut index = 0;
    while index < text.len() {
        field[index] = text[index];
        index += 1;
    }
    field
};

/// The fault the file asks for at this step. Neither allocates nor panics, for a constructor calls it.
#[must_use]
pub fn fault(step: &str) -> Option<Fault> {
    let text = black_box(&FIELD).get(MARKER_LEN..)?;
    let text = text.split(|byte| *byte == 0).next()?;
    let fault = text.strip_prefix(step.as_bytes())?.strip_prefix(b"=")?;
    Some(match fault {
        b"refuse" => Fault::Refuse,
        b"panic" => Fault::Panic,
        b"hang" => Fault::Hang,
        b"abort" => Fault::Abort,
        b"segv" => Fault::Segv,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn an_unpatched_file_asks_for_nothing() {
        for step in ["constructor", "load", "unload"] {
            assert_eq!(super::fault(step), None);
        }
    }
}
