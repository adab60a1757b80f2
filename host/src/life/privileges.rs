//! Becoming another user, once everything is bound and before anything of a plugin runs.
//!
//! The calls of the C library change every thread of the process, where those of the kernel change one; so they are made
//! through it, and every thread is looked at afterwards. There is no way back: neither by a call nor by a program that is
//! started. Nobody of the same user can look into the memory of such a process either, where the keys of certificates are; for
//! that the system gives no core dump of it.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, chown, lchown};
use std::path::Path;

use nix::sys::prctl;
use nix::unistd::{Gid, Uid, getegid, geteuid, setgroups, setresgid, setresuid};

use crate::config::ready::Process;

pub use advice::{low_port_advice, unreadable};
pub use error::PrivilegeError;

use names::{find_group, find_user, groups};

mod advice;
mod error;
mod names;

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
}
