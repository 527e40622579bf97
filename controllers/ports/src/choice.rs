//! Host ports: which of a lot's ports one instance takes.

use ekiden_model::app::{HostPort, Template};
use ekiden_model::offer::Lot;
use ekiden_model::view::HostPorts;
use ekiden_model::{AppState, Port};

use crate::RequiredPorts;

/// Chooses host ports as Marathon does (§4.10): fixed ones exactly, the others from anywhere in what is offered and
/// then one after the other. Beginning anywhere keeps a port from being used again right after it was given back, while
/// clients of its former owner still knock on it. What some app requires is taken last: that app would wait for it, as
/// long as this one runs.
#[derive(Debug, Clone, Copy)]
pub struct HostPortChoice<'a> {
    /// The ports that apps require.
    pub required: &'a RequiredPorts,
}

impl HostPorts for HostPortChoice<'_> {
    fn choose(
        &self,
        app: &AppState,
        template: &Template,
        lot: &Lot,
        taken: &[Port],
        entropy: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        // Fixed ports go first, lest a dynamic one takes what a later port must have.
        let mut chosen: Vec<Option<Port>> = Vec::with_capacity(template.ports.len());
        let mut dynamic = 0;
        for (index, definition) in template.ports.iter().enumerate() {
            let port = match definition.host_port {
                HostPort::Unmapped => None,
                HostPort::Dynamic => {
                    dynamic += 1;
                    None
                }
                HostPort::Fixed(port) => Some(port),
                HostPort::ServicePort => {
                    let leased = app.service_ports.get(index).copied().flatten();
                    Some(leased.ok_or_else(|| format!("a service port for its port {index}"))?)
                }
            };
            if let Some(port) = port {
                if !is_free(lot, port) || taken.contains(&port) {
                    return Err(format!("port {port}"));
                }
                if chosen.contains(&Some(port)) {
                    return Err(format!("port {port} a second time"));
                }
            }
            chosen.push(port);
        }
        if dynamic > 0 {
            let free = self.in_order(lot, entropy).filter(|port| !taken.contains(port));
            fill_dynamic(&mut chosen, template, free).map_err(|found| lacking(found, dynamic))?;
        }
        Ok(chosen)
    }
}

impl<'a> HostPortChoice<'a> {
    /// All ports of a lot, those that are required last.
    fn in_order<'b>(&'b self, lot: &'b Lot, entropy: u64) -> impl Iterator<Item = Port> + use<'a, 'b> {
        let walk = move |is_required: bool| {
            let all = Walk::begin(lot, entropy).into_iter().flatten();
            all.filter(move |port| self.required.contains(*port) == is_required)
        };
        walk(false).chain(walk(true))
    }
}

/// Fills in the dynamic ports, the first free ones, or says for how many of them there was one.
fn fill_dynamic(
    chosen: &mut [Option<Port>],
    template: &Template,
    mut free: impl Iterator<Item = Port>,
) -> Result<(), u32> {
    let mut found = 0_u32;
    for (index, definition) in template.ports.iter().enumerate() {
        if definition.host_port == HostPort::Dynamic {
            let port = free.find(|port| !chosen.contains(&Some(*port))).ok_or(found)?;
            chosen[index] = Some(port);
            found += 1;
        }
    }
    Ok(())
}

/// What is missing, after "lacks".
fn lacking(found: u32, wanted: u32) -> String {
    match (found, wanted) {
        (_, 1) => "a free port".to_owned(),
        (0, _) => format!("{wanted} free ports"),
        _ => format!("{} of {wanted} free ports", wanted - found),
    }
}

fn is_free(lot: &Lot, port: Port) -> bool {
    lot.unreserved.ports.contains(port) || lot.reserved.ports.contains(port)
}

/// All ports of a lot, once each, upwards from somewhere and round.
struct Walk<'a> {
    lot: &'a Lot,
    /// Where to go on; nothing when the end of this half is reached.
    next: Option<Port>,
    start: Port,
    lowest: Port,
    has_wrapped: bool,
}

impl<'a> Walk<'a> {
    fn begin(lot: &'a Lot, entropy: u64) -> Option<Self> {
        let bounds = [lot.unreserved.ports.bounds(), lot.reserved.ports.bounds()];
        let lowest = bounds.into_iter().flatten().map(|(low, _)| low).min()?;
        let highest = bounds.into_iter().flatten().map(|(_, high)| high).max()?;
        let span = u64::from(highest.get() - lowest.get()) + 1;
        // Entropy may be a mere counter: a multiplication by the golden ratio spreads its steps over the high bits,
        // of which the span takes its share.
        let spread = entropy.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
        let start = Port::new(lowest.get() + ((spread * span) >> 32) as u16)?;
        Some(Self { lot, next: Some(start), start, lowest, has_wrapped: false })
    }

    fn at_or_above(&self, from: Port) -> Option<Port> {
        let unreserved = self.lot.unreserved.ports.at_or_above(from);
        let reserved = self.lot.reserved.ports.at_or_above(from);
        match (unreserved, reserved) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (only, None) | (None, only) => only,
        }
    }
}

impl Iterator for Walk<'_> {
    type Item = Port;

    fn next(&mut self) -> Option<Port> {
        loop {
            let found = self.next.and_then(|next| self.at_or_above(next));
            match found {
                Some(port) if self.has_wrapped && port >= self.start => return None,
                Some(port) => {
                    self.next = port.get().checked_add(1).and_then(Port::new);
                    return Some(port);
                }
                None if self.has_wrapped => return None,
                None => {
                    self.has_wrapped = true;
                    self.next = Some(self.lowest);
                }
            }
        }
    }
}
