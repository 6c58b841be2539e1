"""Equal POSTs at once: one is done, however many there are."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from django.db import connection
from rest_framework.test import APIClient

from apps.accounts.models import Account
from apps.bots.models import TwilioConfig
from tests.conftest import BODY, ApiFor

pytestmark = pytest.mark.django_db(transaction=True)

ON_POSTGRESQL, ON_SQLITE = (1_000, 50), (60, 12)


@pytest.fixture
def client(api_for: ApiFor) -> APIClient:
    """Made before the database moves."""
    return api_for(Account.objects.create(name="Hotel"))


@pytest.fixture
def for_threads(client: APIClient, tmp_path: Path) -> Iterator[None]:
    """Threads get connections of their own: SQLite's database is copied from memory to a file."""
    if connection.vendor != "sqlite":
        yield
        return
    path = tmp_path / "db.sqlite3"
    with connection.cursor() as cursor:
        cursor.execute("VACUUM INTO %s", [str(path)])
    memory = connection.settings_dict["NAME"]
    # Of connections to come; this thread's own stays where it is.
    connection.settings_dict["NAME"] = str(path)
    yield
    connection.settings_dict["NAME"] = memory


def _in_thread(work: Any) -> Any:
    def and_close(*args: Any) -> Any:
        try:
            return work(*args)
        finally:
            connection.close()

    return and_close


def _all_at_once(post: Any) -> list[Any]:
    requests, threads = ON_SQLITE if connection.vendor == "sqlite" else ON_POSTGRESQL
    start = threading.Barrier(threads)

    def several(_: int) -> list[Any]:
        start.wait(30)
        return [_in_thread(post)() for _ in range(requests // threads)]

    with ThreadPoolExecutor(threads) as pool:
        return [answer for answers in pool.map(several, range(threads)) for answer in answers]


def test_of_many_equal_posts_at_once_one_is_done(client: APIClient, for_threads: None) -> None:
    def post() -> Any:
        own = APIClient()
        own.defaults.update(client.defaults)
        return own.post("/twilio-config", BODY, headers={"idempotency-key": "one"})

    answers = _all_at_once(post)
    with ThreadPoolExecutor(1) as pool:
        made = pool.submit(_in_thread(TwilioConfig.objects.count)).result()
    codes = Counter(answer.status_code for answer in answers)
    assert made == 1
    assert codes.keys() <= {201, 409}
    assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert sum("Idempotency-Replayed" not in found for found in answers) == 1 + codes[409]
