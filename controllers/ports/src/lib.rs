//! stub
use ekiden_model::{AppId, Decision, Port, View};
/// stub
pub fn decide(_view: &View<'_>) -> Decision {
    Decision::idle()
}
/// stub
#[derive(Debug, Default)]
pub struct Leases;
impl Leases {
    /// stub
    pub fn set(&mut self, _p: Port, _a: &AppId) {}
    /// stub
    pub fn clear(&mut self, _p: Port) {}
}
impl ekiden_model::view::ServicePorts for Leases {
    fn holder(&self, _p: Port) -> Option<&AppId> {
        None
    }
    fn first_free(&self, _r: std::ops::RangeInclusive<u16>) -> Option<Port> {
        None
    }
}
/// stub
#[derive(Debug, Default)]
pub struct HostPortChoice;
impl ekiden_model::view::HostPorts for HostPortChoice {
    fn choose(
        &self,
        _a: &ekiden_model::AppState,
        _t: &ekiden_model::app::Template,
        _l: &ekiden_model::offer::Lot,
        _x: &[Port],
        _e: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        Ok(vec![])
    }
}
