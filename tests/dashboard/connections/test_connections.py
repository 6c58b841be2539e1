"""The page of a connection: tried at Twilio before it is stored, and never read."""

from __future__ import annotations

import pytest
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import Account, AuditEntry, TwilioConnection
from apps.bots.models import TwilioConfig
from apps.calls.models import PhoneNumber
from tests.dashboard.people import KEEPERS, ROLES, Login, form_in, text
from tests.support.twilio import TwilioStandIn

LIST = "/admin/accounts/twilioconnection/"
ADD = f"{LIST}add/"


@pytest.fixture
def at_twilio(twilio: TwilioStandIn, settings: Settings) -> TwilioStandIn:
    settings.TWILIO_API_URL = twilio.url
    return twilio


def form(account: Account, twilio: TwilioStandIn, **more: str) -> dict[str, str]:
    said = {"account_sid": twilio.sid, "auth_token": twilio.token, "check_first": "on"}
    return {"account": str(account.pk), **said, **more}


def url(name: str, connection: TwilioConnection) -> str:
    return reverse(f"admin:accounts_twilioconnection_{name}", args=[connection.pk])


@pytest.mark.parametrize("role", ROLES)
def test_a_twilio_account_is_connected_by_owners_and_admins(
    as_: Login, account: Account, at_twilio: TwilioStandIn, role: str
) -> None:
    at_twilio.add_number("+14155550100")
    answer = as_(account, role).post(ADD, form(account, at_twilio, name="Main"), follow=True)
    assert answer.status_code == (200 if role in KEEPERS else 403)
    assert TwilioConnection.objects.exists() is (role in KEEPERS)
    if role in KEEPERS:
        assert "Main is connected; it has 1 number." in text(answer)
        assert AuditEntry.objects.get(action="twilio_connection.create").actor_kind == "user"


def test_what_twilio_does_not_take_stands_at_its_field_and_is_not_stored(
    as_: Login, account: Account, at_twilio: TwilioStandIn
) -> None:
    client = as_(account, "admin")
    page = text(client.post(ADD, form(account, at_twilio, auth_token="0" * 32)))
    wrong = page.partition('id="connectionform_auth_token_error"')[2].partition("</div>")[0]
    assert "do not fit" in wrong
    assert "0" * 32 not in page
    assert not TwilioConnection.objects.exists()


def test_the_apis_rules_hold_for_the_form(
    as_: Login, account: Account, at_twilio: TwilioStandIn
) -> None:
    client = as_(account, "admin")
    page = text(client.post(ADD, form(account, at_twilio, account_sid="ACshort")))
    assert "AC followed by 32 hexadecimal digits" in page
    page = text(client.post(ADD, form(account, at_twilio, region="ie1")))
    assert "Say the edge too" in page
    assert not TwilioConnection.objects.exists()


def test_who_saves_an_older_page_undoes_nothing_of_what_others_set(
    as_: Login, account: Account, at_twilio: TwilioStandIn
) -> None:
    client = as_(account, "admin")
    client.post(ADD, form(account, at_twilio, name="Main"))
    connection = TwilioConnection.objects.get()
    page = text(client.get(url("change", connection)))
    mine = form_in(page, url("edit", connection)) | {"name": "Mine"}
    del mine["check_first"]
    client.post(url("edit", connection), mine | {"name": "Main", "region": "ie1", "edge": "dublin"})
    client.post(url("edit", connection), mine)
    connection.refresh_from_db()
    assert (connection.name, connection.region, connection.edge) == ("Mine", "ie1", "dublin")


def said_at(page: str, field: str) -> str:
    """What the page says is wrong with a field of a connection that is changed."""
    return page.partition(f'id="connectionchangeform_{field}_error"')[2].partition("</div>")[0]


def test_a_secret_that_was_typed_is_asked_for_again(
    as_: Login, account: Account, at_twilio: TwilioStandIn
) -> None:
    client = as_(account, "admin")
    client.post(ADD, form(account, at_twilio))
    connection = TwilioConnection.objects.get()
    page = text(client.post(url("edit", connection), {"auth_token": "1" * 32, "region": "ie1"}))
    assert "Type it again" in said_at(page, "auth_token")
    assert said_at(page, "api_key_secret") == ""
    refused = {"auth_token": at_twilio.token, "check_first": "on", "api_key_sid": "SK" + "0" * 32}
    page = text(client.post(url("edit", connection), {**refused, "api_key_secret": "wrong"}))
    assert "Type it again" in said_at(page, "auth_token")


def test_no_page_or_message_holds_a_secret(
    as_: Login, account: Account, at_twilio: TwilioStandIn
) -> None:
    client = as_(account, "owner")
    keys = {"signing_key_name": "main", "signing_key_secret": "a-shared-key-of-ours"}
    keys |= {"api_key_sid": at_twilio.key_sid, "api_key_secret": at_twilio.key_secret}
    answers = [client.post(ADD, form(account, at_twilio, **keys), follow=True)]
    connection = TwilioConnection.objects.get()
    answers += [client.get(path) for path in (LIST, url("change", connection))]
    answers += [client.post(url("check_now", connection), follow=True)]
    answers += [client.post(url("edit", connection), {"name": "x", **keys}, follow=True)]
    answers += [client.get("/admin/accounts/auditentry/")]
    for secret in (at_twilio.token, at_twilio.key_secret, "a-shared-key-of-ours"):
        assert not [one for one in answers if secret in text(one)]
        assert secret not in str(client.cookies) + str(dict(client.session))


def test_a_change_keeps_the_secrets_that_are_left_empty(
    as_: Login, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    client = as_(connection.account, "admin")
    answer = client.post(url("edit", connection), {"name": "Renamed"}, follow=True)
    assert "The connection is changed." in text(answer)
    connection.refresh_from_db()
    assert (connection.name, connection.auth_token) == ("Renamed", twilio.token)


def test_a_signing_key_is_added_and_taken_away(as_: Login, connection: TwilioConnection) -> None:
    client = as_(connection.account, "admin")
    said = {"signing_key_name": "one", "signing_key_secret": "of-one"}
    client.post(url("edit", connection), said)
    connection.refresh_from_db()
    assert connection.signing_keys == {"one": "of-one"}
    client.post(url("edit", connection), {"take_away": "signing:one"})
    connection.refresh_from_db()
    assert connection.signing_keys == {}


@pytest.mark.parametrize("role", ROLES)
def test_it_is_tried_changed_and_forgotten_by_owners_and_admins(
    as_: Login, connection: TwilioConnection, role: str
) -> None:
    client = as_(connection.account, role)
    assert client.get(url("change", connection)).status_code == 200
    for act in ("check_now", "edit", "delete"):
        expected = 302 if role in KEEPERS else 403
        assert client.post(url(act, connection), {}).status_code == expected, act
    assert TwilioConnection.objects.exists() is (role not in KEEPERS)


def test_another_accounts_connection_is_not_there(
    as_: Login, connection: TwilioConnection, stranger: Account
) -> None:
    client = as_(stranger, "owner")
    assert connection.account_sid not in text(client.get(LIST))
    for act in ("change", "subaccounts"):
        assert client.get(url(act, connection)).status_code == 404
    for act in ("check_now", "edit", "delete"):
        assert client.post(url(act, connection), {}).status_code == 404
    assert TwilioConnection.objects.exists()


def test_a_try_that_fails_is_told(
    as_: Login, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    twilio.account.auth_token = "0" * 32
    answer = as_(connection.account, "admin").post(url("check_now", connection), follow=True)
    assert "does not work" in text(answer)
    assert "do not fit" in text(answer)


def test_one_that_a_bot_needs_is_not_forgotten(
    as_: Login, connection: TwilioConnection, config: TwilioConfig
) -> None:
    PhoneNumber.objects.create(
        account=connection.account, connection=connection, sid="PN1", number="+1", config=config
    )
    answer = as_(connection.account, "owner").post(url("delete", connection), follow=True)
    assert "In use by number +1." in text(answer)
    assert TwilioConnection.objects.exists()


def test_sub_accounts_are_listed_with_a_way_to_connect_them(
    as_: Login, connection: TwilioConnection, twilio: TwilioStandIn
) -> None:
    sub = twilio.world.account_add(owner=twilio.account)
    client = as_(connection.account, "admin")
    page = text(client.get(url("subaccounts", connection)))
    assert sub.sid in page
    assert f"account_sid={sub.sid}" in page
    asked = {"account_sid": sub.sid, "parent_id": str(connection.pk), "check_first": "on"}
    client.post(ADD, {"account": str(connection.account_id), **asked})
    assert TwilioConnection.objects.get(account_sid=sub.sid).parent == connection


def test_without_a_connection_the_list_says_what_to_do(as_: Login, account: Account) -> None:
    assert "Connect a Twilio account" in text(as_(account, "admin").get(LIST))
