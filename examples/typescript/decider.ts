// Decides the check-in requests of one site: visitors whom the watchlist service knows are rejected.
import { Svcm } from "@nats-io/services";
import { connect } from "@nats-io/transport-node";
import type { CheckInRequest } from "./contract/check-in-request.js";
import type { Decision } from "./contract/decision.js";

const { NATS_URL, NATS_USER, NATS_PASSWORD, WATCHLIST_URL, SITE = "hq", CONCURRENCY = "64" } = process.env;

async function decide(request: CheckInRequest, signal: AbortSignal): Promise<Decision> {
  const answer = await fetch(WATCHLIST_URL!, { method: "POST", body: JSON.stringify(request.person), signal });
  if (!answer.ok) throw new Error(`the watchlist answered ${answer.status}`);
  if ((await answer.json()).listed === false) return { decision: "accept", visitorText: "Welcome!" };
  return { decision: "reject", visitorText: "Please see reception." };
}

const nc = await connect({ servers: NATS_URL, user: NATS_USER, pass: NATS_PASSWORD, maxReconnectAttempts: -1 });
const stats = { decided: 0, failed: 0, overloaded: 0, expired: 0 }; // sine-relay deciders shows them
const metadata = { decider: "default", sites: SITE }, statsHandler = async () => stats;
const service = await new Svcm(nc).add({ name: "sine-relay-decider", version: "1.0.0", metadata, statsHandler });
let inFlight = 0;
service.addEndpoint(SITE, {
  subject: `visitors.v1.ask.${SITE}.default`,
  handler: async (_, message) => {
    const deadline = AbortSignal.timeout(Number(message.headers?.get("Sine-Relay-Timeout-Ms") || 10_000));
    if (inFlight >= Number(CONCURRENCY)) return void (stats.overloaded++, message.respondError(503, "overloaded"));
    inFlight++;
    try {
      const decision = await decide(message.json<CheckInRequest>(), deadline);
      deadline.throwIfAborted(); // nobody waits for it any more
      message.respond(JSON.stringify(decision));
      stats.decided++;
    } catch { // whose text may have personal data
      if (deadline.aborted) stats.expired++;
      else stats.failed++, message.respondError(500, "the decider failed");
    } finally { inFlight--; }
  },
});
process.once("SIGTERM", () => nc.drain());
