"""What a key may do: scopes, and the views that ask for them."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from django.apps import apps
from django.core.exceptions import ValidationError
from django.urls import URLResolver, get_resolver
from rest_framework.response import Response
from rest_framework.test import APIClient, APIRequestFactory
from rest_framework.views import APIView

from apps.accounts.audit import Actor
from apps.accounts.models import Account, ApiKey
from apps.accounts.permissions import HasScope
from apps.accounts.scopes import (
    HOLDS,
    SCOPES,
    scopes_allow,
    scopes_are_valid,
    scopes_in_order,
)
from apps.accounts.services import api_key_create
from tests.conftest import BODY, ApiFor

ID = "5f0c7a52-2f6e-4c39-9d1a-0f6a51a0c6de"


@pytest.mark.parametrize(
    ("scopes", "needed", "allowed"),
    [
        (["configs:read"], "configs:read", True),
        (["configs:write"], "configs:read", True),
        (["configs:read"], "configs:write", False),
        (["configs:write"], "calls:read", False),
        (["configs:write", "calls:write"], "admin", False),
        (["admin"], "calls:write", True),
        (["admin"], "calls:delete", False),
        (["everything"], "configs:read", False),
        ([], "configs:read", False),
    ],
)
def test_a_scope_holds_others(scopes: list[str], needed: str, allowed: bool) -> None:
    assert scopes_allow(scopes, needed) is allowed


def test_scopes_have_one_order() -> None:
    assert scopes_in_order(["calls:read", "configs:read", "calls:read"]) == [
        "configs:read",
        "calls:read",
    ]


@pytest.mark.parametrize("value", [[], ["nothing"], "admin", [1], None, [["admin"]]])
def test_what_is_no_list_of_scopes_is_refused(value: Any) -> None:
    with pytest.raises(ValidationError):
        scopes_are_valid(value)


def test_a_key_that_says_nothing_makes_no_keys(account: Account) -> None:
    key, _ = api_key_create(account=account, actor=Actor())
    assert key.scopes == [scope for scope in SCOPES if scope != "admin"]


def test_keys_from_before_there_were_scopes_may_do_all(account: Account) -> None:
    key, _ = api_key_create(account=account, actor=Actor(), scopes=["calls:read"])
    old, _ = api_key_create(account=account, actor=Actor())
    ApiKey.objects.filter(pk=old.pk).update(scopes=[])
    import_module("apps.accounts.migrations.0005_keys_so_far_may_do_all").grant(apps, None)
    assert ApiKey.objects.get(pk=old.pk).scopes == ["admin"]
    assert ApiKey.objects.get(pk=key.pk).scopes == ["calls:read"]


NEEDED = [
    ("get", "/twilio-config", "configs:read"),
    ("post", "/twilio-config", "configs:write"),
    ("get", f"/twilio-config/{ID}", "configs:read"),
    ("put", f"/twilio-config/{ID}", "configs:write"),
    ("patch", f"/twilio-config/{ID}", "configs:write"),
    ("delete", f"/twilio-config/{ID}", "configs:write"),
    ("post", f"/twilio-config/{ID}/tools/book/test", "configs:write"),
    ("get", "/providers", "configs:read"),
    ("get", "/calls", "calls:read"),
    ("get", f"/calls/{ID}", "calls:read"),
    ("get", f"/calls/{ID}/recording", "calls:read"),
    ("delete", f"/calls/{ID}/recording", "calls:write"),
    ("post", "/calls", "calls:write"),
    ("post", f"/calls/{ID}/hangup", "calls:write"),
    ("post", f"/calls/{ID}/say", "calls:write"),
    ("post", f"/calls/{ID}/dtmf", "calls:write"),
    ("post", f"/calls/{ID}/transfer", "calls:write"),
    ("get", "/api-keys", "admin"),
    ("post", "/api-keys", "admin"),
    ("get", f"/api-keys/{ID}", "admin"),
    ("delete", f"/api-keys/{ID}", "admin"),
    ("post", f"/api-keys/{ID}/rotate", "admin"),
    ("get", "/credentials", "admin"),
    ("get", "/credentials/openai", "admin"),
    ("put", "/credentials/openai", "admin"),
    ("delete", "/credentials/openai", "admin"),
    ("post", "/credentials/openai/test", "admin"),
    ("get", "/audit-log", "admin"),
    ("get", "/webhooks", "webhooks:read"),
    ("post", "/webhooks", "webhooks:write"),
    ("get", "/webhooks/kinds", "webhooks:read"),
    ("get", f"/webhooks/{ID}", "webhooks:read"),
    ("patch", f"/webhooks/{ID}", "webhooks:write"),
    ("delete", f"/webhooks/{ID}", "webhooks:write"),
    ("post", f"/webhooks/{ID}/rotate-secret", "webhooks:write"),
    ("post", f"/webhooks/{ID}/ping", "webhooks:write"),
    ("post", f"/webhooks/{ID}/replay", "webhooks:write"),
    ("get", f"/webhooks/{ID}/deliveries", "webhooks:read"),
    ("get", f"/webhooks/{ID}/deliveries/{ID}", "webhooks:read"),
    ("post", f"/webhooks/{ID}/deliveries/{ID}/replay", "webhooks:write"),
    ("get", "/twilio-connections", "phones:read"),
    ("post", "/twilio-connections", "admin"),
    ("get", f"/twilio-connections/{ID}", "phones:read"),
    ("patch", f"/twilio-connections/{ID}", "admin"),
    ("delete", f"/twilio-connections/{ID}", "admin"),
    ("post", f"/twilio-connections/{ID}/check", "admin"),
    ("get", f"/twilio-connections/{ID}/subaccounts", "phones:read"),
    ("get", "/phone-numbers", "phones:read"),
    ("get", "/phone-numbers/PN1", "phones:read"),
    ("put", "/phone-numbers/PN1", "phones:write"),
    ("post", "/phone-numbers/PN1/repair", "phones:write"),
    ("get", "/account", "admin"),
    ("patch", "/account", "admin"),
]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDED)
def test_without_the_scope_it_is_a_403_that_names_it(
    api_for: ApiFor, account: Account, method: str, path: str, scope: str
) -> None:
    others = [other for other in SCOPES if scope not in HOLDS[other]]
    answer = getattr(api_for(account, *others), method)(path, BODY)
    assert answer.status_code == 403
    assert answer.json()["error"] == "forbidden-error"
    assert scope in answer.json()["info"]


@pytest.mark.parametrize(("method", "path", "scope"), NEEDED)
def test_with_the_scope_alone_it_is_no_403(
    api_for: ApiFor, account: Account, method: str, path: str, scope: str
) -> None:
    answer = getattr(api_for(account, scope), method)(path, BODY)
    assert answer.status_code in (200, 201, 400, 404)


@pytest.mark.parametrize("method", ["head", "options"])
def test_head_and_options_need_what_get_does(
    api_for: ApiFor, account: Account, method: str
) -> None:
    for scope, code in (("calls:read", 200), ("configs:write", 403)):
        answer = getattr(api_for(account, scope), method)("/calls")
        assert answer.status_code == code


def test_a_method_that_is_not_there_stays_a_405(api_for: ApiFor, account: Account) -> None:
    assert api_for(account, "calls:read").put("/calls").status_code == 405


class Undeclared(APIView):
    """Somebody forgot to say what it needs."""

    def get(self, request: Any) -> Response:
        return Response("a secret")


def test_a_view_that_declares_nothing_lets_nobody_in(account: Account) -> None:
    _, secret = api_key_create(account=account, actor=Actor(), scopes=["admin"])
    request = APIRequestFactory().get("/", headers={"authorization": f"Bearer {secret}"})
    assert Undeclared.as_view()(request).status_code == 403


def _views(resolver: URLResolver, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for found in resolver.url_patterns:
        path = f"{prefix}{found.pattern}"
        if isinstance(found, URLResolver):
            yield from _views(found, path)
        elif hasattr(found.callback, "cls"):
            yield path, found.callback


def _methods(view: Any) -> set[str]:
    names = getattr(view, "actions", None)
    if names is None:
        names = [name for name in view.cls.http_method_names if hasattr(view.cls, name)]
    return {name.upper() for name in names}


def test_every_view_of_the_api_declares_what_each_of_its_methods_needs() -> None:
    unscoped, seen = set(), 0
    for path, view in _views(get_resolver()):
        if HasScope not in view.cls.permission_classes:
            unscoped.add(view.cls.__name__)
            continue
        for method in _methods(view) - {"OPTIONS", "HEAD"}:
            seen += 1
            assert view.cls.required_scopes.get(method) in SCOPES, (path, method)
    # The OpenAPI document and its page are for everyone.
    assert unscoped == {"SpectacularAPIView", "SpectacularSwaggerSplitView"}
    assert seen >= 2 * len(NEEDED)  # both spellings of each path


def test_a_visitor_is_still_asked_who_they_are(client: APIClient, db: None) -> None:
    assert client.get("/api-keys").status_code == 401
