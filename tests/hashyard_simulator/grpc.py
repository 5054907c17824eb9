"""A small gRPC server: unary calls over HTTP/2, one at a time on each connection."""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

import h2.config
import h2.connection
import h2.events
import h2.exceptions

from hashyard_simulator.device import Device
from hashyard_simulator.faults import FaultKind, halve, pass_gate

MAX_CALL_BYTES = 1_000_000
READ_BYTES = 65_536
IDLE_TIMEOUT_S = 120.0

OK = 0
INVALID_ARGUMENT = 3
PERMISSION_DENIED = 7
UNIMPLEMENTED = 12
UNAUTHENTICATED = 16


@dataclass(slots=True)
class Call:
    """One unary call: `path` is `/package.Service/Method`, `body` the request message."""

    path: str
    metadata: dict[str, str]
    body: bytes = b""


@dataclass(slots=True)
class Reply:
    """`body` is the response message; on a status other than OK only `message` is sent."""

    body: bytes = b""
    status: int = OK
    message: str = ""
    metadata: dict[str, str] = field(default_factory=dict)


class GrpcHandler(Protocol):
    device: Device

    def is_write(self, call: Call) -> bool: ...
    def refusal(self, call: Call) -> Reply: ...
    def respond(self, call: Call) -> Reply: ...


async def serve_grpc(handler: GrpcHandler, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Serves one connection until the peer leaves, is idle, breaks the protocol, or a fault ends it."""
    connection = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
    connection.initiate_connection()
    calls: dict[int, Call] = {}
    while True:
        writer.write(connection.data_to_send())
        await writer.drain()
        try:
            async with asyncio.timeout(IDLE_TIMEOUT_S):
                data = await reader.read(READ_BYTES)
            events = connection.receive_data(data) if data else []
        except (TimeoutError, h2.exceptions.ProtocolError):
            return
        if not data:
            return
        for event in events:
            ended = _note(connection, calls, event)
            if ended is not None and not await _answer(handler, connection, writer, ended, calls.pop(ended)):
                return


def _note(connection: h2.connection.H2Connection, calls: dict[int, Call], event: h2.events.Event) -> int | None:
    """Takes in one event; returns the stream whose request is complete now."""
    if isinstance(event, h2.events.RequestReceived) and event.stream_id is not None:
        headers = {str(name): str(value) for name, value in event.headers or []}
        calls[event.stream_id] = Call(headers.get(":path", ""), headers)
    elif isinstance(event, h2.events.DataReceived) and event.stream_id in calls:
        connection.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
        call = calls[event.stream_id]
        call.body = (call.body + (event.data or b""))[:MAX_CALL_BYTES]
    elif isinstance(event, h2.events.StreamReset) and event.stream_id is not None:
        calls.pop(event.stream_id, None)
    elif isinstance(event, h2.events.StreamEnded) and event.stream_id in calls:
        return event.stream_id
    return None


async def _answer(
    handler: GrpcHandler,
    connection: h2.connection.H2Connection,
    writer: asyncio.StreamWriter,
    stream_id: int,
    call: Call,
) -> bool:
    """Answers one call; False when the connection is to be closed."""
    device = handler.device
    device.counters.requests += 1
    call.body = call.body[5:]
    write = handler.is_write(call)
    await pass_gate(device.faults, device.clock.monotonic_s(), write=write)
    refused = device.refuses(write=write)
    if refused and write:
        device.log_write(call.path, None, "refused")
    reply = handler.refusal(call) if refused else handler.respond(call)
    half = device.faults.take(FaultKind.HALF_JSON, device.clock.monotonic_s(), write=write)
    head = [(":status", "200"), ("content-type", "application/grpc"), *reply.metadata.items()]
    trailers = [("grpc-status", str(reply.status)), ("grpc-message", reply.message)]
    if reply.status != OK:
        connection.send_headers(stream_id, head + trailers, end_stream=True)
        return True
    framed = b"\x00" + len(reply.body).to_bytes(4, "big") + reply.body
    connection.send_headers(stream_id, head)
    if half is not None:
        connection.send_data(stream_id, halve(framed))
        writer.write(connection.data_to_send())
        await writer.drain()
        return False
    connection.send_data(stream_id, framed)
    connection.send_headers(stream_id, trailers, end_stream=True)
    return True
