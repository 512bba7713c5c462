"""HTTP in a sandboxed plugin: the host's imports. Only within a component."""

from __future__ import annotations

from typing import Final

from wit_world.imports import http as host_http

from ...codec import pack, to_document
from ...guest._payloads import asked, bytes_of, document_of, to_payload
from .client import HttpHead, HttpRequest, HttpTransport


class _HostHttp:
    async def send(self, request: HttpRequest) -> HttpHead:
        document = pack(to_document(request))
        head: HttpHead = document_of(asked(host_http.send, to_payload(document)), HttpHead)
        return head

    async def read(self, response: int, most: int) -> bytes | None:
        piece = asked(host_http.read, response, most)
        return None if piece is None else bytes_of(piece)

    async def close(self, response: int) -> None:
        host_http.close(response)


ACCESS: Final[HttpTransport] = _HostHttp()
"""As `HttpTransport` says."""
