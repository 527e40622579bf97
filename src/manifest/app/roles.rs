//! Roles: the one an app runs under, and those whose resources it may use.
//!
//! Which role the cluster gives to apps without one is not known here, nor is it asked: that is a setting of the
//! running system, and a manifest is valid or not by itself.

use std::collections::BTreeSet;

use ekiden_model::id::Role;

use super::Surroundings;
use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

/// The role of the app: its own, or the one that its group enforces.
pub(super) fn role(source: &mut Source<'_>, app: Object<'_>, around: &Surroundings) -> Option<Role> {
    let own = app.text("role").map(Role::new);
    if let (Some(own), Some(enforced)) = (&own, &around.role)
        && own != enforced
    {
        source
            .report(
                Code::BadRole,
                app.value_span("role"),
                format!("role `{own}` in a group that enforces `{enforced}`"),
            )
            .hint(format!("write `{enforced}`, or leave the role out"));
    }
    own.or_else(|| around.role.clone())
}

/// Whose resources may be used.
pub(super) fn accepted(source: &mut Source<'_>, app: Object<'_>, role: Option<&Role>) -> Option<BTreeSet<Role>> {
    if !app.has("acceptedResourceRoles") {
        return None;
    }
    let mut roles = BTreeSet::new();
    for (text, span) in app.texts("acceptedResourceRoles") {
        let accepted = Role::new(text);
        if let Some(role) = role.filter(|role| text != "*" && **role != accepted) {
            source
                .report(
                    Code::BadRole,
                    span,
                    format!("role `{accepted}` is neither `*` nor the app's own `{role}`"),
                )
                .hint(format!("write `*`, `{role}`, or both"));
        }
        if !roles.insert(accepted) {
            source
                .report(Code::BadList, span, format!("role `{text}` stands twice"))
                .hint("remove one of the two");
        }
    }
    Some(roles)
}
