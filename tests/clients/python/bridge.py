"""Keeps HAProxy in step with an app, as the bridges made for Marathon do: `bridge.py SERVER APP HAPROXY FOLDER`.

Follows `/v2/events`; with every event that may move a task it reads the app's tasks, and when those that run and are
healthy are others than before, it writes `haproxy.cfg` and starts HAProxy anew, which takes the listening sockets over
and lets its predecessor finish (`-sf`). HAProxy listens on the app's service port. It does not try again what failed: a
request that meets a task that has gone is to be seen. Ends, and HAProxy with it, when its standard input does.
"""

import http.client
import json
import os
import subprocess
import sys
import threading
import time

CONFIG = """\
global
  maxconn 1000
  hard-stop-after 30s
  stats socket {folder}/haproxy.sock mode 600 level admin expose-fd listeners
defaults
  mode http
  timeout connect 10s
  timeout client 30s
  timeout server 30s
  retries 0
  option http-server-close
frontend app
  bind 127.0.0.1:{port}
  default_backend app
backend app
  balance roundrobin
"""

MOVES = "&".join(f"event_type={kind}" for kind in (
    "event_stream_attached", "status_update_event", "instance_changed_event", "instance_health_changed_event",
    "health_status_changed_event", "deployment_success"))


class Bridge:
    def __init__(self, server, app, haproxy, folder):
        self.address, self.app, self.haproxy, self.folder = server.removeprefix("http://"), app, haproxy, folder
        self.servers, self.processes, self.lock = None, [], threading.Lock()

    def follow(self):
        """Reads the stream, from where it broke if it does."""
        last = None
        while True:
            try:
                connection = http.client.HTTPConnection(self.address, timeout=60)
                resumed = {"Last-Event-ID": last} if last else {}
                connection.request("GET", f"/v2/events?{MOVES}", headers={"Accept": "text/event-stream", **resumed})
                for line in connection.getresponse():
                    field, _, value = line.decode().strip().partition(": ")
                    if field == "id":
                        last = value
                    if field == "data":
                        self.look()
            except OSError as error:
                print(f"bridge: events: {error}", file=sys.stderr, flush=True)
                time.sleep(0.1)

    def look(self):
        """Starts HAProxy anew if the app's healthy tasks are others than before."""
        connection = http.client.HTTPConnection(self.address, timeout=30)
        connection.request("GET", f"/v2/apps/{self.app}/tasks", headers={"Accept": "application/json"})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        if answer.status != 200:
            return
        tasks = [task for task in json.loads(text)["tasks"] if healthy(task)]
        servers = sorted((task["host"], task["ports"][0]) for task in tasks)
        if not servers or servers == self.servers:
            return
        self.servers = servers
        self.start(CONFIG.format(folder=self.folder, port=tasks[0]["servicePorts"][0]) + "".join(
            f"  server s{number} {host}:{port}\n" for number, (host, port) in enumerate(servers)))

    def start(self, config):
        path = f"{self.folder}/haproxy.cfg"
        with open(path + ".new", "w") as file:
            file.write(config)
        os.rename(path + ".new", path)
        with self.lock:
            self.processes = [process for process in self.processes if process.poll() is None]
            over = ["-x", f"{self.folder}/haproxy.sock"] if self.processes else []
            olds = ["-sf", *(str(process.pid) for process in self.processes)] if self.processes else []
            self.processes.append(subprocess.Popen([self.haproxy, "-db", "-f", path, *over, *olds]))
        print(f"bridge: {len(self.servers)} servers", flush=True)

    def end(self):
        with self.lock:
            for process in self.processes:
                process.kill()
            os._exit(0)


def healthy(task):
    """Whether requests may be sent there: it runs, and every check has said that it is well."""
    results = task["healthCheckResults"]
    return task["state"] == "TASK_RUNNING" and results and all(result["alive"] for result in results)


bridge = Bridge(*sys.argv[1:])
threading.Thread(target=bridge.follow, daemon=True).start()
sys.stdin.read()
bridge.end()
