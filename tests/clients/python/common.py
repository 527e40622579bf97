"""What the scripts share: the client as released, patience, and comparisons that say what was compared.

A script is run with the server's address, drives the public client, and ends with an exception where an answer is not
what Marathon's would be. The client itself raises on members that it does not know, so every answer that it has read
is also one without surprises.
"""

import collections
import collections.abc
import sys
import time

# The last release still asks `collections` for it, which Python 3.10 stopped answering.
collections.Iterable = collections.abc.Iterable

import marathon  # noqa: E402
from marathon.models import MarathonApp  # noqa: E402

# Whatever is waited for takes a second or two; a loaded machine may take its time.
PATIENCE_S = 60


def client(**options):
    """The client for the server that the script was given."""
    return marathon.MarathonClient(sys.argv[1], timeout=30, **options)


def sleeper(**fields):
    """An app that runs and does nothing."""
    return MarathonApp(**{"cmd": "exec sleep 1000", "cpus": 0.1, "mem": 16, "instances": 1, **fields})


def same(what, got, expected):
    """Fails unless both are equal."""
    if got != expected:
        raise AssertionError(f"{what}: {got!r}, not {expected!r}")


def true(what, got):
    """Fails unless it is so; what is true is returned."""
    if not got:
        raise AssertionError(f"{what}: {got!r}")
    return got


def raises(error, call):
    """The error that the call must end with."""
    try:
        answer = call()
    except error as raised:
        return raised
    raise AssertionError(f"{error.__name__} was to be raised; there came {answer!r}")


def until(what, look):
    """Waits for `look` to find something."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        found = look()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"{what}: not within {PATIENCE_S} s; last seen {found!r}")
        time.sleep(0.05)


def until_deployed(client, deployment):
    """Waits as `create --wait` of many tools does: until the deployment is no longer listed."""
    identity = deployment["deploymentId"] if isinstance(deployment, dict) else deployment.id
    until(f"deployment {identity} is over", lambda: all(d.id != identity for d in client.list_deployments()))


def until_running(client, app, count):
    """Waits for so many running tasks, and returns them."""

    def running():
        tasks = client.list_tasks(app)
        return tasks if len(tasks) == count and all(t.state == "TASK_RUNNING" for t in tasks) else None

    return until(f"{app} runs {count}", running)
