//! Everything that can happen to control.

/// One thing that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// Something in the plugins folder, or nobody knows what: look.
    Folder,
    /// Something beside a file that the configuration names, such as a certificate: look.
    Files,
    /// A name of a target leads elsewhere, or cannot be looked up any more.
    Targets,
    /// Something beside the configuration file, or SIGHUP: read it again. `asked` is true for SIGHUP, which applies the
    /// file even if its text is the same, because `${env:}` and `${file:}` may have changed.
    Config {
        /// Whether an operator asked.
        asked: bool,
    },
    /// SIGUSR2: have another process take over, of the executable as it is now.
    Upgrade,
}
