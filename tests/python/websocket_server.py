"""A WebSocket server. What it does on a connection depends on the path, the query aside:

/echo         each message comes back, text as text and bytes as bytes; speaks the subprotocol `chat` to those who ask for it
/head         the first message is the request as it came: its target and its headers, as JSON; then as /echo
/count/N      N messages, 0 to N-1, then the closing handshake with 1000
/close/CODE   closes with this code and the reason `as asked`
/refuse       no WebSocket at all: answers 403

It says `open TARGET` when a connection is made and `closed CODE` when it is over.
"""

import argparse
import asyncio
import http
import json

from websockets.asyncio.server import serve
from websockets.exceptions import ConnectionClosed

import harness


async def converse(connection):
    target = connection.request.path
    print(f"open {target}", flush=True)
    words = target.split("?")[0].strip("/").split("/")
    try:
        match words[-2:]:
            case [*_, "close"] | ["close", _]:
                await connection.close(int(words[-1]), "as asked")
            case ["count", number]:
                for count in range(int(number)):
                    await connection.send(str(count))
                await connection.close()
            case _:
                if words[-1] == "head":
                    headers = [[name.lower(), value]
                               for name, value in connection.request.headers.raw_items()]
                    await connection.send(json.dumps({"target": target, "headers": headers}))
                async for message in connection:
                    await connection.send(message)
    except ConnectionClosed:
        pass
    await connection.wait_closed()
    print(f"closed {connection.close_code}", flush=True)


def refuse(connection, request):
    if request.path.split("?")[0].endswith("/refuse"):
        return connection.respond(http.HTTPStatus.FORBIDDEN, "not for you\n")
    return None


def choose(_connection, offered):
    # The library's own choice refuses clients that offer none.
    return "chat" if "chat" in offered else None


async def main():
    parser = argparse.ArgumentParser()
    harness.add_tls(parser)
    context = harness.server_context(parser.parse_args(), ["http/1.1"])
    async with serve(converse, "127.0.0.1", 0, ssl=context, process_request=refuse,
                     select_subprotocol=choose, max_size=None, ping_interval=None) as server:
        harness.listening(server.sockets[0].getsockname()[1])
        await harness.until_input_ends()


asyncio.run(main())
