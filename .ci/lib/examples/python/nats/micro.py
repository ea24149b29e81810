import json
import uuid


async def add_service(client, name, version, metadata):
    service = Service(client, name, version, metadata)
    for verb in ("PING", "INFO", "STATS"):
        for suffix in ("", "." + name, f".{name}.{service.identity['id']}"):
            await client.subscribe(f"$SRV.{verb}{suffix}", cb=service.answers(verb))
    return service


class Service:
    def __init__(self, client, name, version, metadata):
        self.client, self.endpoints = client, []
        self.identity = {"name": name, "id": uuid.uuid4().hex, "version": version, "metadata": metadata}

    def answers(self, verb):
        async def answer(message):
            kind = {"type": f"io.nats.micro.v1.{verb.lower()}_response", "started": "2026-01-01T00:00:00Z"}
            await message.respond(json.dumps({**kind, **self.identity, "endpoints": self.endpoints}).encode())

        return answer

    async def add_endpoint(self, name, subject, handler):
        self.endpoints.append({"name": name, "subject": subject, "queue_group": "q"})
        await self.client.subscribe(subject, "q", handler)
