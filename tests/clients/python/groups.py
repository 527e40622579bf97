"""Groups: made with apps in them, read, changed, scaled, rolled back, removed."""

from common import client, marathon, raises, same, sleeper, true, until_deployed, until_running
from marathon.models import MarathonGroup

c = client()
same("no groups yet", c.list_groups(), [])
same("the root is there", c.get_group("").id, "/")

made = c.create_group(MarathonGroup(
    id="/shop",
    apps=[sleeper(id="web", dependencies=["/shop/db/one"], instances=2)],
    groups=[MarathonGroup(id="db", apps=[sleeper(id="one")])],
))
until_deployed(c, made)
group = c.get_group("/shop")
same("its apps", [(app.id, app.instances) for app in group.apps], [("/shop/web", 2)])
same("groups in it", [(g.id, [app.id for app in g.apps]) for g in group.groups], [("/shop/db", ["/shop/db/one"])])
same("dependencies", (group.apps[0].dependencies, group.dependencies), (["/shop/db/one"], []))
same("listed", [g.id for g in c.list_groups()], ["/shop"])
same("as an app", c.get_app("/shop/db/one").id, "/shop/db/one")
first = group.version
raises(marathon.exceptions.ConflictError, lambda: c.create_group(MarathonGroup(id="/shop")))
raises(marathon.exceptions.NotFoundError, lambda: c.get_group("/none"))

before = {task.id for task in until_running(c, "/shop/web", 2)}
until_deployed(c, c.scale_group("/shop", 2))
same("doubled", (len(until_running(c, "/shop/web", 4)), len(until_running(c, "/shop/db/one", 2))), (4, 2))
true("nothing was restarted", before <= {task.id for task in c.list_tasks("/shop/web")})

group = c.get_group("/shop")
group.apps[0].env = {"A": "1"}
until_deployed(c, c.update_group("/shop", group))
same("changed", c.get_app("/shop/web").env, {"A": "1"})
same("not changed", c.get_app("/shop/db/one").env, {})

until_deployed(c, c.delete_group("/shop/db", force=True))
same("gone", sorted(app.id for app in c.list_apps()), ["/shop/web"])
until_deployed(c, c.delete_group("/shop", force=True))
same("nothing is left", (c.list_groups(), c.list_apps()), ([], []))
true("a version was known", first)
