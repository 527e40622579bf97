//! Which of the last offers an app has no use for, one by one, and why. Found out when somebody asks, by showing each
//! to a reconciler of that app alone; nobody keeps it.

use std::collections::BTreeSet;

use ekiden_model::input::{ClusterEvent, Desired};
use ekiden_model::offer::Spare;
use ekiden_model::report::Refusal;
use ekiden_model::{AppState, Input, Offer, OfferId, Reason};

use super::{Outset, Play};

/// An offer that an app has no use for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// What was offered, by whom and when.
    pub spare: Spare,
    /// Why it does not do.
    pub why: Vec<Refusal>,
}

/// The last offers that `app` has no use for, of at most `most` agents, the latest first. `outset` is without apps.
pub fn refused(outset: &Outset, app: &AppState, most: usize) -> Vec<Refused> {
    let mut spares = outset.spares.clone();
    spares.sort_by(|a, b| b.at.cmp(&a.at));
    let alone = Outset { spares: Vec::new(), ..outset.clone() }.with_apps([app]);
    let mut found = Vec::new();
    let mut looking: Option<Play> = None;
    for spare in spares.into_iter().take(most) {
        let play = looking.take().map_or_else(|| waiting(&alone), Some);
        let Some(mut play) = play else { return found };
        let why = play.reasons_against(app, &spare);
        if why.is_empty() {
            // It would be used. With one instance more the others would be judged by another measure.
            continue;
        }
        found.push(Refused { spare, why });
        looking = Some(play);
    }
    found
}

/// A world that knows all, and in which nothing is on offer.
fn waiting(outset: &Outset) -> Option<Play> {
    // Only a store that is damaged cannot be started from, and this one has just been made.
    let mut play = Play::begin(outset.clone(), &BTreeSet::new()).ok()?;
    play.step(vec![Input::Cluster(ClusterEvent::Connected)]);
    play.inputs.push(Input::Desired(Desired { complete: true, ..Desired::default() }));
    play.decide();
    Some(play)
}

impl Play {
    /// Shows one offer alone; nothing speaks against it when it is used.
    fn reasons_against(&mut self, app: &AppState, spare: &Spare) -> Vec<Refusal> {
        let Spare { agent, role, unreserved, reserved, maintenance, .. } = spare.clone();
        let id = OfferId::new("shown");
        let offer = Offer { id: id.clone(), agent, role, unreserved, reserved, maintenance };
        self.inputs.push(Input::Cluster(ClusterEvent::Offers(vec![offer])));
        self.decide();
        let is_used = self.forecast.apps.get(&app.id).is_some_and(|outlook| !outlook.starts.is_empty());
        let report = self.reconciler.report(&app.id);
        self.inputs.push(Input::Cluster(ClusterEvent::Rescinded(id)));
        let refusals = report.reasons.iter().filter_map(|reason| match reason {
            Reason::AwaitingOffers { refusals, .. } if !is_used => Some(refusals.rows()),
            _ => None,
        });
        refusals.flatten().map(|(refusal, _)| refusal.clone()).collect()
    }
}
