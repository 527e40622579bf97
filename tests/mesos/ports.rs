//! Ports nobody else uses: for masters, agents, ZooKeeper, and for the tasks of each agent.

use std::net::{Ipv4Addr, TcpListener};

/// How many there are in a block.
const SIZE: u16 = 100;

/// Blocks lie below the ports that the system gives to clients.
const BLOCKS: std::ops::Range<u16> = 120..310;

/// How many of a block are the servers', of whom there are fewer; the rest is for tasks.
const SERVERS: u16 = 20;

/// How many the tasks of one agent have.
const PER_AGENT: u16 = 20;

/// A hundred ports. Who listens on the first has them all, here and in other test runs on this machine.
#[derive(Debug)]
pub(crate) struct Ports {
    first: TcpListener,
    next: u16,
}

impl Ports {
    /// The next free block.
    pub(crate) fn take() -> Self {
        let taken = BLOCKS.map(|block| block * SIZE).find_map(|first| {
            let guard = listen(first)?;
            (first + 1..first + SIZE).all(|port| listen(port).is_some()).then_some(guard)
        });
        Self { first: taken.expect("a free block of ports"), next: 1 }
    }

    /// One for a server.
    pub(crate) fn server(&mut self) -> u16 {
        assert!(self.next < SERVERS, "a block has {SERVERS} ports for servers");
        let port = self.first() + self.next;
        self.next += 1;
        port
    }

    /// Those for the tasks of an agent, from 1 on, the way Mesos writes ranges.
    pub(crate) fn tasks(&self, agent: u16) -> String {
        let begin = self.first() + SERVERS + (agent - 1) * PER_AGENT;
        let end = begin + PER_AGENT - 1;
        assert!(end < self.first() + SIZE, "a block has no ports for agent {agent}");
        format!("{begin}-{end}")
    }

    fn first(&self) -> u16 {
        self.first.local_addr().expect("it listens").port()
    }
}

fn listen(port: u16) -> Option<TcpListener> {
    TcpListener::bind((Ipv4Addr::UNSPECIFIED, port)).ok()
}
