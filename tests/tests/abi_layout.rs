//! The C header and its mirror in Rust lay everything out alike, and as it was written down.
//!
//! The names come out of the header itself, so nothing can be left out on the C side; a C program prints what the
//! compiler makes of them. The Rust side lists its fields by hand, and whatever it lacks is a difference. Both must
//! equal `sdk-c/layout.txt`, so that a change of the contract shows in a review; `SWAPGATE_WRITE_LAYOUT=1` writes it anew.

#![cfg(target_pointer_width = "64")]

mod abi_layout {
    pub(crate) mod header;
    pub(crate) mod mirror;
}

use std::fs;
use std::path::PathBuf;

use abi_layout::{header, mirror};

fn sdk() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../sdk-c")
}

fn committed() -> String {
    fs::read_to_string(sdk().join("layout.txt")).expect("sdk-c/layout.txt is committed")
}

/// Shows the first line that differs, rather than two tables of a hundred lines.
#[track_caller]
fn assert_same(side: &str, found: &str) {
    let committed = committed();
    let mut pairs = found.lines().zip(committed.lines()).enumerate();
    if let Some((number, (found, expected))) =
        pairs.find(|(_, (found, expected))| found != expected)
    {
        panic!(
            "line {}: {side} has {found:?}, sdk-c/layout.txt has {expected:?}",
            number + 1
        );
    }
    assert_eq!(
        found.lines().count(),
        committed.lines().count(),
        "{side} has more or fewer lines than sdk-c/layout.txt:\n{found}"
    );
}

#[test]
fn c_lays_out_as_written_down() {
    let text = fs::read_to_string(sdk().join("include/swapgate.h")).unwrap();
    let found = header::layout(&text, &sdk().join("include"));
    // For whoever changed the contract on purpose: the difference then stands in the commit.
    if std::env::var_os("SWAPGATE_WRITE_LAYOUT").is_some() {
        fs::write(sdk().join("layout.txt"), &found).unwrap();
    }
    assert_same("C", &found);
}

#[test]
fn rust_lays_out_as_written_down() {
    assert_same("Rust", &mirror::layout());
}

#[test]
fn the_names_of_a_header_are_found() {
    let text = "
/* struct sg_no { int x; }; #define SG_NO 1 */
#define SG_A 1u /* one */
#define SG_EXPORT __attribute__((x))
#define SG_F(x) x
#define SG_TEXT \"T\"
typedef struct sg_one { const uint8_t *ptr; char sdk[32]; } sg_one;
struct sg_two {
    /* why */
    int32_t (*call)(void *state, void (*release)(void *state));
    void *last;
};
";
    let names = header::Names::of(text);
    assert_eq!(names.constants, ["SG_A", "SG_TEXT"]);
    assert_eq!(
        names.structs,
        [
            (
                "sg_one".to_owned(),
                vec!["ptr".to_owned(), "sdk".to_owned()]
            ),
            (
                "sg_two".to_owned(),
                vec!["call".to_owned(), "last".to_owned()]
            ),
        ]
    );
}
