"""Decides the check-in requests of one site: visitors whom the watchlist service knows are rejected."""
import asyncio, json, os, signal, urllib.request
from concurrent.futures import ThreadPoolExecutor
import nats, nats.micro

SITE, CONCURRENCY = os.environ.get("SITE", "hq"), int(os.environ.get("CONCURRENCY", "64"))
running = set()

def decide(request, seconds):
    question = urllib.request.Request(os.environ["WATCHLIST_URL"], json.dumps(request["person"]).encode())
    with urllib.request.urlopen(question, timeout=seconds) as answer:
        if json.load(answer)["listed"] is False:
            return {"decision": "accept", "visitorText": "Welcome!"}
    return {"decision": "reject", "visitorText": "Please see reception."}

async def answer(message):
    seconds = int((message.headers or {}).get("Sine-Relay-Timeout-Ms", "10000")) / 1000
    try:
        decision = await asyncio.to_thread(decide, json.loads(message.data), seconds)
        await message.respond(json.dumps(decision).encode())
    except TimeoutError:
        pass  # nobody waits for the decision any more
    except Exception:  # whose text may have personal data
        await message.respond_error("500", "the decider failed")

async def receive(message):  # the client calls it for the next request only when it has returned
    if len(running) >= CONCURRENCY:
        return await message.respond_error("503", "overloaded")
    task = asyncio.create_task(answer(message))
    running.add(task)
    task.add_done_callback(running.discard)

async def main():
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(CONCURRENCY))
    nc = await nats.connect(os.environ["NATS_URL"], user=os.environ["NATS_USER"], password=os.environ["NATS_PASSWORD"], max_reconnect_attempts=-1)
    service = await nats.micro.add_service(nc, name="sine-relay-decider", version="1.0.0", metadata={"decider": "default", "sites": SITE})
    await service.add_endpoint(name=SITE, subject=f"visitors.v1.ask.{SITE}.default", handler=receive)
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    await stop.wait()
    await nc.drain()

asyncio.run(main())
