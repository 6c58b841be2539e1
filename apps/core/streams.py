"""Answers that are made while they are sent, for servers of threads and of event loops."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest

Piece = TypeVar("Piece", str, bytes)


def streamed(request: HttpRequest, pieces: Iterator[Piece]) -> Iterator[Piece] | AsyncPieces[Piece]:
    """Return what a ``StreamingHttpResponse`` is to send: never all of it in memory."""
    return AsyncPieces(pieces) if isinstance(request, ASGIRequest) else pieces


class AsyncPieces(Generic[Piece]):
    """Pieces of a generator for an event loop: each is made in the request's own thread.

    Django closes it.
    """

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces: Any = pieces

    async def __aiter__(self) -> AsyncIterator[Piece]:
        while (piece := await sync_to_async(self._next)()) is not None:
            yield piece

    def close(self) -> None:
        self._pieces.close()

    def _next(self) -> Piece | None:
        piece: Piece | None = next(self._pieces, None)
        return piece
