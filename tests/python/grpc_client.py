"""A gRPC client without generated code. Does one scenario against ADDRESS and writes what it saw as one line of JSON.

`kinds`            all four kinds of calls
`status CODE N`    a status of the server after N messages
`cancel`           gives up a stream after its first message
`crowd N`          N calls that are all open at the same time, on one connection
`large BYTES N`    a large message each way, and N of them in one stream
`hold N`           opens N streams, says `open`, and for each line of input sends a message on each and says `answered`
anything else      a unary call of that method with the second word as its message
"""

import argparse
import concurrent.futures
import json
import queue
import sys
import threading

import grpc

import harness

SERVICE = "/swapgate.test.Echo/"
OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),
    # A refused connection is tried again by the library within the deadline; a test wants the first answer.
    ("grpc.enable_retries", 0),
]


class Session:
    def __init__(self, arguments):
        options = OPTIONS + [("grpc.ssl_target_name_override", name) for name in arguments.name]
        if arguments.ca:
            with open(arguments.ca, "rb") as authority:
                credentials = grpc.ssl_channel_credentials(authority.read())
            self.channel = grpc.secure_channel(arguments.address, credentials, options)
        else:
            self.channel = grpc.insecure_channel(arguments.address, options)
        self.common = {"metadata": harness.pairs(arguments.metadata), "timeout": arguments.timeout}

    def call(self, kind, method):
        """A call of one of the four kinds, with what all calls of this run have in common."""
        prepared = getattr(self.channel, kind)(SERVICE + method)
        return lambda request: prepared(request, **self.common)

    def kinds(self):
        chat = self.call("stream_stream", "Chat")
        questions, answers = queue.Queue(), []
        replies = chat(iter(questions.get, None))
        for number in range(5):
            questions.put(f"question {number}".encode())
            answers.append(next(replies).decode())
        questions.put(None)
        answers.extend(rest.decode() for rest in replies)
        return {
            "unary": self.call("unary_unary", "Unary")(b"hello").decode(),
            "split": [part.decode() for part in self.call("unary_stream", "Split")(b"4")],
            "join": self.call("stream_unary", "Join")(iter([b"a", b"", b"c"])).decode(),
            "chat": answers,
        }

    def status(self, code, after):
        wanted = json.dumps({"code": int(code), "details": "so it is: 100% ä", "after": int(after)})
        replies = self.call("unary_stream", "Fail")(wanted.encode())
        messages = []
        try:
            messages.extend(reply.decode() for reply in replies)
        except grpc.RpcError:
            pass
        return {"messages": messages, **ending(replies)}

    def cancel(self):
        replies = self.call("unary_stream", "Stream")(b"first")
        first = next(replies).decode()
        replies.cancel()
        return {"first": first, "code": replies.code().name}

    def crowd(self, count):
        everybody = threading.Barrier(int(count), timeout=120)

        def one(number):
            questions = queue.Queue()
            replies = self.call("stream_stream", "Chat")(iter(questions.get, None))
            questions.put(f"{number} a".encode())
            first = next(replies).decode()
            # Nobody goes on before everybody has an answer, so all calls are open at once.
            everybody.wait()
            questions.put(f"{number} b".encode())
            second = next(replies).decode()
            questions.put(None)
            return [first, second, len(list(replies))] == [f"{number} a", f"{number} b", 0]

        with concurrent.futures.ThreadPoolExecutor(int(count)) as pool:
            return {"right": sum(pool.map(one, range(int(count))))}

    def large(self, size, count):
        message = bytes(number % 251 for number in range(int(size)))
        replies = self.call("stream_stream", "Chat")(iter([message] * int(count)))
        return {
            "unary": self.call("unary_unary", "Unary")(message) == message,
            "stream": sum(reply == message for reply in replies),
        }

    def hold(self, count):
        streams = []
        for number in range(int(count)):
            questions = queue.Queue()
            replies = self.call("stream_stream", "Chat")(iter(questions.get, None))
            questions.put(f"{number}".encode())
            streams.append((questions, replies))
        right = all(next(replies) == f"{number}".encode()
                    for number, (_, replies) in enumerate(streams))
        print("open" if right else "wrong", flush=True)
        for line in sys.stdin:
            for questions, _ in streams:
                questions.put(line.encode())
            right = all(next(replies) == line.encode() for _, replies in streams)
            print("answered" if right else "wrong", flush=True)
        for questions, _ in streams:
            questions.put(None)
        return {"codes": sorted({replies.code().name for _, replies in streams})}

    def unary(self, method, message=""):
        prepared = self.channel.unary_unary(SERVICE + method)
        call = prepared.future(message.encode(), **self.common)
        try:
            reply = call.result().decode()
        except grpc.RpcError:
            reply = None
        return {"reply": reply, "initial": metadata(call.initial_metadata()), **ending(call)}


def ending(call):
    return {"code": call.code().name, "details": call.details(),
            "trailing": metadata(call.trailing_metadata())}


def metadata(found):
    return {name: list(value) if isinstance(value, bytes) else value
            for name, value in found or ()}


parser = argparse.ArgumentParser()
parser.add_argument("address")
parser.add_argument("scenario", nargs="+")
parser.add_argument("--ca")
parser.add_argument("--name", action="append", default=[])
parser.add_argument("--metadata", action="append", default=[])
parser.add_argument("--timeout", type=float, default=120)
given = parser.parse_args()
session = Session(given)
scenario, *words = given.scenario
known = {"kinds", "status", "cancel", "crowd", "large", "hold"}
harness.tell(getattr(session, scenario)(*words) if scenario in known
             else session.unary(scenario, *words))
session.channel.close()
