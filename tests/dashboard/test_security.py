"""One's own security, and who is kept out of the dashboard until they have a second factor."""

from __future__ import annotations

import io
import re
import time
from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from axes.models import AccessAttempt
from django.contrib import admin
from django.contrib.auth.models import AnonymousUser
from django.contrib.sessions.backends.db import SessionStore
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import CommandError, call_command
from django.test import Client, TestCase
from django.utils import timezone
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, User
from apps.accounts.second_factor import second_factor_is_on
from apps.accounts.services import membership_put
from apps.accounts.sweeps import failures_clear, sessions_clear
from apps.core.threads import shared_close
from apps.dashboard.browsers import browser_named
from apps.dashboard.gate import may_enter
from apps.dashboard.sockets import gated
from tests.dashboard.sockets import PageSocket
from tests.support.login import (
    PASSWORD,
    code,
    enter_code,
    is_in,
    log_in,
    person,
    second_factor,
    session_of,
    text_of,
)

_UNTYPED: Any = ApplicationCommunicator
NEW_PASSWORD = "four quite unrelated words"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) Version/19 Mobile Safari/604.1"


@pytest.fixture(autouse=True)
def _nothing_counted(settings: Settings) -> None:
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(account: Account) -> User:
    """A viewer of our account."""
    user = person()
    membership_put(account=account, user=user, role="viewer", actor=Actor())
    return user


@pytest.fixture
def inside(ada: User) -> Client:
    """Ada's browser, where she has just logged in."""
    client = Client(headers={"user-agent": FIREFOX})
    log_in(client)
    return client


def set_up(client: Client) -> str:
    """Set up an app, as a person does; returns its key."""
    page = text_of(client.get("/admin/security/app/"))
    found = re.search(r'id="totp-key">([A-Z2-7]+)<', page)
    assert found is not None
    with TestCase.captureOnCommitCallbacks(execute=True):
        answer = client.post("/admin/security/app/", {"code": code(found[1])})
    assert answer["Location"] == "/admin/security/recovery-codes/"
    return found[1]


def by_code(client: Client, user: User) -> None:
    """Give somebody a second factor, and log in by it."""
    secret, _ = second_factor(user)
    log_in(client, name=user.get_username())
    enter_code(client, code(secret))
    assert is_in(client)


def entries(account: Account) -> list[tuple[str, str]]:
    """What the account's log tells of people: what, and by whom."""
    found = AuditEntry.objects.filter(account=account, target_kind="user")
    return list(found.order_by("created_at", "id").values_list("action", "actor_name"))


def test_an_app_is_set_up_and_asked_for_from_then_on(
    inside: Client, ada: User, account: Account
) -> None:
    secret = set_up(inside)
    codes = re.findall(
        r"<code>(\d{8})</code>", text_of(inside.get("/admin/security/recovery-codes/"))
    )
    assert len(codes) == 10
    assert entries(account) == [("user.second_factor_add", "ada")]
    other = Client()
    assert log_in(other)["Location"] == "/admin/login/code/"
    enter_code(other, code(secret, steps=1))
    assert is_in(other)


def test_the_code_of_the_set_up_logs_nobody_in(inside: Client, ada: User) -> None:
    secret = set_up(inside)
    cache.clear()
    other = Client()
    log_in(other)
    enter_code(other, code(secret))
    assert not is_in(other)


def test_a_wrong_code_sets_nothing_up(inside: Client, ada: User) -> None:
    inside.get("/admin/security/app/")
    page = text_of(inside.post("/admin/security/app/", {"code": "000000"}))
    assert "This code is wrong" in page
    assert not second_factor_is_on(ada)


def test_sessions_that_began_by_a_password_end_with_a_second_factor(
    inside: Client, ada: User
) -> None:
    other = Client()
    log_in(other)
    set_up(inside)
    assert is_in(inside)
    assert not is_in(other)


def test_a_second_factor_goes_with_its_codes(inside: Client, ada: User, account: Account) -> None:
    set_up(inside)
    assert "Your password alone" in text_of(inside.get("/admin/security/app/remove/"))
    inside.post("/admin/security/app/remove/")
    assert not Authenticator.objects.exists()
    assert ("user.second_factor_remove", "ada") in entries(account)


def test_new_recovery_codes_end_the_old_ones(inside: Client, ada: User) -> None:
    set_up(inside)
    old = text_of(inside.get("/admin/security/recovery-codes/file/")).split()
    inside.post("/admin/security/recovery-codes/new/")
    new = text_of(inside.get("/admin/security/recovery-codes/file/")).split()
    assert len(new) == 10
    assert not set(old) & set(new)


@pytest.mark.parametrize("path", ["app/", "app/remove/", "recovery-codes/", "recovery-codes/new/"])
def test_what_decides_how_one_gets_in_asks_for_the_password_again(
    inside: Client, ada: User, path: str
) -> None:
    if path != "app/":
        by_code(inside, ada)
    session = inside.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3_600
    session.save()
    answer = inside.get(f"/admin/security/{path}")
    assert answer["Location"].startswith("/admin/confirm/")
    assert inside.get(answer["Location"]).status_code == 200
    inside.post(answer["Location"], {"password": PASSWORD})
    assert inside.get(f"/admin/security/{path}").status_code == 200


def test_the_overview_says_what_there_is(inside: Client, ada: User) -> None:
    assert "Set up an app" in text_of(inside.get("/admin/security/"))
    by_code(inside, ada)
    page = text_of(inside.get("/admin/security/"))
    assert "10 left" in page
    assert "Set up an app" not in page


@pytest.mark.parametrize("path", ["", "app/", "recovery-codes/", "sessions/"])
def test_a_stranger_sees_nobodys_security(client: Client, db: None, path: str) -> None:
    assert client.get(f"/admin/security/{path}")["Location"].startswith("/admin/login/")


# --- password and sessions ---


def test_a_new_password_ends_all_other_sessions(
    inside: Client, ada: User, account: Account
) -> None:
    other = Client()
    log_in(other)
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert inside.post("/admin/password_change/", form)["Location"] == "/admin/security/"
    assert is_in(inside)
    assert not is_in(other)
    assert UserSession.objects.count() == 1
    assert entries(account) == [("user.password_change", "ada")]
    assert log_in(Client(), password=NEW_PASSWORD).status_code == 302


def test_the_old_password_is_asked_for(inside: Client, ada: User) -> None:
    form = {"oldpassword": "wrong", "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert "Please type your current password" in text_of(
        inside.post("/admin/password_change/", form)
    )
    assert log_in(Client()).status_code == 302


def test_sessions_are_listed_by_browser(inside: Client, ada: User) -> None:
    log_in(Client(headers={"user-agent": IPHONE}))
    page = text_of(inside.get("/admin/security/sessions/"))
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page
    assert page.count("This one") == 1


def test_one_session_is_ended_and_the_others_stay(inside: Client, ada: User) -> None:
    left, ended = Client(), Client()
    for client in (left, ended):
        log_in(client)
    session = UserSession.objects.get(session_key=ended.session.session_key)
    inside.post(f"/admin/security/sessions/{session.pk}/end/")
    assert [is_in(client) for client in (inside, left, ended)] == [True, True, False]


def test_all_other_sessions_are_ended(inside: Client, ada: User) -> None:
    others = [Client(), Client()]
    for client in others:
        log_in(client)
    inside.post("/admin/security/sessions/")
    assert is_in(inside)
    assert not any(is_in(client) for client in others)


def test_nobody_ends_somebody_elses_session(inside: Client, ada: User) -> None:
    person("bob")
    bobs = Client()
    log_in(bobs, name="bob")
    session = UserSession.objects.get(session_key=bobs.session.session_key)
    answer = inside.post(f"/admin/security/sessions/{session.pk}/end/")
    assert answer.status_code == 404
    assert is_in(bobs)


def test_ones_own_session_ends_by_logging_out(inside: Client, ada: User) -> None:
    session = UserSession.objects.get()
    assert inside.post(f"/admin/security/sessions/{session.pk}/end/").status_code == 404
    assert inside.get(f"/admin/security/sessions/{session.pk}/end/").status_code == 405


def test_a_session_says_when_it_was_last_used_and_lives_on_by_it(inside: Client, ada: User) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    UserSession.objects.update(last_seen_at=long_ago)
    inside.get("/admin/security/")
    assert UserSession.objects.get().last_seen_at == long_ago  # ten minutes have not passed
    session = inside.session
    session["seen_at"] = time.time() - 601
    session.save()
    answer = inside.get("/admin/security/")
    assert UserSession.objects.get().last_seen_at > long_ago
    assert answer.cookies["sessionid"]["max-age"] == 14 * 24 * 3600


def test_what_is_over_is_erased_by_the_hour(inside: Client, ada: User) -> None:
    over = Client()
    log_in(over)
    log_in(Client(), password="wrong")
    past = timezone.now() - timedelta(minutes=16)
    Session.objects.filter(session_key=over.session.session_key).update(expire_date=past)
    AccessAttempt.objects.update(attempt_time=past)
    assert (sessions_clear(), failures_clear()) == (1, 1)
    assert UserSession.objects.get().session_key == inside.session.session_key
    assert is_in(inside)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (IPHONE, "Safari on iPhone"),
        ("curl/8", "curl/8"),
        ("", "Unknown"),
    ],
)
def test_a_browser_has_a_name(text: str, name: str) -> None:
    assert browser_named(text) == name


# --- where a second factor is required ---


def test_nothing_opens_before_a_second_factor_is_set_up(
    inside: Client, ada: User, settings: Settings
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    for path in ("", "calls/call/", "security/", "security/sessions/", "password_change/"):
        assert inside.get(f"/admin/{path}")["Location"] == "/admin/security/app/", path
    assert not may_enter(ada, inside.session)
    set_up(inside)
    assert is_in(inside)
    assert may_enter(ada, inside.session)


def test_a_fragment_is_refused_and_says_where_to_go(
    inside: Client, ada: User, settings: Settings
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    answer = inside.get("/admin/", headers={"hx-request": "true"})
    assert answer.status_code == 403
    assert answer["HX-Redirect"] == "/admin/security/app/"


def test_a_post_changes_nothing_before(inside: Client, ada: User, settings: Settings) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    form = {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD}
    assert inside.post("/admin/password_change/", form)["Location"] == "/admin/security/app/"
    assert log_in(Client()).status_code == 302


def test_the_set_up_shows_nothing_of_the_dashboard(
    inside: Client, ada: User, settings: Settings
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    page = text_of(inside.get("/admin/security/app/"))
    assert "asks everybody for a second factor" in page
    assert "/admin/calls/" not in page
    assert inside.post("/admin/logout/").status_code == 302


@pytest.mark.django_db(transaction=True)
async def test_a_socket_is_refused_too(settings: Settings) -> None:
    opened = []

    async def inner(scope: Any, receive: Any, send: Any) -> None:
        opened.append(scope["user"])
        await send({"type": "websocket.accept"})

    async def connects(user: Any, session: Any) -> bool:
        scope = {"type": "websocket", "user": user, "session": session}
        socket = _UNTYPED(gated(inner), scope)
        await socket.send_input({"type": "websocket.connect"})
        return bool((await socket.receive_output())["type"] == "websocket.accept")

    ada = await sync_to_async(person)()
    bob = await sync_to_async(person)("bob", is_staff=False)
    hers, his = [await sync_to_async(session_of)(user) for user in (ada, bob)]
    assert await connects(ada, hers)
    assert not await connects(AnonymousUser(), SessionStore())
    assert not await connects(bob, his)
    assert not await connects(ada, his)
    settings.REQUIRE_TWO_FACTOR = True
    assert not await connects(ada, hers)
    await sync_to_async(second_factor)(ada)
    assert not await connects(ada, hers)
    hers["account_authentication_methods"] = [{"method": "mfa", "at": 0.0}]
    assert await connects(ada, hers)
    assert opened == [ada, ada]


def unlisted(user: User) -> Client:
    """A browser whose session began before sessions were listed."""
    client = Client()
    client.force_login(user)
    UserSession.objects.filter(session_key=client.session.session_key).delete()
    return client


def test_a_session_that_is_not_listed_is_none(inside: Client, ada: User) -> None:
    old = unlisted(ada)
    key = old.session.session_key
    assert not is_in(old)
    assert not Session.objects.filter(session_key=key).exists()
    assert is_in(inside)


@pytest.mark.django_db(transaction=True)
async def test_a_socket_of_a_session_that_is_not_listed_is_refused() -> None:
    ada = await sync_to_async(person)(is_superuser=True)
    session = await sync_to_async(session_of)(ada)
    listed = PageSocket("/admin/ws/live", session)
    assert await listed.connect()
    await listed.leave()
    await UserSession.objects.all().adelete()
    assert not await PageSocket("/admin/ws/live", session).connect()
    await shared_close()


def test_whatever_logs_somebody_in_is_listed(ada: User) -> None:
    client = Client()
    client.force_login(ada)
    assert UserSession.objects.get().session_key == client.session.session_key
    assert is_in(client)


def test_a_session_of_a_password_alone_does_not_pass_for_who_has_a_second_factor(
    inside: Client, ada: User
) -> None:
    by_code(Client(), ada)
    assert inside.get("/admin/")["Location"].startswith("/admin/login/")


def test_the_session_that_a_second_factor_is_set_up_in_goes_on(
    inside: Client, ada: User, settings: Settings
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    set_up(inside)
    assert is_in(inside)
    assert inside.get("/admin/security/recovery-codes/").status_code == 200


def test_the_api_and_the_health_checks_need_no_second_factor(
    inside: Client, ada: User, settings: Settings
) -> None:
    settings.REQUIRE_TWO_FACTOR = True
    assert inside.get("/healthz").status_code == 200
    assert inside.get("/twilio-config").status_code == 401


# --- lost phones ---


@pytest.fixture
def root(db: None) -> Client:
    """A superuser's browser."""
    person("root", is_superuser=True)
    client = Client()
    log_in(client, name="root")
    return client


def reset(client: Client, user: User) -> int:
    return int(client.post(f"/admin/accounts/user/{user.pk}/second-factor/").status_code)


def test_a_superuser_takes_away_a_lost_second_factor(
    root: Client, inside: Client, ada: User, account: Account
) -> None:
    second_factor(ada)
    path = f"/admin/accounts/user/{ada.pk}"
    assert f"{path}/second-factor/" in text_of(root.get(f"{path}/change/"))
    assert "ada" in text_of(root.get(f"{path}/second-factor/"))
    assert second_factor_is_on(ada)
    assert reset(root, ada) == 302
    assert not second_factor_is_on(ada)
    assert not is_in(inside)
    assert ("user.second_factor_reset", "root") in entries(account)
    assert log_in(Client())["Location"] == "/admin/"


def test_who_is_no_superuser_takes_nothing_away(inside: Client, ada: User) -> None:
    bob = person("bob")
    second_factor(bob)
    assert reset(inside, bob) in (302, 403)
    assert second_factor_is_on(bob)


def test_a_superusers_own_goes_by_their_own_security(root: Client, db: None) -> None:
    user = User.objects.get(username="root")
    by_code(root, user)
    assert reset(root, user) == 403
    assert second_factor_is_on(user)


def test_a_command_helps_the_last_superuser(ada: User, account: Account) -> None:
    second_factor(ada)
    out = io.StringIO()
    call_command("reset_second_factor", "ada", stdout=out)
    assert "password alone" in out.getvalue()
    assert not second_factor_is_on(ada)
    assert entries(account) == [("user.second_factor_reset", "reset_second_factor")]
    call_command("reset_second_factor", "ada", stdout=out)
    assert "had no second factor" in out.getvalue()
    with pytest.raises(CommandError):
        call_command("reset_second_factor", "eve")


def test_the_admin_site_lists_no_keys_of_apps(root: Client) -> None:
    page = text_of(root.get("/admin/"))
    for name in ("/admin/mfa/", "/admin/usersessions/", "/admin/account/", "/admin/axes/"):
        assert name not in page


def test_the_admin_site_is_of_our_own_pages_alone(root: Client) -> None:
    assert {model._meta.app_label for model in admin.site._registry} == {
        *("accounts", "bots", "calls", "webhooks"),
    }
    assert root.get("/admin/django_tasks_database/dbtaskresult/").status_code == 404
