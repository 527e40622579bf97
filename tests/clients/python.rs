//! The public Python client, `marathon` from the Python package index.

use crate::script::{self, python};

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_makes_changes_and_removes_apps_and_cancels_deployments() {
    python(&script::server("43000-43039").await, "apps.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_lists_and_kills_tasks() {
    python(&script::server("43040-43079").await, "tasks.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_reads_the_queue_and_resets_delays() {
    python(&script::server("43080-43099").await, "waiting.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_follows_the_events_of_an_app_s_life() {
    python(&script::server("43100-43119").await, "events.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_reads_what_is_said_of_the_server() {
    python(&script::server("43120-43129").await, "server.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_makes_scales_changes_and_removes_groups() {
    python(&script::server("43250-43269").await, "groups.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_is_told_which_file_to_change_instead() {
    let ekiden = script::server("43270-43279").await;
    let app = "id: web\ncmd: exec sleep 1000\nlabels: { from: git }\ncpus: 0.1\nmem: 16\n";
    ekiden.write("prod/web.yaml", app);
    python(&ekiden, "declared.py").await;
}
