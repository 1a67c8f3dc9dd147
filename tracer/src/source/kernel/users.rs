//! Names of users, as the system's database has them.

use crate::text::escape::escaped;

/// The escaped name of a user. One that looks like a number would be taken for another user.
#[must_use]
pub fn user_name(uid: u32) -> Option<String> {
    let user = uzers::get_user_by_uid(uid)?;
    let name = escaped(user.name().as_encoded_bytes());
    let is_name = !name.is_empty() && !name.contains(char::is_whitespace) && name.parse::<u32>().is_err();
    is_name.then_some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn users_have_names() {
        assert_eq!(user_name(0).as_deref(), Some("root"));
        assert_eq!(user_name(u32::MAX - 7), None);
    }
}
