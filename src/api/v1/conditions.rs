//! How an app is, in a few standing questions that programs can wait for: each is answered with yes or no, why, since when
//! as far as that is known, and in words for people.

use ekiden_model::health::Verdict;
use ekiden_model::revision::Phase;
use ekiden_model::{Condition, Goal, Instance, Reason, Timestamp};
use serde_json::{Value, json};

use crate::runtime::AppSnapshot;

/// One answer.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    question: &'static str,
    holds: bool,
    reason: &'static str,
    since: Option<Timestamp>,
    message: String,
}

/// All of them, always in this order.
pub(super) fn all(app: &AppSnapshot) -> Value {
    let answers = [available(app), progressing(app), degraded(app), overridden(app)];
    answers.iter().map(shown).collect()
}

fn shown(answer: &Answer) -> Value {
    json!({
        "type": answer.question,
        "status": answer.holds,
        "reason": answer.reason,
        "since": answer.since.map(|since| since.to_string()),
        "message": answer.message,
    })
}

/// Whether as many instances are healthy as the app is never to have fewer of by our own doing.
fn available(app: &AppSnapshot) -> Answer {
    let wanted = app.desired;
    let declared = app.state.declared.as_ref();
    let floor =
        declared.map_or(0, |declared| declared.app.capacity.bounds(wanted).floor.max(u32::from(wanted > 0)));
    let mut since: Vec<Timestamp> =
        app.state.instances.iter().filter(|instance| serves(instance)).map(|instance| instance.since).collect();
    since.sort_unstable();
    let healthy = since.len() as u32;
    let message = format!("{healthy} of {wanted} instances are healthy, at least {floor} are needed");
    let (holds, reason, since) = if declared.is_none() {
        (false, "Withdrawn", app.state.history.last().map(|version| version.at))
    } else if healthy >= floor {
        let last = (floor as usize).checked_sub(1).and_then(|index| since.get(index));
        (true, "EnoughHealthy", last.copied().or(declared.map(|declared| declared.version)))
    } else {
        (
            false,
            "TooFewHealthy",
            app.state.last_failure.as_ref().map(|failure| failure.at).max(declared.map(|d| d.scaled)),
        )
    };
    Answer { question: "Available", holds, reason, since, message }
}

fn serves(instance: &Instance) -> bool {
    instance.condition == Condition::Running
        && instance.goal == Goal::Running
        && instance.health.verdict == Verdict::Healthy
}

/// Whether something is on its way to what is declared. It is not, when all is there, and when it stands still.
fn progressing(app: &AppSnapshot) -> Answer {
    let rollout = app.state.rollout.as_ref();
    let since = rollout.map(|rollout| rollout.since);
    let first = app.report.reasons.first();
    let words = |otherwise: &str| first.map_or_else(|| otherwise.to_owned(), ToString::to_string);
    let (holds, reason, since, message) = if app.state.declared.is_none() {
        let since = app.state.history.last().map(|version| version.at);
        (true, "Stopping", since, words("it is declared no more, and its instances end"))
    } else {
        match rollout.map(|rollout| rollout.phase) {
            None | Some(Phase::Waiting) => (true, "Waiting", since, words("it is about to begin")),
            Some(Phase::Rolling) => (true, "RollingOut", since, words("it is being rolled out")),
            Some(Phase::RollingBack { .. }) => (true, "RollingBack", since, words("it goes back")),
            Some(Phase::Paused) => (false, "Paused", since, words("its rollout is paused")),
            Some(Phase::Failed) => (false, "RolloutFailed", since, words("its rollout has failed")),
            Some(Phase::Complete) if app.report.is_empty() => {
                let done = rollout.map(|rollout| rollout.progress);
                (false, "Complete", done, "all that is declared is there".to_owned())
            }
            Some(Phase::Complete) => {
                let failed = app.state.last_failure.as_ref().map(|failure| failure.at);
                (true, "Recovering", failed.or(since), words("instances are being replaced"))
            }
        }
    };
    Answer { question: "Progressing", holds, reason, since, message }
}

/// Whether something is wrong that will not pass by itself, or has happened more than once.
fn degraded(app: &AppSnapshot) -> Answer {
    let wrong = app.report.reasons.iter().find_map(|reason| Some((wrong(reason)?, reason)));
    let failed = app.state.last_failure.as_ref().map(|failure| failure.at);
    match wrong {
        Some((name, reason)) => Answer {
            question: "Degraded",
            holds: true,
            reason: name,
            since: failed.or(app.state.rollout.as_ref().map(|rollout| rollout.progress)),
            message: reason.to_string(),
        },
        None => Answer {
            question: "Degraded",
            holds: false,
            reason: "NothingWrong",
            since: None,
            message: "nothing is wrong with it".to_owned(),
        },
    }
}

/// The name of what is wrong; nothing for what every app goes through.
fn wrong(reason: &Reason) -> Option<&'static str> {
    Some(match reason {
        Reason::AwaitingOffers { refusals, .. } if refusals.lots() > 0 => "NoPlace",
        Reason::BackingOff { .. } => "BackingOff",
        Reason::FailingChecks { .. } => "FailingChecks",
        Reason::UnreachablePort { .. } => "UnreachablePort",
        Reason::Unreachable { .. } => "Unreachable",
        Reason::BreakerOpen { .. } => "BreakerOpen",
        Reason::AgentsVanished { .. } => "AgentsVanished",
        Reason::RolloutFailed { .. } => "RolloutFailed",
        Reason::RolledBack { .. } => "RolledBack",
        Reason::Unsupported { .. } => "Unsupported",
        Reason::ServicePortsExhausted { .. } => "ServicePortsExhausted",
        Reason::ServicePortTaken { .. } => "ServicePortTaken",
        Reason::SafeMode { .. } => "SafeMode",
        Reason::Estranged { .. } => "Estranged",
        _ => return None,
    })
}

/// Whether something else holds than what its file says.
fn overridden(app: &AppSnapshot) -> Answer {
    let over = app.state.declared.as_ref().and_then(|declared| declared.over.as_ref());
    match over {
        Some(over) => {
            let by = over.by.as_deref().map(|by| format!(" (by {by})")).unwrap_or_default();
            Answer {
                question: "Overridden",
                holds: true,
                reason: "Drift",
                since: Some(over.since),
                message: format!("{}{by}; its file holds again from {}", over.reason, over.until),
            }
        }
        None => Answer {
            question: "Overridden",
            holds: false,
            reason: "AsDeclared",
            since: None,
            message: "what is declared holds".to_owned(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use ekiden_model::app_state::Override;
    use ekiden_model::report::Report;

    use super::*;
    use crate::runtime::fixtures;

    fn answers(app: &AppSnapshot) -> Vec<(String, bool, String)> {
        let all = all(app);
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let all = all.as_array().into_iter().flatten();
        all.map(|one| (text(&one["type"]), one["status"] == true, text(&one["reason"]))).collect()
    }

    #[test]
    fn a_new_app_is_not_available_and_on_its_way() {
        let app = AppSnapshot::new(fixtures::app_state("/web"), Report::empty(), 1, None);
        let answers = answers(&app);
        let answers: Vec<(&str, bool, &str)> =
            answers.iter().map(|(question, holds, reason)| (&**question, *holds, &**reason)).collect();
        assert_eq!(
            answers,
            [
                ("Available", false, "TooFewHealthy"),
                ("Progressing", true, "Waiting"),
                ("Degraded", false, "NothingWrong"),
                ("Overridden", false, "AsDeclared"),
            ]
        );
    }

    #[test]
    fn an_override_is_told_with_its_reason_and_its_end() {
        let mut state = fixtures::app_state("/web");
        if let Some(declared) = &mut state.declared {
            declared.over = Some(Override {
                file: Arc::new(fixtures::app("/web")),
                reason: "incident 7".into(),
                by: Some("ann".into()),
                since: Timestamp::from_millis(1),
                until: Timestamp::from_millis(1_795_168_800_000),
            });
        }
        let over = overridden(&AppSnapshot::new(state, Report::empty(), 1, None));
        assert!(over.holds);
        assert_eq!(over.message, "incident 7 (by ann); its file holds again from 2026-11-20T10:00:00.000Z");
    }
}
