"""asic-rs in a process of its own: it aborts on exit at times, and must not take the agent along.

Requests and answers are JSON lines on standard input and output. The process ends, at once and without clearing
up, when its input does. Only reads are offered.
"""

import asyncio
import json
import os
import sys
from typing import Any, Final

MAX_LINE_BYTES: Final = 1024 * 1024
MAX_AT_ONCE: Final = 16
CONNECT_TIMEOUT_S: Final = 3
IDENTIFY_TIMEOUT_S: Final = 10
_TH_PER_UNIT: Final = {"H/s": 1e-12, "KH/s": 1e-9, "MH/s": 1e-6, "GH/s": 1e-3, "TH/s": 1.0, "PH/s": 1e3}


async def serve() -> None:
    """Answer requests until the input ends."""
    from pyasic_rs import MinerFactory  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - an extra

    factory = (
        MinerFactory()
        .with_identification_timeout_secs(IDENTIFY_TIMEOUT_S)
        .with_connectivity_timeout_secs(CONNECT_TIMEOUT_S)
    )
    reader = asyncio.StreamReader(limit=MAX_LINE_BYTES)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    slots = asyncio.Semaphore(MAX_AT_ONCE)
    running: set[asyncio.Task[None]] = set()
    while line := await reader.readline():
        await slots.acquire()
        task = asyncio.create_task(_answer(factory, json.loads(line)))
        running.add(task)
        task.add_done_callback(running.discard)
        task.add_done_callback(lambda _: slots.release())


async def _answer(factory: Any, request: dict[str, Any]) -> None:
    try:
        async with asyncio.timeout(request["timeout_s"]):
            answer = await _details(factory, request)
    except TimeoutError:
        answer = {"error": "timeout"}
    except Exception as error:  # noqa: BLE001 - whatever it raises is told to the agent, which decides
        answer = {"error": str(error) or type(error).__name__}
    sys.stdout.write(json.dumps({"id": request["id"], **answer}) + "\n")
    sys.stdout.flush()


async def _details(factory: Any, request: dict[str, Any]) -> dict[str, Any]:
    miner = await factory.get_miner(request["ip"])
    if miner is None:
        return {"error": "not recognised"}
    if request.get("password") is not None:
        miner.set_auth(request.get("username") or "", request["password"])
    boards, fans, messages = (
        await miner.get_hashboards_no_chips(),
        await miner.get_fans(),
        await miner.get_messages(),
    )
    return {
        "make": str(miner.make),
        "model": str(miner.model),
        "firmware": str(miner.firmware),
        "boards": [_board(board) for board in boards],
        "fans_rpm": [None if fan.rpm is None else round(fan.rpm) for fan in fans],
        "messages": [str(message.message) for message in messages],
    }


def _board(board: Any) -> dict[str, Any]:
    rate = board.hashrate
    return {
        "hashrate_ths": None if rate is None else rate.value * _TH_PER_UNIT.get(str(rate.unit), 1.0),
        "temp_board_c": board.board_temperature,
        "temp_chip_c": board.outlet_chip_temperature or board.inlet_chip_temperature,
        "chips": board.working_chips,
        "expected_chips": board.expected_chips,
        "serial": board.serial_number,
        "missing": board.active is False,
    }


if __name__ == "__main__":
    try:
        asyncio.run(serve())
    finally:
        sys.stdout.flush()
        os._exit(0)
