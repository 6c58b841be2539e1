"""Answers are compressed for who asks, and stay usable."""

from __future__ import annotations

import gzip
import json
from typing import Any

import pytest
from django.http import HttpResponse, StreamingHttpResponse
from django.test import Client, RequestFactory
from rest_framework.test import APIClient

from apps.bots.models import TwilioConfig
from apps.core.compression import CompressionMiddleware
from tests.conftest import BODY

GZIP = {"accept-encoding": "gzip"}


def test_a_list_is_compressed_when_asked(api: APIClient, config: TwilioConfig) -> None:
    plain = api.get("/twilio-config")
    answer = api.get("/twilio-config", headers=GZIP)
    assert answer["Content-Encoding"] == "gzip"
    assert len(answer.content) == int(answer["Content-Length"]) < len(plain.content)
    assert gzip.decompress(answer.content) == plain.content
    assert "Content-Encoding" not in plain
    assert "Accept-Encoding" in plain["Vary"]


@pytest.mark.parametrize("asked", ["gzip;q=0", "gzip; q=0.0, br", "br", "identity"])
def test_it_is_not_compressed_for_who_does_not_take_it(
    api: APIClient, config: TwilioConfig, asked: str
) -> None:
    answer = api.get("/twilio-config", headers={"accept-encoding": asked})
    assert "Content-Encoding" not in answer


def test_who_reads_with_gzip_can_write(api: APIClient, config: TwilioConfig) -> None:
    url = f"/twilio-config/{config.id}"
    read = api.get(url, headers=GZIP)
    assert (read["Content-Encoding"], read["ETag"]) == ("gzip", '"1"')
    answer = api.patch(url, {"name": "x"}, headers={"if-match": read["ETag"], **GZIP})
    assert (answer.status_code, answer["ETag"]) == (200, '"2"')
    stale = api.patch(url, {"name": "y"}, headers={"if-match": read["ETag"], **GZIP})
    assert stale.status_code == 412


def test_a_replayed_answer_is_the_same_compressed_or_not(api: APIClient) -> None:
    key = {"idempotency-key": "order-1"}
    first = api.post("/twilio-config", BODY, headers={**key, **GZIP})
    second = api.post("/twilio-config", BODY, headers=key)
    assert second["Idempotency-Replayed"] == "true"
    assert gzip.decompress(first.content) == second.content


def _compressed(response: Any) -> bool:
    request = RequestFactory().get("/", headers=GZIP)
    return (
        CompressionMiddleware(lambda _: response)
        .process_response(request, response)
        .has_header("Content-Encoding")
    )


@pytest.mark.parametrize(
    ("content_type", "expected"),
    [
        ("application/json", True),
        ("application/vnd.oai.openapi+json; charset=utf-8", True),
        ("application/vnd.oai.openapi; charset=utf-8", True),
        ("text/plain; version=0.0.4", True),
        ("text/html; charset=utf-8", False),
        ("audio/wav", False),
    ],
)
def test_the_apis_texts_are_compressed_and_nothing_else(content_type: str, expected: bool) -> None:
    assert _compressed(HttpResponse("x" * 1_000, content_type=content_type)) is expected


def test_a_stream_is_not_compressed() -> None:
    pieces = iter([b"x" * 1_000])
    assert not _compressed(StreamingHttpResponse(pieces, content_type="application/json"))


@pytest.mark.parametrize("coding", ["gzip", "br", "GZIP, identity"])
def test_a_compressed_body_is_a_415(api: APIClient, coding: str) -> None:
    body = gzip.compress(json.dumps(BODY).encode())
    answer = api.post(
        "/twilio-config",
        body,
        content_type="application/json",
        headers={"content-encoding": coding},
    )
    assert answer.status_code == 415
    assert answer["Accept-Encoding"] == "identity"
    assert answer.json()["error"] == "unsupported-media-type-error"


def test_an_identity_body_is_fine(api: APIClient) -> None:
    headers = {"content-encoding": "identity"}
    assert api.post("/twilio-config", BODY, headers=headers).status_code == 201


def test_the_schema_is_compressed(client: Client, db: None) -> None:
    assert client.get("/schema", headers=GZIP)["Content-Encoding"] == "gzip"
