//! Becoming another user, once everything is bound and before anything of a plugin runs.
//!
//! The calls of the C library change every thread of the process, where those of the kernel change one; so they are made
//! through it, and every thread is looked at afterwards. There is no way back: neither by a call nor by a program that is
//! started. Nobody of the same user can look into the memory of such a process either, where the keys of certificates are; for
//! that the system gives no core dump of it.

use std::ffi::CString;
use std::fmt::Write as _;
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown, lchown};
use std::path::Path;

use nix::sys::prctl;
use nix::unistd::{
    Gid, Group, Uid, User, getegid, geteuid, getgrouplist, setgroups, setresgid, setresuid,
};

use crate::config::ready::Process;

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

/// Who to become.
#[derive(Debug, Clone)]
pub struct Account {
    name: String,
    user: Uid,
    group: Gid,
    groups: Vec<Gid>,
    /// This process is root and becomes it.
    becomes: bool,
}

impl Account {
    /// Whom the configuration names, if it does.
    ///
    /// # Errors
    /// There is no such account, or this process may not become it.
    pub fn of(process: &Process) -> Result<Option<Self>, PrivilegeError> {
        let Some(name) = &process.user else {
            return Ok(None);
        };
        let known = find_user(name)?;
        let group = process.group.as_deref().map(find_group).transpose()?;
        let (user, own_group) = known;
        if user.is_root() {
            return Err(PrivilegeError::IsRoot(name.clone()));
        }
        let group = group
            .or(own_group)
            .ok_or(PrivilegeError::GroupUnknown(user.as_raw()))?;
        let becomes = geteuid().is_root();
        if !becomes && (geteuid() != user || (process.group.is_some() && getegid() != group)) {
            let of_group = process.group.iter().map(|group| format!(":{group}"));
            return Err(PrivilegeError::NotRoot {
                now: geteuid().as_raw(),
                wanted: std::iter::once(name.clone()).chain(of_group).collect(),
            });
        }
        Ok(Some(Self {
            groups: groups(name, group),
            name: name.clone(),
            user,
            group,
            becomes,
        }))
    }

    /// Its name, as the configuration has it.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether this process is somebody else until [`Account::become_it`].
    #[must_use]
    pub fn becomes(&self) -> bool {
        self.becomes
    }

    /// Makes a folder that will be the user's, where there is none. One that is there stays as it is: whoever gave it to
    /// somebody else meant it, or is told.
    ///
    /// # Errors
    /// What the system said.
    pub fn make_folder(&self, folder: &Path) -> Result<(), PrivilegeError> {
        if !self.becomes || folder.exists() {
            return Ok(());
        }
        let mut maker = fs::DirBuilder::new();
        maker.recursive(true).mode(0o755);
        let parent = folder.parent().filter(|one| !one.as_os_str().is_empty());
        let made = parent.map_or(Ok(()), |parent| maker.create(parent));
        let made = made.and_then(|()| maker.recursive(false).mode(0o700).create(folder));
        made.and_then(|()| chown(folder, self.raw_user(), self.raw_group()))
            .map_err(|cause| self.folder(folder, cause))
    }

    /// Gives the file of a socket to the user and the group, so that clients of that group get in and the user can remove it.
    ///
    /// # Errors
    /// What the system said.
    pub fn give(&self, file: &Path) -> io::Result<()> {
        if !self.becomes {
            return Ok(());
        }
        // Never through a link that somebody put there meanwhile.
        lchown(file, self.raw_user(), self.raw_group())
    }

    /// Becomes it: for every thread, and for good.
    ///
    /// # Errors
    /// The system refused, or it did half of it.
    pub fn become_it(&self) -> Result<(), PrivilegeError> {
        // That holds for this thread and all that it starts from here on: every one on which a plugin runs. Those of the log and
        // of the link to a supervising process are there already; they start nothing, and run nothing of a plugin.
        prctl::set_no_new_privs().map_err(|errno| self.refused("no new privileges", errno))?;
        if !prctl::get_no_new_privs().is_ok_and(|is_set| is_set) {
            return Err(PrivilegeError::Left {
                who: self.name.clone(),
                left: "a program that is started could gain privileges".to_owned(),
            });
        }
        if self.becomes {
            let (user, group) = (self.user, self.group);
            setgroups(&self.groups).map_err(|errno| self.refused("its groups", errno))?;
            setresgid(group, group, group).map_err(|errno| self.refused("its group", errno))?;
            setresuid(user, user, user).map_err(|errno| self.refused("its number", errno))?;
            self.verify()?;
        }
        prctl::set_dumpable(false).map_err(|errno| self.refused("no core dumps", errno))
    }

    /// Whether the user can write to a folder, or could make it.
    ///
    /// # Errors
    /// It cannot; and what to do.
    pub fn can_write(&self, folder: &Path) -> Result<(), PrivilegeError> {
        use rustix::fs::{Access, access};
        if !folder.exists() {
            return Ok(());
        }
        access(folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|errno| self.folder(folder, errno.into()))
    }

    fn verify(&self) -> Result<(), PrivilegeError> {
        let left = |left: String| PrivilegeError::Left {
            who: self.name.clone(),
            left,
        };
        let root = Uid::from_raw(0);
        if setresuid(root, root, root).is_ok() {
            return Err(left("could become root again".to_owned()));
        }
        let tasks = fs::read_dir("/proc/self/task");
        for task in tasks.into_iter().flatten().flatten() {
            // One that has just ended has nothing left.
            if let Ok(status) = fs::read_to_string(task.path().join("status")) {
                self.verify_thread(&status).map_err(left)?;
            }
        }
        Ok(())
    }

    fn verify_thread(&self, status: &str) -> Result<(), String> {
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_default().split_ascii_whitespace()
        };
        let all = |name: &str, expected: u32| {
            let expected = expected.to_string();
            field(name).all(|number| number == expected)
        };
        if !all("Uid:", self.raw_user_number()) || !all("Gid:", self.group.as_raw()) {
            return Err("a thread did not".to_owned());
        }
        let root = |number: &str| number == "0";
        if field("Groups:").any(root) && !self.groups.contains(&Gid::from_raw(0)) {
            return Err("a thread is in the group of root".to_owned());
        }
        let has_some = |text: &str| text.bytes().any(|digit| digit != b'0');
        // Those it could inherit are none of them: without the others they count only for files that have some themselves, which
        // the process may not gain from any more.
        let held = ["CapPrm:", "CapEff:", "CapAmb:"];
        if held.into_iter().any(|name| field(name).any(has_some)) {
            return Err("a thread has capabilities".to_owned());
        }
        Ok(())
    }

    fn refused(&self, what: &'static str, errno: nix::errno::Errno) -> PrivilegeError {
        PrivilegeError::Refused {
            who: self.name.clone(),
            what,
            cause: errno.into(),
        }
    }

    fn folder(&self, folder: &Path, cause: io::Error) -> PrivilegeError {
        PrivilegeError::Folder {
            who: self.name.clone(),
            folder: folder.display().to_string(),
            cause,
        }
    }

    fn raw_user_number(&self) -> u32 {
        self.user.as_raw()
    }

    fn raw_user(&self) -> Option<u32> {
        Some(self.user.as_raw())
    }

    fn raw_group(&self) -> Option<u32> {
        Some(self.group.as_raw())
    }
}

/// Those of the files that only root can read, in one sentence; a reload would be refused for them.
#[must_use]
pub fn unreadable<'a>(account: &Account, files: impl Iterator<Item = &'a Path>) -> Option<String> {
    let mut names = String::new();
    for file in files.filter(|file| file.exists() && fs::File::open(file).is_err()) {
        let separator = if names.is_empty() { "" } else { ", " };
        let _ = write!(names, "{separator}{}", file.display());
    }
    let name = account.name();
    (!names.is_empty()).then(|| format!("{name} cannot read {names}: what was read at the start serves until a restart, and a reload or an upgrade that needs them is refused; let {name} or its group read them"))
}

/// What to add to a refusal to bind a low port.
#[must_use]
pub fn low_port_advice(port: u16, error: &io::Error) -> Option<String> {
    let first = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
    let first = first.ok().and_then(|text| text.trim().parse().ok());
    let is_low = port != 0 && port < first.unwrap_or(1024);
    let refused = error.kind() == io::ErrorKind::PermissionDenied;
    (is_low && refused).then(|| {
        format!("ports below {} are for root, which this process is not or is no more; restart it as root, give it AmbientCapabilities=CAP_NET_BIND_SERVICE, or have a socket unit pass the socket", first.unwrap_or(1024))
    })
}

fn find_user(name: &str) -> Result<(Uid, Option<Gid>), PrivilegeError> {
    let no_user = || PrivilegeError::NoUser(name.to_owned());
    if let Ok(Some(user)) = User::from_name(name) {
        return Ok((user.uid, Some(user.gid)));
    }
    let number = Uid::from_raw(name.parse().map_err(|_| no_user())?);
    let known = User::from_uid(number).ok().flatten();
    Ok((number, known.map(|user| user.gid)))
}

fn find_group(name: &str) -> Result<Gid, PrivilegeError> {
    if let Ok(Some(group)) = Group::from_name(name) {
        return Ok(group.gid);
    }
    let number = name.parse();
    number
        .map(Gid::from_raw)
        .map_err(|_| PrivilegeError::NoGroup(name.to_owned()))
}

/// Every group of the user, of which one is the first; that alone for a number without an account.
fn groups(name: &str, first: Gid) -> Vec<Gid> {
    let user = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let name = user.ok().flatten().map(|user| user.name);
    let name = name.and_then(|name| CString::new(name).ok());
    let all = name.and_then(|name| getgrouplist(&name, first).ok());
    all.unwrap_or_else(|| vec![first])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(user: &str, group: Option<&str>) -> Result<Option<Account>, PrivilegeError> {
        Account::of(&Process {
            user: Some(user.to_owned()),
            group: group.map(str::to_owned),
        })
    }

    #[track_caller]
    fn refused(user: &str, group: Option<&str>, expected: &str) {
        let error = of(user, group).expect_err("refused").to_string();
        assert!(error.contains(expected), "{error}");
    }

    #[test]
    fn who_is_not_there_is_told() {
        assert!(Account::of(&Process::default()).unwrap().is_none());
        refused("no-such-user", None, "there is no user no-such-user");
        refused("root", None, "root is root");
        refused("0", None, "0 is root");
        refused("nobody", Some("no-such-group"), "no group no-such-group");
        refused("4000123", None, "no account has the number 4000123");
    }

    #[test]
    fn a_thread_that_is_left_behind_is_seen() {
        let account = Account {
            name: "a".to_owned(),
            user: Uid::from_raw(7),
            group: Gid::from_raw(8),
            groups: vec![Gid::from_raw(8)],
            becomes: true,
        };
        let good = "Uid:\t7\t7\t7\t7\nGid:\t8\t8\t8\t8\nGroups:\t8 \nCapInh:\t0000000000000400\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\nCapAmb:\t0000000000000000\n";
        account.verify_thread(good).unwrap();
        for bad in [
            good.replace("7\t7\n", "7\t0\n"),
            good.replace("8\t8\n", "0\t8\n"),
            good.replace("Groups:\t8", "Groups:\t0 8"),
            good.replace("CapPrm:\t0", "CapPrm:\t4"),
            good.replace("CapEff:\t0", "CapEff:\t4"),
            good.replace("CapAmb:\t0", "CapAmb:\t4"),
        ] {
            assert!(account.verify_thread(&bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_low_ports_that_are_refused_get_the_advice() {
        let denied = io::Error::from(io::ErrorKind::PermissionDenied);
        let taken = io::Error::from(io::ErrorKind::AddrInUse);
        assert!(low_port_advice(65_000, &denied).is_none());
        assert!(low_port_advice(1, &taken).is_none());
        assert!(low_port_advice(0, &denied).is_none());
    }
}
