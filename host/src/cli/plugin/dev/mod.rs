//! `swapgate plugin dev [DIR]`: builds a project whenever it is saved, swaps it into a gateway, and shows every request.
//!
//! - [`project`]: what is built, and how; when it was saved;
//! - [`show`]: what the gateway's log tells, in lines for people.

mod project;
mod show;

use std::fs;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use swapgate::config::{self, Source, System};
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::child::{Ended, Gateway};
use crate::cli::{FAILED, OK, print};
use project::Project;
use show::Show;

/// What the gateway tells.
const LOG: &str = "info,plugin=trace,hook=trace";
/// Between two looks at the sources.
const LOOK: Duration = Duration::from_millis(300);
/// How long one look at the log takes.
const TURN: Duration = Duration::from_millis(50);

#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The top folder of the project, with a Cargo.toml or a Makefile.
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// The configuration of the gateway [default: try/swapgate.yaml in the project].
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

/// Until it is interrupted; exit code 1 if there is no project, no configuration, or the gateway ends.
pub(super) fn run(args: &Args) -> u8 {
    dev(args).unwrap_or_else(|why| {
        eprintln!("{why}");
        FAILED
    })
}

fn dev(args: &Args) -> Result<u8, String> {
    let project = Project::find(&args.dir)?;
    let file = args
        .config
        .clone()
        .unwrap_or_else(|| args.dir.join("try/swapgate.yaml"));
    let plugins = plugins_dir(&file)?;
    let stop = stopped()?;
    let mut seen = project.saved();
    let mut built = build(&project, &plugins);
    while !built {
        print("waiting for a change");
        match next_save(&project, &seen, &stop) {
            Some(saved) => seen = saved,
            None => return Ok(OK),
        }
        built = build(&project, &plugins);
    }
    let folder = std::path::absolute(&args.dir).map_err(|error| error.to_string())?;
    let folder = state(&folder)?;
    let gateway = Gateway::start(&file, &folder, LOG).map_err(|error| error.to_string())?;
    print(&format!(
        "serving on http://{}, admin on http://{}; every save builds and swaps",
        gateway.public, gateway.admin
    ));
    serve(&project, &plugins, &gateway, seen, &stop)
}

fn serve(
    project: &Project,
    plugins: &Path,
    gateway: &Gateway,
    mut seen: project::Saved,
    stop: &AtomicBool,
) -> Result<u8, String> {
    let mut show = Show::default();
    let mut looked = Instant::now();
    while !stop.load(Ordering::Relaxed) {
        match gateway.line(TURN) {
            Ok(Some(line)) => {
                if let Some(text) = show.line(&line) {
                    print(&text);
                }
                continue;
            }
            Ok(None) => {}
            Err(Ended) => return Err("the gateway has ended; its last lines say why".to_owned()),
        }
        if looked.elapsed() < LOOK {
            continue;
        }
        looked = Instant::now();
        let saved = project.saved();
        if saved != seen {
            seen = saved;
            build(project, plugins);
        }
    }
    Ok(OK)
}

/// Builds and puts what came out into the plugins folder; false if there is nothing new to serve.
fn build(project: &Project, plugins: &Path) -> bool {
    let began = Instant::now();
    let product = match project.build() {
        Ok(product) => product,
        Err(why) => {
            print(&format!("build failed: {why}"));
            return false;
        }
    };
    match install(&product, plugins) {
        Ok(()) => {
            print(&format!(
                "built {} in {:.1?}",
                product.display(),
                began.elapsed()
            ));
            true
        }
        Err(error) => {
            print(&format!(
                "cannot copy {} to {}: {error}",
                product.display(),
                plugins.display()
            ));
            false
        }
    }
}

/// Written aside under a hidden name and renamed, so that the gateway sees whole files only.
fn install(product: &Path, plugins: &Path) -> std::io::Result<()> {
    fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(plugins)?;
    let name = product.file_name().unwrap_or_default();
    let mut aside = std::ffi::OsString::from(".");
    aside.push(name);
    aside.push(".new");
    let aside = plugins.join(aside);
    fs::copy(product, &aside)?;
    fs::set_permissions(&aside, fs::Permissions::from_mode(0o755))?;
    fs::rename(aside, plugins.join(name))
}

/// Waits for the next save; none if it is to stop.
fn next_save(
    project: &Project,
    seen: &project::Saved,
    stop: &AtomicBool,
) -> Option<project::Saved> {
    while !stop.load(Ordering::Relaxed) {
        let saved = project.saved();
        if saved != *seen {
            return Some(saved);
        }
        thread::sleep(LOOK);
    }
    None
}

fn plugins_dir(file: &Path) -> Result<PathBuf, String> {
    let lines = |errors: Vec<config::ConfigError>| {
        let lines: Vec<String> = errors.iter().map(ToString::to_string).collect();
        lines.join("\n")
    };
    let source = Source::read(file).map_err(|error| lines(vec![error]))?;
    let config = config::load(&source, &System).map_err(lines)?;
    Ok(config.plugins_dir)
}

/// Where the gateway announces itself: beside the state of its own, which projects ignore.
fn state(project: &Path) -> Result<PathBuf, String> {
    let folder = project.join("try/state");
    let made = fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(&folder);
    made.map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    Ok(folder)
}

/// Becomes true with SIGINT or SIGTERM, so that the gateway is ended before this process is.
fn stopped() -> Result<Arc<AtomicBool>, String> {
    let cannot = |error: std::io::Error| format!("cannot wait for signals: {error}");
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(cannot)?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    let (mut interrupt, mut terminate) = {
        let _inside = runtime.enter();
        let interrupt = signal(SignalKind::interrupt()).map_err(cannot)?;
        (interrupt, signal(SignalKind::terminate()).map_err(cannot)?)
    };
    thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
        });
        told.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
