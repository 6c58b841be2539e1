"""Bodies that come in chunks, without a Content-Length."""

from __future__ import annotations

import json
from io import BytesIO

from django.core.handlers.asgi import ASGIRequest
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse
from django.test import AsyncRequestFactory, RequestFactory

from apps.core.middleware import ChunkedBodyMiddleware

BODY = json.dumps({"config": {"llm": {"prompt": "Be kind."}}}).encode()


def _length(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.META['CONTENT_LENGTH']} {request.body == BODY}")


def _chunked(body: bytes) -> ASGIRequest:
    scope = {**AsyncRequestFactory().post("/").scope}
    scope["headers"] = [(b"transfer-encoding", b"chunked")]
    return ASGIRequest(scope, BytesIO(body))


def test_a_chunked_body_is_read() -> None:
    answer = ChunkedBodyMiddleware(_length)(_chunked(BODY))
    assert answer.content.decode() == f"{len(BODY)} True"


def test_a_chunked_body_has_the_same_limit() -> None:
    answer = ChunkedBodyMiddleware(_length)(_chunked(b"x" * 3_000_000))
    assert answer.status_code == 413
    assert json.loads(answer.content)["error"] == "payload-too-large-error"


def test_a_chunked_body_that_no_server_hands_over_needs_a_length() -> None:
    environ = RequestFactory().post("/").environ | {"HTTP_TRANSFER_ENCODING": "chunked"}
    environ["CONTENT_LENGTH"] = ""
    answer = ChunkedBodyMiddleware(_length)(WSGIRequest(environ))
    assert answer.status_code == 411
    assert json.loads(answer.content)["error"] == "length-required-error"
