"""What the scripts share: how they say where they listen, and how they notice that their test is over."""

import asyncio
import json
import ssl
import sys


def listening(port):
    """The one line that tests wait for."""
    print(f"listening 127.0.0.1:{port}", flush=True)


def tell(value):
    """One line of JSON for the test."""
    print(json.dumps(value), flush=True)


async def until_input_ends():
    """A test that is killed cannot kill its servers, but their standard input ends with it."""
    await asyncio.to_thread(sys.stdin.read)


def add_tls(parser):
    parser.add_argument("--certificate")
    parser.add_argument("--key")


def server_context(arguments, protocols):
    """For servers that were given a certificate; none: plain text."""
    if not arguments.certificate:
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(arguments.certificate, arguments.key)
    context.set_alpn_protocols(protocols)
    return context


def pairs(texts):
    """`name=value` arguments."""
    return [tuple(text.split("=", 1)) for text in texts]


def trust(authority):
    """For clients that believe one authority alone."""
    return ssl.create_default_context(cafile=authority)
