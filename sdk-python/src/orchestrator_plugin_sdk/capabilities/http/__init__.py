"""HTTP for plugins: `ctx.http`."""

from .client import (
    Http,
    HttpHead,
    HttpRequest,
    HttpResponse,
    HttpTransport,
    NoHttp,
    Pairs,
    kind_of_status,
)
from .requirement import HttpRequirement

__all__ = [
    "Http",
    "HttpHead",
    "HttpRequest",
    "HttpRequirement",
    "HttpResponse",
    "HttpTransport",
    "NoHttp",
    "Pairs",
    "kind_of_status",
]
