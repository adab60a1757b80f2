//! The throw-away child: goes through a plugin's whole life once, and says before each step what comes next. It may
//! crash or hang at any point; that is what it is for.

use std::fs::File;
use std::io::{Read, Write};
use std::process::ExitCode;
use std::sync::Arc;

use rustix::process::{Resource, Rlimit, Signal};

use super::exchange::exchange;
use super::handover;
use super::protocol::{At, Line, Report, Request};
use super::schema;
use crate::config::ready::Kv;
use crate::fault::label::ImageIdentity;
use crate::metrics::book::Book;
use crate::ops::blocking::Bounds;
use crate::ops::services::Services;
use crate::plugin::ffi::host::Grounds;
use crate::plugin::image::Digest;
use crate::plugin::library::{Loaded, Mapped, Mode};
use crate::plugin::refusal::Reason;

/// Nothing in the child is told apart by its digest.
pub(super) const NO_DIGEST: Digest = Digest([0; 32]);

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
        services: Services::with(Kv::LEAST_MEMORY, bounds),
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
