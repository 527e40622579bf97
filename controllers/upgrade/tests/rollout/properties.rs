//! What holds whatever happens, and that it ends well once nothing more does.

use std::time::Duration;

use ekiden_model::app::{Capacity, Count};
use ekiden_model::health::{Readiness, Verdict};
use ekiden_model::report::KillCause;
use ekiden_model::revision::Phase;
use ekiden_model::view::{DependencyState, Settled};
use ekiden_model::{AppId, Condition, Declared, Goal, Instance};
use proptest::prelude::*;

use crate::world::{World, app, capacity, readiness};

/// Something happens. Instances are picked by a number, modulo how many there are.
#[derive(Debug, Clone)]
enum Happening {
    Command(u8),
    Scale(u32),
    Capacity(u8),
    Pause(bool),
    AutoRollback(bool),
    Readiness(bool),
    Restart,
    Wait(u64),
    Room(usize),
    Settled(bool),
    Dependency(bool),
    Withdraw,
    Declare,
    Heal(usize),
    Run(usize, u8),
    Crash(usize),
    Condemn(usize),
    Unreachable(usize),
    Bury(usize),
    Step,
}

fn happening() -> impl Strategy<Value = Happening> {
    prop_oneof![
        2 => (0..4_u8).prop_map(Happening::Command),
        2 => (0..9_u32).prop_map(Happening::Scale),
        1 => (0..8_u8).prop_map(Happening::Capacity),
        1 => any::<bool>().prop_map(Happening::Pause),
        1 => any::<bool>().prop_map(Happening::AutoRollback),
        1 => any::<bool>().prop_map(Happening::Readiness),
        1 => Just(Happening::Restart),
        2 => (1..700_u64).prop_map(Happening::Wait),
        1 => (0..20_usize).prop_map(Happening::Room),
        1 => any::<bool>().prop_map(Happening::Settled),
        1 => any::<bool>().prop_map(Happening::Dependency),
        1 => Just(Happening::Withdraw),
        4 => Just(Happening::Declare),
        8 => any::<usize>().prop_map(Happening::Heal),
        3 => (any::<usize>(), 0..3_u8).prop_map(|(pick, verdict)| Happening::Run(pick, verdict)),
        2 => any::<usize>().prop_map(Happening::Crash),
        1 => any::<usize>().prop_map(Happening::Condemn),
        1 => any::<usize>().prop_map(Happening::Unreachable),
        6 => any::<usize>().prop_map(Happening::Bury),
        10 => Just(Happening::Step),
    ]
}

fn capacity_of(number: u8) -> Capacity {
    match number {
        0 => capacity(1.0, 1.0),
        1 => capacity(1.0, 0.0),
        2 => capacity(0.5, 0.0),
        3 => capacity(0.9, 0.1),
        4 => capacity(0.0, 0.0),
        5 => capacity(0.5, 0.5),
        6 => Capacity::Counted { max_surge: Count::Whole(1), max_unavailable: Count::Whole(0) },
        _ => Capacity::Counted { max_surge: Count::Whole(0), max_unavailable: Count::Whole(2) },
    }
}

fn happens(world: &mut World, withdrawn: &mut Option<Declared>, what: &Happening) {
    let pick = |world: &World, number: usize, is: fn(&Instance) -> bool| {
        let keys = world.keys(is);
        (!keys.is_empty()).then(|| keys[number % keys.len()])
    };
    match *what {
        Happening::Command(version) => world.edit_command(&format!("v{version}")),
        Happening::Scale(instances) => world.edit(|app| app.instances = instances),
        Happening::Capacity(number) => world.edit(|app| app.capacity = capacity_of(number)),
        Happening::Pause(paused) => world.edit(|app| app.rollout.paused = paused),
        Happening::AutoRollback(wished) => world.edit(|app| app.rollout.auto_rollback = wished),
        Happening::Readiness(asked) => world.edit(|app| app.readiness = asked.then(readiness)),
        Happening::Restart => world.restart(),
        Happening::Wait(seconds) => world.wait(seconds),
        Happening::Room(room) => world.capacity = room,
        Happening::Settled(all) => {
            world.settled = if all { Settled::Yes } else { Settled::No("the cluster has not answered") };
        }
        Happening::Dependency(satisfied) => {
            let app = AppId::parse("/db").expect("a good id");
            world.dependencies =
                vec![DependencyState { app, healthy: u32::from(satisfied), wanted: 1, satisfied }];
        }
        Happening::Withdraw => *withdrawn = withdrawn.take().or_else(|| world.app.declared.take()),
        Happening::Declare => declare(world, withdrawn),
        Happening::Heal(number) => {
            if let Some(key) = pick(world, number, Instance::is_wanted) {
                world.heal(key);
            }
        }
        Happening::Run(number, verdict) => {
            let verdict = [Verdict::Unknown, Verdict::Healthy, Verdict::Unhealthy][usize::from(verdict)];
            if let Some(key) = pick(world, number, Instance::is_wanted) {
                world.change(key, |instance| {
                    instance.condition = Condition::Running;
                    instance.health.verdict = verdict;
                    instance.health.readiness = Readiness::NotReady(Some(503));
                });
            }
        }
        Happening::Crash(number) => {
            if let Some(key) = pick(world, number, |_| true) {
                world.crash(key);
            }
        }
        Happening::Condemn(number) => {
            if let Some(key) = pick(world, number, |i| i.is_wanted() && !i.is_healthy()) {
                world.end(key, KillCause::Unhealthy);
            }
        }
        Happening::Unreachable(number) => {
            if let Some(key) = pick(world, number, |_| true) {
                world.change(key, |instance| instance.condition = Condition::Unreachable);
            }
        }
        Happening::Bury(number) => {
            if let Some(key) = pick(world, number, |i| i.goal != Goal::Running) {
                world.app.instances.remove(key);
            }
        }
        Happening::Step => checked_step(world),
    }
}

fn declare(world: &mut World, withdrawn: &mut Option<Declared>) {
    if let Some(declared) = withdrawn.take() {
        world.app.declared = Some(declared);
    }
}

/// Decides and follows once; our own kills never take healthy instances below the floor.
fn checked_step(world: &mut World) {
    let before = world.healthy();
    world.decide();
    world.follow();
    let floor = before.min(world.bounds().floor as usize);
    assert!(world.healthy() >= floor, "{before} were healthy, {} are, {floor} must be", world.healthy());
    let bounded = world.keys(|_| true).len() + 4;
    assert!(world.app.revisions.len() <= bounded, "revisions pile up: {:?}", world.revisions());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_the_floor_holds_and_it_ends_well(
        instances in 0..9_u32,
        strategy in 0..8_u8,
        deadline in any::<bool>(),
        story in prop::collection::vec(happening(), 0..80),
    ) {
        let mut declared = app("v0", instances);
        declared.capacity = capacity_of(strategy);
        declared.rollout.progress_deadline = deadline.then(|| Duration::from_secs(600));
        let mut world = World::new(declared);
        checked_step(&mut world);
        let mut withdrawn = None;
        for what in &story {
            happens(&mut world, &mut withdrawn, what);
            checked_step(&mut world);
        }

        // Everything heals: there is room, nothing is paused, and what is launched comes up.
        declare(&mut world, &mut withdrawn);
        world.dependencies.clear();
        world.capacity = 100;
        world.settled = Settled::Yes;
        world.edit(|app| app.rollout.paused = false);
        for key in world.keys(|instance| instance.condition == Condition::Unreachable) {
            world.app.instances.remove(key);
        }
        for _ in 0..100 {
            checked_step(&mut world);
            world.bury();
            for key in world.keys(Instance::is_wanted) {
                world.heal(key);
            }
            world.wait(1);
        }
        let desired = world.app.declared.as_ref().map_or(0, |declared| declared.app.instances);
        prop_assert!(!world.decide(), "matched means idle");
        if world.phase() == Phase::Failed {
            // Failed for good before everything healed: it says so and keeps at least what is declared.
            prop_assert!(world.reasons()[0].contains("failed at"));
            prop_assert!(world.targets().iter().map(|(_, target)| target).sum::<u32>() >= desired);
        } else {
            prop_assert_eq!(world.phase(), Phase::Complete, "{:?}", world.reasons());
            let to = world.rollout().to;
            let expected = if desired == 0 { vec![] } else { vec![(to.0, desired)] };
            prop_assert_eq!(world.targets(), expected);
            prop_assert_eq!(world.of(to).len(), desired as usize);
            prop_assert!(world.revisions().len() <= 3);
        }
    }
}
