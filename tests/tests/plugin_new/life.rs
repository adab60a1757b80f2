//! From nothing to a swap under load, with the commands of the README that comes with each project.

use std::process::Command;

use swapgate_tests::{Gateway, Load, Response, artifacts, eventually};

use crate::project::{Lang, Project, files, read, run};

/// How a project's source is changed for the second version.
struct Edits {
    /// The file, what stands there, and what comes in its place.
    greeting: (&'static str, &'static str, &'static str),
    version: (&'static str, &'static str, &'static str),
}

#[test]
fn a_rust_project_builds_loads_and_swaps() {
    check(
        &Project::make("made-in-rust", Lang::Rust),
        &Edits {
            greeting: (
                "src/lib.rs",
                "\"x-greeting\", &self.greeting",
                "\"x-greeting\", format!(\"{} again\", self.greeting)",
            ),
            version: ("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\""),
        },
    );
}

#[test]
fn a_c_project_builds_loads_and_swaps() {
    check(
        &Project::make("made-in-c", Lang::C),
        &Edits {
            greeting: (
                "plugin.c",
                "text(instance->greeting)",
                "text(\"hello again\")",
            ),
            version: (
                "plugin.c",
                "#define VERSION \"0.1.0\"",
                "#define VERSION \"0.2.0\"",
            ),
        },
    );
}

#[test]
fn a_cpp_project_builds_loads_and_swaps() {
    check(
        &Project::make("made-in-cpp", Lang::Cpp),
        &Edits {
            greeting: (
                "plugin.cpp",
                "\"x-greeting\", greeting_",
                "\"x-greeting\", greeting_ + \" again\"",
            ),
            version: (
                "plugin.cpp",
                "\"made-in-cpp\", \"0.1.0\"",
                "\"made-in-cpp\", \"0.2.0\"",
            ),
        },
    );
}

/// A process holds one runtime of Go, for ever: a second build is refused, and what serves goes on.
#[test]
fn a_go_project_builds_and_loads_and_its_second_version_takes_a_restart() {
    let project = Project::make("made-in-go", Lang::Go);
    let mut gateway = loaded(&project);
    project.edit(
        "main.go",
        "\"x-greeting\", *g.Greeting",
        "\"x-greeting\", *g.Greeting+\" again\"",
    );
    project.edit("descriptor.c", "\"0.1.0\"", "\"0.2.0\"");
    let load = Load::start(gateway.address(), 3, REQUEST, |answer| {
        match (answer.status, greeting(answer).as_str()) {
            (200, "hello") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    load.wait_for_more(20);
    project.build();
    project.install(gateway.plugins().path());
    gateway.wait_for_log("restart the gateway");
    load.wait_for_more(20);
    load.stop_without_failure();
    assert_eq!(active_version(&gateway, &project).as_deref(), Some("0.1.0"));

    // The handlers of signals that the runtime of Go brings do not keep the gateway from ending in order.
    assert!(gateway.terminate().success());
    let gateway = self::gateway(&project);
    project.install(gateway.plugins().path());
    wait_for_greeting(&gateway, "hello again");
    eventually!(active_version(&gateway, &project).as_deref() == Some("0.2.0"));
}

const REQUEST: &str = "GET /load HTTP/1.1\r\nHost: test\r\n\r\n";

/// Tests, builds and checks a project, and puts it into a gateway.
#[track_caller]
fn loaded(project: &Project) -> Gateway {
    names_no_place_in_this_repository(project);
    project.test();
    project.build();
    passes_the_check(project);

    let gateway = gateway(project);
    // It serves already, but not without the plugin that its configuration names.
    assert_eq!(gateway.get("/").status, 503);
    project.install(gateway.plugins().path());
    wait_for_greeting(&gateway, "hello");
    let denied = gateway.get("/private/a");
    assert_eq!((denied.status, greeting(&denied).as_str()), (403, "hello"));
    eventually!(active_version(&gateway, project).as_deref() == Some("0.1.0"));
    gateway
}

#[track_caller]
fn check(project: &Project, edits: &Edits) {
    let gateway = loaded(project);
    for (file, from, to) in [edits.greeting, edits.version] {
        project.edit(file, from, to);
    }
    let load = Load::start(gateway.address(), 3, REQUEST, |answer| {
        match (answer.status, greeting(answer).as_str()) {
            (200, "hello" | "hello again") => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    load.wait_for_more(20);
    project.build();
    project.install(gateway.plugins().path());
    wait_for_greeting(&gateway, "hello again");
    load.wait_for_more(20);
    load.stop_without_failure();
    eventually!(active_version(&gateway, project).as_deref() == Some("0.2.0"));
}

/// Paths into the repository would build here and nowhere else.
#[track_caller]
fn names_no_place_in_this_repository(project: &Project) {
    let here = artifacts::root().display().to_string();
    for file in files(&project.top()) {
        let text = project.read(&file);
        for place in [here.as_str(), "../../", "workspace = true"] {
            assert!(!text.contains(place), "{file} names {place}");
        }
    }
}

#[track_caller]
fn passes_the_check(project: &Project) {
    let mut check = Command::new(artifacts::gateway());
    check.args(["plugin", "check"]).arg(project.product());
    let said = run("plugin check", &mut check);
    for expected in [
        ": fit\n".to_owned(),
        format!("plugin    {} 0.1.0", project.name),
        "hooks     access, header_filter, priority 100".to_owned(),
        "schema    shipped".to_owned(),
    ] {
        assert!(said.contains(&expected), "no `{expected}` in\n{said}");
    }
}

/// A gateway with the configuration that comes with the project.
fn gateway(project: &Project) -> Gateway {
    let text = read(&project.top().join("try/swapgate.yaml"))
        .replace("127.0.0.1:8000", "127.0.0.1:0")
        .replace("127.0.0.1:8001", "127.0.0.1:0");
    Gateway::with_whole(&text).start()
}

fn greeting(answer: &Response) -> String {
    answer.header("x-greeting").unwrap_or_default()
}

#[track_caller]
fn wait_for_greeting(gateway: &Gateway, expected: &str) {
    gateway.wait_for_answers(expected, "/", |answer| {
        answer.status == 200 && greeting(answer) == expected
    });
}

/// The version of the image that serves, once all workers have it.
#[track_caller]
fn active_version(gateway: &Gateway, project: &Project) -> Option<String> {
    let view = gateway.plugins_view();
    let images = view["images"].as_array().expect("a list of images");
    let mut active = images
        .iter()
        .filter(|image| image["id"] == project.name && image["state"] == "active");
    let version = active.next().and_then(|image| image["version"].as_str());
    version.map(str::to_owned)
}
