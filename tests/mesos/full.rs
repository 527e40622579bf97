//! The disk runs full under the store while tasks run.

use crate::cluster::Cluster;
use crate::ekiden::Ekiden;
use crate::small_disk::SmallDisk;
use crate::truth::{self, app_of};

fn sleeper(id: &str, instances: usize, labels: &str) -> String {
    format!("id: {id}\ncmd: exec sleep 1000\ninstances: {instances}\ncpus: 0.1\nmem: 16\nlabels: {{{labels}}}\n")
}

/// More than any store has room for within its file.
fn labels() -> String {
    let labels: Vec<String> = (0..40).map(|number| format!("l{number}: {}", "x".repeat(100_000))).collect();
    labels.join(", ")
}

#[tokio::test]
async fn tasks_run_on_when_the_disk_is_full_and_with_space_and_a_restart_all_is_as_declared() {
    let mut cluster = Cluster::of(1).await;
    let disk = SmallDisk::of_megabytes(64);
    std::fs::create_dir_all(cluster.folder().join("ekiden")).expect("a folder");
    std::os::unix::fs::symlink(disk.root(), cluster.folder().join("ekiden/state")).expect("a link");
    let mut ekiden = Ekiden::start(&mut cluster, &[("first.yaml", &sleeper("first", 2, ""))], &[]).await;
    let first = truth::until_exactly(&cluster, &ekiden, &[("first", 2)]).await;

    // All that is edited now needs more than there is, and so does each attempt to begin with it.
    disk.fill();
    ekiden.write("second.yaml", &sleeper("second", 2, &labels()));
    ekiden.write("first.yaml", &sleeper("first", 3, &labels()));
    for _ in 0..2 {
        let ended = ekiden.until_ended().await;
        assert_eq!(ended.code(), Some(74), "{}", ekiden.log());
        assert!(ekiden.log().contains("free some and start ekiden again"), "{}", ekiden.log());
        assert_eq!(truth::processes(&cluster), first, "nothing is launched or killed that is stored nowhere");
        ekiden.start_again();
    }
    assert_eq!(ekiden.until_ended().await.code(), Some(74), "{}", ekiden.log());

    disk.free();
    ekiden.start_again();
    let last = truth::until_exactly(&cluster, &ekiden, &[("first", 3), ("second", 2)]).await;
    assert!(first.iter().all(|(task, processes)| last.get(task) == Some(processes)), "{first:?} {last:?}");
    let ever = truth::tasks(&cluster).await;
    let launched: Vec<&str> = ever.keys().map(|task| app_of(task)).collect();
    assert_eq!(launched, ["first", "first", "first", "second", "second"], "each once: {ever:?}");
}
