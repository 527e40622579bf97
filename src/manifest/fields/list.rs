//! All fields of an app as a list, for those who check what is said of them.

use super::super::shape::{Kind, Shape};
use super::APP;

/// A field, and what its description says beside its form.
pub(crate) struct AppField {
    /// Where it is: `container.volumes[].mode`, `env.*`.
    pub(crate) path: String,
    /// What a manifest may not ask for yet.
    pub(crate) later: Option<&'static str>,
    /// What became of it in Marathon.
    pub(crate) retired: Option<&'static str>,
    /// The modern form.
    pub(crate) legacy: Option<&'static str>,
}

/// Every field that an app may have, at any depth.
pub(crate) fn app_fields() -> Vec<AppField> {
    let mut list = Vec::new();
    add(&mut list, "", &APP, None);
    list
}

/// What may not be asked for yet may not be asked for in parts, either.
fn add(list: &mut Vec<AppField>, before: &str, shape: &'static Shape, later: Option<&'static str>) {
    for field in shape.fields {
        let path = format!("{before}{}", field.name);
        let later = later.or(field.later);
        list.push(AppField { path: path.clone(), later, retired: field.retired, legacy: field.legacy });
        add_parts(list, &path, &field.kind, later);
    }
}

fn add_parts(list: &mut Vec<AppField>, path: &str, kind: &'static Kind, later: Option<&'static str>) {
    match kind {
        Kind::List(kind, ..) => add_parts(list, &format!("{path}[]"), kind, later),
        Kind::Map(kind) => add_parts(list, &format!("{path}.*"), kind, later),
        Kind::Either(kinds) => kinds.iter().for_each(|kind| add_parts(list, path, kind, later)),
        Kind::Object(_) | Kind::Nested(_) => {
            if let Some(shape) = kind.object() {
                add(list, &format!("{path}."), shape, later);
            }
        }
        Kind::Flag | Kind::Int(..) | Kind::Number(..) | Kind::Text(_) | Kind::Word(_) | Kind::Ignored => {}
    }
}
