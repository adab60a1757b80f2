"""A gRPC server with the health service of the reference implementation (grpcio-health-checking).

Lines on standard input set the state of a service: `NAME STATE`, where `-` is the whole server and STATE one of UNKNOWN,
SERVING, NOT_SERVING. Each is answered by a line `set`. With `--without` the server has no health service.
"""

import argparse
import asyncio
import sys

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import harness


async def main():
    parser = argparse.ArgumentParser()
    harness.add_tls(parser)
    parser.add_argument("--without", action="store_true")
    arguments = parser.parse_args()
    server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
    servicer = health.aio.HealthServicer()
    if not arguments.without:
        health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    if arguments.certificate:
        with open(arguments.key, "rb") as key, open(arguments.certificate, "rb") as certificate:
            credentials = grpc.ssl_server_credentials([(key.read(), certificate.read())])
        port = server.add_secure_port("127.0.0.1:0", credentials)
    else:
        port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    harness.listening(port)
    while line := await asyncio.to_thread(sys.stdin.readline):
        name, state = line.split()
        state = health_pb2.HealthCheckResponse.ServingStatus.Value(state)
        await servicer.set("" if name == "-" else name, state)
        print("set", flush=True)
    await server.stop(None)


asyncio.run(main())
