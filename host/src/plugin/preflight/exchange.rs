//! The synthetic exchange of the child: once through every hook of an instance.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use swapgate_abi::{
    SG_BODY_END, SG_BODY_FIRST, SG_CONTINUE, SG_E_CANCELLED, SG_E_CONFLICT, SG_E_FAILED,
    SG_E_PANIC, SG_PENDING, SG_RESPOND,
};
use tokio::sync::mpsc;

use super::child::{Channel, NO_DIGEST};
use crate::context::{
    Context, Ends, Frame, HostName, Lane, Phase, RequestId, ResponseHead, RouteNames, Waits,
};
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::Bound;
use crate::plugin::ffi::control::RawInstance;
use crate::plugin::ffi::event::{Happened, Place};
use crate::plugin::ffi::request;
use crate::plugin::image::Image;
use crate::plugin::instance::Instance;
use crate::plugin::library::{self, Loaded};
use crate::plugin::refusal::Reason;
use crate::router::table::Table;
use crate::stream::{Pipeline, Spec, Step};

/// How the one instance of the child is told apart.
pub(in crate::plugin) const OWNER: usize = 1;
/// How large a body may be in the child.
const BODY_ROOM: u64 = 1 << 20;

/// A synthetic exchange through every request hook.
pub(super) fn exchange(
    channel: &mut Channel,
    loaded: &Arc<Loaded>,
    raw: RawInstance,
    index: usize,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    // Nobody listens: what is dropped here is destroyed by the caller.
    let (retired, _) = mpsc::unbounded_channel();
    let image = Image::new(Arc::clone(loaded), retired);
    let hash = ConfigHash::of(NO_DIGEST, "");
    let instance = Arc::new(library::instance(image, loaded, raw, hash, 1));
    let mut context = synthetic(index as u64 + 1);
    let table = Table::empty();
    let mut result = Ok(());
    for phase in Phase::answering() {
        if !instance.bound().takes_part(phase) {
            continue;
        }
        channel.at(phase.name(), Some(index));
        if context.response.is_none() && phase.lane() == Lane::Response {
            context.response = Some(ResponseHead {
                status: StatusCode::OK,
                headers: HeaderMap::new(),
            });
        }
        let flags = if phase.is_of_body() {
            SG_BODY_END | SG_BODY_FIRST
        } else {
            0
        };
        let bytes = Bytes::from_static(b"{\"swapgate\": \"preflight\"}\n");
        body(&mut context, instance.bound(), phase, bytes);
        let mut frame = frame(&mut context, &table, phase);
        frame.keeper = Some(&instance);
        let code = request::call(instance.bound(), &mut frame, flags);
        result = match code.unwrap_or(SG_CONTINUE) {
            SG_PENDING if phase.may_wait() && instance.bound().has(Phase::OnEvent) => {
                notes.push(format!("{phase} waits"));
                channel.at("on_event", Some(index));
                cancel(&instance, &mut frame, flags)
            }
            code => judge(phase, code, &mut context, notes),
        };
        if result.is_err() {
            break;
        }
    }
    channel.at("request_end", Some(index));
    end(&instance, &mut context, &table);
    result
}

/// Gives a hook of a body one to work on.
pub(in crate::plugin) fn body(context: &mut Context, bound: &Bound, phase: Phase, bytes: Bytes) {
    let trailers = phase == Phase::Trailers;
    if !phase.is_of_body() && !trailers {
        return;
    }
    let need = match phase {
        Phase::Trailers => bound
            .body_need(Lane::Request)
            .max(bound.body_need(Lane::Response)),
        _ => bound.body_need(phase.lane()),
    };
    let mut pipeline = Pipeline::new([Spec {
        at: OWNER,
        need,
        body: !trailers,
        trailers,
        keep: BODY_ROOM,
        room: BODY_ROOM,
    }]);
    pipeline.feed(bytes);
    pipeline.end(trailers.then(HeaderMap::new));
    while let Step::Pass(_) = pipeline.step() {}
    context.bodies.put(phase.lane(), pipeline);
}

/// Tells a hook that waits that nobody does; what it waits for would never come here.
fn cancel(instance: &Instance, frame: &mut Frame<'_>, flags: u32) -> Result<(), Reason> {
    let place = Place {
        lane: frame.lane.number(),
        phase: frame.phase.number(),
        flags: flags & SG_BODY_END,
    };
    let happened = Happened::Cancel(SG_E_CANCELLED);
    match request::tell(instance.bound(), frame, &happened, place) {
        Some(SG_E_PANIC) => Err(Reason::Panicked {
            hook: Phase::OnEvent.name().to_owned(),
            text: frame
                .context
                .error
                .take()
                .unwrap_or_else(|| "no text".to_owned()),
        }),
        _ => Ok(()),
    }
}

fn end(instance: &Instance, context: &mut Context, table: &Table) {
    let mut frame = frame(context, table, Phase::RequestEnd);
    request::end(instance.bound(), &mut frame);
}

fn frame<'a>(context: &'a mut Context, table: &'a Table, phase: Phase) -> Frame<'a> {
    Frame {
        context,
        table,
        names: (phase != Phase::Rewrite).then_some(RouteNames {
            route: "preflight",
            mark: 0,
            service: Some("preflight"),
        }),
        leads: None,
        phase,
        lane: phase.lane(),
        owner: OWNER,
        waits: Waits::Preflight,
        keeper: None,
    }
}

fn synthetic(token: u64) -> Context {
    let here = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let mut headers = HeaderMap::new();
    headers.insert("user-agent", HeaderValue::from_static("swapgate-preflight"));
    let mut context = Context::new(
        token,
        RequestId::Own([b'0'; 32]),
        Uri::from_static("/preflight?swapgate=1"),
        Method::GET,
        headers,
        Ends {
            peer: here,
            local: here,
            client: IpAddr::V4(Ipv4Addr::LOCALHOST),
            connection: Rc::default(),
        },
    );
    context.host = HostName::lower("preflight.invalid");
    context
}

/// Only a panic or an unknown code refuses; a synthetic request may well deserve a refusal or an error.
fn judge(
    phase: Phase,
    code: i32,
    context: &mut Context,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let said = context.error.take().unwrap_or_else(|| "no text".to_owned());
    let may_respond = matches!(phase, Phase::Rewrite | Phase::Access | Phase::RequestBody);
    match code {
        SG_CONTINUE => Ok(()),
        SG_RESPOND if may_respond => {
            notes.push(format!(
                "{phase} answers a request without credentials itself"
            ));
            Ok(())
        }
        SG_E_PANIC => Err(Reason::Panicked {
            hook: phase.name().to_owned(),
            text: said,
        }),
        SG_E_CONFLICT..=SG_E_FAILED => {
            notes.push(format!(
                "{phase} answers the synthetic request with error {code} ({said})"
            ));
            Ok(())
        }
        code => Err(Reason::UnknownResult {
            hook: phase.name().to_owned(),
            code,
        }),
    }
}
