"""A gRPC server without generated code: messages are bytes, and the service is `swapgate.test.Echo`.

Unary     answers with its message; metadata whose names begin with `x-` comes back as trailers with `-back` after the name
Seen      answers with the metadata it got, as JSON, with the values of `-bin` names as lists of numbers
Split     a number N: answers 0 to N-1
Join      the messages of the client, joined by `+`
Chat      each message comes back before the next one is read
Fail      {"code": NUMBER, "details": TEXT, "after": N}: N messages, then this status, with binary details
Hang      says `waiting` on standard output and never answers; says `cancelled` when the client gives up
Stream    the same, but answers one message first
Left      answers how many seconds are left until the deadline, or `none`
"""

import argparse
import asyncio
import json

import grpc

import harness

OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.max_concurrent_streams", 1000),
    ("grpc.so_reuseport", 0),
]
CODES = {code.value[0]: code for code in grpc.StatusCode}


async def unary(request, context):
    metadata = context.invocation_metadata() or ()
    await context.send_initial_metadata((("x-initial", "from the server"),))
    back = [(name + "-back" if not name.endswith("-bin") else name[:-4] + "-back-bin", value)
            for name, value in metadata if name.startswith("x-")]
    context.set_trailing_metadata(tuple(back))
    return request


async def seen(_request, context):
    metadata = [[name, list(value) if isinstance(value, bytes) else value]
                for name, value in context.invocation_metadata() or ()]
    return json.dumps(metadata).encode()


async def split(request, _context):
    for number in range(int(request)):
        yield str(number).encode()


async def join(requests, _context):
    return b"+".join([request async for request in requests])


async def chat(requests, _context):
    async for request in requests:
        yield request


async def fail(request, context):
    wanted = json.loads(request)
    for number in range(wanted.get("after", 0)):
        yield str(number).encode()
    context.set_trailing_metadata((("grpc-status-details-bin", bytes(range(256))),))
    await context.abort(CODES[wanted["code"]], wanted["details"])


def say_how_it_goes(context):
    # Not by the cancellation of the handler, which may be in between its own lines at that moment.
    context.add_done_callback(lambda _context: print("cancelled", flush=True))
    print("waiting", flush=True)


async def hang(_request, context):
    say_how_it_goes(context)
    await asyncio.Event().wait()


async def stream(request, context):
    say_how_it_goes(context)
    yield request
    await asyncio.Event().wait()


async def left(_request, context):
    remaining = context.time_remaining()
    return b"none" if remaining is None else str(remaining).encode()


HANDLERS = {
    "Unary": grpc.unary_unary_rpc_method_handler(unary),
    "Seen": grpc.unary_unary_rpc_method_handler(seen),
    "Split": grpc.unary_stream_rpc_method_handler(split),
    "Join": grpc.stream_unary_rpc_method_handler(join),
    "Chat": grpc.stream_stream_rpc_method_handler(chat),
    "Fail": grpc.unary_stream_rpc_method_handler(fail),
    "Hang": grpc.unary_unary_rpc_method_handler(hang),
    "Stream": grpc.unary_stream_rpc_method_handler(stream),
    "Left": grpc.unary_unary_rpc_method_handler(left),
}


async def main():
    parser = argparse.ArgumentParser()
    harness.add_tls(parser)
    arguments = parser.parse_args()
    server = grpc.aio.server(options=OPTIONS)
    server.add_generic_rpc_handlers(
        (grpc.method_handlers_generic_handler("swapgate.test.Echo", HANDLERS),))
    if arguments.certificate:
        with open(arguments.key, "rb") as key, open(arguments.certificate, "rb") as certificate:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    harness.listening(port)
    await harness.until_input_ends()
    await server.stop(None)


asyncio.run(main())
