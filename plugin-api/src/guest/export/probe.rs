//! Which hooks a plugin has, found out at compile time.

use std::marker::PhantomData;

use swapgate_abi::{
    BodyFn, EventFn, ExportStateFn, ImportStateFn, OpDoneFn, PhaseFn, RequestEndFn, TickFn,
    TrailersFn, code,
};

use super::background::{self, BeginFn};
use super::{body, handover, phase, waiting};
use crate::guest::hooks::{
    Access, AsyncAccess, AsyncBodyFilter, AsyncHeaderFilter, AsyncRequestBody, AsyncRewrite, Begin,
    BodyFilter, HeaderFilter, Log, Need, Plugin, RequestBody, RequestEnd, Rewrite, Tick, Trailers,
};
use crate::guest::state::State;

/// Finds out at compile time which hooks `T` implements: an inherent constant whose bound holds wins over the constant
/// of [`Absent`], which every probe has.
#[derive(Debug)]
pub struct Probe<T>(PhantomData<T>);

macro_rules! probes {
    ($($name:ident: $kind:ty = $bound:ident => $found:expr;)*) => {
        /// No hook, for every phase.
        pub trait Absent<T> {
            $(
                /// Absent.
                const $name: Option<$kind> = None;
            )*
        }

        impl<T> Absent<T> for Probe<T> {}

        $(
            impl<T: $bound> Probe<T> {
                /// Present.
                pub const $name: Option<$kind> = Some($found);
            }
        )*
    };
}

probes! {
    REWRITE: PhaseFn = Rewrite => phase::rewrite::<T>;
    ASYNC_REWRITE: PhaseFn = AsyncRewrite => waiting::rewrite::<T>;
    ACCESS: PhaseFn = Access => phase::access::<T>;
    ASYNC_ACCESS: PhaseFn = AsyncAccess => waiting::access::<T>;
    HEADER_FILTER: PhaseFn = HeaderFilter => phase::header_filter::<T>;
    ASYNC_HEADER_FILTER: PhaseFn = AsyncHeaderFilter => waiting::header_filter::<T>;
    LOG: PhaseFn = Log => phase::log::<T>;
    REQUEST_END: RequestEndFn = RequestEnd => phase::request_end::<T>;
    REQUEST_END_OF_ALL: RequestEndFn = RequestEnd => waiting::end_both::<T>;
    REQUEST_BODY: BodyFn = RequestBody => body::request_body::<T>;
    ASYNC_REQUEST_BODY: BodyFn = AsyncRequestBody => waiting::request_body::<T>;
    BODY_FILTER: BodyFn = BodyFilter => body::body_filter::<T>;
    ASYNC_BODY_FILTER: BodyFn = AsyncBodyFilter => waiting::body_filter::<T>;
    TRAILERS: TrailersFn = Trailers => body::trailers::<T>;
    REQUEST_NEED: Need = RequestBody => <T as RequestBody>::REQUEST_NEED;
    ASYNC_REQUEST_NEED: Need = AsyncRequestBody => <T as AsyncRequestBody>::REQUEST_NEED;
    REQUEST_TRAILERS_NEED: Need = Trailers => <T as Trailers>::REQUEST_NEED;
    RESPONSE_NEED: Need = BodyFilter => <T as BodyFilter>::RESPONSE_NEED;
    ASYNC_RESPONSE_NEED: Need = AsyncBodyFilter => <T as AsyncBodyFilter>::RESPONSE_NEED;
    RESPONSE_TRAILERS_NEED: Need = Trailers => <T as Trailers>::RESPONSE_NEED;
    BEGIN: BeginFn<T> = Begin => background::begin::<T>;
    TICKS: BeginFn<T> = Tick => background::ticks::<T>;
    ON_TICK: TickFn = Tick => background::on_tick::<T>;
    ON_OP_DONE: OpDoneFn = Begin => background::on_op_done::<T>;
    EXPORT_STATE: ExportStateFn = State => handover::export_state::<T>;
    IMPORT_STATE: ImportStateFn = State => handover::import_state::<T>;
}

/// Everything that was found out about `T`.
#[derive(Debug)]
pub struct Hooks<T> {
    pub(super) rewrite: Option<PhaseFn>,
    pub(super) access: Option<PhaseFn>,
    pub(super) header_filter: Option<PhaseFn>,
    pub(super) log: Option<PhaseFn>,
    pub(super) request_end: Option<RequestEndFn>,
    pub(super) request_body: Option<BodyFn>,
    pub(super) body_filter: Option<BodyFn>,
    pub(super) trailers: Option<TrailersFn>,
    pub(super) on_event: Option<EventFn>,
    pub(super) on_tick: Option<TickFn>,
    pub(super) on_op_done: Option<OpDoneFn>,
    pub(super) export_state: Option<ExportStateFn>,
    pub(super) import_state: Option<ImportStateFn>,
    pub(super) begin: [Option<BeginFn<T>>; 2],
    pub(super) request_body_need: u32,
    pub(super) response_body_need: u32,
    pub(super) buffer_bytes: u64,
}

impl<T> Hooks<T> {
    /// A plugin without any.
    pub const NONE: Self = Self {
        rewrite: None,
        access: None,
        header_filter: None,
        log: None,
        request_end: None,
        request_body: None,
        body_filter: None,
        trailers: None,
        on_event: None,
        on_tick: None,
        on_op_done: None,
        export_state: None,
        import_state: None,
        begin: [None, None],
        request_body_need: code::SG_BODY_NONE,
        response_body_need: code::SG_BODY_NONE,
        buffer_bytes: 0,
    };
}

impl<T: Plugin> Hooks<T> {
    /// Those that have an async kin: plain, async.
    #[must_use]
    pub const fn phases(
        rewrite: [Option<PhaseFn>; 2],
        access: [Option<PhaseFn>; 2],
        header_filter: [Option<PhaseFn>; 2],
        request_body: [Option<BodyFn>; 2],
        body_filter: [Option<BodyFn>; 2],
    ) -> Self {
        let waits = rewrite[1].is_some()
            || access[1].is_some()
            || header_filter[1].is_some()
            || request_body[1].is_some()
            || body_filter[1].is_some();
        Self {
            rewrite: one_phase(rewrite),
            access: one_phase(access),
            header_filter: one_phase(header_filter),
            request_body: one_body(request_body),
            body_filter: one_body(body_filter),
            on_event: if waits {
                Some(waiting::on_event::<T>)
            } else {
                None
            },
            request_end: if waits { Some(waiting::end::<T>) } else { None },
            ..Self::NONE
        }
    }

    /// Those at the end; the second one is for plugins that wait.
    #[must_use]
    pub const fn ends(
        mut self,
        log: Option<PhaseFn>,
        request_end: [Option<RequestEndFn>; 2],
    ) -> Self {
        self.log = log;
        let [plain, of_all] = request_end;
        if self.on_event.is_none() {
            self.request_end = plain;
        } else if of_all.is_some() {
            self.request_end = of_all;
        }
        self
    }

    /// What is needed of bodies: by the hook, by its async kin, by that of trailers.
    #[must_use]
    pub const fn bodies(
        mut self,
        trailers: Option<TrailersFn>,
        request: [Option<Need>; 3],
        response: [Option<Need>; 3],
    ) -> Self {
        self.trailers = trailers;
        let (request_need, request_bytes) = needed(request);
        let (response_need, response_bytes) = needed(response);
        self.request_body_need = request_need;
        self.response_body_need = response_need;
        // Zero is the route's limit, so it is the larger one where a lane buffers at all.
        let (a, b) = (request_bytes, response_bytes);
        self.buffer_bytes = match (a, b) {
            (Some(0), _) | (_, Some(0)) | (None, None) => 0,
            (Some(bytes), None) | (None, Some(bytes)) => bytes,
            (Some(a), Some(b)) => {
                if a > b {
                    a
                } else {
                    b
                }
            }
        };
        self
    }

    /// Those outside of exchanges.
    #[must_use]
    pub const fn background(
        mut self,
        begin: [Option<BeginFn<T>>; 2],
        on_tick: Option<TickFn>,
        on_op_done: Option<OpDoneFn>,
    ) -> Self {
        self.begin = begin;
        self.on_tick = on_tick;
        self.on_op_done = on_op_done;
        self
    }

    /// Those for the next instance.
    #[must_use]
    pub const fn states(
        mut self,
        export_state: Option<ExportStateFn>,
        import_state: Option<ImportStateFn>,
    ) -> Self {
        self.export_state = export_state;
        self.import_state = import_state;
        self
    }
}

/// The one of the two that is there.
#[expect(
    clippy::panic,
    reason = "evaluated by the compiler: it refuses such a plugin"
)]
const fn one_phase(of: [Option<PhaseFn>; 2]) -> Option<PhaseFn> {
    match of {
        [Some(_), Some(_)] => panic!("a plugin has a plain or an async hook of a phase, not both"),
        [Some(hook), None] | [None, Some(hook)] => Some(hook),
        [None, None] => None,
    }
}

/// The one of the two that is there.
#[expect(
    clippy::panic,
    reason = "evaluated by the compiler: it refuses such a plugin"
)]
const fn one_body(of: [Option<BodyFn>; 2]) -> Option<BodyFn> {
    match of {
        [Some(_), Some(_)] => panic!("a plugin has a plain or an async hook of a body, not both"),
        [Some(hook), None] | [None, Some(hook)] => Some(hook),
        [None, None] => None,
    }
}

/// The most that one of them needs, and how many bytes if it buffers.
const fn needed(of: [Option<Need>; 3]) -> (u32, Option<u64>) {
    let (mut most, mut bytes) = (code::SG_BODY_NONE, None);
    let mut left = &of as &[Option<Need>];
    while let [first, rest @ ..] = left {
        if let Some(need) = first {
            if need.code() > most {
                most = need.code();
            }
            if let Need::Buffer(up_to) = need {
                bytes = Some(*up_to);
            }
        }
        left = rest;
    }
    (most, bytes)
}
