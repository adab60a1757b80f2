//! What a running hook may read and change, phase by phase: headers, its answer, the consumer, its state.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use swapgate_abi as abi;

use super::{Answer, Denied, Frame, Lane, Phase, ResponseHead, State, headers};

/// Longest name of a consumer, in bytes.
const CONSUMER_BYTES: usize = 256;
/// Longest error text kept, in bytes.
const ERROR_BYTES: usize = 4 * 1024;

impl Frame<'_> {
    /// A header map.
    ///
    /// # Errors
    /// Unknown map, or there is no response yet.
    pub fn headers(&self, map: u32) -> Result<&HeaderMap, Denied> {
        match map {
            abi::SG_HEADERS_REQUEST => Ok(&self.context.request_headers),
            abi::SG_HEADERS_RESPONSE => {
                self.response_known()?;
                self.context
                    .response
                    .as_ref()
                    .map(|head| &head.headers)
                    .ok_or(Denied::NotFound)
            }
            abi::SG_TRAILERS_REQUEST => self.trailers(Lane::Request),
            abi::SG_TRAILERS_RESPONSE => self.trailers(Lane::Response),
            _ => Err(Denied::Invalid),
        }
    }

    /// A header map, for a change.
    ///
    /// # Errors
    /// Unknown map, or it does not change any more, or not yet.
    pub fn headers_mut(&mut self, map: u32) -> Result<&mut HeaderMap, Denied> {
        let phase = self.phase;
        match map {
            abi::SG_HEADERS_REQUEST
                if matches!(phase, Phase::Rewrite | Phase::Access) || self.head_waits() =>
            {
                Ok(&mut self.context.request_headers)
            }
            abi::SG_HEADERS_RESPONSE if phase == Phase::HeaderFilter => self
                .context
                .response
                .as_mut()
                .map(|head| &mut head.headers)
                .ok_or(Denied::WrongPhase),
            abi::SG_HEADERS_REQUEST | abi::SG_HEADERS_RESPONSE => Err(Denied::WrongPhase),
            abi::SG_TRAILERS_REQUEST => self.trailers_mut(Lane::Request),
            abi::SG_TRAILERS_RESPONSE => self.trailers_mut(Lane::Response),
            _ => Err(Denied::Invalid),
        }
    }

    /// Takes an answer made by a plugin.
    ///
    /// # Errors
    /// Outside `rewrite`, `access`, and `request_body` before an answer began; or a status that ends no exchange.
    pub fn respond<'h>(
        &mut self,
        status: u32,
        lines: impl Iterator<Item = (&'h [u8], &'h [u8])>,
        body: &[u8],
    ) -> Result<(), Denied> {
        let early = match self.phase {
            Phase::Rewrite | Phase::Access => true,
            Phase::RequestBody => self.context.response.is_none(),
            _ => false,
        };
        if !early {
            return Err(Denied::WrongPhase);
        }
        let status = u16::try_from(status)
            .ok()
            .filter(|status| (200..=599).contains(status))
            .and_then(|status| StatusCode::from_u16(status).ok())
            .ok_or(Denied::Invalid)?;
        let mut map = HeaderMap::new();
        for (name, value) in lines {
            let (name, value): (HeaderName, HeaderValue) =
                (headers::changeable(name, false)?, headers::value(value)?);
            headers::append(&mut map, name, value)?;
        }
        self.context.answer = Some(Answer {
            head: ResponseHead {
                status,
                headers: map,
            },
            body: Bytes::copy_from_slice(body),
        });
        Ok(())
    }

    /// Names the consumer.
    ///
    /// # Errors
    /// Outside `rewrite` and `access`; empty, not UTF-8, or too long.
    pub fn set_consumer(&mut self, name: &[u8]) -> Result<(), Denied> {
        if !matches!(self.phase, Phase::Rewrite | Phase::Access) {
            return Err(Denied::WrongPhase);
        }
        if name.len() > CONSUMER_BYTES {
            return Err(Denied::TooLarge);
        }
        let name = std::str::from_utf8(name).map_err(|_| Denied::Invalid)?;
        if name.is_empty() {
            return Err(Denied::Invalid);
        }
        self.context.consumer = Some(name.into());
        Ok(())
    }

    /// The state the running instance left here last.
    #[must_use]
    pub fn state(&self) -> Option<State> {
        self.context
            .states
            .iter()
            .rfind(|state| state.owner == self.owner)
            .copied()
    }

    /// Leaves a state. An earlier one stays in the list, because it is released when the exchange ends.
    pub fn set_state(&mut self, state: State) {
        self.context.states.push(state);
    }

    /// Keeps the reason why the running hook is about to fail.
    pub fn set_error(&mut self, text: &[u8]) {
        let cut = text.get(..ERROR_BYTES).unwrap_or(text);
        self.context.error = Some(String::from_utf8_lossy(cut).into_owned());
    }

    /// Refuses what is only known once there is an answer, while there may be none.
    pub(super) fn response_known(&self) -> Result<(), Denied> {
        match self.phase {
            Phase::Rewrite | Phase::Access => Err(Denied::WrongPhase),
            // Both ways at once: the head of the answer may be there already, and may not.
            Phase::RequestBody | Phase::Trailers | Phase::OnEvent
                if self.context.response.is_none() =>
            {
                Err(Denied::WrongPhase)
            }
            _ => Ok(()),
        }
    }
}
