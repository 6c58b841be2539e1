"""The admin site: shows no secrets, changes state only through services."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.models import User
from apps.accounts.services import api_key_create
from apps.bots.models import TwilioConfig


@pytest.fixture
def operator(db: None) -> Client:
    client = Client()
    client.force_login(User.objects.create(username="operator", is_staff=True, is_superuser=True))
    return client


@pytest.mark.parametrize(
    "path",
    ["accounts/account", "accounts/apikey", "accounts/user", "bots/twilioconfig"],
)
def test_every_list_opens(operator: Client, config: TwilioConfig, path: str) -> None:
    api_key_create(account=config.account, actor=Actor())
    assert operator.get(f"/admin/{path}/").status_code == 200


def test_a_visitor_is_asked_to_log_in(client: Client, db: None) -> None:
    answer = client.get("/admin/bots/twilioconfig/")
    assert answer.status_code == 302
    assert "/admin/login/" in answer["Location"]
