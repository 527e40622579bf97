//! The public Python client, `marathon` from the Python package index.

use crate::ekiden::Ekiden;
use crate::script::python;

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_makes_changes_and_removes_apps_and_cancels_deployments() {
    python(&Ekiden::start("42300-42339", &[]).await, "apps.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_lists_and_kills_tasks() {
    python(&Ekiden::start("42340-42379", &[]).await, "tasks.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_reads_the_queue_and_resets_delays() {
    python(&Ekiden::start("42380-42399", &[]).await, "waiting.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_follows_the_events_of_an_app_s_life() {
    python(&Ekiden::start("42400-42419", &[]).await, "events.py").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_reads_what_is_said_of_the_server() {
    python(&Ekiden::start("42420-42429", &[]).await, "server.py").await;
}
