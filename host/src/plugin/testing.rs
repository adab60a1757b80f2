//! Builds small plugins in C for the tests of this room.

use std::path::{Path, PathBuf};
use std::process::Command;

/// The smallest whole plugin. Each part can be replaced with a `-D` on the command line.
pub(crate) const PLUGIN: &str = r##"
#include "swapgate.h"
#include <stdlib.h>
#include <string.h>
#ifndef ID
#define ID "demo"
#endif
#ifndef VERSION
#define VERSION "1.2.3"
#endif
#ifndef MAJOR
#define MAJOR SG_ABI_MAJOR
#endif
#ifndef MINOR
#define MINOR SG_ABI_MINOR
#endif
#ifndef DESC_FLAGS
#define DESC_FLAGS 0
#endif
#ifndef FLAGS
#define FLAGS 0
#endif
#ifndef SCHEMA
#define SCHEMA ""
#endif
#ifndef LOAD
#define LOAD return SG_OK;
#endif
#ifndef UNLOAD
#define UNLOAD return SG_OK;
#endif
#ifndef CONFIGURE
#define CONFIGURE *instance = malloc(1); return SG_OK;
#endif
#ifndef START
#define START return SG_OK;
#endif
#ifndef DESTROY
#define DESTROY free(instance);
#endif
#ifndef ACCESS
#define ACCESS return SG_CONTINUE;
#endif
#ifndef TABLE_SIZE
#define TABLE_SIZE sizeof(sg_plugin)
#endif
#ifndef TABLE_ID
#define TABLE_ID ID
#endif
#ifndef FEATURES
#define FEATURES 0
#endif
#ifndef NO_CONFIGURE
#define NO_CONFIGURE configure
#endif
#ifndef ANSWER_MINOR
#define ANSWER_MINOR SG_ABI_MINOR
#endif
#ifndef ANSWER_TABLE
#define ANSWER_TABLE &table
#endif
#ifndef EXTRA
#define EXTRA
#endif
EXTRA
static void say(sg_error_buf *e, const char *text) {
    e->len = strlen(text) < e->cap ? strlen(text) : e->cap;
    memcpy(e->ptr, text, e->len);
}
static int32_t load(const sg_host *host, sg_error_buf *error) { (void)host; (void)say; (void)error; LOAD }
static int32_t unload(uint64_t ms) { (void)ms; UNLOAD }
static int32_t configure(const sg_host *host, sg_str config, void **instance, sg_error_buf *error) {
    (void)host; (void)config; (void)error; CONFIGURE
}
static int32_t start(void *instance, sg_error_buf *error) { (void)instance; (void)error; START }
static void destroy(void *instance) { DESTROY }
static int32_t on_access(void *instance, sg_exchange_tok t) { (void)instance; (void)t; ACCESS }
static const sg_plugin table = {
    .struct_size = TABLE_SIZE, .flags = FLAGS, .features_required = FEATURES,
    .id = {(const uint8_t *)TABLE_ID, sizeof(TABLE_ID) - 1}, .version = {(const uint8_t *)VERSION, sizeof(VERSION) - 1},
    .priority = 7, .config_schema = {(const uint8_t *)SCHEMA, sizeof(SCHEMA) - 1},
    .load = load, .unload = unload, .configure = NO_CONFIGURE, .start = start, .destroy = destroy,
    .access = on_access,
};
#ifndef NO_DESCRIPTOR
const sg_descriptor sg_plugin_abi = {
    .magic = {'S', 'W', 'A', 'P', 'G', 'A', 'T', 'E'}, .struct_size = sizeof(sg_descriptor), .abi_major = MAJOR,
    .abi_min_minor = MINOR, .abi_max_minor = MINOR, .flags = DESC_FLAGS, .sdk = "c 0.1.0", .toolchain = __VERSION__,
    .id = ID, .version = VERSION,
};
#endif
#ifndef NO_ENTRY
int32_t sg_plugin_entry(const sg_entry_args *args, sg_entry_out *out) {
    (void)args; (void)table; (void)configure; out->abi_minor = ANSWER_MINOR; out->plugin = ANSWER_TABLE; return SG_OK;
}
#endif
"##;

/// Compiles `source` to a shared library in `folder`.
#[track_caller]
pub(crate) fn build(folder: &Path, name: &str, source: &str, flags: &[&str]) -> PathBuf {
    let code = folder.join(format!("{name}.c"));
    let library = folder.join(name);
    std::fs::write(&code, source).expect("write the source");
    let include = concat!(env!("CARGO_MANIFEST_DIR"), "/../sdk-c/include");
    let output = Command::new("cc")
        .args([
            "-std=c11",
            "-shared",
            "-fPIC",
            "-fvisibility=hidden",
            "-O1",
            "-I",
            include,
        ])
        .args(flags)
        .arg("-o")
        .arg(&library)
        .arg(&code)
        .output()
        .expect("a C compiler");
    assert!(
        output.status.success(),
        "cc: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    std::fs::remove_file(&code).expect("remove the source");
    library
}

/// Compiles the smallest whole plugin, with parts replaced.
#[track_caller]
pub(crate) fn plugin(folder: &Path, name: &str, flags: &[&str]) -> PathBuf {
    build(folder, name, PLUGIN, flags)
}

/// A folder only we may write to, whatever the umask.
pub(crate) fn private_folder(path: &Path) {
    use std::os::unix::fs::DirBuilderExt;
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o755)
        .create(path)
        .expect("a folder");
}

/// Runs a future as the control thread would.
pub(crate) fn run<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// What plugins share, with nobody to call.
pub(crate) fn services() -> std::sync::Arc<crate::ops::services::Services> {
    let bounds = crate::ops::blocking::Bounds {
        threads: 2,
        queue: 8,
    };
    crate::ops::services::Services::with(crate::config::ready::Kv::LEAST_MEMORY, bounds)
}
