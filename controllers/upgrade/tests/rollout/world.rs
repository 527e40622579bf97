//! One app and the little of a cluster that the `upgrade` controller can notice.
//!
//! The world folds decisions as the reconciler does, follows targets as `instances` does (least useful first, each
//! kill with a permit), and checks after every decision what must hold after every decision.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{App, Capacity, Command, Fraction, ReadinessCheck, Template, UnreachableStrategy};
use ekiden_model::budget::{Bounds, Budget};
use ekiden_model::health::{Health, Readiness, Verdict};
use ekiden_model::id::{AppKey, InstanceKey};
use ekiden_model::instance::{Instance, KillOrder};
use ekiden_model::limits::Settings;
use ekiden_model::offer::Lot;
use ekiden_model::report::{Failure, FailureCause, KillCause};
use ekiden_model::revision::{Phase, Rollout, Standing};
use ekiden_model::view::{DependencyState, HostPorts, ServicePorts, Settled};
use ekiden_model::{
    Action, Again, Agent, AgentId, Agents, AppId, AppState, Condition, Decision, Declared, Goal, OfferBook, Port,
    Reason, Report, Resources, Revision, RevisionId, Role, Slot, Source, Timestamp, View,
};

/// An app, its surroundings, and what must always hold.
pub(crate) struct World {
    /// The app.
    pub(crate) app: AppState,
    /// The moment.
    pub(crate) now: Timestamp,
    /// What the app depends on.
    pub(crate) dependencies: Vec<DependencyState>,
    /// Whether absence is evidence.
    pub(crate) settled: Settled,
    /// What the cluster cannot run.
    pub(crate) unsupported: Option<&'static str>,
    /// How many instances the app shall have, where not as many as declared.
    pub(crate) agents: Option<u32>,
    /// How many instances the cluster has room for.
    pub(crate) capacity: usize,
    /// What the last decision said.
    pub(crate) report: Report,
    /// When the last decision wants to be asked again.
    pub(crate) again: Again,
    next_slot: u32,
}

/// A declaration of `instances` instances that run `command`, with Marathon's default capacity.
pub(crate) fn app(command: &str, instances: u32) -> App {
    App {
        instances,
        unreachable: UnreachableStrategy::Disabled,
        ..App::new(
            id(),
            Template { resources: Resources::NONE, ..Template::new(Command::Shell(command.to_owned())) },
        )
    }
}

/// Marathon's `upgradeStrategy`.
pub(crate) fn capacity(minimum: f64, over: f64) -> Capacity {
    let fraction = |value| Fraction::from_f64(value).expect("within 0 to 1");
    Capacity::Marathon { minimum_health: fraction(minimum), maximum_over: fraction(over) }
}

/// A readiness check.
pub(crate) fn readiness() -> ReadinessCheck {
    ReadinessCheck {
        name: "ready".to_owned(),
        tls: false,
        path: "/".to_owned(),
        port_index: 0,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        ready_statuses: vec![200],
        preserve_last_response: false,
    }
}

/// Revision numbers, for assertions.
pub(crate) fn r(number: u32) -> RevisionId {
    RevisionId(number)
}

fn id() -> AppId {
    AppId::parse("/web").expect("a good id")
}

impl World {
    /// A world in which `app` was just declared, with room for a hundred instances.
    pub(crate) fn new(app: App) -> Self {
        let now = Timestamp::from_millis(1_000_000);
        let declared = Declared::first(Arc::new(app), now, Source::Api);
        Self {
            app: AppState { declared: Some(declared), ..AppState::new(id(), AppKey::new(1, 1, &id()), 1) },
            now,
            dependencies: Vec::new(),
            settled: Settled::Yes,
            unsupported: None,
            agents: None,
            capacity: 100,
            report: Report::empty(),
            again: Again::OnChange,
            next_slot: 0,
        }
    }

    /// A world in which `app` has been rolled out completely.
    pub(crate) fn running(app: App) -> Self {
        let mut world = Self::new(app);
        world.settle();
        assert_eq!(world.phase(), Phase::Complete);
        world
    }

    /// Declares something else; where nothing is declared any more, nothing.
    pub(crate) fn edit(&mut self, change: impl FnOnce(&mut App)) {
        let Some(declared) = &mut self.app.declared else { return };
        change(Arc::make_mut(&mut declared.app));
        declared.version = self.now;
    }

    /// Declares another command: another revision.
    pub(crate) fn edit_command(&mut self, command: &str) {
        self.edit(|app| Arc::make_mut(&mut app.template).command = Command::Shell(command.to_owned()));
    }

    /// Asks for a restart.
    pub(crate) fn restart(&mut self) {
        if let Some(declared) = &mut self.app.declared {
            declared.restarts += 1;
        }
    }

    /// Lets time pass.
    pub(crate) fn wait(&mut self, seconds: u64) {
        self.now = self.now + Duration::from_secs(seconds);
    }

    fn desired(&self) -> u32 {
        self.app.declared.as_ref().map_or(0, |declared| self.agents.unwrap_or(declared.app.instances))
    }

    /// The app's bounds.
    pub(crate) fn bounds(&self) -> Bounds {
        let desired = self.desired();
        let none = Bounds { floor: 0, ceiling: 0 };
        self.app.declared.as_ref().map_or(none, |declared| declared.app.bounds(desired))
    }

    fn ask(&self) -> Decision {
        let (book, agents, settings) = (OfferBook::default(), Agents::new(), Settings::default());
        ekiden_upgrade::decide(&View {
            now: self.now,
            app: &self.app,
            desired: self.desired(),
            dependencies: &self.dependencies,
            samples: &[],
            book: &book,
            agents: &agents,
            service_ports: &Nothing,
            host_ports: &Nothing,
            settled: self.settled,
            unsupported: self.unsupported,
            launches: 16,
            entropy: 0,
            settings: &settings,
        })
    }

    /// Asks for a decision and folds it in. Returns whether there was anything to do.
    pub(crate) fn decide(&mut self) -> bool {
        let decision = self.ask();
        assert_eq!(decision, self.ask(), "the same view gives the same decision");
        let acted = !decision.actions.is_empty();
        for action in decision.actions {
            self.fold(action);
        }
        self.report = decision.report;
        self.again = decision.again;
        let second = self.ask();
        assert_eq!(second.actions, [], "a second decision has nothing to add");
        assert_eq!(second.report, self.report, "nor does it see anything else");
        if self.app.declared.is_some() {
            let sum: u32 = self.app.revisions.iter().map(|revision| revision.target).sum();
            let ceiling = self.bounds().ceiling;
            let counts = self.agents.is_none() || self.settled == Settled::Yes;
            assert!(
                !counts || sum <= ceiling,
                "{sum} targets, and at most {ceiling} may be: {:?}",
                self.targets()
            );
        }
        acted
    }

    fn fold(&mut self, action: Action) {
        let revisions = &mut self.app.revisions;
        let mut change = |id: RevisionId, change: &dyn Fn(&mut Revision)| {
            change(revisions.iter_mut().find(|revision| revision.id == id).expect("the revision exists"));
        };
        match action {
            Action::OpenRevision(revision) => {
                assert!(self.app.revision(revision.id).is_none(), "{} is opened twice", revision.id);
                self.app.revisions.push(*revision);
            }
            Action::SetTarget { revision, target } => change(revision, &|r| r.target = target),
            Action::Stand { revision, standing } => change(revision, &|r| r.standing = standing),
            Action::Pass(rollout) => self.app.rollout = Some(*rollout),
            Action::DropRevision { revision } => {
                assert_eq!(self.count(revision, |_| true), 0, "{revision} is dropped with instances");
                self.app.revisions.retain(|kept| kept.id != revision);
            }
            other => panic!("not an action of upgrade: {other:?}"),
        }
    }

    /// Follows the targets, as `instances` does: launches what is missing, as far as there is room, and kills what is
    /// too much, the least useful first. The budget must permit every kill, or a target was lowered too far.
    ///
    /// Returns whether there was anything to do.
    pub(crate) fn follow(&mut self) -> bool {
        let mut acted = false;
        let mut budget = Budget::new(&self.app, self.desired());
        for revision in self.app.revisions.clone() {
            let mut wanted: Vec<Instance> =
                self.app.instances.wanted().filter(|i| i.revision == revision.id).cloned().collect();
            wanted.sort_by_key(|i| (i.is_healthy(), i.health.readiness == Readiness::Ready));
            for victim in wanted.iter().take(wanted.len().saturating_sub(revision.target as usize)) {
                assert!(budget.permit(victim), "the target of {} is below what the floor permits", revision.id);
                self.end(victim.key, KillCause::Replaced);
                acted = true;
            }
        }
        let is_exchange = matches!(self.phase(), Phase::Rolling | Phase::RollingBack { .. })
            && self.app.instances.iter().any(|i| takes_room(i) && i.revision != self.rollout().to);
        for revision in self.app.revisions.clone() {
            let live = self.app.instances.iter().filter(|instance| instance.condition.is_live()).count();
            let wanted = self.count(revision.id, Instance::is_wanted);
            let missing = (revision.target as usize).saturating_sub(wanted);
            for _ in 0..missing.min(self.capacity.saturating_sub(live)) {
                self.launch(revision.id);
                acted = true;
                let (present, ceiling) = (self.keys(takes_room).len(), self.bounds().ceiling as usize);
                assert!(!is_exchange || present <= ceiling, "{present} exist, and at most {ceiling} may");
            }
        }
        acted
    }

    fn launch(&mut self, revision: RevisionId) {
        let agent = Agent {
            id: AgentId::new("a"),
            hostname: "host".into(),
            attributes: BTreeMap::new(),
            region: None,
            zone: None,
        };
        let slot = Slot(self.next_slot);
        self.next_slot += 1;
        self.app.instances.insert(Instance {
            key: InstanceKey { slot, incarnation: self.app.instances.next_incarnation(slot) },
            revision,
            goal: Goal::Running,
            condition: Condition::Provisioned,
            since: self.now,
            agent: Arc::new(agent),
            role: Role::any(),
            host_ports: Vec::new(),
            staged: self.now,
            started: None,
            health: Health::default(),
            kill: None,
            message: None,
        });
    }

    /// Changes one instance.
    pub(crate) fn change(&mut self, key: InstanceKey, change: impl FnOnce(&mut Instance)) {
        self.app.instances.update(key, change).expect("the instance exists");
    }

    /// Tells an instance to end.
    pub(crate) fn end(&mut self, key: InstanceKey, cause: KillCause) {
        let now = self.now;
        self.change(key, |instance| {
            instance.goal = Goal::Decommissioned;
            instance.kill = Some(KillOrder { cause, at: now, sent: now });
            if instance.condition != Condition::Unreachable {
                instance.condition = Condition::Killing;
            }
        });
    }

    /// An instance fails by itself, and is forgotten.
    pub(crate) fn crash(&mut self, key: InstanceKey) {
        let instance = self.app.instances.remove(key).expect("the instance exists");
        self.app.backoff.failures += 1;
        self.app.last_failure = Some(Failure {
            at: self.now,
            task: self.app.task_id(key),
            revision: instance.revision,
            host: "host".into(),
            condition: Condition::Failed,
            message: "exited with 1".into(),
            cause: FailureCause::App,
        });
    }

    /// The keys of the instances that satisfy `is`.
    pub(crate) fn keys(&self, is: impl Fn(&Instance) -> bool) -> Vec<InstanceKey> {
        self.app.instances.iter().filter(|instance| is(instance)).map(|instance| instance.key).collect()
    }

    /// The keys of the wanted instances of a revision.
    pub(crate) fn of(&self, revision: RevisionId) -> Vec<InstanceKey> {
        self.keys(|instance| instance.revision == revision && instance.is_wanted())
    }

    /// How many instances of a revision satisfy `is`.
    pub(crate) fn count(&self, revision: RevisionId, is: impl Fn(&Instance) -> bool) -> usize {
        self.keys(|instance| instance.revision == revision && is(instance)).len()
    }

    /// How many instances are healthy.
    pub(crate) fn healthy(&self) -> usize {
        self.keys(Instance::is_healthy).len()
    }

    /// Every kill is carried out.
    pub(crate) fn bury(&mut self) {
        for key in self.keys(|instance| instance.goal != Goal::Running) {
            self.app.instances.remove(key);
        }
    }

    /// An instance comes up.
    pub(crate) fn heal(&mut self, key: InstanceKey) {
        self.change(key, |instance| {
            instance.condition = Condition::Running;
            instance.health.verdict = Verdict::Healthy;
            instance.health.readiness = Readiness::Ready;
        });
    }

    /// All instances of a revision run, with this verdict.
    pub(crate) fn run(&mut self, revision: RevisionId, verdict: Verdict) {
        for key in self.of(revision) {
            self.change(key, |instance| {
                instance.condition = Condition::Running;
                instance.health.verdict = verdict;
            });
        }
    }

    /// Decides and follows until there is nothing to do; nothing else happens meanwhile.
    pub(crate) fn step(&mut self) {
        for _ in 0..100 {
            let decided = self.decide();
            if !self.follow() && !decided {
                return;
            }
        }
        panic!("decisions without end: {:#?}", self.app);
    }

    /// Lets everything come up and every kill be carried out until nothing more is decided.
    pub(crate) fn settle(&mut self) {
        for _ in 0..200 {
            self.step();
            let busy = self.keys(|instance| !instance.is_healthy() || instance.goal != Goal::Running);
            if busy.is_empty() && !self.decide() {
                return;
            }
            self.bury();
            for key in self.keys(Instance::is_wanted) {
                self.heal(key);
            }
            self.wait(1);
        }
        panic!("it never settles: {:#?}\n{}", self.app, self.reasons().join("\n"));
    }

    /// The targets, by revision, without those that are 0.
    pub(crate) fn targets(&self) -> Vec<(u32, u32)> {
        let targets = self.app.revisions.iter().map(|revision| (revision.id.0, revision.target));
        targets.filter(|(_, target)| *target > 0).collect()
    }

    /// The numbers of the revisions.
    pub(crate) fn revisions(&self) -> Vec<u32> {
        self.app.revisions.iter().map(|revision| revision.id.0).collect()
    }

    /// The rollout.
    pub(crate) fn rollout(&self) -> &Rollout {
        self.app.rollout.as_ref().expect("there is a rollout after a decision")
    }

    /// Where the rollout stands.
    pub(crate) fn phase(&self) -> Phase {
        self.rollout().phase
    }

    /// What is known of a revision.
    pub(crate) fn standing(&self, revision: RevisionId) -> Standing {
        self.app.revision(revision).expect("the revision exists").standing
    }

    /// The report, as people read it.
    pub(crate) fn reasons(&self) -> Vec<String> {
        self.report.reasons.iter().map(Reason::to_string).collect()
    }
}

fn takes_room(instance: &Instance) -> bool {
    instance.condition.is_live() && instance.condition != Condition::Unreachable
}

struct Nothing;

impl ServicePorts for Nothing {
    fn holder(&self, _: Port) -> Option<&AppId> {
        None
    }

    fn first_free(&self, _: std::ops::RangeInclusive<u16>) -> Option<Port> {
        None
    }
}

impl HostPorts for Nothing {
    fn choose(
        &self,
        _: &AppState,
        _: &Template,
        _: &Lot,
        _: &[Port],
        _: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        Ok(Vec::new())
    }
}
