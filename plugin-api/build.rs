//! Notes which compiler builds the SDK; plugins carry that text in their descriptor.

use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-env=SWAPGATE_TOOLCHAIN={}", toolchain());
}

fn toolchain() -> String {
    let rustc = std::env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let text = Command::new(rustc)
        .arg("--version")
        .output()
        .ok()
        .and_then(|output| String::from_utf8(output.stdout).ok())
        .unwrap_or_else(|| "rustc, version unknown".to_owned());
    // The descriptor has room for 63 bytes.
    text.trim()
        .chars()
        .filter(char::is_ascii)
        .take(63)
        .collect()
}
