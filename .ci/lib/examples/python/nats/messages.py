class Message:
    def __init__(self, client, subject, reply, headers, data):
        self.client, self.subject, self.reply, self.headers, self.data = client, subject, reply, headers, data

    async def ack(self):
        await self.client.publish(self.reply, b"+ACK")

    async def respond(self, data=b"", headers=None):
        await self.client.publish(self.reply, data, headers=headers)

    async def respond_error(self, code, description):
        await self.respond(headers={"Nats-Service-Error": description, "Nats-Service-Error-Code": code})


async def read_message(client, line, reader):
    """Reads a message whose first line is MSG or HMSG, and returns its subscription's number and it."""
    verb, subject, number, *words = line.decode().split()
    sizes = 2 if verb.upper() == "HMSG" else 1
    reply = words[0] if len(words) > sizes else ""
    total, head = int(words[-1]), int(words[-2]) if sizes == 2 else 0
    data = (await reader.readexactly(total + 2))[:total]
    return int(number), Message(client, subject, reply, decode_headers(data[:head]), data[head:])


def encode_headers(headers):
    return ("NATS/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in headers.items()) + "\r\n").encode()


def decode_headers(head):
    lines = head.decode().split("\r\n")[1:]
    return dict(line.split(": ", 1) for line in lines if ": " in line) or None
