"""Keeps the events of one site in a file, a line for each: also after a restart, and once each."""
import asyncio, json, os, re, signal
import nats, nats.errors

DURABLE, FILE = os.environ.get("DURABLE", "badges"), os.environ.get("FILE", "events.ndjson")

def exact_source(text):
    """The field "source": the body as Sine sent it. json.loads keeps large integers, but not 1.10 or white space."""
    depth = 0
    for token in re.finditer(rb'"(?:[^"\\]|\\.)*"|[{}[\]]', text):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth == 1 and token[0] == b'"source"' and text[token.end() : token.end() + 1] == b":":
            return text[token.end() + 1 : text.rindex(b"}")].decode()  # it is the last field

def keep(message, seen):
    event, id = json.loads(message.data), message.headers["ce-id"]  # the delivery count does not tell a repeat
    if id in seen or "corrects" in event:  # a correction is no further visitor
        return
    with open(FILE, "a") as file:
        line = {"id": id, "kind": event["kind"], "time": event["time"], "visit": event["visit"].get("value"), "source": exact_source(message.data)}
        file.write(json.dumps(line) + "\n")
    seen.add(id)

async def main():
    nc = await nats.connect(os.environ["NATS_URL"], user=os.environ["NATS_USER"], password=os.environ["NATS_PASSWORD"], max_reconnect_attempts=-1)
    subscription = await nc.jetstream().pull_subscribe_bind(consumer=DURABLE, stream="VISITORS")
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, asyncio.current_task().cancel)
    seen = {json.loads(line)["id"] for line in open(FILE)} if os.path.exists(FILE) else set()
    while True:
        try:
            for message in await subscription.fetch(100, timeout=5):
                keep(message, seen)
                await message.ack()  # only now: what was not acknowledged comes again
        except (nats.errors.TimeoutError, nats.errors.ConnectionClosedError):
            pass  # no events, or NATS is away

try:
    asyncio.run(main())
except asyncio.CancelledError:
    pass
