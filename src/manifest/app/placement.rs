//! Which agents are preferred, and how instances are counted.

use ekiden_model::app::{Placement, PlacementMode, Strategy};

use crate::manifest::object::Object;

pub(super) fn read(app: Object<'_>) -> Placement {
    let placement = app.object("placement");
    let word = |name| placement.and_then(|placement| placement.text(name));
    Placement {
        strategy: match word("strategy") {
            Some("binpack") => Strategy::Binpack,
            Some("random") => Strategy::Random,
            _ => Strategy::Spread,
        },
        mode: match word("mode") {
            Some("global") => PlacementMode::Global,
            _ => PlacementMode::Replicated,
        },
    }
}
