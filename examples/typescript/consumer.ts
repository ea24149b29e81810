// Keeps the events of one site in a file, a line for each: also after a restart, and once each.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { AckPolicy, DeliverPolicy, jetstream, jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import type { Event } from "./contract/event.js";
import { exactSource } from "./source.js";

const { NATS_URL, NATS_USER, NATS_PASSWORD, DURABLE = "badges", SITE = "hq", SINCE, FILE = "events.ndjson" } = process.env;

// The client does not read user and password from the URL, and gives up after 10 attempts unless it is set.
const nc = await connect({ servers: NATS_URL, user: NATS_USER, pass: NATS_PASSWORD, maxReconnectAttempts: -1 });
if (SINCE) { // where an administrator has not made the durable; without deliver_policy it begins with the oldest event
  const manager = await jetstreamManager(nc, { checkAPI: false });
  await manager.consumers.add("VISITORS", {
    durable_name: DURABLE, filter_subject: `visitors.v1.event.${SITE}.>`, ack_policy: AckPolicy.Explicit,
    max_ack_pending: -1, deliver_policy: DeliverPolicy.StartTime, opt_start_time: SINCE,
  });
}
const seen = new Set((existsSync(FILE) ? readFileSync(FILE, "utf8") : "").split("\n").filter(Boolean).map((line) => JSON.parse(line).id));
const consumer = await jetstream(nc).consumers.get("VISITORS", DURABLE);
const messages = await consumer.consume();
process.once("SIGTERM", () => messages.close().then(() => nc.drain()));
for await (const message of messages) {
  try {
    const id = message.headers!.get("ce-id"); // the delivery count does not tell a repeat
    const event = message.json<Event>();
    if (!seen.has(id) && !event.corrects) { // a correction is no further visitor
      appendFileSync(FILE, JSON.stringify({ id, kind: event.kind, time: event.time, visit: event.visit.value, source: exactSource(message.data)?.toString() }) + "\n");
      seen.add(id);
    }
    message.ack(); // only now: what was not acknowledged comes again
  } catch {
    message.nak(5_000);
  }
}
