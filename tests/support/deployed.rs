//! Waiting until nothing is on its way.

use crate::ekiden::Ekiden;

impl Ekiden {
    /// Waits until every deployment has ended.
    pub(crate) async fn until_deployed(&self) {
        self.until("nothing is under way", async || {
            let deployments = self.json("/v2/deployments").await;
            deployments.as_array().is_some_and(Vec::is_empty).then_some(())
        })
        .await;
    }
}
