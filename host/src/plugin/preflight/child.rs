//! The throw-away child: goes through a plugin's whole life once, and says before each step what comes next. It may
//! crash or hang at any point; that is what it is for.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use rustix::process::{Resource, Rlimit, Signal};
use swapgate_abi::{
    SG_BODY_END, SG_BODY_FIRST, SG_CONTINUE, SG_E_CANCELLED, SG_E_CONFLICT, SG_E_FAILED,
    SG_E_PANIC, SG_PENDING, SG_RESPOND,
};
use tokio::sync::mpsc;

use super::handover;
use super::protocol::{At, Line, Report, Request};
use super::schema;
use crate::context::{
    Context, Ends, Frame, HostName, Lane, Phase, RequestId, ResponseHead, RouteNames, Waits,
};
use crate::metrics::book::Book;
use crate::ops::blocking::Bounds;
use crate::ops::kv::LEAST_MEMORY;
use crate::ops::services::Services;
use crate::plugin::config_hash::ConfigHash;
use crate::plugin::ffi::Bound;
use crate::plugin::ffi::control::RawInstance;
use crate::plugin::ffi::event::{Happened, Place};
use crate::plugin::ffi::host::{Grounds, ImageIdentity};
use crate::plugin::ffi::request;
use crate::plugin::image::{Digest, Image};
use crate::plugin::instance::Instance;
use crate::plugin::library::{self, Loaded, Mapped, Mode};
use crate::plugin::refusal::Reason;
use crate::router::table::Table;
use crate::stream::{Pipeline, Spec, Step};

/// How the one instance of the child is told apart.
pub(in crate::plugin) const OWNER: usize = 1;
/// How large a body may be in the child.
const BODY_ROOM: u64 = 1 << 20;
/// Nothing in the child is told apart by its digest.
const NO_DIGEST: Digest = Digest([0; 32]);

/// What the hidden command `swapgate preflight` runs.
#[must_use]
pub fn run() -> ExitCode {
    match prepare() {
        Ok((mut channel, request)) => {
            let line = match life(&mut channel, &request) {
                Ok(report) => Line::Done(report),
                Err(reason) => Line::Refused(reason),
            };
            channel.say(&line);
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("the preflight cannot start: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The way to the parent.
pub(super) struct Channel(File);

impl Channel {
    fn say(&mut self, line: &Line) {
        let mut text = serde_json::to_vec(line).unwrap_or_default();
        text.push(b'\n');
        // A parent that is gone has nobody to tell; the child dies with it.
        let _ = self.0.write_all(&text);
    }

    pub(super) fn at(&mut self, what: &str, config: Option<usize>) {
        self.say(&Line::At(At {
            what: what.to_owned(),
            config,
        }));
    }
}

fn prepare() -> std::io::Result<(Channel, Request)> {
    let mut text = Vec::new();
    std::io::stdin().lock().read_to_end(&mut text)?;
    let request: Request = serde_json::from_slice(&text)?;
    // The plugin may print; its words must not end up between ours.
    let own = rustix::io::fcntl_dupfd_cloexec(std::io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(std::io::stderr())?;
    let mut channel = Channel(File::from(own));
    channel.0.write_all(b"\n")?;
    #[cfg(target_os = "linux")]
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    limit(Resource::Core, 0)?;
    limit(Resource::Cpu, request.cpu_seconds)?;
    limit(
        Resource::Data,
        own_data().saturating_add(request.data_bytes),
    )?;
    // Traffic goes first.
    let _ = rustix::process::nice(19);
    Ok((channel, request))
}

/// Bytes of data this process has before a plugin is in it, which are not for the plugin to answer for. Little, but of a
/// gateway built with a sanitizer more than any limit: the system counts its shadow memory, nearly all of it never touched.
fn own_data() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = text.split_whitespace().nth(5);
    let pages = pages.and_then(|pages| pages.parse::<u64>().ok());
    let page = u64::try_from(rustix::param::page_size()).unwrap_or(0);
    pages.unwrap_or(0).saturating_mul(page)
}

fn limit(resource: Resource, value: u64) -> std::io::Result<()> {
    let limit = Rlimit {
        current: Some(value),
        maximum: Some(value),
    };
    Ok(rustix::process::setrlimit(resource, limit)?)
}

fn life(channel: &mut Channel, request: &Request) -> Result<Report, Reason> {
    let identity = Arc::new(ImageIdentity {
        id: request.id.clone(),
        version: request.version.clone(),
        digest: request.digest.clone(),
    });
    channel.at("a constructor (dlopen)", None);
    // What is declared here counts like anywhere else, and ends with the process.
    let bounds = Bounds {
        threads: 1,
        queue: 1,
    };
    let grounds = Grounds {
        book: Book::new(0),
        services: Services::with(LEAST_MEMORY, bounds),
        preflight: true,
    };
    let mapped = Mapped::open(&request.path, NO_DIGEST, &identity, request.door, &grounds)?;
    channel.at("the layout check", None);
    let door = mapped.find_door(Mode::Preflight)?;
    channel.at("sg_plugin_entry", None);
    let loaded = door.enter()?;
    let table = loaded.table();
    channel.at("a look at its schema", None);
    schema::usable(table.schema.as_deref())?;
    channel.at("load", None);
    table
        .load(mapped.host())
        .map_err(|error| error.reason("load", |text| Reason::LoadFailed { text }))?;
    let mut notes = Vec::new();
    for (index, config) in request.configs.iter().enumerate() {
        let refused = configuration(channel, &loaded, index, config, &mut notes).err();
        channel.say(&Line::Config { index, refused });
    }
    channel.at("unload", None);
    if let Err(error) = table.unload(5000) {
        notes.push(format!("unload: {error:?}"));
    }
    let report = Report {
        schema: table.schema.clone(),
        priority: table.priority,
        hooks: table
            .hooks
            .phases()
            .iter()
            .map(|phase| phase.name().to_owned())
            .collect(),
        door: request.door,
        stays: table.flags.owns_threads || table.flags.resident,
        one_image_only: table.flags.one_image_only,
        notes,
    };
    // The layout check keeps references into the library, so only the C door is ever closed here.
    if request.unmap && !report.stays && request.door == crate::plugin::Door::C {
        channel.at("a destructor (dlclose)", None);
        drop(loaded);
        let _ = mapped.unmap();
    }
    Ok(report)
}

fn configuration(
    channel: &mut Channel,
    loaded: &Arc<Loaded>,
    index: usize,
    config: &str,
    notes: &mut Vec<String>,
) -> Result<(), Reason> {
    let table = loaded.table();
    schema::check(table.schema.as_deref(), config)?;
    channel.at("configure", Some(index));
    let raw = table
        .configure(loaded.mapped().host(), config)
        .map_err(|error| error.reason("configure", |text| Reason::ConfigRefused { text }))?;
    let outcome = exchange(channel, loaded, raw, index, notes)
        .and_then(|()| handover::rehearse(channel, loaded, raw, (index, config), notes));
    channel.at("destroy", Some(index));
    table.destroy(raw);
    outcome
}

/// A synthetic exchange through every request hook.
fn exchange(
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
