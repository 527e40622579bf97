"""Tasks: listed, as endpoints, ended one by one, all at once, and with the app scaled down."""

import datetime

from common import client, same, sleeper, true, until, until_deployed, until_running

c = client()
c.create_app("/web", sleeper(instances=3, port_definitions=[{"port": 0, "name": "http"}, {"port": 0, "name": "admin"}]))
c.create_app("/other", sleeper(instances=1))
tasks = until_running(c, "/web", 3)
until_running(c, "/other", 1)

# Listed, with what load balancers read.
for task in tasks:
    same("whose", task.app_id, "/web")
    true("where", task.host and task.slave_id)
    true("since when", isinstance(task.staged_at, datetime.datetime) and isinstance(task.started_at, datetime.datetime))
    same("ports", (len(task.ports), len(task.service_ports)), (2, 2))
    same("of which version", task.version, c.get_app("/web").version)
    same("the rest", (task.health_check_results, task.local_volumes, task.role), ([], [], "*"))
same("no port twice", len({port for task in tasks for port in task.ports}), 6)
same("all of them", len(c.list_tasks()), 4)
same("by host", len(c.list_tasks(host=tasks[0].host)), 4)
endpoints = [endpoint for endpoint in c.list_endpoints() if endpoint.app_id == "/web"]
same("endpoints", {(e.host, e.task_port) for e in endpoints}, {(t.host, port) for t in tasks for port in t.ports})
same("service ports", {e.service_port for e in endpoints}, {p.port for p in c.get_app("/web").port_definitions})

# One is ended, and replaced.
killed = c.kill_task("/web", tasks[0].id)
same("which", killed.id, tasks[0].id)
until("it is replaced", lambda: len(t := c.list_tasks("/web")) == 3 and tasks[0].id not in {task.id for task in t})

# One is ended, and not replaced.
victim = until_running(c, "/web", 3)[0].id
until_deployed(c, c.kill_task("/web", victim, scale=True))
same("one fewer", (c.get_app("/web").instances, len(until_running(c, "/web", 2))), (2, 2))
true("that one", victim not in {task.id for task in c.list_tasks("/web")})

# Some, by their ids.
ids = [task.id for task in until_running(c, "/web", 2)]
same("taken", c.kill_given_tasks(ids), True)
until("both are replaced", lambda: not set(ids) & {t.id for t in c.list_tasks("/web")} and len(c.list_tasks("/web")) == 2)
until_running(c, "/web", 2)

# All, on one host.
same("none there", c.kill_tasks("/web", host="no.such.host"), [])
before = {task.id for task in c.list_tasks("/web")}
same("all", {task.id for task in c.kill_tasks("/web", host=tasks[0].host, wipe=True)}, before)
until("all are replaced", lambda: not before & {t.id for t in c.list_tasks("/web")} and len(c.list_tasks("/web")) == 2)
until_running(c, "/web", 2)

# All, and the app with them.
until_deployed(c, c.kill_tasks("/web", scale=True))
same("none is wanted", (c.get_app("/web").instances, c.list_tasks("/web")), (0, []))
same("the other app's task", len(c.list_tasks()), 1)
