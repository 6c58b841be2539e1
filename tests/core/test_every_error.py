"""Every error of every path has the envelope and the request's id, and none of them is ours."""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client
from django.urls import URLPattern, URLResolver, get_resolver
from rest_framework.settings import api_settings
from rest_framework.test import APIClient
from rest_framework.views import APIView

ENVELOPE = {"error", "info", "fields", "request_id"}
SAMPLES = {
    "version": "1",
    "uuid": str(uuid.UUID(int=7)),
    "int": "1",
    "str": "x",
    "sid": "PN1",
    "slug": "x",
    "path": "x",
}
# Pages for people, whose errors are pages.
PAGES = ("admin/", "favicon.ico")


def _patterns(found: list[Any], prefix: str = "") -> Iterator[tuple[str, URLPattern]]:
    for one in found:
        route = prefix + str(one.pattern)
        if isinstance(one, URLResolver):
            yield from _patterns(one.url_patterns, route)
        elif not route.startswith(PAGES) and route:
            yield route, one


def _sample(match: re.Match[str]) -> str:
    return SAMPLES[match[1] or "str"]


ROUTES = list(_patterns(get_resolver().url_patterns))
PATHS = sorted({"/" + re.sub(r"<(?:(\w+):)?\w+>", _sample, route) for route, _ in ROUTES})
VIEWS = {one.callback.cls for _, one in ROUTES if hasattr(one.callback, "cls")}

FORM: dict[str, Any] = {"data": "a=b", "content_type": "application/x-www-form-urlencoded"}
NOT_JSON: dict[str, Any] = {"data": "{", "content_type": "application/json"}
TOO_LONG: dict[str, Any] = {"data": b"1" * 2_100_000, "content_type": "application/json"}
REQUESTS: dict[str, dict[str, Any]] = {
    "unsupported method": {"method": "TRACE"},
    "unknown method": {"method": "BREW"},
    "delete": {"method": "DELETE"},
    "options": {"method": "OPTIONS"},
    "html": {"method": "GET", "headers": {"accept": "text/html"}},
    "form": {"method": "POST", **FORM},
    "form to replace": {"method": "PUT", **FORM},
    "no JSON": {"method": "POST", **NOT_JSON},
    "no JSON to merge": {"method": "PATCH", **NOT_JSON},
    "too long": {"method": "POST", **TOO_LONG},
    "too long, with a key": {"method": "POST", "headers": {"idempotency-key": "k"}, **TOO_LONG},
    "compressed": {"method": "POST", "headers": {"content-encoding": "gzip"}, **NOT_JSON},
    "unknown host": {"method": "GET", "headers": {"host": "evil.example.org"}},
    "bad host": {"method": "GET", "headers": {"host": "a b"}},
    "bad key": {"method": "GET", "headers": {"authorization": "Bearer x"}},
    "no key": {"method": "GET", "headers": {"authorization": ""}},
    "long query": {"method": "GET", "query_params": {"search": "x" * 20_000}},
    "many parameters": {"method": "GET", "query_params": {"a": ["1"] * 4_050}},
    "odd parameters": {"method": "GET", "query_params": {"cursor": "\x00\xff", "page_size": "-1"}},
    "odd type": {"method": "POST", "data": "{}", "content_type": "application/json; x=\x00"},
}
IN_ALL = {
    "compressed": 415,
    "long query": 414,
}


def _is_enveloped(answer: Any, path: str) -> bool:
    body: dict[str, Any] = answer.json()
    if path.startswith("/v1/") and body.keys() == {"error", "info"}:
        return True  # the Daily Bots face, as it was
    return body.keys() == ENVELOPE and body["request_id"] == answer["X-Request-Id"] != ""


def _asked(api: APIClient, path: str, name: str) -> Any:
    client = Client(enforce_csrf_checks=True, raise_request_exception=False)
    client.defaults.update(api.defaults)
    return client.generic(path=path, **REQUESTS[name])


@pytest.mark.parametrize("name", REQUESTS)
def test_every_error_has_the_envelope(api: APIClient, name: str) -> None:
    for path in [*PATHS, "/nowhere", "/twilio-config/%00", "/" + "x" * 20_000]:
        answer = _asked(api, path, name)
        assert answer["X-Request-Id"], path
        assert answer.get("Content-Length") in (None, str(len(answer.content))), path
        assert answer.status_code < 500, path
        assert answer.status_code < 400 or _is_enveloped(answer, path), path
        assert answer.status_code == IN_ALL.get(name, answer.status_code), path


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("unknown method", 405),
        ("html", 406),
        ("form", 415),
        ("no JSON", 400),
        ("too long", 413),
        ("too long, with a key", 413),
        ("unknown host", 400),
        ("bad key", 401),
        ("no key", 401),
        ("many parameters", 400),
    ],
)
def test_the_walk_meets_what_it_is_about(api: APIClient, name: str, code: int) -> None:
    assert _asked(api, "/twilio-config", name).status_code == code


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/schema", "/docs", "/"])
def test_what_is_only_read_answers_a_post_without_a_token_as_no_method(
    api: APIClient, path: str
) -> None:
    answer = _asked(api, path, "form")
    assert answer.status_code == 405
    assert _is_enveloped(answer, path)


def test_every_view_passes_the_limits_and_the_gate() -> None:
    assert len(VIEWS) >= 4
    for view in VIEWS:
        assert issubclass(view, APIView)
        assert view.throttle_classes == api_settings.DEFAULT_THROTTLE_CLASSES, view
