"""The event stream, as the client reads it: every event of an app's life, in order, and only those asked for."""

import threading

from common import client, same, sleeper, true, until, until_deployed, until_running
from marathon.models import events as kinds
from marathon.models import MarathonHealthCheck


def follow(**options):
    """Collects events in the background, from now on."""
    seen = []

    def read():
        for event in client().event_stream(**options):
            seen.append(event)

    threading.Thread(target=read, daemon=True).start()
    return seen


c = client()
seen = follow()
raw = follow(raw=True, event_types=["deployment_success", "event_stream_attached"])
asked = follow(event_types=[kinds.MarathonStatusUpdateEvent])
until("attached", lambda: seen and raw)
same("the first one", type(seen[0]), kinds.MarathonEventStreamAttached)
true("whence and when", seen[0].remote_address and seen[0].timestamp)

check = MarathonHealthCheck(protocol="COMMAND", command="true", interval_seconds=1, delay_seconds=0)
made = c.create_app("/web", sleeper(instances=1, health_checks=[check]))
[task] = until_running(c, "/web", 1)
until_deployed(c, made.deployments[0])
until_deployed(c, c.update_app("/web", sleeper(env={"A": "1"}, instances=1)))
until_deployed(c, c.delete_app("/web"))
until("three deployments are over", lambda: sum(e.event_type == "deployment_success" for e in seen) == 3)


def of(kind):
    return [event for event in seen if isinstance(event, kind)]


# A deployment is told of once more with each of its steps.
begun = list({event.plan.id: event for event in of(kinds.MarathonDeploymentInfo)}.values())
same("deployments begun", len(begun), 3)
same("steps begun", len(of(kinds.MarathonDeploymentInfo)), sum(len(event.plan.steps) for event in begun))
same("and ended", [event.id for event in of(kinds.MarathonDeploymentSuccess)], [event.plan.id for event in begun])
same("what they did", [[a.action for step in event.plan.steps for a in step.actions] for event in begun],
     [["StartApplication", "ScaleApplication"], ["RestartApplication"], ["StopApplication"]])
true("plans have all their members", all(event.plan.version and event.plan.original and event.plan.target for event in begun))
true("steps", len(of(kinds.MarathonDeploymentStepSuccess)) >= 3)
true("groups changed", {e.group_id for e in of(kinds.MarathonGroupChangeSuccess)} <= {"/", "/web"}
     and of(kinds.MarathonGroupChangeSuccess))
states = [event.task_status for event in of(kinds.MarathonStatusUpdateEvent) if event.task_id == task.id]
same("a task's life", (states[-2:], "TASK_STAGING" in states or "TASK_STARTING" in states),
     (["TASK_RUNNING", "TASK_KILLED"], True) if "TASK_KILLING" not in states else (["TASK_KILLING", "TASK_KILLED"], True))
running = next(e for e in of(kinds.MarathonStatusUpdateEvent) if e.task_status == "TASK_RUNNING")
same("what it says", (running.app_id, running.host, running.slave_id, running.ports, running.version),
     ("/web", task.host, task.slave_id, task.ports, task.version))
changed = of(kinds.MarathonInstanceChangedEvent)
true("instances", {"Running", "Killed"} <= {event.condition for event in changed})
true("their app and version", all(event.run_spec_id == "/web" and event.run_spec_version for event in changed))
healthy = of(kinds.MarathonInstanceHealthChangedEvent)
true("health", any(event.run_spec_id == "/web" and event.healthy for event in healthy))
same("the app has ended", [event.app_id for event in of(kinds.MarathonAppTerminatedEvent)], ["/web"])
order = [event.event_type for event in seen]
true("in this order", order.index("event_stream_attached") < order.index("deployment_info")
     < order.index("deployment_step_success") < order.index("app_terminated_event"))
posted = of(kinds.MarathonApiPostEvent)
true("who changed what", posted and posted[0].uri == "/v2/apps" and posted[0].app_definition["id"] == "/web")

same("as text, filtered", len([event for event in raw if '"deployment_success"' in event]), 3)
true("and nothing else", all('"deployment_success"' in event or '"event_stream_attached"' in event for event in raw))
until("those asked for", lambda: len(asked) == len(of(kinds.MarathonStatusUpdateEvent)))
same("only those", {type(event) for event in asked}, {kinds.MarathonStatusUpdateEvent})
