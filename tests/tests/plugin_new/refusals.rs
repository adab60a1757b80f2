//! What cannot be made is refused with one sentence, and the disk is left as it was.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use crate::project::{files, plugin_new};

/// Runs it in a folder with one file in `full`, and compares exit code and what it says.
#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &str) {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    fs::create_dir(folder.path().join("full")).expect("ours");
    fs::write(folder.path().join("full/mine"), "mine").expect("ours");
    let output = plugin_new(arguments, folder.path());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains(expected), "no `{expected}` in `{said}`");
    assert_eq!(files(folder.path()), ["full/mine"]);
    let entries = fs::read_dir(folder.path()).expect("ours");
    assert_eq!(entries.count(), 1, "something was left");
}

#[test]
fn a_name_that_is_no_id() {
    check(
        &["My_Plugin", "--lang", "c"],
        1,
        "\"My_Plugin\" cannot be the id of a plugin; use 1 to 63 characters of a-z, 0-9 and -, such as my-plugin\n",
    );
}

#[test]
fn a_language_there_is_no_sdk_for() {
    check(
        &["a", "--lang", "cobol"],
        2,
        "[possible values: rust, c, cpp, go]",
    );
    check(&["a"], 2, "--lang <rust|c|cpp|go>");
}

#[test]
fn a_folder_that_is_not_empty() {
    check(
        &["a", "--lang", "rust", "--path", "full"],
        1,
        "full is not empty; name a folder that is, or one that does not exist yet\n",
    );
    check(
        &["full", "--lang", "rust"],
        1,
        "full is not empty; name a folder that is, or one that does not exist yet\n",
    );
}

#[test]
fn a_folder_nobody_may_write_to() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    let shut = folder.path().join("shut");
    fs::create_dir(&shut).expect("ours");
    fs::set_permissions(&shut, fs::Permissions::from_mode(0o555)).expect("ours");
    let output = plugin_new(&["a", "--lang", "c"], &shut);
    // The superuser may write anywhere.
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(
            said,
            "cannot write to a (Permission denied (os error 13)); check permissions and free space\n"
        );
        assert_eq!(files(&shut), Vec::<String>::new());
    }
}

#[test]
fn it_says_what_to_type_next() {
    let folder = tempfile::tempdir().expect("the system has a temporary folder");
    for (lang, expected) in [
        (
            "rust",
            "install -m 755 target/release/libfine_name.so try/plugins.d/",
        ),
        ("c", "make install PLUGINS_DIR=try/plugins.d"),
        ("cpp", "again after every build: that is a swap"),
        ("go", "once; a later build takes a restart of the gateway"),
    ] {
        let path = format!("some where/{lang}");
        let output = plugin_new(
            &["fine-name", "--lang", lang, "--path", &path],
            folder.path(),
        );
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success(), "{output:?}");
        assert!(
            said.contains(&format!("  cd 'some where/{lang}'\n")),
            "{said}"
        );
        assert!(said.contains(expected), "{said}");
    }
}
