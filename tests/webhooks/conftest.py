"""Endpoints and what is sent to them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from apps.accounts.models import Account
from apps.webhooks.models import Endpoint
from apps.webhooks.signing import secret_new

Subscribe = Callable[..., Endpoint]


@pytest.fixture
def subscribe(account: Account) -> Subscribe:
    """Make an endpoint of ours, without asking whether its URL may be reached."""

    def make(url: str = "https://hooks.example.com/", **more: Any) -> Endpoint:
        return Endpoint.objects.create(
            **{"account": account, "url": url, "secret": secret_new(), **more}
        )

    return make
