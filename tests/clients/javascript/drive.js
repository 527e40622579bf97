// Two public clients for JavaScript: `marathon-node` changes apps, and it and `marathon-event-bus-client` follow what
// happens. Run with the server's address; ends with an error where an answer is not what Marathon's would be.
"use strict";

const assert = require("node:assert/strict");
const EventBus = require("marathon-event-bus-client");
const Marathon = require("marathon-node");

const server = new URL(process.argv[2]);
const marathon = Marathon(server.origin + "/");
const PATIENCE_MS = 60_000;

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// Waits for `look` to find something.
async function until(what, look) {
  const deadline = Date.now() + PATIENCE_MS;
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() < deadline, `${what}: not within ${PATIENCE_MS} ms`);
    await pause(50);
  }
}

const app = (id, more) => ({ id, cmd: "exec sleep 1000", cpus: 0.1, mem: 16, instances: 2, ...more });

// The two clients' views of the event stream: one by handlers, one as an event source of its own.
const ended = [];
const bus = new EventBus({
  marathonHost: server.hostname,
  marathonPort: server.port,
  eventTypes: ["deployment_info", "deployment_success", "app_terminated_event"],
  handlers: {
    deployment_info: () => {},
    deployment_success: (name, data) => ended.push([name, data.id]),
    app_terminated_event: (name, data) => ended.push([name, data.appId]),
  },
});
const updates = [];
const source = marathon.events.createEventSource({ eventType: ["status_update_event", "event_stream_attached"] });
source.addEventListener("status_update_event", (event) => updates.push(JSON.parse(event.data)));

const deployed = (id) => until(`deployment ${id} is over`, () => ended.some((event) => event[1] === id));

async function running(id, count) {
  return until(`${id} runs ${count}`, async () => {
    const { tasks } = await marathon.app.getTasks(id);
    return tasks.length === count && tasks.every((task) => task.state === "TASK_RUNNING") && tasks;
  });
}

async function refused(status, message, promise) {
  const error = await promise.then(
    (answer) => assert.fail(`to be refused, not ${JSON.stringify(answer)}`),
    (error) => error,
  );
  assert.deepEqual([error.statusCode, error.error.message], [status, message]);
}

async function main() {
  const attached = new Promise((resolve) => source.addEventListener("event_stream_attached", resolve));
  const subscribed = new Promise((resolve) => bus.on("subscribed", resolve));
  bus.subscribe();
  await Promise.all([attached, subscribed]);

  assert.equal(await marathon.misc.ping(), "pong");
  assert.equal((await marathon.info.get()).elected, true);
  assert.deepEqual(await marathon.leader.get(), { leader: server.host });
  assert.deepEqual(await marathon.app.getList(), { apps: [] });

  // Made.
  const made = await marathon.app.create(app("/js/web", { labels: { tier: "web" } }));
  assert.deepEqual([made.id, made.instances, made.tasksRunning, made.deployments.length], ["/js/web", 2, 0, 1]);
  await deployed(made.deployments[0].id);
  const tasks = await running("/js/web", 2);
  await refused(409, "An app with id [/js/web] already exists.", marathon.app.create(app("/js/web")));
  await refused(404, "App '/js/none' does not exist", marathon.app.getOne("/js/none"));

  // Read.
  const { app: shown } = await marathon.app.getOne("/js/web", { embed: "app.taskStats" });
  assert.deepEqual([shown.tasksRunning, shown.tasks.length, shown.deployments], [2, 2, []]);
  assert.equal(shown.taskStats.totalSummary.stats.counts.running, 2);
  assert.deepEqual((await marathon.app.getList({ label: "tier==web" })).apps.map((found) => found.id), ["/js/web"]);
  assert.deepEqual((await marathon.app.getList({ label: "tier!=web" })).apps, []);
  assert.equal((await marathon.tasks.getList()).tasks.length, 2);
  assert.deepEqual(await marathon.queue.get(), { queue: [] });

  // Changed, rolled back, restarted.
  const changed = await marathon.app.update("/js/web", { env: { A: "1" } }, true);
  await deployed(changed.deploymentId);
  const replaced = await running("/js/web", 2);
  assert.ok(replaced.every((task) => task.version === changed.version && tasks.every((old) => old.id !== task.id)));
  const { versions } = await marathon.app.getVersions("/js/web");
  assert.deepEqual(versions, [changed.version, made.version]);
  assert.deepEqual((await marathon.app.getVersion("/js/web", made.version)).env, {});
  await deployed((await marathon.app.update("/js/web", { version: made.version })).deploymentId);
  assert.deepEqual((await marathon.app.getOne("/js/web")).app.env, {});
  await deployed((await marathon.app.restart("/js/web")).deploymentId);

  // Tasks ended: one that is replaced, one that is not, and by ids.
  const [first] = await running("/js/web", 2);
  assert.equal((await marathon.app.killTask("/js/web", first.id)).task.id, first.id);
  const [next] = await until("it is replaced", async () => {
    const now = await running("/js/web", 2);
    return now.every((task) => task.id !== first.id) && now;
  });
  await deployed((await marathon.app.killTask("/js/web", next.id, true)).deploymentId);
  assert.equal((await marathon.app.getOne("/js/web")).app.instances, 1);
  const [last] = await running("/js/web", 1);
  assert.deepEqual((await marathon.tasks.kill({ ids: [last.id] })).tasks.map((task) => task.id), [last.id]);
  await until("it is replaced", async () => (await running("/js/web", 1))[0].id !== last.id);

  // A deployment under way, and turned round.
  const stuck = await marathon.app.update("/js/web", { cpus: 1000 });
  const [listed] = await marathon.deployments.getList();
  assert.deepEqual([listed.id, listed.affectedApps, listed.currentActions[0].action],
    [stuck.deploymentId, ["/js/web"], "RestartApplication"]);
  const [waiting] = await until("it waits", async () => (await marathon.queue.get()).queue.length > 0
    && (await marathon.queue.get()).queue);
  assert.deepEqual([waiting.app.id, waiting.delay.overdue], ["/js/web", true]);
  await deployed((await marathon.deployments.destroy(stuck.deploymentId)).deploymentId);

  // A group, with an app of its own.
  await deployed((await marathon.groups.create({ id: "/team", apps: [app("one", { instances: 1 })] })).deploymentId);
  const group = await marathon.groups.getOne("/team");
  assert.deepEqual([group.id, group.apps.map((of) => of.id), group.groups], ["/team", ["/team/one"], []]);
  await deployed((await marathon.groups.update("/team", { scaleBy: 2 })).deploymentId);
  await running("/team/one", 2);
  await refused(404, "Group '/none' does not exist", marathon.groups.getOne("/none"));
  await deployed((await marathon.groups.destroy("/team", true)).deploymentId);
  assert.deepEqual((await marathon.groups.getList()).groups.map((below) => below.id), ["/js"]);

  // Removed.
  await deployed((await marathon.app.destroy("/js/web")).deploymentId);
  assert.deepEqual(await marathon.app.getList(), { apps: [] });
  await until("both streams have told", () => ended.some((event) => event[0] === "app_terminated_event")
    && updates.some((update) => update.taskId === first.id && update.taskStatus === "TASK_KILLED"));
  const ran = updates.find((update) => update.taskId === first.id && update.taskStatus === "TASK_RUNNING");
  assert.deepEqual([ran.appId, ran.host, ran.ports], ["/js/web", first.host, first.ports]);
}

main().then(
  () => process.exit(0),
  (error) => {
    console.error(error);
    process.exit(1);
  },
);
