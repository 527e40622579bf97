//! Whom to visit. What is to be done follows from an instance, from what is asked of it, and from what was heard of it;
//! where none of these changed since the last round and nothing was to be done then, nothing is now, so only the others
//! are visited. A sample of an app of 10,000 instances costs one visit.
//!
//! The last round is a memo: without it all are visited, and the decision is the same.

use ekiden_model::instance::Round;
use ekiden_model::{Decision, View};

use crate::checklist::Checklists;
use crate::judge::Samples;
use crate::visits::Visits;

/// Decides about one app, and remembers the round for the next decision.
pub(crate) fn decide(view: &View<'_>) -> Decision {
    let checklists = Checklists::of(view.app);
    let samples = Samples::by_instance(view.samples);
    let mut last = view.app.take_round();
    let some = last.as_deref_mut().and_then(|last| visit_some(view, &checklists, &samples, last));
    let visits = some.unwrap_or_else(|| visit_all(view, &checklists, &samples));
    let (decision, rest) = visits.end();
    debug_assert_eq!(
        decision,
        visit_all(view, &checklists, &samples).end().0,
        "nothing is to be done about who is at rest"
    );
    if let Some(rest) = rest {
        let mut round = last.unwrap_or_else(|| Box::new(Round::of(view.app)));
        (round.last_failure, round.restless) = (rest.last_failure, rest.restless);
        view.app.instances.remember_round(round);
    }
    decision
}

/// Visits all instances.
fn visit_all<'a>(view: &'a View<'_>, checklists: &'a Checklists<'a>, samples: &Samples<'_>) -> Visits<'a> {
    let mut visits = Visits::of_all(view, checklists);
    for instance in view.app.instances.iter() {
        visits.visit(instance, samples.of(instance.key));
    }
    visits
}

/// Visits those that were not left at rest, that changed since, and that were heard of. Nothing, where that does not tell
/// which failure is the latest: whose it was fails no more, or failed before, and somebody else may have failed later.
fn visit_some<'a>(
    view: &'a View<'_>,
    checklists: &'a Checklists<'a>,
    samples: &Samples<'_>,
    last: &mut Round,
) -> Option<Visits<'a>> {
    let mut some = std::mem::take(&mut last.restless);
    some.extend(samples.instances());
    let (revisited, of_others) = match &last.last_failure {
        Some(failure) if some.contains(&failure.instance) => (Some(failure), None),
        failure => (None, failure.clone()),
    };
    let mut visits = Visits::of_some(view, checklists, of_others);
    for key in some {
        visits.go_to(key);
        if let Some(instance) = view.app.instances.get(key) {
            visits.visit(instance, samples.of(key));
        }
    }
    visits.make_up_for(revisited).then_some(visits)
}
