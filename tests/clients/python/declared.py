"""An app that a manifest declares: read like any other, and changed in its file, not by clients."""

from common import MarathonApp, client, marathon, raises, same, true, until, until_running

c = client()
until("the app of the manifest", lambda: [app.id for app in c.list_apps()] == ["/prod/web"])
until_running(c, "/prod/web", 1)
app = c.get_app("/prod/web")
same("as it is in the file", (app.cmd, app.labels, app.instances), ("exec sleep 1000", {"from": "git"}, 1))
for what, call in (
    ("changed", lambda: c.update_app("/prod/web", MarathonApp(instances=2))),
    ("scaled", lambda: c.scale_app("/prod/web", instances=2, force=True)),
    ("removed", lambda: c.delete_app("/prod/web")),
):
    refused = raises(marathon.exceptions.ConflictError, call)
    true(f"where it is {what}: {refused}", "prod/web.yaml, line 1" in refused.error_message)
same("nothing has changed", (c.get_app("/prod/web").instances, len(c.list_tasks())), (1, 1))

# To end a task or to restart declares nothing, and is for everybody.
[task] = c.list_tasks("/prod/web")
same("which", c.kill_task("/prod/web", task.id).id, task.id)
until("it is replaced", lambda: [t.id for t in until_running(c, "/prod/web", 1)] != [task.id])
