//! Public JavaScript clients from the npm registry: `marathon-node` and `marathon-event-bus-client`.

use crate::ekiden::Ekiden;
use crate::script::javascript;

#[tokio::test(flavor = "multi_thread")]
async fn the_javascript_clients_change_apps_and_follow_what_happens() {
    javascript(&Ekiden::start("42430-42469", &[]).await, "drive.js").await;
}
