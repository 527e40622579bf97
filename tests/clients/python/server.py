"""What is said of the server itself."""

from common import client, marathon, raises, same, true

c = client()
info = c.get_info()
same("elected", info.elected, True)
same("a version that clients choose their dialect by", info.version.split(".")[0], "1")
true("the leader's address", sys_address := info.leader)
same("ports", (info.http_config.http_port, info.http_config.https_port), (int(sys_address.split(":")[1]), None))
same("service ports", (info.marathon_config.local_port_min, info.marathon_config.local_port_max), (10000, 20000))
same("features", info.marathon_config.features, [])
same("there is no ZooKeeper", set(vars(info.zookeeper_config).values()), {None})
same("leader", c.get_leader(), {"leader": info.leader})
same("ping", c.ping(), b'"pong"')
metrics = c.get_metrics()
same("metrics", sorted(metrics), ["counters", "gauges", "histograms", "meters", "timers", "version"])
true("numbers", metrics["gauges"] and all("value" in gauge for gauge in metrics["gauges"].values()))
refused = raises(marathon.exceptions.MarathonHttpError, c.delete_leader)
same("nobody else could lead", refused.status_code, 409)
true("and why", "one ekiden" in refused.error_message)
