"""Apps: made, found, changed, scaled, rolled back, restarted, removed; and their deployments."""

import datetime

from common import MarathonApp, client, marathon, raises, same, sleeper, true, until, until_deployed, until_running
from marathon.models import MarathonConstraint, MarathonHealthCheck

c = client()
same("nothing yet", c.list_apps(), [])

# Made: with everything that the client has a class for.
rich = sleeper(
    instances=2,
    env={"A": "1"},
    labels={"tier": "web", "HAPROXY_GROUP": "external"},
    constraints=[MarathonConstraint("hostname", "LIKE", ".*")],
    health_checks=[MarathonHealthCheck(protocol="COMMAND", command="true", interval_seconds=1, delay_seconds=0)],
    upgrade_strategy=marathon.models.app.MarathonUpgradeStrategy(minimum_health_capacity=0.5),
    max_launch_delay_seconds=60,
)
made = c.create_app("/prod/web", rich)
true("the app is answered", isinstance(made, MarathonApp))
same("its id", made.id, "/prod/web")
same("its deployments", len(made.deployments), 1)
same("nothing runs yet", (made.tasks_staged, made.tasks_running, made.tasks_healthy, made.tasks_unhealthy), (0, 0, 0, 0))
until_deployed(c, made.deployments[0])
conflict = raises(marathon.exceptions.ConflictError, lambda: c.create_app("/prod/web", rich))
same("why not twice", conflict.error_message, "An app with id [/prod/web] already exists.")

# Read: defaults are filled in, and no legacy form is echoed.
app = c.get_app("/prod/web", embed_tasks=True, embed_counts=True, embed_readiness=True, embed_task_stats=True)
same("cmd", app.cmd, "exec sleep 1000")
same("counts", (app.instances, app.tasks_running, app.tasks_staged), (2, 2, 0))
same("env and labels", (app.env, app.labels), ({"A": "1"}, {"tier": "web", "HAPROXY_GROUP": "external"}))
same("constraints", [repr(x) for x in app.constraints], ["MarathonConstraint::hostname:LIKE:.*"])
same("upgrade", (app.upgrade_strategy.minimum_health_capacity, app.upgrade_strategy.maximum_over_capacity), (0.5, 1.0))
same("backoff", (app.backoff_seconds, app.backoff_factor, app.max_launch_delay_seconds), (1, 1.15, 60))
same("kill selection", app.kill_selection, "YOUNGEST_FIRST")
same("unreachable", (app.unreachable_strategy.inactive_after_seconds, app.unreachable_strategy.expunge_after_seconds), (0, 0))
same("networks", app.networks, [{"mode": "host"}])
same("legacy forms", (app.ports, app.uris, app.accepted_resource_roles), ([], [], None))
[check] = app.health_checks
same("check", (check.protocol, check.command, check.timeout_seconds, check.max_consecutive_failures),
     ("COMMAND", {"value": "true"}, 20, 3))
[port] = app.port_definitions
true("a service port", 10000 <= port.port <= 20000)
true("when it was scaled", isinstance(app.version_info.last_scaling_at, datetime.datetime))
same("the sum of the statistics", app.task_stats.total_summary.stats.counts.running, 2)
same("its tasks", {t.app_id for t in app.tasks}, {"/prod/web"})

# Found: every filter that the client has.
c.create_app("/stage/web", sleeper(cmd="exec sleep 2000", labels={"tier": "web"}, instances=0))
ids = lambda **filters: sorted(app.id for app in c.list_apps(**filters))  # noqa: E731
same("all", ids(), ["/prod/web", "/stage/web"])
same("by part of the id", ids(app_id="STAGE"), ["/stage/web"])
same("by cmd", ids(cmd="sleep 2000"), ["/stage/web"])
same("by label", ids(label="tier==web,HAPROXY_GROUP"), ["/prod/web"])
same("by what the client compares itself", ids(instances=0), ["/stage/web"])
everything = c.list_apps(embed_tasks=True, embed_counts=True, embed_deployments=True, embed_readiness=True,
                         embed_last_task_failure=True, embed_failures=True, embed_task_stats=True)
same("with tasks", [len(app.tasks) for app in everything], [2, 0])
absent = raises(marathon.exceptions.NotFoundError, lambda: c.get_app("/prod/none"))
same("what is not there", absent.error_message, "App '/prod/none' does not exist")

# Changed: the whole app as it was read, sent back with one change, replaces every task.
before = {task.id for task in until_running(c, "/prod/web", 2)}
first = app.version
app.env["A"] = "2"
changed = c.update_app("/prod/web", app)
true("a deployment", changed["deploymentId"] and changed["version"])
until_deployed(c, changed)
after = {task.id for task in until_running(c, "/prod/web", 2)}
same("tasks that survived", before & after, set())
same("env", c.get_app("/prod/web").env, {"A": "2"})

# Sent back as it was read, nothing happens to the tasks.
until_deployed(c, c.update_app("/prod/web", c.get_app("/prod/web")))
same("tasks that survived", {task.id for task in until_running(c, "/prod/web", 2)}, after)

# Many in one deployment.
both = c.update_apps([MarathonApp(id="/prod/web", labels={"tier": "front"}), MarathonApp(id="/stage/web", instances=1)])
until_deployed(c, both)
same("labels", c.get_app("/prod/web").labels, {"tier": "front"})
same("instances", len(until_running(c, "/stage/web", 1)), 1)

# Scaled: what runs is kept.
until_deployed(c, c.scale_app("/prod/web", instances=3))
true("those that ran before", after <= {task.id for task in until_running(c, "/prod/web", 3)})
until_deployed(c, c.scale_app("/prod/web", delta=-2))
same("one is left", len(until_running(c, "/prod/web", 1)), 1)

# Rolled back, by version.
versions = c.list_versions("/prod/web")
true("the first one is known", first in versions)
same("as it was", c.get_version("/prod/web", first).env, {"A": "1"})
until_deployed(c, c.rollback_app("/prod/web", first))
back = c.get_app("/prod/web")
same("as it was", (back.env, back.instances, back.labels["tier"]), ({"A": "1"}, 2, "web"))

# Restarted: every task is another.
before = {task.id for task in until_running(c, "/prod/web", 2)}
until_deployed(c, c.restart_app("/prod/web"))
same("tasks that survived", before & {task.id for task in until_running(c, "/prod/web", 2)}, set())

# Refused, in Marathon's words.
wrong = raises(marathon.exceptions.MarathonHttpError, lambda: c.update_app("/prod/web", MarathonApp(cpus=-1)))
same("status", wrong.status_code, 422)
same("why", (wrong.error_message, wrong.error_details[0]["path"]), ("Object is not valid", "/cpus"))

# A deployment that cannot end is listed as what it is, and turned round.
stuck = c.update_app("/prod/web", MarathonApp(constraints=[MarathonConstraint("hostname", "LIKE", "nowhere")], cpus=0.2))
[deployment] = until("a deployment", c.list_deployments)
same("it", (deployment.id, deployment.affected_apps, deployment.affected_pods), (stuck["deploymentId"], ["/prod/web"], []))
same("steps", [[action.action for action in step.actions] for step in deployment.steps], [["RestartApplication"]])
same("now", [(a.action, a.app) for a in deployment.current_actions], [("RestartApplication", "/prod/web")])
same("how far", (deployment.current_step, deployment.total_steps), (1, 1))
same("the app says so, too", [d.id for d in c.get_app("/prod/web").deployments], [stuck["deploymentId"]])
turned = c.delete_deployment(deployment.id)
true("another one", turned["deploymentId"] != stuck["deploymentId"])
until_deployed(c, turned)
same("as before", (c.get_app("/prod/web").cpus, len(until_running(c, "/prod/web", 2))), (0.1, 2))

# Or left where it stands.
stuck = c.update_app("/prod/web", MarathonApp(constraints=[MarathonConstraint("hostname", "LIKE", "nowhere")], cpus=0.2))
same("nothing is said", c.delete_deployment(stuck["deploymentId"], force=True), {})
until("it is over", lambda: not c.list_deployments())

# Removed.
gone = c.delete_app("/prod/web")
until_deployed(c, gone)
raises(marathon.exceptions.NotFoundError, lambda: c.get_app("/prod/web"))
until_deployed(c, c.delete_app("/stage/web", force=True))
same("nothing is left", (c.list_apps(), c.list_tasks()), ([], []))
