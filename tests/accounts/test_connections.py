"""/twilio-connections: tried at Twilio, kept, and never read."""

from __future__ import annotations

import logging
import threading
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection as database
from django.db import connections as databases
from django.utils import timezone
from pytest_django import DjangoAssertNumQueries, Settings
from rest_framework.test import APIClient

from apps.accounts.audit import Actor
from apps.accounts.connection_checks import NOT_PRIMARY, STANDARD_KEY
from apps.accounts.connections import (
    REGION_NEEDS_EDGE,
    TRIAL,
    UNCHECKED,
    UNUSED_REGION,
    UNVERIFIABLE,
    connection_create,
)
from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.accounts.services import account_create
from apps.accounts.signing import secrets_of
from apps.telephony import rest
from apps.telephony.signatures import Secrets
from tests.conftest import ApiFor
from tests.support.twilio import TwilioStandIn

URL = "/twilio-connections"
NOBODY = "AC" + "0" * 32


@pytest.fixture
def at_twilio(twilio: TwilioStandIn, settings: Settings) -> TwilioStandIn:
    settings.TWILIO_API_URL = twilio.url
    return twilio


def by_token(twilio: TwilioStandIn, **more: Any) -> dict[str, Any]:
    return {"account_sid": twilio.sid, "auth_token": twilio.token, **more}


def by_key(twilio: TwilioStandIn, **more: Any) -> dict[str, Any]:
    keyed = {"api_key_sid": twilio.key_sid, "api_key_secret": twilio.key_secret}
    return {"account_sid": twilio.sid, **keyed, **more}


def test_a_connection_that_twilio_takes_is_kept(
    api: APIClient, at_twilio: TwilioStandIn, account: Account
) -> None:
    answer = api.post(URL, by_token(at_twilio, name="Main"))
    assert answer.status_code == 201
    shown = answer.json()
    assert answer["Location"].endswith(f"{URL}/{shown['id']}")
    assert (shown["friendly_name"], shown["check_error"], shown["warnings"]) == ("Stand-in", "", [])
    assert shown["checked_at"] is not None
    assert shown["auth_token_last4"] == f"…{at_twilio.token[-4:]}"
    assert api.get(f"{URL}/{shown['id']}").json() == shown
    assert api.get(URL).json()["results"] == [shown]


def test_no_answer_log_or_row_holds_a_secret(
    api: APIClient, at_twilio: TwilioStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    keys = {"signing_keys": {"main": "a-shared-key-of-ours"}}
    body = {**by_token(at_twilio), **by_key(at_twilio), **keys}
    with caplog.at_level(logging.DEBUG):
        made = api.post(URL, body)
        home = f"{URL}/{made.json()['id']}"
        answers = [
            made,
            api.get(home),
            api.patch(home, {"name": "Other"}),
            api.post(f"{home}/check"),
            api.get("/audit-log"),
        ]
    with database.cursor() as cursor:
        cursor.execute("SELECT * FROM accounts_twilioconnection")
        row = repr(cursor.fetchall())
    for secret in (at_twilio.token, at_twilio.key_secret, "a-shared-key-of-ours"):
        assert not [one for one in answers if secret.encode() in one.content]
        assert secret not in caplog.text
        assert secret not in row


def test_webhooks_are_verified_with_what_was_stored(
    api: APIClient, at_twilio: TwilioStandIn, account: Account
) -> None:
    made = api.post(URL, by_token(at_twilio, signing_keys={"one": "1", "two": "2"})).json()
    account.refresh_from_db()
    kept = Secrets(at_twilio.token, {"one": "1", "two": "2"})
    assert secrets_of(account, account_sid=at_twilio.sid) == [kept]
    changed = api.patch(f"{URL}/{made['id']}", {"signing_keys": {"one": None, "three": "3"}})
    assert changed.json()["signing_keys"] == ["three", "two"]
    account.refresh_from_db()
    assert secrets_of(account)[0].keys == {"two": "2", "three": "3"}
    api.patch(f"{URL}/{made['id']}", {"signing_keys": None})
    account.refresh_from_db()
    assert secrets_of(account)[0].keys == {}
    api.delete(f"{URL}/{made['id']}")
    account.refresh_from_db()
    assert secrets_of(account) == []


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"auth_token": "0" * 32}, "auth_token"),
        ({"account_sid": NOBODY}, "auth_token"),
        ({"api_key_sid": "SK" + "0" * 32, "api_key_secret": "x" * 32}, "api_key_secret"),
    ],
)
def test_what_twilio_does_not_take_is_named_and_not_kept(
    api: APIClient, at_twilio: TwilioStandIn, wrong: dict[str, str], field: str
) -> None:
    answer = api.post(URL, by_token(at_twilio) | wrong)
    assert answer.status_code == 400
    assert answer.json()["fields"] == {field: [rest.MEANINGS[20003].hint]}
    assert (answer.json()["error"], answer.json()["twilio_code"]) == ("twilio-error", 20003)
    assert not TwilioConnection.objects.exists()


def test_both_the_key_and_the_token_are_tried(api: APIClient, at_twilio: TwilioStandIn) -> None:
    assert api.post(URL, {**by_token(at_twilio), **by_key(at_twilio)}).status_code == 201
    assert [one.user for one in at_twilio.requests] == [at_twilio.sid, at_twilio.key_sid]


def test_a_key_alone_calls_but_verifies_nothing(api: APIClient, at_twilio: TwilioStandIn) -> None:
    assert api.post(URL, by_key(at_twilio)).json()["warnings"] == [UNVERIFIABLE]


def test_a_standard_key_works_without_reading_the_account(
    api: APIClient, at_twilio: TwilioStandIn
) -> None:
    key = at_twilio.world.key_add(at_twilio.account, standard=True)
    body = by_token(at_twilio) | {"api_key_sid": key.sid, "api_key_secret": key.secret}
    assert api.post(URL, body).json()["warnings"] == []
    TwilioConnection.objects.all().delete()
    del body["auth_token"]
    answer = api.post(URL, body)
    assert answer.status_code == 201
    assert answer.json()["warnings"] == [UNVERIFIABLE, STANDARD_KEY]


def test_a_trial_account_is_kept_with_a_warning(api: APIClient, at_twilio: TwilioStandIn) -> None:
    at_twilio.account.kind = "Trial"
    shown = api.post(URL, by_token(at_twilio)).json()
    assert (shown["is_trial"], shown["warnings"]) == (True, [TRIAL])


@pytest.mark.parametrize("standing", ["suspended", "closed"])
def test_an_account_that_is_not_active_is_refused(
    api: APIClient, at_twilio: TwilioStandIn, standing: str
) -> None:
    at_twilio.account.status = standing
    answer = api.post(URL, by_token(at_twilio))
    assert answer.status_code == 409
    assert standing in answer.json()["fields"]["account_sid"][0]


def test_twilio_out_of_reach_is_no_verdict_on_the_credentials(api: APIClient) -> None:
    body = {"account_sid": NOBODY, "auth_token": "t" * 32}
    answer = api.post(URL, body)
    assert (answer.status_code, answer.json()["reason"]) == (503, "unreachable")
    assert answer["Retry-After"] == "1"
    assert not TwilioConnection.objects.exists()
    kept = api.post(f"{URL}?check=false", body)
    assert (kept.status_code, kept.json()["checked_at"]) == (201, None)
    assert kept.json()["warnings"] == [UNCHECKED]
    tried = api.post(f"{URL}/{kept.json()['id']}/check")
    assert tried.status_code == 200
    assert "not reached" in tried.json()["check_error"]


def test_an_answer_that_is_none_is_a_502(api: APIClient, at_twilio: TwilioStandIn) -> None:
    at_twilio.drills.fails(500, operation="accounts.get")
    assert api.post(URL, by_token(at_twilio)).status_code == 502


def test_a_check_notes_that_a_token_was_rotated(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    home = f"{URL}/{connection.id}"
    twilio.account.auth_token = "1" * 32
    refused = api.post(f"{home}/check").json()
    assert refused["check_error"] == f"{rest.MEANINGS[20003].hint} (Twilio 20003)"
    assert api.patch(home, {"auth_token": "1" * 32}).json()["check_error"] == ""
    assert api.post(f"{home}/check").json()["check_error"] == ""


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "account_sid"),
        ({"account_sid": "AC1"}, "account_sid"),
        ({"account_sid": f"{NOBODY}\n"}, "account_sid"),
        ({"account_sid": NOBODY}, "auth_token"),
        ({"account_sid": NOBODY, "auth_token": 7}, "auth_token"),
        ({"account_sid": NOBODY, "api_key_sid": "SK" + "0" * 32}, "api_key_secret"),
        ({"account_sid": NOBODY, "auth_token": "t", "api_key_secret": "s"}, "api_key_sid"),
        ({"account_sid": NOBODY, "auth_token": "t", "region": "ie1"}, "edge"),
        ({"account_sid": NOBODY, "auth_token": "t", "edge": "dublin"}, "region"),
        (
            {"account_sid": NOBODY, "auth_token": "t", "region": "evil.example/", "edge": "a"},
            "region",
        ),
        ({"account_sid": NOBODY, "auth_token": "t", "signing_keys": {"": "x"}}, "signing_keys"),
        ({"account_sid": NOBODY, "parent_id": str(uuid.UUID(int=7))}, "parent_id"),
        ({"account_sid": NOBODY, "auth_token": "t", "password": "x"}, "password"),
    ],
)
def test_a_wrong_body_is_named(api: APIClient, body: dict[str, Any], field: str) -> None:
    answer = api.post(URL, body)
    assert answer.status_code == 400
    assert field in answer.json()["fields"]
    assert not TwilioConnection.objects.exists()


def test_a_region_needs_its_edge_and_is_told_why(api: APIClient) -> None:
    body = {"account_sid": NOBODY, "auth_token": "t" * 32, "region": "ie1"}
    assert api.post(URL, body).json()["fields"] == {"edge": [REGION_NEEDS_EDGE]}


def test_a_region_is_kept_but_unused_where_twilio_is_not_twilio(
    api: APIClient, at_twilio: TwilioStandIn
) -> None:
    shown = api.post(URL, by_token(at_twilio, region="ie1", edge="dublin")).json()
    assert (shown["region"], shown["edge"]) == ("ie1", "dublin")
    assert shown["warnings"] == [UNUSED_REGION]


def test_a_token_that_is_not_the_primary_one_is_told(
    api: APIClient, at_twilio: TwilioStandIn
) -> None:
    # Twilio takes a secondary token too, and shows the primary one.
    key = at_twilio.world.key_add(at_twilio.account)
    secondary = "2" * 32
    at_twilio.account.keys[at_twilio.sid] = type(key)(at_twilio.sid, secondary)
    body = {"account_sid": at_twilio.sid, "auth_token": secondary}
    assert api.post(URL, body).json()["warnings"] == [NOT_PRIMARY]


def test_an_account_is_connected_once(api: APIClient, connection: TwilioConnection) -> None:
    body = {"account_sid": connection.account_sid, "auth_token": connection.auth_token}
    assert "account_sid" in api.post(URL, body).json()["fields"]
    assert TwilioConnection.objects.count() == 1


def test_two_accounts_may_connect_to_the_same(
    api_for: ApiFor, stranger: Account, connection: TwilioConnection
) -> None:
    body = {"account_sid": connection.account_sid, "auth_token": connection.auth_token}
    assert api_for(stranger).post(URL, body).status_code == 201


def test_a_name_is_changed_without_asking_twilio(
    api: APIClient, connection: TwilioConnection, settings: Settings
) -> None:
    settings.TWILIO_API_URL = "http://127.0.0.1:9"
    answer = api.patch(f"{URL}/{connection.id}", {"name": "Seeblick"})
    assert (answer.status_code, answer.json()["name"]) == (200, "Seeblick")
    again = api.patch(f"{URL}/{connection.id}", {"auth_token": connection.auth_token})
    assert again.status_code == 200


def test_what_twilio_does_not_take_changes_nothing(
    api: APIClient, connection: TwilioConnection
) -> None:
    home = f"{URL}/{connection.id}"
    before = api.get(home).json()
    assert api.patch(home, {"auth_token": "0" * 32}).status_code == 400
    assert api.patch(home, {"auth_token": None}).status_code == 400
    assert api.patch(home, {"account_sid": NOBODY}).status_code == 400
    assert api.patch(home, {"account_sid": None}).status_code == 400
    assert api.get(home).json() == before


def while_asked(twilio: TwilioStandIn, act: Callable[[], object]) -> None:
    """Have something done, on our own connection to the database, once Twilio has been asked."""
    ours = databases["default"]
    ours.inc_thread_sharing()

    def work() -> None:
        databases["default"] = ours
        act()

    def heard(_: object) -> None:
        # Django lets no event loop's own thread ask a database.
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    twilio.stand_in.rest.heard = heard


def test_a_change_meanwhile_is_not_overwritten(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    rows = TwilioConnection.objects.filter(pk=connection.pk)
    while_asked(twilio, lambda: rows.update(name="Theirs", updated_at=timezone.now()))
    twilio.account.auth_token = "1" * 32
    answer = api.patch(f"{URL}/{connection.id}", {"auth_token": "1" * 32, "name": "Ours"})
    assert answer.status_code == 409
    assert rows.get().name == "Theirs"


def test_no_transaction_is_open_while_twilio_is_asked(
    api: APIClient, at_twilio: TwilioStandIn
) -> None:
    ours, seen = databases["default"], []
    before = len(ours.savepoint_ids)
    while_asked(at_twilio, lambda: seen.append(len(ours.savepoint_ids)))
    made = api.post(URL, by_token(at_twilio)).json()
    api.post(f"{URL}/{made['id']}/check")
    assert seen == [before, before]


def test_a_sub_account_signs_in_as_its_parent(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn, account: Account
) -> None:
    child = twilio.world.account_add(owner=twilio.account)
    made = api.post(URL, {"account_sid": child.sid, "parent_id": str(connection.id)})
    assert made.status_code == 201
    # Its own token, as its parent may read it: its webhooks are signed with that one.
    assert made.json()["auth_token_last4"] == f"…{child.auth_token[-4:]}"
    assert made.json()["warnings"] == []
    account.refresh_from_db()
    assert secrets_of(account, account_sid=child.sid) == [Secrets(child.auth_token)]


def test_a_sub_account_of_somebody_else_is_refused(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    other = twilio.world.account_add()
    body = {"account_sid": other.sid, "auth_token": other.auth_token}
    answer = api.post(URL, {**body, "parent_id": str(connection.id)})
    assert (answer.status_code, list(answer.json()["fields"])) == (400, ["parent_id"])


def test_a_sub_account_has_no_sub_accounts(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    child = twilio.world.account_add(owner=twilio.account)
    made = api.post(URL, {"account_sid": child.sid, "parent_id": str(connection.id)}).json()
    answer = api.post(URL, {"account_sid": NOBODY, "parent_id": made["id"]})
    assert list(answer.json()["fields"]) == ["parent_id"]


def test_a_strangers_connection_is_no_parent(
    api: APIClient, api_for: ApiFor, stranger: Account, connection: TwilioConnection
) -> None:
    body = {"account_sid": NOBODY, "parent_id": str(connection.id)}
    assert list(api_for(stranger).post(URL, body).json()["fields"]) == ["parent_id"]


def test_sub_accounts_are_listed_with_what_is_connected(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    first, second = (twilio.world.account_add(owner=twilio.account) for _ in range(2))
    made = api.post(URL, {"account_sid": first.sid, "parent_id": str(connection.id)}).json()
    found = api.get(f"{URL}/{connection.id}/subaccounts").json()["results"]
    assert [(one["account_sid"], one["connection_id"]) for one in found] == [
        (first.sid, made["id"]),
        (second.sid, None),
    ]


def test_a_parent_stays_while_it_has_sub_accounts(
    api: APIClient, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    child = twilio.world.account_add(owner=twilio.account)
    made = api.post(URL, {"account_sid": child.sid, "parent_id": str(connection.id)}).json()
    answer = api.delete(f"{URL}/{connection.id}")
    assert (answer.status_code, child.sid in answer.json()["info"]) == (409, True)
    assert api.delete(f"{URL}/{made['id']}").status_code == 204
    assert api.delete(f"{URL}/{connection.id}").status_code == 204


def test_every_change_is_in_the_log(api: APIClient, at_twilio: TwilioStandIn) -> None:
    home = f"{URL}/{api.post(URL, by_token(at_twilio)).json()['id']}"
    api.patch(home, {"name": "Other"})
    api.post(f"{home}/check")
    api.delete(home)
    entries = AuditEntry.objects.filter(target_kind="twilio_connection").order_by("created_at")
    assert [entry.action.partition(".")[2] for entry in entries] == [
        "create",
        "update",
        "check",
        "delete",
    ]
    assert entries[1].after == {"name": "Other"}
    assert entries[0].after["last4"] == f"…{at_twilio.token[-4:]}"


def test_a_list_costs_the_same_however_long(
    api: APIClient, account: Account, django_assert_max_num_queries: DjangoAssertNumQueries
) -> None:
    for number in range(5):
        given = {"account_sid": f"AC{number:032}", "auth_token": "t" * 32}
        connection_create(account=account, given=given, actor=Actor(), check=False)
    with django_assert_max_num_queries(3):
        assert len(api.get(URL).json()["results"]) == 5


@pytest.mark.django_db(transaction=True)
def test_two_connections_at_once_both_verify_webhooks(api_for: ApiFor) -> None:
    account = account_create(name="Hotel", actor=Actor())
    start, codes = threading.Barrier(2), []

    def connect(client: APIClient, digit: str) -> None:
        body = {"account_sid": "AC" + digit * 32, "auth_token": f"token-of-{digit}"}
        start.wait(5)
        codes.append(client.post(f"{URL}?check=false", body).status_code)
        database.close()

    threads = [
        threading.Thread(target=connect, args=(api_for(account), digit)) for digit in ("1", "2")
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    account.refresh_from_db()
    assert codes == [201, 201]
    assert len(secrets_of(account)) == 2
