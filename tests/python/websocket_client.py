"""A WebSocket client. Does one scenario against URL and writes what it saw as one line of JSON.

`talk`          text, bytes, an empty message, one in fragments, a ping, one large message; then closes with 4000
`first`         the first message as it is, and how the server accepted
`rest`          every message until the server closes, and with which code
`refused`       the status and the headers of a handshake that is refused
`crowd N`       N connections that are all open at once
`hold N`        opens N connections, says `open`, and for each line of input sends it on each and says `answered`
"""

import argparse
import asyncio
import hashlib
import json
import os
import sys

from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

import harness

LARGE = 4 * 1024 * 1024


async def talk(open_one):
    async with open_one() as connection:
        said = []
        for message in ["text ä", b"\x00\xff", "", ["in ", "three ", "parts"]]:
            await connection.send(message)
            said.append(await connection.recv())
        await (await connection.ping(b"are you there"))
        large = os.urandom(LARGE)
        await connection.send(large)
        same = hashlib.sha256(await connection.recv()).digest() == hashlib.sha256(large).digest()
        await connection.close(4000, "enough")
        return {
            "said": [part if isinstance(part, str) else list(part) for part in said],
            "large": same,
            "subprotocol": connection.subprotocol,
            "code": connection.close_code,
        }


async def first(open_one):
    async with open_one() as connection:
        return {"message": json.loads(await connection.recv()),
                "headers": heads(connection.response.headers)}


async def rest(open_one):
    messages = []
    async with open_one() as connection:
        try:
            while True:
                messages.append(await connection.recv())
        except ConnectionClosed:
            pass
    return {"messages": messages, "code": connection.close_code, "reason": connection.close_reason}


async def refused(open_one):
    try:
        async with open_one():
            return {"status": 101}
    except InvalidStatus as answer:
        return {"status": answer.response.status_code, "headers": heads(answer.response.headers),
                "body": (answer.response.body or b"").decode()}


async def crowd(open_one, count):
    async def one(number, everybody):
        async with open_one() as connection:
            await everybody.wait()
            await connection.send(f"{number}")
            return await connection.recv() == f"{number}"

    everybody = asyncio.Barrier(int(count))
    return {"right": sum(await asyncio.gather(*(one(n, everybody) for n in range(int(count)))))}


async def hold(open_one, count):
    connections = await asyncio.gather(*(open_one() for _ in range(int(count))))
    print("open", flush=True)

    async def ask(connection, line):
        await connection.send(line)
        return await connection.recv() == line

    while line := await asyncio.to_thread(sys.stdin.readline):
        right = await asyncio.gather(*(ask(connection, line) for connection in connections))
        print("answered" if all(right) else "wrong", flush=True)
    await asyncio.gather(*(connection.close() for connection in connections))
    return {"codes": sorted({connection.close_code for connection in connections})}


def heads(headers):
    return {name.lower(): value for name, value in headers.raw_items()}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("scenario", nargs="+")
    parser.add_argument("--ca")
    parser.add_argument("--name")
    parser.add_argument("--header", action="append", default=[])
    parser.add_argument("--subprotocol", action="append")
    given = parser.parse_args()
    further = {}
    if given.ca:
        further = {"ssl": harness.trust(given.ca), "server_hostname": given.name}

    def open_one():
        return connect(given.url, additional_headers=harness.pairs(given.header), proxy=None,
                       subprotocols=given.subprotocol, max_size=None, open_timeout=60,
                       ping_interval=None, **further)

    scenarios = {"talk": talk, "first": first, "rest": rest, "refused": refused,
                 "crowd": crowd, "hold": hold}
    name, *words = given.scenario
    harness.tell(await scenarios[name](open_one, *words))


asyncio.run(main())
