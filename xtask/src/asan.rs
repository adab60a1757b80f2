//! `cargo xtask asan`: where memory is shared across the line between gateway and plugins, under AddressSanitizer.
//!
//! Gateway, Rust plugins and tests are built with `-Zsanitizer=address` by the nightly toolchain, or where there is none by the
//! usual one told to take unstable flags; for a named target, so that build scripts and macros stay as they are. The C and C++ plugins that tests build are instrumented as well, where GCC is
//! installed: a program called `cc` that stands first in `PATH` adds what that takes. They are not linked with the runtime
//! of GCC, for the gateway brings one, and two in a process do not agree; so the gateway shows its runtime to what it loads.
//! Without GCC they are built as ever. Then only their heap is watched, through the `malloc` they share with the gateway.
//! Go brings its own heap and is never instrumented; what it takes from and hands to the gateway is still watched.
//!
//! Reports of the gateway go to a folder, and any report fails the command, whatever the tests say. A preflight runs without
//! the gateway's environment; its report is in the text of the refusal, which no test selected here survives.

use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use crate::arguments::Arguments;
use crate::cargo;
use crate::failure::{Context, Failure, Outcome};
use crate::sanitize::{has_nightly, host_triple, nightly};

/// Always the same selection, so that nothing is built twice with other features of a dependency.
const PACKAGES: [&str; 5] = [
    "--workspace",
    "--exclude",
    "xtask",
    "--exclude",
    "swapgate-bench",
];

/// The runtime is shown to plugins, and no more: a test program that contains a plugin would put its own symbols before those
/// of the file it loads.
const FLAGS: &str = "-Zsanitizer=address -Clink-arg=-Wl,--export-dynamic-symbol=__asan_*";

/// One call of `cargo test`.
struct Step {
    name: &'static str,
    arguments: &'static str,
    /// Whether the plugins in C and C++ that the tests build are instrumented.
    compilers: bool,
}

/// What is run.
const STEPS: [Step; 4] = [
    Step {
        name: "contract tests",
        arguments: "--test background --test body --test guest --test sdk_c --test traces",
        compilers: true,
    },
    // The tests of the gateway's rooms look at how plain C plugins are unmapped, which instrumented ones never are. One of
    // them expects a plain crash, not the report of one; the others left out are safe code, tried millions of times.
    Step {
        name: "tests of the rooms",
        arguments: "--lib -- --skip a_child_that_dies_is_told_with_its_place --skip router::tests::properties --skip a_million_keys",
        compilers: false,
    },
    // `waiting` is the name of one of the SDK and of one of the gateway. Left out are two that measure memory, because
    // AddressSanitizer keeps what was freed for a while.
    Step {
        name: "gateway with plugins in C, C++, Go and Rust",
        arguments: "--test waiting --test languages --test bodies --test operations -- --skip takes_no_memory",
        compilers: true,
    },
    Step {
        name: "equal traces, earlier minors, states",
        arguments: "--test plugin_life -- conformance:: frozen:: states::",
        compilers: true,
    },
];

/// Names of compilers, what stands behind them, and the libraries to name when those of the compiler, its runtime of
/// AddressSanitizer among them, are left out.
const COMPILERS: [(&str, &str, &str); 3] = [
    ("cc", "gcc", "-lc"),
    ("c++", "g++", "-lstdc++ -lm -lgcc_s -lc"),
    ("g++", "g++", "-lstdc++ -lm -lgcc_s -lc"),
];

/// A constructor that reads one byte too many of what it allocated.
const MISTAKE: &str = "\
#include <stdlib.h>
__attribute__((constructor)) static void mistake(void) {
    volatile char *bytes = malloc(8);
    if (bytes) (void)bytes[8];
}
";

/// Runs the tests with AddressSanitizer.
pub(crate) fn asan(arguments: Arguments) -> Outcome<ExitCode> {
    arguments.finish()?;
    let run = Run::prepare()?;
    step("build", || run.build())?;
    if run.instrumented {
        step("a mistake on purpose", || run.finds_a_mistake())?;
    } else {
        println!("== GCC is not installed: C and C++ plugins are not instrumented");
    }
    let mut failed = Vec::new();
    // All of them, so that one run tells everything.
    for one in STEPS {
        if let Err(failure) = step(one.name, || run.test(&one)) {
            eprintln!("xtask: {failure}");
            failed.push(one.name);
        }
    }
    run.has_no_report()?;
    if failed.is_empty() {
        println!("== AddressSanitizer has found nothing");
        Ok(ExitCode::SUCCESS)
    } else {
        Err(Failure::new(format!("failed: {}", failed.join(", "))))
    }
}

/// One run: its folders, and what programs are started with.
struct Run {
    triple: String,
    /// A target folder of its own, because other flags would throw away what the everyday one holds.
    target: PathBuf,
    compilers: PathBuf,
    reports: PathBuf,
    instrumented: bool,
}

impl Run {
    fn prepare() -> Outcome<Self> {
        let target = cargo::target()?.join("asan");
        let (compilers, reports) = (target.join("compilers"), target.join("reports"));
        for folder in [&compilers, &reports] {
            // What an earlier run left.
            let _ = fs::remove_dir_all(folder);
            fs::create_dir_all(folder)
                .context(format_args!("{} cannot be made", folder.display()))?;
        }
        let instrumented = ["gcc", "g++"].into_iter().all(is_there);
        if instrumented {
            write_compilers(&compilers)?;
        }
        Ok(Self {
            triple: host_triple()?,
            target,
            compilers,
            reports,
            instrumented,
        })
    }

    fn build(&self) -> Outcome<()> {
        let mut command = self.cargo("build");
        command.args(["--lib", "--bins", "--tests"]);
        cargo::call("the build with AddressSanitizer", &mut command)
    }

    fn test(&self, step: &Step) -> Outcome<()> {
        let mut command = self.cargo("test");
        command.arg("--no-fail-fast");
        command.args(step.arguments.split(' '));
        self.equip(&mut command);
        if step.compilers {
            self.instrument(&mut command)?;
        }
        cargo::call("the test run with AddressSanitizer", &mut command)
    }

    /// Whether an error is found at all, in a plugin that the gateway loads: in its preflight.
    fn finds_a_mistake(&self) -> Outcome<()> {
        let (source, file) = (
            self.reports.join("mistake.c"),
            self.reports.join("mistake.so"),
        );
        let sdk = cargo::root().join("sdk-c");
        let minimal = sdk.join("examples/minimal.c");
        fs::write(&source, MISTAKE).context("the plugin with a mistake cannot be written")?;
        let mut compiler = Command::new("cc");
        compiler.args(["-std=c11", "-O0", "-fPIC", "-shared"]);
        compiler.args(["-fvisibility=hidden", "-I"]);
        compiler.arg(sdk.join("include")).arg("-o");
        compiler.args([&file, &minimal, &source]);
        self.instrument(&mut compiler)?;
        cargo::call("the compiler", &mut compiler)?;
        let mut check = Command::new(self.gateway());
        check.args(["plugin", "check"]).arg(&file);
        self.equip(&mut check);
        let output = check.output().context("the gateway cannot be started")?;
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        for made in [source, file] {
            fs::remove_file(made).context("the plugin with a mistake cannot be removed")?;
        }
        if said.contains("heap-buffer-overflow") {
            return Ok(());
        }
        Err(Failure::new(format!(
            "AddressSanitizer did not see a plugin read beyond its memory; the gateway said {said:?}"
        )))
    }

    fn has_no_report(&self) -> Outcome<()> {
        let entries = fs::read_dir(&self.reports).context("the folder of reports")?;
        let files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        let Some(first) = files.first() else {
            return Ok(());
        };
        eprintln!("{}", fs::read_to_string(first).unwrap_or_default());
        Err(Failure::new(format!(
            "AddressSanitizer wrote {} report(s) to {}, the first is above",
            files.len(),
            self.reports.display()
        )))
    }

    fn cargo(&self, what: &str) -> Command {
        // The flag is unstable, but the runtime comes with every toolchain.
        let mut command = if has_nightly() {
            nightly(&["cargo", what])
        } else {
            let mut command = cargo::cargo();
            command.arg(what).env("RUSTC_BOOTSTRAP", "1");
            command
        };
        command
            .args(["--target", &self.triple])
            .args(PACKAGES)
            .arg("--target-dir")
            .arg(&self.target)
            .env("RUSTFLAGS", FLAGS);
        command
    }

    fn gateway(&self) -> PathBuf {
        self.target.join(&self.triple).join("debug/swapgate")
    }

    /// What programs that load plugins are started with.
    fn equip(&self, command: &mut Command) {
        // Interned names of plugins are kept for ever on purpose, and leaks are the soaks' concern.
        let reports = self.reports.join("report");
        let options = format!(
            "detect_leaks=0:abort_on_error=1:log_path={}",
            reports.display()
        );
        command.env("ASAN_OPTIONS", options);
        command.env("SWAPGATE_BIN", self.gateway());
        // Invented cases are many times slower here, and all of them are tried in `cargo xtask test`.
        command.env("PROPTEST_CASES", "32");
    }

    /// Puts the compilers that instrument before the others.
    fn instrument(&self, command: &mut Command) -> Outcome<()> {
        let others = env::var_os("PATH").unwrap_or_default();
        let folders = [self.compilers.clone()];
        let path = env::join_paths(folders.into_iter().chain(env::split_paths(&others)));
        command.env("PATH", path.context("PATH cannot be extended")?);
        Ok(())
    }
}

/// Compilers that instrument, for whoever asks for the usual ones.
fn write_compilers(folder: &Path) -> Outcome<()> {
    let path = env::var("PATH").context("PATH cannot be read")?;
    for (name, compiler, libraries) in COMPILERS {
        let file = folder.join(name);
        // The last word wins: what is used of the runtime is defined by the gateway alone.
        let text = format!(
            "#!/bin/sh\nPATH='{path}' exec {compiler} \"$@\" -g -fsanitize=address -fno-omit-frame-pointer \
             -nodefaultlibs {libraries} -Wl,-z,undefs\n"
        );
        fs::write(&file, text)
            .and_then(|()| fs::set_permissions(&file, Permissions::from_mode(0o755)))
            .context(format_args!("{} cannot be written", file.display()))?;
    }
    Ok(())
}

fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null());
    command
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn step(name: &str, run: impl FnOnce() -> Outcome<()>) -> Outcome<()> {
    let started = Instant::now();
    println!("== {name}");
    run()?;
    println!("== {name}: {:.1} s", started.elapsed().as_secs_f64());
    Ok(())
}
