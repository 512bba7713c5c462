"""A server of chat completions as streams: `python -m suite.token_server TOKENS GAP_MS`.

It writes its port to standard output. Tokens are due at fixed times from the head of the response,
so a server that falls behind catches up.
"""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import suppress

_HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"


def _event(delta: dict[str, str], reason: str | None = None) -> bytes:
    choice = {"index": 0, "delta": delta, "finish_reason": reason}
    chunk = {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "any-model",
        "choices": [choice],
    }
    return _chunk(f"data: {json.dumps(chunk)}\n\n".encode())


def _chunk(data: bytes) -> bytes:
    return f"{len(data):x}\r\n".encode() + data + b"\r\n"


async def _serve(tokens: int, gap: float) -> None:
    first = _event({"role": "assistant", "content": ""})
    token = _event({"content": " tide"})
    last = _event({}, "stop") + _chunk(b"data: [DONE]\n\n") + _chunk(b"")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loop = asyncio.get_running_loop()
        with suppress(ConnectionError, asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                fields = dict(
                    line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if line
                )
                await reader.readexactly(int(fields.get(b"content-length", b"0")))
                writer.write(_HEAD + first)
                began = loop.time()
                for number in range(1, tokens + 1):
                    if gap:
                        await asyncio.sleep(max(0, began + number * gap - loop.time()))
                    writer.write(token)
                writer.write(last)
                await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
