"""Answers compressed with gzip, for who asks."""

from __future__ import annotations

import re

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

# The API's texts. No pages: they hold a session's secrets beside what a stranger may have put into
# their address, which is what attacks on compression (BREACH) need; an API key is in no browser's
# cookies. No audio: it would cost more than it saves.
COMPRESSED = re.compile(
    r"(application/([a-z.]+\+)?json|application/vnd\.oai\.openapi|text/plain)\b"
)
_REFUSED = re.compile(r"\bgzip\s*;\s*q=0(\.0*)?\s*(,|$)")


class CompressionMiddleware(GZipMiddleware):
    """Compresses whole texts, never streams; and leaves an ETag as it was.

    Django makes a strong ETag weak, because two codings of one thing are two sequences of bytes
    (RFC 9110, 8.8.1). But then who reads with gzip could never write: If-Match compares strongly,
    and a weak tag fits nothing (13.1.1). What a strong tag must not promise falsely is that pieces
    of two answers fit together, or that a cache may give one coding for the other. The only pieces
    here are of recordings, which are never compressed; ``Vary`` keeps the codings apart in caches;
    and our tags name a version of a thing, whose JSON is the same to the byte once it is unpacked.
    So the tag stays strong.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if response.streaming or not COMPRESSED.match(response.get("Content-Type", "")):
            return response
        if _REFUSED.search(request.headers.get("Accept-Encoding", "")):
            return response
        etag = response.get("ETag")
        response = super().process_response(request, response)
        if etag is not None:
            response["ETag"] = etag
        return response
