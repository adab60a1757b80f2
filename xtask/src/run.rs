//! `cargo xtask run`: the gateway with plugins and a demo upstream, ready to be tried with curl.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::Duration;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::folder::Folder;
use crate::load::pinned;
use crate::process::Program;
use crate::signals;

/// The addresses `config/demo.yaml` names: gateway, admin, upstream.
const PORTS: [u16; 3] = [8000, 8001, 9001];
/// The plugins `config/demo.yaml` names.
const PLUGINS: [&str; 4] = [
    "libkey_auth.so",
    "libheaders.so",
    "librate_limit.so",
    "libaccess_log.so",
];

/// Builds, starts, explains, and waits for Ctrl-C.
pub(crate) fn run(mut arguments: Arguments) -> Outcome<ExitCode> {
    let port: Option<u16> = arguments.value("--port")?;
    arguments.finish()?;
    let ports = match port {
        Some(port) if port == 0 || port > u16::MAX - 2 => {
            return Err(Failure::new(format!(
                "--port cannot be {port}: it must leave room for two more, 1 to 65533"
            )));
        }
        Some(port) => [port, port + 1, port + 2],
        None => PORTS,
    };
    // Asked before the build, because a minute of compiling is a long wait for this answer.
    ports.iter().try_for_each(|port| must_be_free(*port))?;

    let built = cargo::build_release(&["bench-upstream"])?;
    let folder = Folder::create("demo")?;
    let config = folder.write("swapgate.yaml", demo_config(ports)?)?;
    for plugin in PLUGINS {
        folder.install(&built, plugin)?;
    }
    signals::catch()?;
    let mut upstream = start_upstream(&built, &folder, ports[2])?;
    let mut gateway = start_gateway(&[], &built, &folder, &config)?;
    let announced = gateway.announced(&folder.file("gateway.json"))?;
    print!(
        "{}",
        what_to_try(
            &folder,
            &announced.public,
            announced.admin.as_deref().unwrap_or("no admin listener")
        )
    );
    let status = wait_for_end(&mut gateway, &mut upstream)?;
    Ok(status)
}

fn must_be_free(port: u16) -> Outcome<()> {
    TcpListener::bind(("127.0.0.1", port)).map(drop).map_err(|cause| {
        Failure::new(format!(
            "127.0.0.1:{port} cannot be used ({cause}): stop the program that listens there, or choose other ports with `cargo xtask run --port N`"
        ))
    })
}

fn demo_config(ports: [u16; 3]) -> Outcome<String> {
    let path = cargo::root().join("config/demo.yaml");
    let mut text =
        fs::read_to_string(&path).context(format_args!("{} cannot be read", path.display()))?;
    for (from, to) in PORTS.iter().zip(ports) {
        let address = format!("127.0.0.1:{from}");
        if !text.contains(&address) {
            return Err(Failure::new(format!(
                "{} does not name {address} any more",
                path.display()
            )));
        }
        text = text.replace(&address, &format!("127.0.0.1:{to}"));
    }
    Ok(text)
}

fn start_upstream(built: &Path, folder: &Folder, port: u16) -> Outcome<Program> {
    let file = folder.file("upstream.json");
    let mut command = Command::new(built.join("bench-upstream"));
    command
        .args([
            "--echo",
            "--listen",
            &format!("127.0.0.1:{port}"),
            "--announce",
        ])
        .arg(&file);
    let mut upstream = Program::start("the demo upstream", &mut command)?;
    upstream.announced(&file)?;
    Ok(upstream)
}

/// Starts the gateway; where it listens it writes to `gateway.json` in the folder. `pin` may keep it on a core.
pub(crate) fn start_gateway(
    pin: &[&str],
    built: &Path,
    folder: &Folder,
    config: &Path,
) -> Outcome<Program> {
    Program::start(
        "the gateway",
        &mut gateway_command(pin, built, folder, config),
    )
}

/// The same, for those who have more to say before it starts.
pub(crate) fn gateway_command(
    pin: &[&str],
    built: &Path,
    folder: &Folder,
    config: &Path,
) -> Command {
    let mut command = pinned(pin, &built.join("swapgate"));
    command
        .arg("run")
        .arg("--config")
        .arg(config)
        .arg("--announce")
        .arg(folder.file("gateway.json"));
    command
}

fn wait_for_end(gateway: &mut Program, upstream: &mut Program) -> Outcome<ExitCode> {
    let mut draining = false;
    loop {
        if let Some(status) = gateway.ended()? {
            println!("\nThe gateway has ended ({status}).");
            let code = status.code().and_then(|code| u8::try_from(code).ok());
            return Ok(code.map_or(ExitCode::FAILURE, ExitCode::from));
        }
        upstream.must_run()?;
        if signals::take() {
            if draining {
                return Err(Failure::new(
                    "ended without waiting for the gateway to drain",
                ));
            }
            draining = true;
            println!("\nThe gateway drains; once more Ctrl-C ends it at once.");
            gateway.terminate()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn what_to_try(folder: &Folder, public: &str, admin: &str) -> String {
    let plugins = folder.plugins();
    let config = folder.file("swapgate.yaml");
    // Short where it can be: what is printed is meant to be copied into another shell at the same place.
    let here = std::env::current_dir().unwrap_or_default();
    let plugins = plugins.strip_prefix(&here).unwrap_or(&plugins).display();
    let config = config.strip_prefix(&here).unwrap_or(&config).display();
    format!(
        "
The gateway listens on {public}, its admin listener on {admin}. Try in another shell:

  curl -i http://{public}/users/42                                      # 401: no key
  curl -i http://{public}/users/42 -H 'x-api-key: demo-key-of-alice'    # 200: the upstream saw x-consumer and x-user-id; 429 after ten
  curl http://{admin}/status
  curl http://{admin}/plugins

Change a plugin while it serves: edit plugins/headers/src/lib.rs, then

  cargo build --release -p swapgate-headers && cp target/release/libheaders.so {plugins}/

The next answers carry the new behaviour. The configuration {config} is watched as well. Ctrl-C drains the gateway and ends.

"
    )
}
