//! Public JavaScript clients from the npm registry: `marathon-node` and `marathon-event-bus-client`.

use crate::script::{self, javascript};

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_clients_change_apps_and_follow_what_happens() {
    javascript(&script::server("43130-43169").await, "drive.js").await;
}
