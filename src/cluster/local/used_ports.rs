//! Which ports of this machine somebody uses already, by `/proc/net`.

use std::fs;

use ekiden_model::{Port, PortSet};

/// The state of a TCP socket that listens, and of a UDP socket that is not connected.
const LISTENS: &str = "0A";
const UNCONNECTED: &str = "07";

/// All ports that somebody listens on, whatever the address. A snapshot: who takes a port later wins it from a
/// task, and the task fails by its own.
pub(super) fn used_ports() -> Vec<Port> {
    let files = [("tcp", LISTENS), ("tcp6", LISTENS), ("udp", UNCONNECTED), ("udp6", UNCONNECTED)];
    let mut used = PortSet::EMPTY;
    for (name, state) in files {
        // A kernel without one of them, IPv6 say, has nobody who uses it.
        let table = fs::read_to_string(format!("/proc/net/{name}")).unwrap_or_default();
        used.extend(&listed(&table, state));
    }
    used.iter().collect()
}

/// `   0: 0100007F:1F90 00000000:0000 0A …`: index, local address and port in hexadecimal, remote, state.
fn listed(table: &str, state: &str) -> PortSet {
    table
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            (fields.nth(1)? == state).then_some(())?;
            Port::new(u16::from_str_radix(local.rsplit_once(':')?.1, 16).ok()?)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_listens_counts() {
        let table = "  sl  local_address rem_address   st tx_queue\n\
             \x20  0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000\n\
             \x20  1: 0100007F:7918 0100007F:C350 06 00000000:00000000 00:00000000\n";
        assert_eq!(listed(table, LISTENS).to_string(), "8080");
    }
}
