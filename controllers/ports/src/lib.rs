//! The `ports` controller: which service port each port of an app has, and which ports of an agent an instance takes.
//!
//! Service ports are leased ([`decide`]): what a load balancer presents must stay the same across edits, restarts and
//! rollouts, and be nobody else's ([`Leases`]). Host ports are chosen ([`HostPortChoice`]) by whoever launches, at the
//! moment of the launch, of what is on offer, and rather not of what some app requires ([`RequiredPorts`]). Nothing is launched here, and no offer is used.

mod choice;
mod lease;
mod leases;
mod required;

pub use choice::HostPortChoice;
pub use lease::decide;
pub use leases::Leases;
pub use required::RequiredPorts;
