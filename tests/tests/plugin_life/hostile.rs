//! Files that are no plugins, or not for this gateway: each is refused with its own sentence, the same in the log, in
//! `/status` and from `swapgate plugin check`, while the version that serves goes on.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};

use swapgate_tests::{Gateway, PluginDir, artifacts, wait_for, wait_until};

use crate::world::{
    Restless, World, c_example, c_plugin, plugin_check, replaced, stamp, stamped, wait_for_log,
};

/// The sentence of a refusal in `/status` about this file, when there is one.
pub(crate) fn refusal(gateway: &Gateway, file: &str) -> Option<String> {
    let status = gateway.status();
    let refused = status["refused"].as_array()?;
    let about = refused.iter().find(|one| one["file"] == file)?;
    about["text"].as_str().map(str::to_owned)
}

/// Lets `put` bring a bad file over the one that serves, and looks for this sentence in log and status.
#[track_caller]
fn refused(put: impl FnOnce(&PluginDir), sentence: &str) -> World {
    let world = stamped("good");
    let load = world.load();
    put(world.gateway.plugins());
    let file = world.shown("libstamp.so");
    let text = wait_for("the refusal", || refusal(&world.gateway, &file));
    assert_eq!(text, format!("{file}: {sentence}"));
    wait_for_log(&world.gateway, &text);
    load.wait_for_more(20);
    assert_eq!(world.stamp(), "good");
    load.stop_without_failure();
    world
}

/// The same, and the command line says the same.
#[track_caller]
fn check(bytes: &[u8], step: &str, sentence: &str) {
    let world = refused(|plugins| plugins.copy(bytes, "libstamp.so"), sentence);
    let file = world.gateway.plugins().file("libstamp.so");
    let (code, said) = plugin_check(&file, &[]);
    assert_eq!(
        said,
        format!("refused ({step}): {}: {sentence}\n", file.display())
    );
    assert_eq!(code, Some(1));
    // Once the file is good again it is taken.
    world
        .gateway
        .plugins()
        .copy(stamp("mended").bytes(), "libstamp.so");
    world.wait_for_stamp("mended");
    // Workers serve it a moment before control writes it down.
    let file = file.display().to_string();
    wait_until("the refusal is gone", || {
        refusal(&world.gateway, &file).is_none()
    });
}

#[test]
fn an_empty_file() {
    check(
        b"",
        "inspect",
        "it is empty; copy the built plugin there again",
    );
}

#[test]
fn a_text() {
    check(
        b"<html>404 not found</html>\n",
        "inspect",
        "it is a text file, not a shared library; put the built plugin there (the .so that cargo or the Makefile made)",
    );
}

#[test]
fn a_file_cut_half_way() {
    let bytes = stamp("half").bytes().to_vec();
    let (half, whole) = (bytes.len() / 2, bytes.len());
    check(
        &bytes[..half],
        "inspect",
        &format!(
            "it is cut off: it has {half} bytes, but its headers describe {whole}; copy the built plugin there again"
        ),
    );
}

#[test]
fn a_library_for_another_machine() {
    let mut bytes = stamp("elsewhere").bytes().to_vec();
    // e_machine, which is AArch64 here or x86-64 there.
    let other: u16 = if cfg!(target_arch = "aarch64") {
        62
    } else {
        183
    };
    bytes[18..20].copy_from_slice(&other.to_le_bytes());
    let (there, here) = if cfg!(target_arch = "aarch64") {
        ("x86-64", "Linux on AArch64")
    } else {
        ("AArch64", "Linux on x86-64")
    };
    check(
        &bytes,
        "inspect",
        &format!(
            "it is built for {there}, but this gateway runs on {here}; build the plugin for {here}"
        ),
    );
}

#[test]
fn a_library_that_is_no_plugin() {
    check(
        &c_plugin("int nothing(void) { return 0; }"),
        "inspect",
        "it is a shared library but no Swapgate plugin: it does not export sg_plugin_abi; build it with the SDK, or \
         export that symbol",
    );
}

#[test]
fn no_entry_symbol() {
    let source = replaced(
        &c_example("stamp.c"),
        "int32_t sg_plugin_entry(",
        "int32_t another_name(",
    );
    check(
        &c_plugin(&source),
        "inspect",
        "it does not export the function sg_plugin_entry; export it with default visibility",
    );
}

#[test]
fn another_major_of_the_contract() {
    check(
        stamp("major")
            .in_descriptor(12, &7_u32.to_le_bytes())
            .bytes(),
        "inspect",
        "plugin stamp 0.1.0 needs plugin contract 7.4, this gateway (swapgate 0.1.0) offers 0.4; run a gateway that \
         offers 7.4, or build the plugin for 0.4",
    );
}

#[test]
fn a_newer_minimum_minor() {
    let minors = [9_u32.to_le_bytes(), 12_u32.to_le_bytes()].concat();
    check(
        stamp("minor").in_descriptor(16, &minors).bytes(),
        "inspect",
        "plugin stamp 0.1.0 needs plugin contract 0.9 to 0.12, this gateway (swapgate 0.1.0) offers 0.4; run a gateway \
         that offers 0.9 to 0.12, or build the plugin for 0.4",
    );
}

#[test]
fn a_malformed_id_and_a_malformed_version() {
    check(
        stamp("id").in_descriptor(128, b"St\n").bytes(),
        "inspect",
        "its id \"St?mp\" is malformed; use 1 to 63 characters of a-z, 0-9 and -",
    );
    check(
        stamp("version").version("latest").bytes(),
        "inspect",
        "its version \"latest\" is not a semantic version; use one such as 1.2.3",
    );
}

#[test]
fn a_file_that_everybody_may_write() {
    let sentence = "the file is writable by everybody (mode 0757); run chmod go-w on it";
    let world = refused(
        |plugins| {
            plugins.copy(stamp("bad").bytes(), "libstamp.so");
            let open = Permissions::from_mode(0o757);
            fs::set_permissions(plugins.file("libstamp.so"), open).expect("the file is ours");
        },
        sentence,
    );
    let file = world.gateway.plugins().file("libstamp.so");
    let (code, said) = plugin_check(&file, &["--installed"]);
    assert_eq!(
        said,
        format!("refused (stage): {}: {sentence}\n", file.display())
    );
    assert_eq!(code, Some(1));
    // The advice helps.
    fs::set_permissions(&file, Permissions::from_mode(0o755)).expect("the file is ours");
    world.wait_for_stamp("bad");
}

#[test]
fn a_folder_that_everybody_may_write() {
    let sentence = |plugins: &PluginDir| {
        format!(
            "its folder {} is writable by everybody (mode 0757); run chmod go-w on the folder",
            plugins.path().display()
        )
    };
    let world = stamped("good");
    let load = world.load();
    let plugins = world.gateway.plugins();
    let mode = |mode| {
        fs::set_permissions(plugins.path(), Permissions::from_mode(mode))
            .expect("the folder is ours");
    };
    mode(0o757);
    plugins.copy(stamp("bad").bytes(), "libstamp.so");
    let file = world.shown("libstamp.so");
    let text = wait_for("the refusal", || refusal(&world.gateway, &file));
    assert_eq!(text, format!("{file}: {}", sentence(plugins)));
    wait_for_log(&world.gateway, &text);
    let (code, said) = plugin_check(&plugins.file("libstamp.so"), &["--installed"]);
    assert_eq!(
        (code, said),
        (Some(1), format!("refused (stage): {text}\n"))
    );
    load.wait_for_more(20);
    assert_eq!(world.stamp(), "good");
    mode(0o755);
    world.wait_for_stamp("bad");
    load.stop_without_failure();
}

#[test]
fn a_link_out_of_the_folder() {
    let world = stamped("good");
    let load = world.load();
    let plugins = world.gateway.plugins();
    let outside = world.gateway.folder().join("outside.so");
    fs::write(&outside, stamp("outside").bytes()).expect("the folder is ours");
    fs::set_permissions(&outside, Permissions::from_mode(0o755)).expect("the file is ours");
    plugins.remove("libstamp.so");
    symlink(&outside, plugins.file("libstamp.so")).expect("the name is free");
    let file = world.shown("libstamp.so");
    let text = wait_for("the refusal", || refusal(&world.gateway, &file));
    assert_eq!(
        text,
        format!(
            "{file}: the link leads out of the plugins folder, to {}; copy the file into the folder",
            outside.display()
        )
    );
    wait_for_log(&world.gateway, &text);
    let (code, said) = plugin_check(&plugins.file("libstamp.so"), &["--installed"]);
    assert_eq!(
        (code, said),
        (Some(1), format!("refused (stage): {text}\n"))
    );
    load.wait_for_more(20);
    assert_eq!(world.stamp(), "good");
    load.stop_without_failure();
}

#[test]
fn links_that_lead_nowhere_and_things_that_are_no_files() {
    let world = stamped("good");
    let load = world.load();
    let plugins = world.gateway.plugins();
    symlink("nowhere.so", plugins.file("dangling.so")).expect("the name is free");
    symlink("circle.so", plugins.file("circle.so")).expect("the name is free");
    fs::create_dir(plugins.file("folder.so")).expect("the name is free");
    let pipe = std::process::Command::new("mkfifo")
        .arg(plugins.file("pipe.so"))
        .status();
    assert!(pipe.expect("mkfifo is there").success());
    let said = |name: &str| {
        let file = world.shown(name);
        let text = wait_for(name, || refusal(&world.gateway, &file));
        text.strip_prefix(&format!("{file}: "))
            .expect("the file first")
            .to_owned()
    };
    assert!(said("dangling.so").starts_with("the link leads nowhere"));
    assert!(said("circle.so").starts_with("the link leads nowhere"));
    for name in ["folder.so", "pipe.so"] {
        assert_eq!(
            said(name),
            "it is not a regular file; put the plugin itself there, or a link to it inside the folder"
        );
    }
    load.wait_for_more(20);
    load.stop_without_failure();
}

#[test]
fn a_file_overwritten_while_it_is_read() {
    let sentence = "it changed while it was read; it is tried again once it is quiet, better write it aside and rename \
                    it into place";
    let world = stamped("good");
    let load = world.load();
    let plugins = world.gateway.plugins();
    let file = world.shown("libstamp.so");
    let versions = ["torn-a", "torn-b"].map(|text| stamp(text).bytes().to_vec());
    let writer = Restless::start(plugins.file("libstamp.so"), versions);

    let expected = format!("refused (stage): {file}: {sentence}\n");
    wait_until("the command line to say so", || {
        plugin_check(&plugins.file("libstamp.so"), &[]) == (Some(1), expected.clone())
    });
    let text = wait_for("the refusal", || refusal(&world.gateway, &file));
    assert_eq!(text, format!("{file}: {sentence}"));
    wait_for_log(&world.gateway, &text);
    load.wait_for_more(50);
    assert_eq!(world.stamp(), "good");
    drop(writer);
    wait_until("the last version", || world.stamp().starts_with("torn-"));
    wait_until("no refusal", || refusal(&world.gateway, &file).is_none());
    load.stop_without_failure();
}

#[test]
fn a_build_with_panic_abort() {
    check(
        &crate::variants::panic_abort(),
        "inspect",
        "plugin stamp 0.1.0 is built with panic=abort, so that one panic would end the gateway; build it with panic = \
         \"unwind\"",
    );
}

#[test]
fn an_archive_and_an_executable() {
    let world = stamped("good");
    let executable = fs::read(artifacts::gateway()).expect("the gateway was built");
    world
        .gateway
        .plugins()
        .rename(&executable[..], "gateway.so");
    world
        .gateway
        .plugins()
        .rename(b"!<arch>\nfile/           0", "archive.so");
    for name in ["gateway.so", "archive.so"] {
        let file = world.shown(name);
        let text = wait_for(name, || refusal(&world.gateway, &file));
        assert!(text.contains("not a shared library"), "{text}");
    }
    assert_eq!(world.stamp(), "good");
}
