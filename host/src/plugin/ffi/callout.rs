//! `sg.http_callout/1`: other HTTP services.

use smallvec::SmallVec;
use swapgate_abi::{OpTok, ScopeTok, SgHost, SgHttpRequest};

use super::host::Caller;
use super::inward::input;
use super::view;
use super::waiting::begin;
use crate::context::Denied;
use crate::ops::Begin;
use crate::ops::callout::{self, Ask, Refused};

pub(super) unsafe extern "C" fn start(
    host: *const SgHost,
    scope: ScopeTok,
    request: *const SgHttpRequest,
    out: *mut OpTok,
) -> i32 {
    begin(host, scope, out, |caller| {
        // SAFETY: a structure that is as large as it says and unchanged until this function returns: the contract's rule
        // for arguments.
        let request = unsafe { view::sized(request) }.ok_or(Denied::Invalid)?;
        ordered(caller, &request)
    })
}

fn ordered(caller: &Caller, request: &SgHttpRequest) -> Result<Begin, Denied> {
    // SAFETY: readable until the host function returns, which it does after this one: the contract's rule for arguments.
    let lines = unsafe { view::lines(request.headers, request.header_count) };
    let lines = lines.ok_or(Denied::Invalid)?;
    let mut headers: SmallVec<[(&[u8], &[u8]); 8]> = SmallVec::new();
    for line in lines {
        headers.push((input(line.name)?, input(line.value)?));
    }
    let ask = Ask {
        service: input(request.service)?,
        url: input(request.url)?,
        method: input(request.method)?,
        headers: &headers,
        body: input(request.body)?,
        timeout_ms: request.timeout_ms,
        max_body: request.max_body,
    };
    match callout::order(&ask, &caller.services) {
        Ok(order) => Ok(callout::begin(order, caller.identity.id.clone())),
        Err(refused) => {
            let (plugin, version) = (&*caller.identity.id, &*caller.identity.version);
            // A code cannot say it; whoever set the gateway up looks here.
            tracing::warn!(target: "callout", plugin, version, "{refused}");
            Err(refused.into())
        }
    }
}

impl From<Refused> for Denied {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Malformed => Self::Invalid,
            Refused::NoService => Self::NotFound,
            Refused::NotAllowed | Refused::Header => Self::Forbidden,
            Refused::TooLarge => Self::TooLarge,
        }
    }
}
