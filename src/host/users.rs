//! Who may do what, by the groups of this machine.

use std::ffi::CString;

use nix::unistd::{Group, Uid, User, getgrouplist};

/// People who operate deployments.
const OPERATORS: &str = "tsh-ops";

/// Whether a user may operate deployments: root, and who is in the group.
#[must_use]
pub fn may_operate(uid: u32) -> bool {
    if uid == 0 {
        return true;
    }
    let Ok(Some(group)) = Group::from_name(OPERATORS) else { return false };
    let Ok(Some(user)) = User::from_uid(Uid::from_raw(uid)) else { return false };
    let Ok(name) = CString::new(user.name) else { return false };
    getgrouplist(&name, user.gid).is_ok_and(|groups| groups.contains(&group.gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_may_and_a_stranger_may_not() {
        assert!(may_operate(0));
        assert!(!may_operate(4_000_000_000));
        let nobody = User::from_name("nobody").unwrap().unwrap();
        assert!(!may_operate(nobody.uid.as_raw()));
    }
}
