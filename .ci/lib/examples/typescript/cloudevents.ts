// The CloudEvents SDK as a peer of the relay.
//
//   MODE=read    prints what the SDK makes of every event of the durable "badges"
//   MODE=write   publishes what the SDK makes of an EVENT
import { jetstream } from "@nats-io/jetstream";
import { connect, headers, type MsgHdrs } from "@nats-io/transport-node";
import { CloudEvent, HTTP } from "cloudevents";
import type { Event } from "./contract/event.js";

const { NATS_URL, NATS_USER, NATS_PASSWORD, MODE, EVENT } = process.env;
const nc = await connect({ servers: NATS_URL, user: NATS_USER, pass: NATS_PASSWORD });
await (MODE === "read" ? read() : write(JSON.parse(EVENT!)));

async function read() {
  const messages = await (await jetstream(nc).consumers.get("VISITORS", "badges")).consume();
  process.once("SIGTERM", () => messages.close().then(() => nc.drain()));
  for await (const message of messages) {
    const event = HTTP.toEvent({ headers: lowerCase(message.headers!), body: message.string() }) as CloudEvent<Event>;
    event.validate();
    console.log(JSON.stringify(event));
    message.ack();
  }
}

// The SDK finds headers by their names in lower case.
function lowerCase(all: MsgHdrs) {
  return Object.fromEntries(all.keys().map((name) => [name.toLowerCase(), all.get(name)]));
}

async function write(data: Event) {
  const event = new CloudEvent({
    id: data.id, type: `io.github.sine-relay.visit.${data.kind}.v1`, source: `/sites/${data.site}/integrations/${data.integration}`,
    time: data.time, subject: data.visit.value, datacontenttype: "application/json", data,
  });
  const message = HTTP.binary(event);
  const h = headers();
  for (const [name, value] of Object.entries(message.headers)) h.append(name, String(value));
  h.append("Nats-Msg-Id", event.id);
  const stored = await nc.request(`visitors.v1.event.${data.site}.${data.kind}`, message.body as string, { headers: h, timeout: 5_000 });
  console.log(stored.string());
  await nc.drain();
}
