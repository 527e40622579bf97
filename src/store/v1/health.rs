//! What probes found out about an instance.

use std::sync::Arc;

use ekiden_model::{Fingerprint, Timestamp, health};
use serde::{Deserialize, Serialize};

use super::names::Verdict;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Health {
    verdict: Verdict,
    checks: Vec<CheckState>,
    readiness: Readiness,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
struct CheckState {
    question: u64,
    first_success: Option<i64>,
    last_success: Option<i64>,
    last_failure: Option<i64>,
    last_failure_cause: Option<Arc<str>>,
    consecutive_failures: u32,
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Readiness {
    Unasked,
    NotReady(Option<u16>),
    Ready,
}

impl Health {
    pub(super) fn of(model: &health::Health) -> Self {
        let health::Health { verdict, checks, readiness } = model;
        Self {
            verdict: (*verdict).into(),
            checks: checks.iter().map(CheckState::of).collect(),
            readiness: match readiness {
                health::Readiness::Unasked => Readiness::Unasked,
                health::Readiness::NotReady(status) => Readiness::NotReady(*status),
                health::Readiness::Ready => Readiness::Ready,
            },
        }
    }

    pub(super) fn read(self) -> health::Health {
        let Self { verdict, checks, readiness } = self;
        health::Health {
            verdict: verdict.into(),
            checks: checks.into_iter().map(CheckState::read).collect(),
            readiness: match readiness {
                Readiness::Unasked => health::Readiness::Unasked,
                Readiness::NotReady(status) => health::Readiness::NotReady(status),
                Readiness::Ready => health::Readiness::Ready,
            },
        }
    }
}

impl CheckState {
    fn of(model: &health::CheckState) -> Self {
        let health::CheckState {
            question,
            first_success,
            last_success,
            last_failure,
            last_failure_cause,
            consecutive_failures,
        } = model;
        Self {
            question: question.as_u64(),
            first_success: first_success.map(Timestamp::as_millis),
            last_success: last_success.map(Timestamp::as_millis),
            last_failure: last_failure.map(Timestamp::as_millis),
            last_failure_cause: last_failure_cause.clone(),
            consecutive_failures: *consecutive_failures,
        }
    }

    fn read(self) -> health::CheckState {
        let Self { question, first_success, last_success, last_failure, last_failure_cause, consecutive_failures } =
            self;
        health::CheckState {
            question: Fingerprint::from_u64(question),
            first_success: first_success.map(Timestamp::from_millis),
            last_success: last_success.map(Timestamp::from_millis),
            last_failure: last_failure.map(Timestamp::from_millis),
            last_failure_cause,
            consecutive_failures,
        }
    }
}
