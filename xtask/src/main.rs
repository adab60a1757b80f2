//! The everyday commands. `cargo xtask` alone lists them.
//!
//! - [`run`]: the gateway with a demo upstream, to try with curl
//! - [`mod@test`]: everything CI runs; [`tools`] (with [`python`]), [`header`] and [`licences`] are its smaller steps
//! - [`soak`]: reloads and swaps beside everything that clients do, for as long as one likes; or more load than the upstream
//!   can take
//! - [`mod@bench`]: the comparison with a bare hyper proxy and with the gateways people use now
//! - [`mod@asan`]: the contract tests and the gateway with its examples under AddressSanitizer
//! - [`mod@fuzz`]: random bytes for everything that reads bytes, [`mod@mutants`]: whether the unit tests see changes of the code
//! - [`mod@package`]: the package of Debian
//! - [`sanitize`]: the plugin SDK under Miri
//!
//! Below them: [`cargo`] builds, [`process`] starts and ends programs, [`http`] asks listeners,
//! [`account`] reads what a process uses, [`folder`] lays out working folders,
//! [`signals`] notes Ctrl-C, [`load`] and [`swap`] are parts of the soaks and the comparison.
#![forbid(unsafe_code)]

mod account;
mod arguments;
mod asan;
mod bench;
mod cargo;
mod failure;
mod folder;
mod fuzz;
mod header;
mod http;
mod licences;
mod load;
mod mutants;
mod package;
mod process;
mod python;
mod run;
mod sanitize;
mod signals;
mod soak;
mod swap;
mod test;
mod tools;

use std::process::ExitCode;

use arguments::Arguments;
use failure::Failure;

const USAGE: &str = "\
cargo xtask COMMAND

  run   [--port N]                          build gateway and plugins, start them with a demo upstream, say what to try
                                            (N: gateway on N, admin on N+1, upstream on N+2; otherwise 8000, 8001, 9001)
  test  [--quick]                           everything CI runs; --quick leaves out format, lints and documentation
  tools                                     the first step of it alone: install what the tests need, or say what is missing
  soak  [--seconds S] [--reloads N] [--swaps N] [--digests N] [--connections N] [--download-mb N]
                                            ten minutes at half of saturation with a thousand reloads (a hundred of them wrong) and
                                            two hundred swaps, beside a WebSocket, a call of gRPC and a slow download; fails on
                                            anything lost, mixed or left behind (--programs DIR: take what is built there)
  soak --upgrades N                         one process takes over from the other, N times; fails where a request was lost
  soak --calls                              every system call of a list fails, from its first to its twentieth time; takes minutes
  soak --faults N                           targets are killed N times under each recommended setting; fails where one is not out
                                            of rotation within a second, or not back within five
  soak --idle N                             requests alone and beside idle connections, in turn, N times; fails where those slow
                                            them down
  soak --overload [--seconds N]             offer three times what the upstream can answer; fails where the excess is not refused
                                            quickly, or too little of the rest is answered (--programs DIR as above)
  bench [--install] [--quick] [--only LIST] [--scenario LIST]
        [--rounds N] [--seconds S] [--connections N] [--changes N]
                                            the same work given to this gateway, a bare hyper proxy, nginx, HAProxy, Envoy and a
                                            gateway in Go, each on one core; --install brings those; lists have commas
  asan                                      contract tests, and the gateway with plugins in four languages, under AddressSanitizer
                                            (takes minutes)
  fuzz [--seconds N] [--workers N] [TARGET...]
                                            give each target in tests/fuzz (or those named) random bytes for N seconds (60), by libFuzzer
  mutants [--jobs N] [MODULE...]            change the modules that decide about paths, headers and limits (or those named) in every way
                                            cargo-mutants knows, and fail where fewer than 85 % of the changes break a unit test
  package [--debug]                         build the package of Debian, look into it, and start the gateway from it; installs
                                            cargo-deb; --debug packs a build without optimisation, which takes seconds
  miri                                      the tests of the plugin SDK under Miri (nightly with its component)
";

fn main() -> ExitCode {
    let mut arguments = Arguments::of_process();
    let command = arguments.command();
    let outcome = match command.as_deref() {
        Some("run") => run::run(arguments),
        Some("test") => test::test(arguments),
        Some("tools") => test::tools(arguments),
        Some("soak") => soak::soak(arguments),
        Some("bench") => bench::bench(arguments),
        Some("asan") => asan::asan(arguments),
        Some("fuzz") => fuzz::fuzz(arguments),
        Some("mutants") => mutants::mutants(arguments),
        Some("package") => package::package(arguments),
        Some("miri") => sanitize::miri(arguments),
        None | Some("help" | "--help" | "-h") => {
            print!("{USAGE}");
            Ok(ExitCode::SUCCESS)
        }
        Some(other) => Err(Failure::new(format!(
            "there is no command {other:?}; `cargo xtask` lists them"
        ))),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("xtask: {failure}");
        ExitCode::FAILURE
    })
}
