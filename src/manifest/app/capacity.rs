//! How many instances a rollout may miss and how many it may have too many: Marathon's way or ours.

use ekiden_model::app::{Capacity, Count, Fraction};

use crate::manifest::code::Code;
use crate::manifest::object::Object;
use crate::manifest::source::Source;

pub(super) fn read(source: &mut Source<'_>, app: Object<'_>) -> Capacity {
    let counted = app.object("rollout").filter(|rollout| rollout.has("maxSurge") || rollout.has("maxUnavailable"));
    match counted {
        Some(rollout) => ours(source, app, rollout),
        None => marathons(app),
    }
}

fn ours(source: &mut Source<'_>, app: Object<'_>, rollout: Object<'_>) -> Capacity {
    if app.has("upgradeStrategy") {
        let name = if rollout.has("maxSurge") { "maxSurge" } else { "maxUnavailable" };
        source
            .report(
                Code::Exclusive,
                rollout.key_span(name),
                format!("both `rollout.{name}` and `upgradeStrategy`"),
            )
            .related(app.key_span("upgradeStrategy"), "`upgradeStrategy` is here")
            .hint("both say how many instances a rollout may miss: remove one");
    }
    let (max_surge, max_unavailable) = (count(rollout, "maxSurge"), count(rollout, "maxUnavailable"));
    // What could not be read has been reported, and is not nothing.
    let nothing = |count| matches!(count, Some(Count::Whole(0) | Count::Share(Fraction::ZERO)));
    if nothing(max_surge) && nothing(max_unavailable) {
        let name = if rollout.has("maxSurge") { "maxSurge" } else { "maxUnavailable" };
        source
            .report(
                Code::RolloutStuck,
                rollout.value_span(name),
                "a rollout that may neither add an instance nor miss one could never move",
            )
            .hint("set `maxSurge` or `maxUnavailable` to 1 or more; the one that is left out is 0");
    }
    let or_none = |count: Option<Count>| count.unwrap_or(Count::Whole(0));
    Capacity::Counted { max_surge: or_none(max_surge), max_unavailable: or_none(max_unavailable) }
}

fn count(rollout: Object<'_>, name: &str) -> Option<Count> {
    if !rollout.has(name) {
        return Some(Count::Whole(0));
    }
    let percent = rollout.text(name).and_then(|text| text.strip_suffix('%')?.parse::<f64>().ok());
    let share = percent.and_then(|percent| Fraction::from_f64(percent / 100.0)).map(Count::Share);
    share.or_else(|| rollout.int(name).map(Count::Whole))
}

fn marathons(app: Object<'_>) -> Capacity {
    let strategy = app.object("upgradeStrategy");
    let share = |name| {
        let share = strategy.and_then(|strategy| strategy.number(name)).unwrap_or(1.0);
        Fraction::from_f64(share).unwrap_or(Fraction::ONE)
    };
    Capacity::Marathon {
        minimum_health: share("minimumHealthCapacity"),
        maximum_over: share("maximumOverCapacity"),
    }
}
