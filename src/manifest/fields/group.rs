//! The fields of groups.

use super::super::shape::{Kind, Shape, field};
use super::app::APP;
use super::pod::POD;
use super::{ID, MANY};

static AN_ID: Kind = Kind::Text(&ID);
static AN_APP: Kind = Kind::Nested(|| &APP);
static A_GROUP: Kind = Kind::Nested(|| &GROUP);
static A_POD: Kind = Kind::Object(&POD);

/// A group.
pub(in super::super) static GROUP: Shape = Shape {
    name: "group",
    doc: "Apps and groups that belong together.",
    fields: &[
        field(
            "id",
            Kind::Text(&ID),
            "Where the group stands: `/prod`, or relative to the folder of the file or to the group around it; \
             these themselves when left out at the top of a file.",
        ),
        field("apps", Kind::List(&AN_APP, 0, MANY), "Apps in it; their ids are relative to the group's."),
        field("groups", Kind::List(&A_GROUP, 0, MANY), "Groups in it; their ids are relative to the group's."),
        field(
            "dependencies",
            Kind::List(&AN_ID, 0, MANY),
            "Apps and groups that must be healthy before any app of this group starts.",
        ),
        field(
            "enforceRole",
            Kind::Flag,
            "Whether the apps run under the group's name as their role; top-level groups only.",
        )
        .or_flag(false),
        field("pods", Kind::List(&A_POD, 0, MANY), "Pods in it.").later("pods are not run"),
        field("version", Kind::Ignored, "Written by Marathon; ignored."),
    ],
};
