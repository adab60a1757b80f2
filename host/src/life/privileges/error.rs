//! Why a process does not run as whom it should.

use std::io;

/// Why the process does not run as whom it should.
#[derive(Debug, thiserror::Error)]
pub enum PrivilegeError {
    /// There is no such user.
    #[error(
        "process.user: there is no user {0} on this system; make one (adduser --system --group {0}), or name another"
    )]
    NoUser(String),
    /// There is no such group.
    #[error(
        "process.group: there is no group {0} on this system; make one (addgroup --system {0}), or name another"
    )]
    NoGroup(String),
    /// A number without an account says nothing of groups.
    #[error(
        "process.user: no account has the number {0}, so its group is not known; write process.group as well"
    )]
    GroupUnknown(u32),
    /// The one who should not be.
    #[error(
        "process.user: {0} is root, whose privileges are what is to be dropped; name another user, or leave it out"
    )]
    IsRoot(String),
    /// Not root, and somebody else.
    #[error(
        "process.user: this process runs as number {now} and may not become {wanted}; start it as root, or as {wanted}, or leave process.user out"
    )]
    NotRoot {
        /// Who it is, as a number.
        now: u32,
        /// Who it should be.
        wanted: String,
    },
    /// The system does not let it.
    #[error(
        "cannot become {who}: {what}: {cause}; start the gateway as {who}, or with CAP_SETUID and CAP_SETGID"
    )]
    Refused {
        /// Who it should be.
        who: String,
        /// What was tried.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// It let it, and something of before is left.
    #[error(
        "became {who}, but {left}; this is a fault of the system or of the gateway, which does not serve so"
    )]
    Left {
        /// Who it should be.
        who: String,
        /// What is left.
        left: String,
    },
    /// A folder that the user has to write to.
    #[error(
        "state_dir: {who} cannot write to {folder}: {cause}; `chown -R {who} {folder}`, or name another folder"
    )]
    Folder {
        /// Who it should be.
        who: String,
        /// The folder.
        folder: String,
        /// What the system said.
        cause: io::Error,
    },
}
