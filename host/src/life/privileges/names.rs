//! Users and groups by their names or numbers, as the system knows them.

use std::ffi::CString;

use nix::unistd::{Gid, Group, Uid, User, getgrouplist};

use super::PrivilegeError;

pub(super) fn find_user(name: &str) -> Result<(Uid, Option<Gid>), PrivilegeError> {
    let no_user = || PrivilegeError::NoUser(name.to_owned());
    if let Ok(Some(user)) = User::from_name(name) {
        return Ok((user.uid, Some(user.gid)));
    }
    let number = Uid::from_raw(name.parse().map_err(|_| no_user())?);
    let known = User::from_uid(number).ok().flatten();
    Ok((number, known.map(|user| user.gid)))
}

pub(super) fn find_group(name: &str) -> Result<Gid, PrivilegeError> {
    if let Ok(Some(group)) = Group::from_name(name) {
        return Ok(group.gid);
    }
    let number = name.parse();
    number
        .map(Gid::from_raw)
        .map_err(|_| PrivilegeError::NoGroup(name.to_owned()))
}

/// Every group of the user, of which one is the first; that alone for a number without an account.
pub(super) fn groups(name: &str, first: Gid) -> Vec<Gid> {
    let user = match name.parse() {
        Ok(number) => User::from_uid(Uid::from_raw(number)),
        Err(_) => User::from_name(name),
    };
    let name = user.ok().flatten().map(|user| user.name);
    let name = name.and_then(|name| CString::new(name).ok());
    let all = name.and_then(|name| getgrouplist(&name, first).ok());
    all.unwrap_or_else(|| vec![first])
}
