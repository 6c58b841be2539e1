"""People at the dashboard, and a call with everything that a call can have."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from django.test import Client
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.models import Account, User
from apps.accounts.services import membership_put
from apps.bots.models import TwilioConfig
from apps.calls.models import Call
from apps.webhooks.models import Endpoint
from apps.webhooks.signing import secret_new
from tests.support.recorded_call import recorded_call, recordings_in

Login = Callable[..., Client]


@pytest.fixture
def as_(db: None) -> Login:
    """A client that is logged in: ``as_("viewer", account)``, or ``as_("superuser")``."""

    def login(role: str, *accounts: Account) -> Client:
        name = f"{role}-{User.objects.count()}"
        user = User.objects.create(username=name, is_staff=True, is_superuser=role == "superuser")
        for account in accounts:
            membership_put(account=account, user=user, role=role, actor=Actor())
        client = Client()
        client.force_login(user)
        return client

    return login


@pytest.fixture
def call(config: TwilioConfig, settings: Settings, tmp_path: Path) -> Call:
    """A recorded call of ours, of which a webhook was told."""
    recordings_in(settings, tmp_path / "stored")
    url = "https://hooks.example.com/calls"
    Endpoint.objects.create(account=config.account, url=url, secret=secret_new())
    return recorded_call(config)
