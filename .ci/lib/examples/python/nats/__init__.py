"""A stand-in for nats-py, where that cannot be installed: as much of its interface as
examples/python uses, over a plain socket and with the standard library. What goes over the
wire is tested with it, how nats-py is called is not."""
import asyncio
import json
import uuid
from urllib.parse import urlsplit

from . import errors
from .messages import Message, encode_headers, read_message


async def connect(server, user, password, max_reconnect_attempts):
    assert max_reconnect_attempts == -1
    client = Client(server, user, password)
    await client.open()
    client.task = asyncio.create_task(client.run())
    return client


class Client:
    def __init__(self, server, user, password):
        url = urlsplit(server if "//" in server else "nats://" + server)
        self.address, self.credentials = (url.hostname, url.port), {"user": user, "pass": password}
        self.subscriptions = {}  # by number: subject, queue group and what is called
        self.task = None

    async def open(self):
        self.reader, self.writer = await asyncio.open_connection(*self.address)
        await self.reader.readline()  # INFO
        options = {**self.credentials, "verbose": False, "headers": True, "no_responders": True, "lang": "python", "version": "0"}
        self.writer.write(b"CONNECT " + json.dumps(options).encode() + b"\r\n")
        for number, (subject, queue, _) in self.subscriptions.items():
            self.send(f"SUB {subject} {queue} {number}")
        await self.flush()

    def send(self, line, payload=b""):
        self.writer.write(line.encode() + b"\r\n" + payload)

    async def flush(self):
        self.send("PING")
        await self.writer.drain()

    async def run(self):
        while True:
            try:
                await self.receive()
            except (OSError, asyncio.IncompleteReadError):
                await self.reopen()

    async def reopen(self):
        while True:
            try:
                return await self.open()
            except OSError:
                await asyncio.sleep(0.05)

    async def receive(self):
        line = await self.reader.readline()
        if not line:
            raise OSError("closed")
        verb = line.split()[0].upper()
        if verb == b"PING":
            self.send("PONG")
        elif verb == b"-ERR":
            raise SystemExit(line.decode())
        elif verb in (b"MSG", b"HMSG"):
            number, message = await read_message(self, line, self.reader)
            await self.subscriptions[number][2](message)

    async def subscribe(self, subject, queue="", cb=None):
        number = len(self.subscriptions) + 1
        self.subscriptions[number] = (subject, queue, cb)
        self.send(f"SUB {subject} {queue} {number}")
        await self.flush()

    async def publish(self, subject, data=b"", reply="", headers=None):
        if headers:
            head = encode_headers(headers)
            self.send(f"HPUB {subject} {reply} {len(head)} {len(head) + len(data)}", head + data + b"\r\n")
        else:
            self.send(f"PUB {subject} {reply} {len(data)}", data + b"\r\n")
        await self.writer.drain()

    async def drain(self):
        await self.writer.drain()
        self.task.cancel()

    def jetstream(self):
        return self

    async def pull_subscribe_bind(self, consumer, stream):
        pull = Pull(self, f"$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}")
        await self.subscribe(pull.inbox, cb=pull.messages.put)
        return pull


class Pull:
    def __init__(self, client, subject):
        self.client, self.subject = client, subject
        self.inbox, self.messages = "_INBOX." + uuid.uuid4().hex, asyncio.Queue()

    async def fetch(self, batch, timeout):
        request = {"batch": batch, "expires": int(timeout * 1e9)}
        await self.client.publish(self.subject, json.dumps(request).encode(), self.inbox)
        try:
            first = await asyncio.wait_for(self.messages.get(), timeout)
        except asyncio.TimeoutError:
            raise errors.TimeoutError from None
        messages = [first]
        while not self.messages.empty():
            messages.append(self.messages.get_nowait())
        return [m for m in messages if m.reply]  # a status has none
