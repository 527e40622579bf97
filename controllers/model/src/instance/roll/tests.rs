//! What is kept counted is what a count of all instances finds.

use std::num::NonZeroU32;

use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::health::Health;
use crate::id::Role;
use crate::instance::KillOrder;

/// What happens to the instance of a key: it is there as this, or gone.
#[derive(Debug, Clone)]
struct Turn {
    key: InstanceKey,
    becomes: Option<Instance>,
    /// By a change of the one that there is, if there is one; otherwise by another one in its place.
    changes: bool,
}

fn any_turn() -> impl Strategy<Value = Turn> {
    let conditions = vec![
        Condition::Provisioned,
        Condition::Staging,
        Condition::Running,
        Condition::Running,
        Condition::Killing,
        Condition::Unreachable,
        Condition::Failed,
    ];
    let causes = vec![KillCause::Unhealthy, KillCause::Overdue, KillCause::ScaledIn];
    let verdicts = vec![Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy, Verdict::Condemned];
    (
        (0_u32..4, 1_u32..3, 1_u32..4, any::<bool>(), prop::bool::weighted(0.8)),
        (select(vec![Goal::Running, Goal::Decommissioned]), select(conditions), select(verdicts)),
        select(vec![Readiness::Unasked, Readiness::NotReady(None), Readiness::Ready]),
        prop::option::of(select(causes)),
    )
        .prop_map(
            |((slot, incarnation, revision, changes, is_there), (goal, condition, verdict), readiness, cause)| {
                let incarnation = Incarnation(NonZeroU32::new(incarnation).expect("from 1"));
                let key = InstanceKey { slot: Slot(slot), incarnation };
                let at = Timestamp::EPOCH;
                let instance = Instance {
                    key,
                    revision: RevisionId(revision),
                    goal,
                    condition,
                    since: at,
                    agent: Arc::new(Agent {
                        id: AgentId::new(format!("agent-{}", slot % 2)),
                        hostname: "host".into(),
                        attributes: std::collections::BTreeMap::new(),
                        region: None,
                        zone: None,
                    }),
                    role: Role::new("*"),
                    host_ports: Vec::new(),
                    staged: at,
                    started: None,
                    health: Health { verdict, checks: Vec::new(), readiness },
                    kill: cause.map(|cause| KillOrder { cause, at, sent: at }),
                    message: None,
                };
                Turn { key, becomes: is_there.then_some(instance), changes }
            },
        )
}

fn counted(instances: &Instances, revision: RevisionId) -> Census {
    let of_revision = || instances.iter().filter(move |instance| instance.revision == revision);
    let count = |is: &dyn Fn(&Instance) -> bool| of_revision().filter(|instance| is(instance)).count() as u32;
    let runs = |instance: &Instance| instance.is_wanted() && instance.condition == Condition::Running;
    let ends = |instance: &Instance| {
        instance.condition.is_live() && !instance.is_wanted() && instance.condition != Condition::Unreachable
    };
    let gave_up = |order: &KillOrder| [KillCause::Unhealthy, KillCause::Overdue].contains(&order.cause);
    Census {
        known: count(&|_| true),
        wanted: count(&Instance::is_wanted),
        starting: count(&|instance| instance.is_wanted() && instance.condition.is_starting()),
        running: count(&runs),
        healthy: count(&Instance::is_healthy),
        ready: count(&|instance| instance.is_healthy() && instance.health.readiness == Readiness::Ready),
        unjudged: count(&|instance| runs(instance) && instance.health.verdict == Verdict::Unknown),
        unreachable: count(&|instance| instance.is_wanted() && instance.condition == Condition::Unreachable),
        ending: count(&ends),
        given_up: count(&|instance| ends(instance) && instance.kill.as_ref().is_some_and(gave_up)),
    }
}

proptest! {
    #[test]
    fn the_census_is_what_a_count_of_all_finds(turns in prop::collection::vec(any_turn(), 0..60)) {
        let mut instances = Instances::default();
        for Turn { key, becomes, changes } in turns {
            match becomes {
                Some(new) if changes && instances.get(key).is_some() => {
                    instances.update(key, |instance| *instance = new);
                }
                Some(new) => instances.insert(new),
                None => _ = instances.remove(key),
            }
            for revision in (1..4).map(RevisionId) {
                prop_assert_eq!(instances.census(revision), counted(&instances, revision));
            }
            let sum = (1..4).map(|revision| counted(&instances, RevisionId(revision)));
            prop_assert_eq!(instances.total(), sum.fold(Census::default(), Census::plus));
        }
    }
}
