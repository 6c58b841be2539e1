"""People at the dashboard."""

from __future__ import annotations

import pytest
from django.test import Client

from apps.accounts.models import Account, User
from tests.dashboard.people import Login, person


@pytest.fixture
def as_(db: None) -> Login:
    """A client that is logged in as somebody of this role in the account."""

    def login(account: Account | None, role: str = "") -> Client:
        client = Client()
        client.force_login(person(f"{role or 'nobody'}-{User.objects.count()}", account, role))
        return client

    return login


@pytest.fixture
def root(as_: Login) -> Client:
    """A superuser's client."""
    return as_(None, "superuser")
