"""Stands for many miners: answers on every address of its namespace, on port 80 and 4028, as LuxOS does."""

import asyncio
import sys

PAGE = b"<html><head><title>Luxor Firmware</title></head></html>"
VERSION = (
    b'{"STATUS":[{"STATUS":"S","Code":22,"Msg":"LUXminer versions"}],'
    b'"VERSION":[{"API":"3.7","LUXminer":"2024.5.1","Miner":"2024.5.1","Type":"Antminer S19"}],"id":1}\x00'
)


async def page(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(
        reader, writer, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(PAGE), PAGE)
    )


async def version(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await answer(reader, writer, VERSION)


async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, what: bytes) -> None:
    try:
        if await reader.read(4096):
            writer.write(what)
            await writer.drain()
        writer.close()
        await writer.wait_closed()
    except ConnectionError:
        return


async def main() -> None:
    servers = [
        await asyncio.start_server(page, "0.0.0.0", 80, backlog=4096),
        await asyncio.start_server(version, "0.0.0.0", 4028, backlog=4096),
    ]
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.gather(*(server.serve_forever() for server in servers))


if __name__ == "__main__":
    asyncio.run(main())
