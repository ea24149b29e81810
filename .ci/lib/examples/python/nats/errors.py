import asyncio


class TimeoutError(asyncio.TimeoutError):
    pass


class ConnectionClosedError(Exception):
    pass
