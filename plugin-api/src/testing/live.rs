//! The running exchange of the gateway in memory, and the rules of the contract for it.

use std::collections::BTreeMap;

use swapgate_abi::code::{
    self, SG_ATTR_CLIENT_ADDRESS, SG_ATTR_DURATION_NS, SG_ATTR_HOST, SG_ATTR_LOCAL_ADDRESS,
    SG_ATTR_METHOD, SG_ATTR_PATH, SG_ATTR_PEER_ADDRESS, SG_ATTR_QUERY, SG_ATTR_REQUEST_BYTES,
    SG_ATTR_REQUEST_ID, SG_ATTR_RESPONSE_BYTES, SG_ATTR_ROUTE, SG_ATTR_SCHEME, SG_ATTR_SERVICE,
    SG_ATTR_STATUS, SG_ATTR_TARGET, SG_ATTR_UPSTREAM_NS, SG_HEADERS_REQUEST, SG_HEADERS_RESPONSE,
    SG_TRAILERS_REQUEST, SG_TRAILERS_RESPONSE,
};

use super::connection;

use super::exchange::{Exchange, Phase};
use super::headers::HeaderList;
use crate::guest::hooks::Lane;
use crate::guest::response::Response;
use crate::header::{self, check_request_name, check_response_name, is_token};
use crate::status::HostError;

/// Header values longer than this are refused, and so is a header line more than that.
const MAX_VALUE: usize = 16 * 1024;
const MAX_LINES: usize = 512;
const MAX_VARS: usize = 64;
const MAX_VAR_NAME: usize = 128;
const MAX_VAR_BYTES: usize = 64 * 1024;
const MAX_CONSUMER: usize = 256;

type Answer<T> = Result<T, HostError>;

/// One exchange on its way.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) phase: Phase,
    pub(super) request: Exchange,
    pub(super) response: Option<(u16, HeaderList)>,
    pub(super) answer: Option<Response>,
    pub(super) vars: BTreeMap<String, Vec<u8>>,
    pub(super) reached_upstream: bool,
    pub(super) error: Option<String>,
    /// Of the request and of the answer.
    pub(super) trailers: [HeaderList; 2],
    pub(super) upstream: Option<(u32, String)>,
    /// Whose trailers the running hook sees.
    pub(super) lane: Lane,
}

impl Live {
    pub(super) fn new(request: Exchange) -> Self {
        Self {
            phase: Phase::Rewrite,
            vars: request.vars.iter().cloned().collect(),
            trailers: [request.trailers.clone(), request.upstream_trailers.clone()],
            upstream: None,
            lane: Lane::Request,
            request,
            response: None,
            answer: None,
            reached_upstream: false,
            error: None,
        }
    }

    pub(super) fn attr_text(&self, attr: u32) -> Answer<&[u8]> {
        if connection::KNOWN.contains(&attr) {
            let found = self.request.connection.read(attr);
            return found.ok_or(HostError::NotFound);
        }
        self.text(attr).map(str::as_bytes)
    }

    fn text(&self, attr: u32) -> Answer<&str> {
        let request = &self.request;
        Ok(match attr {
            SG_ATTR_METHOD => &request.method,
            SG_ATTR_SCHEME => request.connection.scheme(),
            SG_ATTR_HOST => &request.host,
            SG_ATTR_PATH => &request.path,
            SG_ATTR_QUERY => &request.query,
            SG_ATTR_CLIENT_ADDRESS => &request.client_address,
            SG_ATTR_PEER_ADDRESS => request.connection.source().unwrap_or("192.0.2.1:50000"),
            SG_ATTR_LOCAL_ADDRESS => request
                .connection
                .destination()
                .unwrap_or("198.51.100.1:8000"),
            SG_ATTR_REQUEST_ID => "test-request",
            SG_ATTR_ROUTE | SG_ATTR_SERVICE => {
                self.since(Phase::Access)?;
                request.route.as_deref().ok_or(HostError::NotFound)?
            }
            SG_ATTR_TARGET => {
                self.since(Phase::HeaderFilter)?;
                if !self.reached_upstream {
                    return Err(HostError::NotFound);
                }
                "203.0.113.1:9000"
            }
            _ => return Err(HostError::Invalid),
        })
    }

    pub(super) fn attr_number(&self, attr: u32) -> Answer<u64> {
        match attr {
            SG_ATTR_STATUS => {
                let (status, _) = self.response.as_ref().ok_or(HostError::WrongPhase)?;
                Ok(u64::from(*status))
            }
            SG_ATTR_REQUEST_BYTES | SG_ATTR_RESPONSE_BYTES | SG_ATTR_DURATION_NS => {
                self.since(Phase::Log)?;
                Ok(0)
            }
            SG_ATTR_UPSTREAM_NS => {
                self.since(Phase::HeaderFilter)?;
                let time = self.reached_upstream.then_some(1_000_000);
                time.ok_or(HostError::NotFound)
            }
            _ => Err(HostError::Invalid),
        }
    }

    pub(super) fn attr_set(&mut self, attr: u32, value: &[u8]) -> Answer<()> {
        self.until(Phase::Rewrite)?;
        let value = std::str::from_utf8(value).map_err(|_| HostError::Invalid)?;
        let plain = value.bytes().all(|byte| byte.is_ascii_graphic());
        let place = match attr {
            SG_ATTR_METHOD if is_token(value) => &mut self.request.method,
            SG_ATTR_PATH if plain && value.starts_with('/') && !value.contains(['?', '#']) => {
                &mut self.request.path
            }
            SG_ATTR_QUERY if plain && !value.contains('#') => &mut self.request.query,
            _ => return Err(HostError::Invalid),
        };
        value.clone_into(place);
        Ok(())
    }

    pub(super) fn param(&self, name: &str) -> Answer<&str> {
        self.since(Phase::Access)?;
        let mut params = self.request.params.iter();
        let found = params.find(|(known, _)| known == name);
        Ok(&found.ok_or(HostError::NotFound)?.1)
    }

    pub(super) fn param_nth(&self, index: usize) -> Answer<(&str, &str)> {
        self.since(Phase::Access)?;
        let found = self.request.params.get(index);
        let (name, value) = found.ok_or(HostError::NotFound)?;
        Ok((name, value))
    }

    pub(super) fn headers(&self, map: u32) -> Answer<&HeaderList> {
        match map {
            SG_HEADERS_REQUEST => Ok(&self.request.headers),
            SG_HEADERS_RESPONSE => {
                let response = self.response.as_ref().ok_or(HostError::WrongPhase)?;
                Ok(&response.1)
            }
            SG_TRAILERS_REQUEST => self
                .trailers(Lane::Request)
                .map(|place| &self.trailers[place]),
            SG_TRAILERS_RESPONSE => self
                .trailers(Lane::Response)
                .map(|place| &self.trailers[place]),
            _ => Err(HostError::Invalid),
        }
    }

    pub(super) fn header(&self, map: u32, name: &str, index: usize) -> Answer<&[u8]> {
        let headers = self.headers(map)?;
        headers.values(name).nth(index).ok_or(HostError::NotFound)
    }

    pub(super) fn header_remove(&mut self, map: u32, name: &str) -> Answer<()> {
        let headers = self.headers_mut(map)?;
        check_name(map, name)?;
        headers.remove(name);
        Ok(())
    }

    pub(super) fn header_add(
        &mut self,
        map: u32,
        name: &str,
        value: &[u8],
        replace: bool,
    ) -> Answer<()> {
        let headers = self.headers_mut(map)?;
        check_name(map, name)?;
        check_value(value)?;
        if replace {
            headers.remove(name);
        }
        if headers.0.len() >= MAX_LINES {
            return Err(HostError::TooLarge);
        }
        headers.add(name, value);
        Ok(())
    }

    pub(super) fn respond(&mut self, answer: Response) -> Answer<()> {
        self.until(Phase::RequestBody)?;
        if self.response.is_some() {
            return Err(HostError::WrongPhase);
        }
        if !(200..600).contains(&answer.status) {
            return Err(HostError::Invalid);
        }
        for (name, value) in &answer.headers {
            check_response_name(name)?;
            check_value(value)?;
        }
        self.answer = Some(answer);
        Ok(())
    }

    pub(super) fn var(&self, name: &str) -> Answer<&[u8]> {
        let found = self.vars.get(name).ok_or(HostError::NotFound)?;
        Ok(found)
    }

    pub(super) fn var_set(&mut self, name: &str, value: &[u8]) -> Answer<()> {
        let others = self.vars.iter().filter(|(known, _)| *known != name);
        let (count, bytes) = others.fold((0, 0), |(count, bytes), (name, value)| {
            (count + 1, bytes + name.len() + value.len())
        });
        if name.is_empty() {
            return Err(HostError::Invalid);
        }
        let fits = bytes + name.len() + value.len() <= MAX_VAR_BYTES;
        if name.len() > MAX_VAR_NAME || count >= MAX_VARS || !fits {
            return Err(HostError::TooLarge);
        }
        self.vars.insert(name.to_owned(), value.to_vec());
        Ok(())
    }

    pub(super) fn consumer(&self) -> Answer<&str> {
        let consumer = self.request.consumer.as_deref();
        consumer.ok_or(HostError::NotFound)
    }

    pub(super) fn consumer_set(&mut self, consumer: &[u8]) -> Answer<()> {
        self.until(Phase::Access)?;
        if consumer.len() > MAX_CONSUMER {
            return Err(HostError::TooLarge);
        }
        let consumer = std::str::from_utf8(consumer).map_err(|_| HostError::Invalid)?;
        if consumer.is_empty() {
            return Err(HostError::Invalid);
        }
        self.request.consumer = Some(consumer.to_owned());
        Ok(())
    }

    fn headers_mut(&mut self, map: u32) -> Answer<&mut HeaderList> {
        match map {
            SG_HEADERS_REQUEST => {
                self.until(Phase::Access)?;
                Ok(&mut self.request.headers)
            }
            SG_HEADERS_RESPONSE if self.phase == Phase::HeaderFilter => {
                let response = self.response.as_mut().ok_or(HostError::WrongPhase)?;
                Ok(&mut response.1)
            }
            SG_HEADERS_RESPONSE => Err(HostError::WrongPhase),
            SG_TRAILERS_REQUEST => {
                let place = self.trailers(Lane::Request)?;
                Ok(&mut self.trailers[place])
            }
            SG_TRAILERS_RESPONSE => {
                let place = self.trailers(Lane::Response)?;
                Ok(&mut self.trailers[place])
            }
            _ => Err(HostError::Invalid),
        }
    }

    /// Where the trailers of this lane stand, while their hook runs.
    fn trailers(&self, lane: Lane) -> Answer<usize> {
        if self.phase != Phase::Trailers || self.lane != lane {
            return Err(HostError::WrongPhase);
        }
        Ok(usize::from(lane == Lane::Response))
    }

    pub(super) fn upstream_set(&mut self, kind: u32, value: &str) -> Answer<()> {
        if !matches!(self.phase, Phase::Access | Phase::RequestBody) {
            return Err(HostError::WrongPhase);
        }
        let is_address = value.parse::<std::net::SocketAddr>().is_ok();
        match kind {
            code::SG_UPSTREAM_SERVICE if value == "none" => return Err(HostError::NotFound),
            code::SG_UPSTREAM_SERVICE => {}
            code::SG_UPSTREAM_TARGET if value.starts_with("unix:/") => {}
            code::SG_UPSTREAM_TARGET | code::SG_UPSTREAM_ADDRESS if is_address => {}
            _ => return Err(HostError::Invalid),
        }
        self.upstream = Some((kind, value.to_owned()));
        Ok(())
    }

    fn since(&self, phase: Phase) -> Answer<()> {
        if self.phase >= phase {
            Ok(())
        } else {
            Err(HostError::WrongPhase)
        }
    }

    fn until(&self, phase: Phase) -> Answer<()> {
        if self.phase <= phase {
            Ok(())
        } else {
            Err(HostError::WrongPhase)
        }
    }
}

fn check_name(map: u32, name: &str) -> Answer<()> {
    if map == SG_HEADERS_REQUEST {
        check_request_name(name)
    } else {
        check_response_name(name)
    }
}

fn check_value(value: &[u8]) -> Answer<()> {
    if value.len() > MAX_VALUE {
        return Err(HostError::TooLarge);
    }
    header::check_value(value)
}
