//! The plugin SDK this gateway was built with, for the `vendor` folder of a project. The build script lists it.

/// One file of the SDK.
#[derive(Debug, Clone, Copy)]
pub struct Embedded {
    /// Where it goes below the folder of the SDK.
    pub path: &'static str,
    /// What it says.
    pub text: &'static str,
}

include!(concat!(env!("OUT_DIR"), "/sdk.rs"));
