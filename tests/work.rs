//! Work follows the change, not the total: what one small change costs is counted, in a small fleet and in a large one.
//!
//! Counts, not times, so the machine's noise has no say; `cargo bench --bench work` times the same.

use ekiden_kit::fleet::{Change, Fleet, INSTANCES};

const SMALL: u32 = 50;
const LARGE: u32 = 2_000;

#[test]
fn a_change_costs_the_same_in_a_small_fleet_and_in_a_large_one() {
    let mut small = Fleet::settled(SMALL).expect("a world to start in");
    let mut large = Fleet::settled(LARGE).expect("a world to start in");
    assert_eq!(small.tasks(), (SMALL * INSTANCES) as usize, "the small fleet runs");
    assert_eq!(large.tasks(), (LARGE * INSTANCES) as usize, "the large fleet runs");
    for change in [Change::Edit, Change::Status, Change::LostAgent] {
        let ((in_small, few), (in_large, many)) = (small.undergo(change), large.undergo(change));
        assert!(in_small.apps_visited > 0, "{change:?} was not noticed");
        // Per instance concerned: one agent happens to hold a few more than another.
        let same = |large: u64, small: u64| large * u64::from(few) * 5 <= small * u64::from(many) * 6;
        let story =
            format!("{change:?} of {few} costs {in_small:?} of {SMALL} apps, of {many} {in_large:?} of {LARGE}");
        assert!(same(in_large.apps_visited, in_small.apps_visited), "{story}");
        assert!(same(in_large.instances_visited, in_small.instances_visited), "{story}");
        assert_eq!(in_large.actions_refused + in_small.actions_refused, 0);
    }
    assert_eq!(small.tasks(), (SMALL * INSTANCES + 1) as usize, "all is as declared again");
    assert_eq!(large.tasks(), (LARGE * INSTANCES + 1) as usize, "all is as declared again");
}

#[test]
fn one_edit_visits_one_app() {
    let mut fleet = Fleet::settled(SMALL).expect("a world to start in");
    let (work, _) = fleet.undergo(Change::Edit);
    // Its launch, the record of it, and the task's running are a handful of looks at the one app.
    assert!(work.apps_visited <= 8, "{work:?}");
}

#[test]
fn a_lost_agent_costs_its_own_instances() {
    let mut fleet = Fleet::settled(SMALL).expect("a world to start in");
    let (work, lost) = fleet.undergo(Change::LostAgent);
    assert!(work.apps_visited <= u64::from(lost) * 8, "{work:?}");
}
