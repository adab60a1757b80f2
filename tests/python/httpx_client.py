"""An HTTP/2 client. Does one scenario against URL and writes what it saw as one line of JSON.

`events`      reads /events and acknowledges each event at /ack/N before it reads the next one
`crowd N`     N requests that are all under way at once, each with a body of its own, to an upstream that tells what it got
`get PATH`    one request
"""

import argparse
import asyncio

import httpx

import harness


class Connections:
    """Counts connections, which the client itself does not tell."""

    def __init__(self):
        self.count = 0
        self.versions = set()

    async def on_event(self, name, _info):
        if name == "connection.connect_tcp.complete":
            self.count += 1

    def request(self, client, method, url, **further):
        return client.build_request(method, url, extensions={"trace": self.on_event}, **further)

    async def send(self, client, method, url, **further):
        answer = await client.send(self.request(client, method, url, **further))
        self.versions.add(answer.http_version)
        return answer

    def told(self):
        return {"connections": self.count, "versions": sorted(self.versions)}


async def events(client, connections):
    seen = []
    answer = await client.send(connections.request(client, "GET", "/events"), stream=True)
    connections.versions.add(answer.http_version)
    async for line in answer.aiter_lines():
        if line.startswith("data: "):
            seen.append(line.removeprefix("data: "))
            await connections.send(client, "POST", f"/ack/{seen[-1]}")
    await answer.aclose()
    return {"events": seen}


async def crowd(client, connections, count):
    async def one(number):
        body = f"body {number} " * (number * 10)
        answer = await connections.send(client, "POST", f"/{number}", content=body)
        told = answer.json()
        return answer.status_code == 200 and [told["target"], told["body"]] == [f"/{number}", body]

    right = await asyncio.gather(*(one(number) for number in range(int(count))))
    return {"right": sum(right)}


async def get(client, connections, path):
    answer = await connections.send(client, "GET", path)
    return {"status": answer.status_code, "headers": dict(answer.headers), "body": answer.text}


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("scenario", nargs="+")
    parser.add_argument("--ca")
    parser.add_argument("--header", action="append", default=[])
    given = parser.parse_args()
    plain = given.url.startswith("http:")
    connections = Connections()
    # Without TLS nothing is negotiated; with HTTP/1.1 switched off it speaks HTTP/2 by prior knowledge.
    async with httpx.AsyncClient(
        base_url=given.url, http1=not plain, http2=True, trust_env=False, timeout=120,
        verify=True if plain else harness.trust(given.ca), headers=harness.pairs(given.header),
        limits=httpx.Limits(max_connections=1000),
    ) as client:
        name, *words = given.scenario
        scenarios = {"events": events, "crowd": crowd, "get": get}
        told = await scenarios[name](client, connections, *words)
    harness.tell({**told, **connections.told()})


asyncio.run(main())
