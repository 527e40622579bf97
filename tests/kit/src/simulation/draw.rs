//! Drawing a world: agents, apps, and what they are like.

use std::sync::Arc;
use std::time::Duration;

use ekiden_model::app::{KillSelection, Strategy};
use ekiden_model::offer::Bundle;
use ekiden_model::{App, PortSet, Resources, Role, Scalar};

use super::Simulation;
use crate::build::{AppBuilder, agent_with, app};
use crate::cluster::Machine;
use crate::rng::Rng;
use crate::timeline::Happening;

/// Most apps: enough for dependencies and competition, few enough for 10,000 runs in minutes.
const APPS_MAX: u64 = 5;
/// Most agents at the beginning.
const AGENTS_MAX: u64 = 6;

/// The role that some resources are reserved to, where there are roles.
const ROLE: &str = "prod";

impl Simulation {
    /// Draws agents and apps, and lets Ekiden start.
    pub(super) fn draw_world(&mut self, rng: &mut Rng) {
        self.with_roles = rng.chance(0.3);
        for _ in 0..rng.between(1, AGENTS_MAX) {
            let machine = self.draw_machine();
            self.join(machine);
        }
        if rng.chance(0.5) {
            self.settings.drain_before = rng.millis(0, 20_000);
        }
        if rng.chance(0.2) {
            self.cluster.plant_stranger(&mut self.line);
        }
        for number in 0..rng.between(1, APPS_MAX) {
            let app = self.draw_app(&format!("/app{number}"));
            self.declared.insert(app.id.clone(), app);
        }
        self.line.at(self.line.now, Happening::Start);
        self.next_fault();
        self.next_edit();
    }

    /// Another machine, under an id and a name of its own.
    pub(super) fn draw_machine(&mut self) -> Machine {
        self.machines += 1;
        let number = self.machines;
        let name = format!("agent{number}");
        self.machine_named(&name, &name)
    }

    /// A machine of some size in some rack.
    pub(super) fn machine_named(&mut self, id: &str, host: &str) -> Machine {
        let rng = &mut self.line.rng;
        let rack = format!("r{}", rng.between(1, 3));
        let attributes = [("rack", rack.as_str())];
        let attributes = if rng.chance(0.9) { &attributes[..] } else { &[] };
        let (cpus, mem) = (rng.between(3, 8), rng.between(2, 8) * 1024);
        let reserved = self.with_roles && rng.chance(0.5);
        let reserved =
            reserved.then(|| (ROLE, rng.between(1, 4), rng.between(0, 2) * 512)).map(|(role, cpus, mem)| {
                let (cpus, mem) = (Scalar::whole(cpus), Scalar::whole(mem));
                let resources = Resources { cpus, mem, ..Resources::NONE };
                (Role::new(role), Bundle { resources, ports: PortSet::from_ranges([32_000..=32_002]) })
            });
        Machine {
            agent: agent_with(id, host, attributes),
            total: Resources {
                cpus: Scalar::whole(cpus),
                mem: Scalar::whole(mem),
                disk: Scalar::whole(10_000),
                ..Resources::NONE
            },
            ports: PortSet::from_ranges([31_000..=31_007, 10_000..=10_003]),
            reserved,
        }
    }

    /// Some app.
    pub(super) fn draw_app(&mut self, id: &str) -> Arc<App> {
        let command = self.draw_command();
        let earlier: Vec<String> =
            self.declared.keys().filter(|other| other.as_str() < id).map(ToString::to_string).collect();
        let with_roles = self.with_roles;
        let rng = &mut self.line.rng;
        let mut built = app(id)
            .instances(rng.between(0, 5) as u32)
            .cmd(&command)
            .cpus(rng.between(1, 8) as f64 / 10.0)
            .mem(rng.between(32, 256) as f64)
            .strategy(match rng.below(3) {
                0 => Strategy::Spread,
                1 => Strategy::Binpack,
                _ => Strategy::Random,
            })
            .backoff(rng.millis(500, 2_000), 1.0 + rng.between(0, 10) as f64 / 10.0, rng.millis(5_000, 20_000));
        built = match rng.below(10) {
            0 => built.fixed_port(31_000 + rng.between(0, 3) as u16),
            1 => built.service_port_on_host(),
            2 => built.dynamic_ports(2),
            3 => built.dynamic_ports(0),
            _ => built,
        };
        if with_roles && rng.chance(0.6) {
            built = built.role(ROLE);
            built = match rng.below(4) {
                0 => built.accepting(&[ROLE]),
                1 => built.accepting(&["*"]),
                _ => built,
            };
        }
        // What has no port cannot be asked.
        let has_port = !built.clone().build().template.ports.is_empty();
        built = match rng.below(10) {
            0..=3 if has_port => built.http_check(),
            4 if has_port => built.tcp_check(),
            5 => built.command_check("true"),
            _ => built,
        };
        let (grace, interval) = (rng.millis(1_000, 10_000), rng.millis(2_000, 6_000));
        let failures = rng.below(4) as u32;
        built = built.check_timing(grace, interval, failures);
        if has_port && rng.chance(0.15) {
            built = built.readiness();
        }
        built = draw_capacity(built, rng);
        built = draw_constraint(built, rng);
        built = match rng.below(4) {
            0 => built.unreachable(rng.millis(1_000, 20_000), rng.millis(20_000, 60_000)),
            1 => built.unreachable(Duration::ZERO, rng.millis(1_000, 30_000)),
            2 => built.unreachable_disabled(),
            _ => built,
        };
        if rng.chance(0.2) {
            built = built.deadline(rng.millis(15_000, 60_000)).auto_rollback(rng.chance(0.5));
        }
        if rng.chance(0.1) {
            built = built.global();
        }
        if rng.chance(0.3) {
            built = built.kill_selection(KillSelection::OldestFirst);
        }
        if rng.chance(0.3) {
            built = built.kill_grace(rng.millis(100, 8_000));
        }
        if rng.chance(0.25)
            && let Some(other) = rng.pick(&earlier)
        {
            built = built.depends_on(other);
        }
        built.arc()
    }

    /// What an app runs: mostly something good.
    pub(super) fn draw_command(&mut self) -> String {
        self.edits += 1;
        let version = self.edits;
        let rng = &mut self.line.rng;
        let start = rng.between(1, 4) * 500;
        let behaviour = match rng.below(16) {
            0 => format!("crash={}ms", rng.between(100, 20_000)),
            1 => format!("finish={}ms", rng.between(500, 20_000)),
            2 => "unhealthy".to_owned(),
            3 => "stuck".to_owned(),
            4 => "stubborn".to_owned(),
            5 => "unready".to_owned(),
            6 | 7 => format!("healthy={}s ready={}s", rng.between(0, 12), rng.between(0, 12)),
            _ => String::new(),
        };
        format!("run v{version} start={start}ms stop={}ms {behaviour}", rng.between(50, 3_000))
    }
}

pub(super) fn draw_capacity(built: AppBuilder, rng: &mut Rng) -> AppBuilder {
    match rng.below(6) {
        0 => built.upgrade_strategy(0.5, 0.2),
        1 => built.upgrade_strategy(1.0, 0.0),
        2 => built.upgrade_strategy(0.0, 0.0),
        3 => built.surge(1, 0),
        4 => built.surge(0, 1),
        _ => built,
    }
}

pub(super) fn draw_constraint(built: AppBuilder, rng: &mut Rng) -> AppBuilder {
    match rng.below(20) {
        0 => built.constraint("hostname", "UNIQUE", ""),
        1 => built.constraint("rack", "MAX_PER", "2"),
        2 => built.constraint("rack", "GROUP_BY", ""),
        3 => built.constraint("rack", "GROUP_BY", "2"),
        4 => built.constraint("rack", "LIKE", "r[12]"),
        5 => built.constraint("rack", "UNLIKE", "r3"),
        6 => built.constraint("rack", "CLUSTER", ""),
        7 => built.constraint("hostname", "MAX_PER", "1"),
        _ => built,
    }
}
