//! What a line says about an app: `instances=3 cmd="run v2" http upgrade=0.5,0.5`.

use ekiden_model::app::Strategy;

use super::parse::{Command, ScriptError};
use crate::build::AppBuilder;

/// What the words from `first` on say, beside what was said before.
pub(super) fn described(
    mut built: AppBuilder,
    command: &Command,
    first: usize,
) -> Result<AppBuilder, ScriptError> {
    for (name, value) in command.settings(first) {
        let (one, other) = value.split_once(',').unwrap_or((value, value));
        built = match name {
            "instances" => built.instances(command.number_in(value)?),
            "cmd" => built.cmd(value),
            "cpus" => built.cpus(command.number_in(value)?),
            "role" => built.role(value),
            "accept" => built.accepting(&value.split(',').collect::<Vec<_>>()),
            "mem" => built.mem(command.number_in(value)?),
            "label" => built.label("label", value),
            "ports" => built.dynamic_ports(command.number_in(value)?),
            "fixed-port" => built.fixed_port(command.number_in(value)?),
            "constraint" => {
                let (operator, number) = other.split_once(',').unwrap_or((other, ""));
                built.constraint(one, operator, number)
            }
            "unconstrained" => built.unconstrained(),
            "global" => built.global(),
            "binpack" => built.strategy(Strategy::Binpack),
            "depends" => built.depends_on(value),
            "http" => built.http_check(),
            "timing" => {
                let (interval, failures) = other.split_once(',').unwrap_or((other, "3"));
                let (grace, interval) = (command.duration_in(one)?, command.duration_in(interval)?);
                built.check_timing(grace, interval, command.number_in(failures)?)
            }
            "readiness" => built.readiness(),
            "upgrade" => built.upgrade_strategy(command.number_in(one)?, command.number_in(other)?),
            "surge" => built.surge(command.number_in(one)?, command.number_in(other)?),
            "deadline" => built.deadline(command.duration_in(value)?),
            "paused" => built.paused(value != "no"),
            "rollback" => built.auto_rollback(true),
            "backoff" => built.backoff(command.duration_in(one)?, 2.0, command.duration_in(other)?),
            "grace" => built.kill_grace(command.duration_in(value)?),
            "unreachable" => built.unreachable(command.duration_in(one)?, command.duration_in(other)?),
            "unreachable-disabled" => built.unreachable_disabled(),
            wrong => return Err(command.wrong(format!("`{wrong}` is no setting of an app"))),
        };
    }
    Ok(built)
}
