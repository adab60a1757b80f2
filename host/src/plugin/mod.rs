//! Plugins: from a file in a folder to instances that serve.

#[allow(unsafe_code, reason = "every call into foreign code and back")]
pub mod ffi;
