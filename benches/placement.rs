//! How fast instances are placed, and what an instance costs in memory: `cargo bench --bench placement [-- --json]`.
//!
//! 10,000 agents in 100 racks, all with an offer at hand; several apps, one after the other, each placed completely in
//! decisions of 16 launches, as the reconciler asks for them. One thread, fixed seed. A row says:
//!
//! * `placements/s`: launches decided per second spent in `decide`; `folded/s` counts the folding in of these launches,
//!   too (the claim taken from its lot, the instance added to its app);
//! * `p50`, `p99`, `p99.9`: how long one decision of up to 16 launches takes.
//!
//! Then comes what it costs an app to find nothing at all and to say why, and to be asked again with nothing changed.
//! The last line is the growth of the process's resident memory by 1,000,000 running instances with one host port and
//! one health check each, divided by their number: everything included, indices and the allocator's own losses.

use std::collections::BTreeMap;
use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use ekiden_model::agent::{Agent, AgentState, Presence};
use ekiden_model::app::{
    App, Capacity, Command, Constraint, Count, Field, HostPort, Operator, Pattern, Placement, PlacementMode,
    PortDefinition, Strategy, Template, UnreachableStrategy,
};
use ekiden_model::app_state::{Declared, Source};
use ekiden_model::health::{CheckState, Health, Readiness, Verdict};
use ekiden_model::id::AppKey;
use ekiden_model::limits::Settings;
use ekiden_model::offer::{Bundle, Lot};
use ekiden_model::revision::Standing;
use ekiden_model::view::{HostPorts, ServicePorts, Settled};
use ekiden_model::{
    Action, AgentId, Agents, AppId, AppState, Condition, Goal, Instance, InstanceKey, Offer, OfferBook, OfferId,
    Port, PortSet, Resources, Revision, RevisionId, Role, Scalar, Timestamp, View,
};

const AGENTS: usize = 10_000;
const RACKS: usize = 100;
const LAUNCHES_PER_TURN: u32 = 16;
const NOW: Timestamp = Timestamp::from_millis(1_795_168_800_000);

type Failure = Box<dyn std::error::Error>;

/// What is placed: so many apps of so many instances.
struct Class {
    name: &'static str,
    apps: u32,
    instances: u32,
    constraint: Option<Constraint>,
    strategy: Strategy,
    mode: PlacementMode,
    ports: bool,
    /// Every how manieth agent has room at all.
    room_on_every: usize,
}

impl Class {
    fn of(name: &'static str, apps: u32, instances: u32, constraint: Option<(&str, Operator)>) -> Self {
        let constraint = constraint.map(|(field, operator)| Constraint { field: Field::parse(field), operator });
        let (strategy, mode) = (Strategy::Spread, PlacementMode::Replicated);
        Self { name, apps, instances, constraint, strategy, mode, ports: false, room_on_every: 1 }
    }
}

/// What came of it.
struct Row {
    name: &'static str,
    placements: u64,
    per_second: f64,
    folded_per_second: f64,
    p50: Duration,
    p99: Duration,
    p999: Duration,
}

fn main() -> Result<(), Failure> {
    let json = std::env::args().any(|argument| argument == "--json");
    let out = &mut std::io::stdout().lock();
    if !json {
        writeln!(
            out,
            "{:<26} {:>10} {:>14} {:>12} {:>9} {:>9} {:>9}",
            "class", "placed", "placements/s", "folded/s", "p50", "p99", "p99.9"
        )?;
    }
    for class in classes()? {
        let row = run(&class)?;
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        if json {
            writeln!(
                out,
                "{{\"class\":\"{}\",\"placed\":{},\"placements_per_second\":{:.0},\"folded_per_second\":{:.0},\
                 \"p50_us\":{:.2},\"p99_us\":{:.2},\"p999_us\":{:.2}}}",
                row.name,
                row.placements,
                row.per_second,
                row.folded_per_second,
                micros(row.p50),
                micros(row.p99),
                micros(row.p999)
            )?;
        } else {
            writeln!(
                out,
                "{:<26} {:>10} {:>14.0} {:>12.0} {:>6.2} us {:>6.2} us {:>6.2} us",
                row.name,
                row.placements,
                row.per_second,
                row.folded_per_second,
                micros(row.p50),
                micros(row.p99),
                micros(row.p999)
            )?;
        }
    }
    let (first, again) = waiting()?;
    if json {
        let micros = |duration: Duration| duration.as_secs_f64() * 1e6;
        writeln!(out, "{{\"found_nothing_us\":{:.2},\"again_us\":{:.2}}}", micros(first), micros(again))?;
    } else {
        writeln!(out, "an app that finds no place: {first:.1?} to say why, {again:.1?} when asked again")?;
    }
    let (instances, bytes) = memory()?;
    if json {
        writeln!(out, "{{\"instances\":{instances},\"bytes_per_instance\":{bytes:.0}}}")?;
    } else {
        writeln!(out, "{instances} instances, {bytes:.0} bytes of memory each")?;
    }
    Ok(())
}

fn classes() -> Result<Vec<Class>, Failure> {
    let half = Operator::Like(Pattern::new("rack-[0-4].*")?);
    let tenth = Operator::Like(Pattern::new("rack-7.*")?);
    let classes = vec![
        Class::of("unconstrained", 10, 20_000, None),
        Class { strategy: Strategy::Binpack, ..Class::of("unconstrained binpack", 10, 20_000, None) },
        Class { strategy: Strategy::Random, ..Class::of("unconstrained random", 10, 20_000, None) },
        Class { ports: true, ..Class::of("one dynamic port", 10, 20_000, None) },
        Class { room_on_every: 100, ..Class::of("room on 1 % of agents", 5, 10_000, None) },
        Class::of("UNIQUE hostname", 20, AGENTS as u32, Some(("hostname", Operator::Unique))),
        Class { mode: PlacementMode::Global, ..Class::of("one on every agent", 20, AGENTS as u32, None) },
        Class::of("GROUP_BY rack 100", 10, 20_000, Some(("rack", Operator::GroupBy(Some(RACKS as u32))))),
        Class::of("GROUP_BY rack", 10, 20_000, Some(("rack", Operator::GroupBy(None)))),
        Class::of("MAX_PER rack 200", 10, 20_000, Some(("rack", Operator::MaxPer(200)))),
        Class::of("MAX_PER hostname 2", 10, 20_000, Some(("hostname", Operator::MaxPer(2)))),
        Class::of("LIKE half the racks", 10, 20_000, Some(("rack", half))),
        Class::of("LIKE a tenth of the racks", 10, 20_000, Some(("rack", tenth))),
        Class::of("CLUSTER rack", 10, 20_000, Some(("rack", Operator::Cluster(None)))),
    ];
    Ok(classes)
}

fn run(class: &Class) -> Result<Row, Failure> {
    let mut cluster = Cluster::new(class.room_on_every);
    let (mut deciding, mut folding, mut placed) = (Duration::ZERO, Duration::ZERO, 0);
    let mut decisions = Vec::new();
    for number in 0..class.apps {
        let mut app = an_app(number, class)?;
        let mut left = class.instances;
        while left > 0 {
            let (launched, decide, fold) = cluster.turn(&mut app, class.instances);
            if launched == 0 {
                return Err(format!("{}: {left} instances found no place", class.name).into());
            }
            left -= launched;
            placed += u64::from(launched);
            deciding += decide;
            folding += fold;
            decisions.push(decide);
        }
    }
    decisions.sort_unstable();
    let percentile = |share: f64| decisions[((decisions.len() - 1) as f64 * share) as usize];
    Ok(Row {
        name: class.name,
        placements: placed,
        per_second: placed as f64 / deciding.as_secs_f64(),
        folded_per_second: placed as f64 / (deciding + folding).as_secs_f64(),
        p50: percentile(0.5),
        p99: percentile(0.99),
        p999: percentile(0.999),
    })
}

/// What a decision costs that finds no place, with the reasons of all lots; and one that finds the same again.
fn waiting() -> Result<(Duration, Duration), Failure> {
    const AGAIN: u32 = 1000;
    let wide = Operator::Like(Pattern::new("rack-.*")?);
    let class = Class { room_on_every: AGENTS, ..Class::of("waiting", 1, 2000, Some(("rack", wide))) };
    let mut cluster = Cluster::new(class.room_on_every);
    let mut app = an_app(0, &class)?;
    // What the only agent with room holds is placed first.
    while cluster.turn(&mut app, class.instances).0 == LAUNCHES_PER_TURN {}
    let (_, first, _) = cluster.turn(&mut app.clone(), class.instances);
    cluster.turn(&mut app, class.instances);
    let again: Duration = (0..AGAIN).map(|_| cluster.turn(&mut app, class.instances).1).sum();
    Ok((first, again / AGAIN))
}

/// Bytes of resident memory per instance, by a million of them in a hundred apps.
fn memory() -> Result<(u64, f64), Failure> {
    let class = Class { ports: true, ..Class::of("memory", 100, 10_000, None) };
    let mut cluster = Cluster::new(1);
    let before = resident()?;
    let mut apps = Vec::new();
    let mut instances = 0;
    for number in 0..class.apps {
        let mut app = an_app(number, &class)?;
        while (app.instances.len() as u32) < class.instances {
            let (launched, ..) = cluster.turn(&mut app, class.instances);
            if launched == 0 {
                return Err("memory: an instance found no place".into());
            }
        }
        let keys: Vec<InstanceKey> = app.instances.iter().map(|instance| instance.key).collect();
        for key in keys {
            app.instances.update(key, |instance| {
                instance.condition = Condition::Running;
                instance.started = Some(NOW);
                let check =
                    CheckState { first_success: Some(NOW), last_success: Some(NOW), ..CheckState::default() };
                instance.health =
                    Health { verdict: Verdict::Healthy, checks: vec![check], readiness: Readiness::Unasked };
            });
        }
        instances += app.instances.len() as u64;
        apps.push(app);
    }
    let bytes = resident()?.saturating_sub(before);
    drop(apps);
    Ok((instances, bytes as f64 / instances as f64))
}

/// Resident memory of this process, in bytes.
fn resident() -> Result<u64, Failure> {
    const PAGE: u64 = 4096;
    let statm = std::fs::read_to_string("/proc/self/statm")?;
    let pages = statm.split_whitespace().nth(1).ok_or("/proc/self/statm has no second number")?;
    Ok(pages.parse::<u64>()? * PAGE)
}

/// The agents and their offers.
struct Cluster {
    agents: Agents,
    book: OfferBook,
    settings: Settings,
    entropy: u64,
}

impl Cluster {
    fn new(room_on_every: usize) -> Self {
        let mut cluster =
            Self { agents: Agents::new(), book: OfferBook::default(), settings: Settings::default(), entropy: 1 };
        for number in 0..AGENTS {
            let agent = an_agent(number);
            let state = AgentState { agent: agent.clone(), presence: Presence::Present, maintenance: None };
            cluster.agents.insert(agent.id.clone(), state);
            let room = number.is_multiple_of(room_on_every);
            let resources = Resources {
                cpus: if room { Scalar::whole(64) } else { Scalar::from_f64(0.01) },
                mem: Scalar::whole(256 << 10),
                disk: Scalar::whole(1 << 20),
                gpus: Scalar::ZERO,
            };
            let ports = PortSet::from_ranges([31_000..=32_000]);
            let offer = Offer {
                id: OfferId::new(format!("a7e1c2d4-5b6f-4a3e-9c8d-1f2e3d4c5b6a-O{number}")),
                agent,
                role: Role::any(),
                unreserved: Bundle { resources, ports },
                reserved: Bundle::default(),
                maintenance: None,
            };
            cluster.book.add(offer, NOW);
        }
        cluster
    }

    /// One turn of an app: how many were launched, the time of the decision, and that of folding it in.
    fn turn(&mut self, app: &mut AppState, desired: u32) -> (u32, Duration, Duration) {
        self.entropy += 1;
        let view = View {
            now: NOW,
            app,
            desired,
            dependencies: &[],
            samples: &[],
            book: &self.book,
            agents: &self.agents,
            service_ports: &NoServicePorts,
            host_ports: &FirstPort,
            settled: Settled::Yes,
            unsupported: None,
            launches: LAUNCHES_PER_TURN,
            entropy: self.entropy,
            settings: &self.settings,
        };
        let begin = Instant::now();
        let decision = ekiden_instances::decide(&view);
        let decided = Instant::now();
        let mut launched = 0;
        for action in decision.actions {
            let Action::Launch(launch) = action else { continue };
            let Some(agent) = self.book.lot(launch.lot).map(|lot| lot.agent.clone()) else { continue };
            if !self.book.take(launch.lot, &launch.claim) {
                continue;
            }
            app.instances.insert(Instance {
                key: launch.instance,
                revision: launch.revision,
                goal: Goal::Running,
                condition: Condition::Provisioned,
                since: NOW,
                agent,
                role: self.settings.default_role.clone(),
                host_ports: launch.host_ports,
                staged: NOW,
                started: None,
                health: Health::default(),
                kill: None,
                message: None,
            });
            launched += 1;
        }
        (launched, decided - begin, decided.elapsed())
    }
}

fn an_agent(number: usize) -> Arc<Agent> {
    let attributes = BTreeMap::from([
        ("class".to_owned(), Arc::from("general")),
        ("rack".to_owned(), Arc::from(format!("rack-{}", number % RACKS))),
        ("zone".to_owned(), Arc::from(format!("zone-{}", number % 3))),
    ]);
    Arc::new(Agent {
        id: AgentId::new(format!("a7e1c2d4-5b6f-4a3e-9c8d-1f2e3d4c5b6a-S{number}")),
        hostname: format!("agent-{number}.example.org").into(),
        attributes,
        region: None,
        zone: None,
    })
}

fn an_app(number: u32, class: &Class) -> Result<AppState, Failure> {
    let id = AppId::parse(&format!("/bench/app-{number}"))?;
    let ports = if class.ports { vec![a_port()] } else { Vec::new() };
    let template = Template {
        resources: Resources { cpus: Scalar::from_f64(0.1), mem: Scalar::whole(32), ..Resources::NONE },
        ports,
        ..Template::new(Command::Shell("sleep 1000".into()))
    };
    let app = Arc::new(App {
        instances: class.instances,
        constraints: class.constraint.iter().cloned().collect(),
        placement: Placement { strategy: class.strategy, mode: class.mode },
        capacity: Capacity::Counted { max_surge: Count::Whole(1), max_unavailable: Count::Whole(0) },
        unreachable: UnreachableStrategy::Disabled,
        ..App::new(id.clone(), template)
    });
    let declared = Declared::first(app.clone(), NOW, Source::Api);
    let mut state = AppState {
        declared: Some(declared),
        ..AppState::new(id.clone(), AppKey::new(1, u64::from(number), &id), u64::from(number))
    };
    let target = class.instances;
    let standing = Standing::Unproven;
    state.revisions.push(Revision { id: RevisionId(1), version: NOW, app, restarts: 0, target, standing });
    Ok(state)
}

fn a_port() -> PortDefinition {
    PortDefinition::new(HostPort::Dynamic)
}

/// No service ports are asked for.
struct NoServicePorts;

impl ServicePorts for NoServicePorts {
    fn holder(&self, _: Port) -> Option<&AppId> {
        None
    }

    fn first_free(&self, _: std::ops::RangeInclusive<u16>) -> Option<Port> {
        None
    }
}

/// The lowest free port: what is measured is placement, not the choice of ports.
struct FirstPort;

impl HostPorts for FirstPort {
    fn choose(
        &self,
        _: &AppState,
        _: &Template,
        lot: &Lot,
        taken: &[Port],
        _: u64,
    ) -> Result<Vec<Option<Port>>, String> {
        let free = lot.unreserved.ports.iter().find(|port| !taken.contains(port));
        free.map(|port| vec![Some(port)]).ok_or_else(|| "1 port".to_owned())
    }
}
