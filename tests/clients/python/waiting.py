"""The queue: what waits for a place, why, and how long after failures."""

import datetime

from common import client, same, sleeper, true, until, until_running
from marathon.util import to_datetime

REASONS = ["UnfulfilledRole", "UnfulfilledConstraint", "NoCorrespondingReservationFound", "AgentMaintenance",
           "InsufficientCpus", "InsufficientMemory", "InsufficientDisk", "InsufficientGpus", "InsufficientPorts",
           "DeclinedScarceResources"]

c = client()
same("nothing waits", c.list_queue(), [])
c.create_app("/large", sleeper(cpus=1000, instances=2))
item = until("offers were refused", lambda: next(
    (i for i in c.list_queue() if i.processed_offers_summary["unusedOffersCount"] > 0), None))
same("which", (item.app.id, item.app.cpus, item.count), ("/large", 1000, 2))
same("no delay", (item.delay.time_left_seconds, item.delay.overdue), (0, True))
true("since when", isinstance(to_datetime(item.since), datetime.datetime))
summary = item.processed_offers_summary
for rows in ("rejectSummaryLastOffers", "rejectSummaryLaunchAttempt"):
    same(rows, [row["reason"] for row in summary[rows]], REASONS)
    declined = {row["reason"]: row["declined"] for row in summary[rows] if row["declined"]}
    true("for want of cpus", list(declined) == ["InsufficientCpus"])
true("offers", summary["processedOffersCount"] >= summary["unusedOffersCount"] > 0)
[item] = c.list_queue(embed_last_unused_offers=True)
for unused in item.last_unused_offers:
    true("offer, reasons, time", unused["offer"]["hostname"] and unused["reason"] and to_datetime(unused["timestamp"]))

# Whatever fails waits; to reset the wait starts it at once.
c.create_app("/failing", sleeper(cmd="exit 3", backoff_seconds=300, max_launch_delay_seconds=600))
waiting = until("it waits", lambda: next(
    (i for i in c.list_queue() if i.app.id == "/failing" and i.delay.time_left_seconds > 60), None))
same("not overdue", waiting.delay.overdue, False)
failure = c.get_app("/failing").last_task_failure
same("why", (failure.app_id, failure.state), ("/failing", "TASK_FAILED"))
true("where and when", failure.host and failure.task_id and failure.version and failure.timestamp)
c.reset_delay("/failing")
until("it has been tried again", lambda: c.get_app("/failing").last_task_failure.task_id != failure.task_id)

# Nobody asks for it any more.
c.delete_app("/large", force=True)
c.delete_app("/failing", force=True)
until("nothing waits", lambda: not c.list_queue())
c.create_app("/small", sleeper())
until_running(c, "/small", 1)
same("what runs does not wait", c.list_queue(), [])
