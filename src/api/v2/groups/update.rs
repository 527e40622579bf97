//! What is asked for of a group: the body of POST and PUT, `GroupUpdate` (§1.5, §2.8).

use ekiden_model::{GroupId, Timestamp};
use serde_json::{Map, Value};

use crate::api::v2::definition::Problems;

/// Most characters of an object that an error shows.
const SHOWN_MAX: usize = 200;

/// What a body asks for.
#[derive(Debug)]
pub(super) enum Asked {
    /// The group as it was in this version.
    GoBack(String),
    /// So many times the instances of all apps in it.
    Scale(f64),
    /// Another content.
    Update(GroupUpdate),
}

/// What shall be in a group, and what is said of it. What is not given stays as it is.
#[derive(Debug)]
pub(super) struct GroupUpdate {
    /// Its path; relative to what is around it.
    pub(super) id: Option<String>,
    /// Where in the body it stands.
    pub(super) at: String,
    /// All apps right in it, as definitions.
    pub(super) apps: Option<Vec<Map<String, Value>>>,
    /// All groups right in it.
    pub(super) groups: Option<Vec<GroupUpdate>>,
    /// What its apps wait for.
    pub(super) dependencies: Option<Vec<String>>,
    /// Whether its apps have its name for a role.
    pub(super) enforce_role: Option<bool>,
}

impl GroupUpdate {
    /// Reads a body. A group that is sent back as it was shown has a version and means all the rest.
    pub(super) fn read(members: &Map<String, Value>) -> Result<Asked, Problems> {
        let given = |name: &str| members.get(name).filter(|value| !value.is_null());
        let update =
            ["apps", "groups", "dependencies", "enforceRole"].into_iter().any(|name| given(name).is_some());
        if let Some(factor) = given("scaleBy") {
            if update || given("version").is_some() {
                return Err(Problems::invalid("/scaleBy", "not allowed in conjunction with other properties"));
            }
            let factor = factor.as_f64().ok_or_else(|| Problems::shape("/scaleBy", "error.expected.jsnumber"))?;
            if factor < 0.0 {
                return Err(Problems::invalid("/scaleBy", "it is less than 0"));
            }
            return Ok(Asked::Scale(factor));
        }
        if let Some(version) = given("version").filter(|_| !update) {
            let version =
                version.as_str().ok_or_else(|| Problems::shape("/version", "error.expected.jsstring"))?;
            version.parse::<Timestamp>().map_err(|_| Problems::invalid("/version", "it is no timestamp"))?;
            return Ok(Asked::GoBack(version.to_owned()));
        }
        let mut problems = Problems::default();
        let update = Self::of(members, String::new(), &mut problems);
        if problems.is_empty() { Ok(Asked::Update(update)) } else { Err(problems) }
    }

    fn of(members: &Map<String, Value>, at: String, problems: &mut Problems) -> Self {
        let given = |name: &str| members.get(name).filter(|value| !value.is_null());
        let mut wrong = |name: &str, kind: &str| {
            problems.extend(Problems::shape(format!("{at}/{name}"), format!("error.expected.{kind}")));
        };
        let id = given("id").map(|id| id.as_str().map(str::to_owned));
        if id == Some(None) {
            wrong("id", "jsstring");
        }
        let enforce_role = given("enforceRole").map(Value::as_bool);
        if enforce_role == Some(None) {
            wrong("enforceRole", "jsboolean");
        }
        let dependencies = given("dependencies").map(|list| {
            let texts: Option<Vec<String>> =
                list.as_array().and_then(|list| list.iter().map(|id| Some(id.as_str()?.to_owned())).collect());
            texts.unwrap_or_else(|| {
                wrong("dependencies", if list.is_array() { "jsstring" } else { "jsarray" });
                Vec::new()
            })
        });
        let apps = given("apps").map(|list| objects(list, &format!("{at}/apps"), problems));
        let groups = given("groups").map(|list| objects(list, &format!("{at}/groups"), problems));
        let groups = groups.map(|groups| {
            let groups = groups.into_iter().enumerate();
            groups.map(|(index, group)| Self::of(&group, format!("{at}/groups({index})"), problems)).collect()
        });
        Self { id: id.flatten(), at, apps, groups, dependencies, enforce_role: enforce_role.flatten() }
    }

    /// The path of a group that is made in `base`; `base` itself when the body names none.
    pub(super) fn id_in(&self, base: &GroupId) -> Result<GroupId, Problems> {
        let Some(text) = &self.id else { return Ok(base.clone()) };
        GroupId::resolve(text, base)
            .map_err(|error| Problems::invalid(format!("{}/id", self.at), error.to_string()))
    }

    /// The path of a group that is sent to `path`. Some name it as it is called in the group around it.
    pub(super) fn id_at(&self, path: &GroupId) -> Result<GroupId, Problems> {
        let around = path.parent().unwrap_or_else(GroupId::root);
        match self.id_in(&around) {
            Ok(id) if id == *path => Ok(id),
            _ => self.id_in(path),
        }
    }
}

/// The objects of a list, each of which has an id.
fn objects(list: &Value, at: &str, problems: &mut Problems) -> Vec<Map<String, Value>> {
    let Some(items) = list.as_array() else {
        problems.extend(Problems::shape(at, "error.expected.jsarray"));
        return Vec::new();
    };
    let mut objects = Vec::with_capacity(items.len());
    for (index, item) in items.iter().enumerate() {
        match item {
            Value::Object(members) if members.get("id").is_none_or(Value::is_null) => {
                let shown: String = item.to_string().chars().take(SHOWN_MAX).collect();
                let text = format!("'id' is undefined on object: {shown}");
                problems.extend(Problems::shape(format!("{at}({index})/id"), text));
            }
            Value::Object(members) => objects.push(members.clone()),
            _ => problems.extend(Problems::shape(format!("{at}({index})"), "error.expected.jsobject")),
        }
    }
    objects
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(body: &Value) -> Result<Asked, Problems> {
        GroupUpdate::read(body.as_object().expect("an object"))
    }

    #[test]
    fn a_body_goes_back_or_scales_or_says_what_shall_be() {
        let version = "2026-11-20T10:00:00.000Z";
        assert!(matches!(read(&json!({ "version": version })), Ok(Asked::GoBack(_))));
        assert!(
            matches!(read(&json!({ "scaleBy": 1.5, "apps": null })), Ok(Asked::Scale(factor)) if factor > 1.4)
        );
        let shown = json!({ "id": "/a", "version": version, "apps": [], "groups": [], "pods": [] });
        assert!(matches!(read(&shown), Ok(Asked::Update(_))));
        for wrong in [
            json!({ "version": "yesterday" }),
            json!({ "version": 3 }),
            json!({ "scaleBy": -1 }),
            json!({ "scaleBy": "2" }),
            json!({ "scaleBy": 2, "apps": [] }),
            json!({ "apps": {} }),
            json!({ "apps": [3] }),
            json!({ "groups": [{}] }),
            json!({ "dependencies": [1] }),
            json!({ "enforceRole": "yes" }),
            json!({ "id": 1 }),
        ] {
            assert!(read(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_relative_to_the_group_around() {
        let update = |id: &str| match read(&json!({ "id": id, "apps": [] })) {
            Ok(Asked::Update(update)) => update,
            other => panic!("{other:?}"),
        };
        let group = |id: &str| GroupId::resolve(id, &GroupId::root()).expect("a good id");
        let at = |id: &str, path: &str| update(id).id_at(&group(path)).expect("good").to_string();
        assert_eq!(at("/prod", "/prod"), "/prod");
        assert_eq!(at("prod", "/prod"), "/prod");
        assert_eq!(at("db", "/prod"), "/prod/db");
        assert_eq!(at("/other", "/prod"), "/other");
        assert_eq!(update("db").id_in(&group("/prod")).expect("good").as_str(), "/prod/db");
        assert!(update("Bad_").id_in(&group("/")).is_err());
    }
}
