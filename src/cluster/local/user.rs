//! Whom a task runs as.

use std::fs;

use super::protocol::UserIds;

/// A user of this machine, as `/etc/passwd` has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Account {
    pub(super) ids: UserIds,
    pub(super) home: String,
}

/// Why a task cannot run as its user.
#[derive(Debug, thiserror::Error)]
pub(super) enum UserError {
    #[error("user `{0}` is not in /etc/passwd; create it, or leave `user` out to run as yourself")]
    Unknown(String),
    #[error("only root can run tasks as `{0}`; leave `user` out to run as yourself")]
    NotRoot(String),
    #[error("/etc/passwd cannot be read: {0}")]
    Unreadable(#[from] std::io::Error),
}

/// The account to change to for a task of `user`; none when it is ours already.
pub(super) fn account(user: Option<&str>) -> Result<Option<Account>, UserError> {
    let Some(name) = user else { return Ok(None) };
    let passwd = fs::read_to_string("/etc/passwd")?;
    let account = find(&passwd, name).ok_or_else(|| UserError::Unknown(name.to_owned()))?;
    let me = rustix::process::geteuid();
    match account.ids.uid == me.as_raw() {
        true => Ok(None),
        false if me.is_root() => Ok(Some(account)),
        false => Err(UserError::NotRoot(name.to_owned())),
    }
}

/// `daemon:x:1:1:daemon:/usr/sbin:/usr/sbin/nologin`
fn find(passwd: &str, name: &str) -> Option<Account> {
    passwd.lines().find_map(|line| {
        let fields: Vec<&str> = line.split(':').collect();
        let [found, _, uid, gid, _, home, ..] = fields[..] else { return None };
        let ids = UserIds { uid: uid.parse().ok()?, gid: gid.parse().ok()? };
        (found == name).then(|| Account { ids, home: home.to_owned() })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_found_by_its_whole_name() {
        let passwd = "root:x:0:0:root:/root:/bin/bash\n# broken\nwww:x:33:34::/var/www:/bin/false\n";
        let www = Account { ids: UserIds { uid: 33, gid: 34 }, home: "/var/www".to_owned() };
        assert_eq!(find(passwd, "www"), Some(www));
        assert_eq!(find(passwd, "ww"), None);
    }

    #[test]
    fn a_user_that_is_not_there_is_refused() {
        assert!(matches!(account(Some("no-such-user-here")), Err(UserError::Unknown(_))));
        assert!(matches!(account(None), Ok(None)));
    }
}
