"""People and things that tests of several apps share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from typing import Any, Protocol

import hypothesis
import pytest
from django.db import connection as database
from django.test import TransactionTestCase
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.connections import connection_create
from apps.accounts.models import Account, TwilioConnection
from apps.accounts.scopes import ADMIN
from apps.accounts.services import account_create, api_key_create
from apps.bots import speech
from apps.bots.document import draft_read
from apps.bots.models import TwilioConfig
from apps.bots.services import config_create
from tests.support.database import tables_empty
from tests.support.twilio import Mailbox, TwilioStandIn, nothing_found, twilio_in_thread

# How long a made-up example takes says something of the machine, nothing of the code.
hypothesis.settings.register_profile(
    "suite", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("suite")


class ApiFor(Protocol):
    def __call__(self, account: Account, *scopes: str) -> APIClient: ...


BODY: dict[str, Any] = {
    "name": "Front desk",
    "config": {
        "llm": {"provider": "scripted", "prompt": "You are the front desk."},
        "tts": {"provider": "scripted"},
        "stt": {"provider": "scripted"},
    },
}


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings: None, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """SQLite in a file, as it is used: in memory, who writes second fails and does not wait."""
    if database.vendor == "sqlite":
        name = str(tmp_path_factory.mktemp("database") / "tests.sqlite3")
        database.settings_dict["TEST"]["NAME"] = name


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> Iterator[None]:
    """Tables are emptied row by row after a test that commits, which the audit log forbids."""
    with django_db_blocker.unblock():
        if database.vendor == "sqlite":
            with database.cursor() as cursor:
                cursor.execute("DROP TRIGGER audit_entry_no_delete")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(TransactionTestCase, "_fixture_teardown", tables_empty)
        yield


@pytest.fixture(autouse=True)
def _tasks_run_at_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    monkeypatch.setattr(speech, "RETRY_AFTER_S", ())


@pytest.fixture(autouse=True)
def _names_lead_nowhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """No name server is asked: names of the outside do not exist, unless a test answers them."""
    real = socket.getaddrinfo

    def ask(host: Any, *args: Any, **kwargs: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else str(host)
        if text.rstrip(".").rpartition(".")[2].isalpha() and "." in text:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return real(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", ask)


@pytest.fixture
def account(db: None) -> Account:
    """Ours."""
    return account_create(name="Hotel", actor=Actor())


@pytest.fixture
def stranger(db: None) -> Account:
    """Another account, which must see nothing of ours."""
    return account_create(name="Stranger", actor=Actor())


@pytest.fixture
def api_for(db: None) -> ApiFor:
    """A client with a new key of the account; of all scopes, if none is named."""

    def client(account: Account, *scopes: str) -> APIClient:
        _, secret = api_key_create(account=account, actor=Actor(), scopes=scopes or (ADMIN,))
        return APIClient(headers={"authorization": f"Bearer {secret}"})

    return client


@pytest.fixture
def api(api_for: ApiFor, account: Account) -> APIClient:
    """Our own client."""
    return api_for(account)


@pytest.fixture
def config(account: Account) -> TwilioConfig:
    """A bot of ours, on scripted providers."""
    return config_create(account=account, draft=draft_read(BODY), actor=Actor())


@pytest.fixture
def twilio() -> Iterator[TwilioStandIn]:
    """Twilio's stand-in; its webhooks wait for ``twilio.deliver(client)``."""
    with twilio_in_thread(Mailbox()) as stand_in:
        yield stand_in
    nothing_found(stand_in.findings)


@pytest.fixture
def connection(account: Account, twilio: TwilioStandIn, settings: Settings) -> TwilioConnection:
    """Ours to the stand-in's account, by its auth token."""
    settings.TWILIO_API_URL = twilio.url
    given = {"account_sid": twilio.sid, "auth_token": twilio.token}
    return connection_create(account=account, given=given, actor=Actor()).connection
