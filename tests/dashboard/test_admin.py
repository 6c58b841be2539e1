"""The admin site: shows no secrets, changes state only through services."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import api_key_create
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from tests.conftest import BODY


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="operator", is_staff=True, is_superuser=True))
    return client


def _configs(account: Account, count: int) -> None:
    for _ in range(count):
        config_create(account=account, draft=draft_read(BODY), actor=Actor())


@pytest.mark.parametrize(
    "path",
    ["accounts/account", "accounts/apikey", "accounts/user", "bots/twilioconfig"],
)
def test_every_list_opens(operator: Client, config: TwilioConfig, path: str) -> None:
    api_key_create(account=config.account, actor=Actor())
    assert operator.get(f"/admin/{path}/").status_code == 200


def test_the_list_of_bots_costs_the_same_for_many(
    operator: Client, account: Account, django_assert_max_num_queries: Any
) -> None:
    _configs(account, 20)
    with django_assert_max_num_queries(8):
        operator.get("/admin/bots/twilioconfig/")


def test_a_bot_shows_its_twiml_and_can_not_be_edited(
    operator: Client, config: TwilioConfig
) -> None:
    path = f"/admin/bots/twilioconfig/{config.id}/change/"
    page = operator.get(path)
    assert "&lt;Stream" in page.content.decode()
    assert operator.post(path, {"name": "Changed"}).status_code == 403
    assert operator.post(path.replace("change", "delete"), {"post": "yes"}).status_code == 403


def test_a_visitor_is_asked_to_log_in(client: Client, db: None) -> None:
    answer = client.get("/admin/bots/twilioconfig/")
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]
