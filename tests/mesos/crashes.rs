//! `kill -9` of ekiden at random moments, while what is declared changes all the time.

use std::time::Duration;

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::truth::{self, Task, app_of, of_app};

/// How often it is killed.
const CRASHES: u32 = 20;

/// How many instances an app can have that is scaled.
const MOST: u64 = 5;

/// What is declared, and how many launches its changes account for.
struct Declared {
    scaled: u64,
    scaled_up: u64,
    version: u64,
    toggled: bool,
    toggled_on: u64,
}

#[tokio::test]
async fn killed_twenty_times_during_edits_it_ends_with_what_is_declared_and_restarts_nothing() {
    let mut lots = Lots::draw();
    let mut cluster = Cluster::of(2).await;
    let mut declared = Declared { scaled: 2, scaled_up: 2, version: 1, toggled: false, toggled_on: 0 };
    let manifests = [("steady.yaml", sleeper("steady", 3, 1000)), ("scaled.yaml", sleeper("scaled", 2, 1000))];
    let rolled = sleeper("rolled", 2, 1000 + declared.version);
    let [steady, scaled] = manifests.each_ref().map(|(name, text)| (*name, text.as_str()));
    let mut ekiden = Ekiden::start(&mut cluster, &[steady, scaled, ("rolled.yaml", &rolled)], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("steady", 3), ("scaled", 2), ("rolled", 2)]).await;

    for _ in 0..CRASHES {
        for _ in 0..=lots.below(2) {
            declared.edit(&ekiden, &mut lots);
            lots.pause(300).await;
        }
        ekiden.kill();
        if lots.below(2) == 0 {
            declared.edit(&ekiden, &mut lots);
        }
        ekiden.start_again();
        // Sometimes it is connected by then, sometimes it has hardly begun.
        lots.pause(1500).await;
    }

    let mut exactly = vec![("steady", 3), ("scaled", declared.scaled as usize), ("rolled", 2)];
    exactly.extend(declared.toggled.then_some(("toggled", 1)));
    let last = truth::until_exactly(&cluster, &ekiden, &exactly).await;
    assert_eq!(of_app(&last, "steady"), of_app(&first, "steady"), "nobody touched it: same tasks, same processes");
    let commands = commands(&ekiden).await;
    assert_eq!(commands, vec![format!("exec sleep {}", 1000 + declared.version); 2], "all run the last version");

    let ever = truth::tasks(&cluster).await;
    let launched = |app: &str| ever.keys().filter(|task| app_of(task) == app).count() as u64;
    assert_eq!(launched("steady"), 3);
    assert!(launched("scaled") <= declared.scaled_up, "{} launched: {ever:?}", launched("scaled"));
    assert!(launched("rolled") <= 2 * declared.version, "{} launched: {ever:?}", launched("rolled"));
    assert!(launched("toggled") <= declared.toggled_on, "{} launched: {ever:?}", launched("toggled"));
    let ended = |task: &Task| !["TASK_RUNNING", "TASK_KILLED"].contains(&task.state.as_str());
    assert!(!ever.values().any(ended), "whatever ended was killed because it was not wanted: {ever:?}");
}

impl Declared {
    /// Changes something.
    fn edit(&mut self, ekiden: &Ekiden, lots: &mut Lots) {
        match lots.below(3) {
            0 => {
                let next = lots.below(MOST + 1);
                self.scaled_up += next.saturating_sub(self.scaled);
                self.scaled = next;
                ekiden.write("scaled.yaml", &sleeper("scaled", next, 1000));
            }
            1 => {
                self.version += 1;
                ekiden.write("rolled.yaml", &sleeper("rolled", 2, 1000 + self.version));
            }
            _ if self.toggled => {
                self.toggled = false;
                ekiden.remove("toggled.yaml");
            }
            _ => {
                self.toggled = true;
                self.toggled_on += 1;
                ekiden.write("toggled.yaml", &sleeper("toggled", 1, 1000));
            }
        }
    }
}

/// What the instances of the app that is upgraded run, as the revision says that each is of.
async fn commands(ekiden: &Ekiden) -> Vec<String> {
    let app = ekiden.look("/v2/apps/rolled").await.expect("it is declared");
    let tasks = ekiden.tasks("rolled").await;
    let of_last = tasks.iter().filter(|task| task["version"] == app["app"]["version"]);
    of_last.map(|_| app["app"]["cmd"].as_str().unwrap_or_default().to_owned()).collect()
}

fn sleeper(id: &str, instances: u64, seconds: u64) -> String {
    format!("id: {id}\ncmd: exec sleep {seconds}\ninstances: {instances}\ncpus: 0.1\nmem: 16\n")
}

/// Random numbers that can be had again: a failed test shows the seed, and `EKIDEN_SEED` sets it.
struct Lots(u64);

impl Lots {
    #[expect(clippy::print_stderr, reason = "what a failed test shows")]
    fn draw() -> Self {
        let given = std::env::var("EKIDEN_SEED").ok().and_then(|seed| seed.parse().ok());
        let seed = given.unwrap_or_else(|| getrandom::u64().expect("random numbers"));
        eprintln!("EKIDEN_SEED={seed}");
        Self(seed)
    }

    /// A number from 0 to `end` - 1. (`SplitMix64`)
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % end
    }

    /// Lets some time pass: the moment of the crash is what is random.
    async fn pause(&mut self, at_most: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(at_most))).await;
    }
}
