"""How people get in: password, second factor, lock-outs."""

from __future__ import annotations

import threading
from datetime import timedelta

import pytest
from axes.models import AccessAttempt
from django.conf import settings as django_settings
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test import Client
from pytest_django import Settings
from rest_framework.test import APIClient

from apps.accounts.models import User
from apps.accounts.totp import code_spend
from tests.support.login import (
    PASSWORD,
    code,
    enter_code,
    is_in,
    log_in,
    person,
    second_factor,
    text_of,
)

WRONG = "The username or the password is wrong."
HERE, THERE = "203.0.113.7", "198.51.100.9"
LIMIT = django_settings.AXES_FAILURE_LIMIT


@pytest.fixture(autouse=True)
def _nothing_counted(settings: Settings) -> None:
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def ada(db: None) -> User:
    return person()


def fail(client: Client, times: int, name: str = "ada", address: str = HERE) -> int:
    """Try wrong passwords; returns the last answer's status."""
    for _ in range(times):
        answer = client.post(
            "/admin/login/", {"login": name, "password": "wrong"}, REMOTE_ADDR=address
        )
    return int(answer.status_code)


def test_a_password_lets_in_and_leads_where_one_wanted_to_go(client: Client, ada: User) -> None:
    asked = client.get("/admin/calls/call/?status=failed")
    assert asked["Location"].startswith("/admin/login/?next=")
    answer = log_in(client, next="/admin/calls/call/?status=failed")
    assert answer["Location"] == "/admin/calls/call/?status=failed"
    assert is_in(client)


def test_the_login_leads_to_no_other_site(client: Client, ada: User) -> None:
    assert log_in(client, next="https://evil.example/")["Location"] == "/admin/"


def test_a_wrong_password_and_an_unknown_name_are_answered_alike(client: Client, ada: User) -> None:
    known, unknown = log_in(client, password="wrong"), log_in(client, name="eve", password="wrong")
    assert known.status_code == unknown.status_code == 200
    assert WRONG in text_of(known)
    assert WRONG in text_of(unknown)


def test_names_differ_by_their_case(client: Client, ada: User) -> None:
    User.objects.create_user("Ada", password="another long password", is_staff=True)
    assert WRONG in text_of(log_in(client, name="Ada"))
    assert log_in(client).status_code == 302


def test_who_is_inactive_hears_no_more_than_a_stranger(client: Client, db: None) -> None:
    person(is_active=False)
    assert WRONG in text_of(log_in(client))


def test_who_is_no_staff_is_told_so_and_stays_outside(client: Client, db: None) -> None:
    person(is_staff=False)
    assert "may not use the dashboard" in text_of(log_in(client))
    assert not is_in(client)
    assert WRONG in text_of(log_in(client, password="wrong"))


def test_who_is_staff_no_more_is_shown_the_way_out(client: Client, ada: User) -> None:
    log_in(client)
    User.objects.update(is_staff=False)
    answer = client.get("/admin/")
    assert answer.status_code == 403
    assert "/admin/logout/" in text_of(answer)
    client.post("/admin/logout/")
    assert client.get("/admin/")["Location"].startswith("/admin/login/")


def test_a_fragment_of_who_is_logged_out_has_the_page_go_to_the_login(
    client: Client, db: None
) -> None:
    page = "https://voice.example.com/admin/calls/call/?page=2"
    answer = client.get("/admin/", headers={"hx-request": "true", "hx-current-url": page})
    assert answer.status_code == 401
    assert answer["HX-Redirect"] == "/admin/login/?next=%2Fadmin%2Fcalls%2Fcall%2F%3Fpage%3D2"


def test_who_logs_out_is_out(client: Client, ada: User) -> None:
    log_in(client)
    assert client.post("/admin/logout/")["Location"] == "/admin/login/"
    assert not is_in(client)


def test_nobody_signs_up_or_asks_for_mail(client: Client, db: None) -> None:
    for path in ("signup/", "email/", "password/reset/", "password/set/"):
        assert client.get(f"/admin/{path}").status_code in (302, 404)
        assert client.post(f"/admin/{path}").status_code in (302, 404)


# --- the second factor ---


def test_a_second_factor_is_asked_for_and_lets_in(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    assert log_in(client)["Location"] == "/admin/login/code/"
    assert not is_in(client)
    enter_code(client, code(secret))
    assert is_in(client)


def test_a_code_counts_once(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    used = code(secret)
    log_in(client)
    enter_code(client, used)
    other = Client()
    log_in(other)
    assert "This code is wrong, or was used already." in text_of(enter_code(other, used))
    assert not is_in(other)


@pytest.mark.parametrize("steps", [-1, 0])
def test_a_code_counts_once_in_all_processes_and_none_before_it_counts(
    client: Client, ada: User, steps: int
) -> None:
    secret, _ = second_factor(ada)
    log_in(client)
    enter_code(client, code(secret))
    cache.clear()  # another process has another one
    other = Client()
    log_in(other)
    assert "was used already" in text_of(enter_code(other, code(secret, steps=steps)))
    assert not is_in(other)
    enter_code(other, code(secret, steps=1))
    assert is_in(other)


def test_a_code_of_a_login_confirms_nothing(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    log_in(client)
    enter_code(client, code(secret))
    cache.clear()
    used = client.post("/admin/confirm/code/?next=/admin/security/", {"code": code(secret)})
    assert "was used already" in text_of(used)
    fresh = {"code": code(secret, steps=1)}
    answer = client.post("/admin/confirm/code/?next=/admin/security/", fresh)
    assert answer["Location"] == "/admin/security/"


def test_a_used_code_is_counted_as_a_wrong_one(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    log_in(client)
    enter_code(client, code(secret))
    other = Client()
    log_in(other)
    for _ in range(5):
        assert "was used already" in text_of(enter_code(other, code(secret, steps=-1)))
    assert "Too many wrong codes" in text_of(enter_code(other, code(secret, steps=1)))


@pytest.mark.django_db(transaction=True)
def test_of_two_who_enter_one_code_at_once_one_gets_in() -> None:
    ada = person()
    secret, _ = second_factor(ada)
    start, outcomes = threading.Barrier(2), []

    def enter() -> None:
        start.wait(5)
        outcomes.append(code_spend(user=ada, code=code(secret)))
        connection.close()

    threads = [threading.Thread(target=enter) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == [False, True]


def test_a_recovery_code_counts_once(client: Client, ada: User) -> None:
    _, codes = second_factor(ada)
    for number, allowed in ((0, True), (0, False), (1, True)):
        visitor = Client()
        log_in(visitor)
        enter_code(visitor, codes[number])
        assert is_in(visitor) is allowed


def test_wrong_codes_are_refused_and_soon_not_even_looked_at(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    log_in(client)
    for _ in range(5):
        assert "This code is wrong" in text_of(enter_code(client, "000000"))
    assert "Too many wrong codes" in text_of(enter_code(client, code(secret)))
    # From anywhere: who tries codes has the password.
    other = Client(REMOTE_ADDR=THERE)
    log_in(other)
    assert "Too many wrong codes" in text_of(enter_code(other, code(secret)))
    assert not is_in(client)


def test_a_code_without_a_password_opens_nothing(client: Client, ada: User) -> None:
    secret, _ = second_factor(ada)
    assert enter_code(client, code(secret))["Location"].startswith("/admin/login/")
    assert not is_in(client)


def test_what_codes_are_made_from_is_stored_encrypted(ada: User) -> None:
    secret, _ = second_factor(ada)
    assert secret not in str(list(ada.authenticator_set.values_list("data", flat=True)))


# --- lock-outs ---


def test_after_so_many_failures_the_right_password_waits_too(client: Client, ada: User) -> None:
    assert fail(client, LIMIT - 1) == 200
    assert fail(client, 1) == 429
    answer = client.post("/admin/login/", {"login": "ada", "password": PASSWORD}, REMOTE_ADDR=HERE)
    assert answer.status_code == 429
    assert "15 minutes" in text_of(answer)
    assert 890 < int(answer["Retry-After"]) <= 900
    assert not is_in(client)


def test_a_stranger_keeps_nobody_out_elsewhere(client: Client, ada: User) -> None:
    fail(client, LIMIT + 3)
    other = Client(REMOTE_ADDR=THERE)
    log_in(other)
    assert is_in(other)


def test_an_unknown_name_is_locked_like_a_known_one(client: Client, ada: User) -> None:
    assert [fail(client, LIMIT, name) for name in ("ada", "eve")] == [429, 429]


def test_a_lock_out_ends(client: Client, ada: User) -> None:
    fail(client, LIMIT)
    waited = django_settings.AXES_COOLOFF_TIME - timedelta(minutes=1)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - waited)
    answer = client.post("/admin/login/", {"login": "ada", "password": "x"}, REMOTE_ADDR=HERE)
    assert "1 minute<" in text_of(answer)
    AccessAttempt.objects.update(attempt_time=F("attempt_time") - timedelta(minutes=1))
    client.post("/admin/login/", {"login": "ada", "password": PASSWORD}, REMOTE_ADDR=HERE)
    assert is_in(client)


def test_a_login_forgets_the_failures_before_it(client: Client, ada: User) -> None:
    for _ in range(3):
        fail(client, LIMIT - 1)
        answer = client.post(
            "/admin/login/", {"login": "ada", "password": PASSWORD}, REMOTE_ADDR=HERE
        )
        assert answer.status_code == 302
        client.post("/admin/logout/")


def test_the_addresses_of_one_customer_are_counted_as_one(client: Client, ada: User) -> None:
    statuses = [
        fail(client, 1, address=f"2001:db8:1:2::{number:x}") for number in range(1, LIMIT + 1)
    ]
    assert statuses[-1] == 429


def test_what_a_client_claims_of_its_address_is_not_believed(client: Client, ada: User) -> None:
    for number in range(LIMIT):
        client.post(
            "/admin/login/",
            {"login": "ada", "password": "wrong"},
            REMOTE_ADDR=HERE,
            HTTP_X_FORWARDED_FOR=f"192.0.2.{number}",
        )
    assert fail(client, 1) == 429


def test_who_tries_many_names_is_stopped_by_the_address(client: Client, ada: User) -> None:
    statuses = [fail(client, 1, f"user{number}") for number in range(31)]
    assert statuses[-1] == 429
    page = client.post("/admin/login/", {"login": "ada", "password": "x"}, REMOTE_ADDR=HERE)
    assert "Wait a minute" in text_of(page)


def test_no_password_is_kept_of_a_failure(client: Client, ada: User) -> None:
    log_in(client, password="my-secret-words")
    kept = str(list(AccessAttempt.objects.values()))
    assert "my-secret-words" not in kept


def test_the_api_takes_no_notice_of_lock_outs(client: Client, ada: User, api: APIClient) -> None:
    fail(client, LIMIT + 1, address="127.0.0.1")
    assert api.get("/twilio-config").status_code == 200


def test_a_session_is_no_way_into_the_api(client: Client, ada: User) -> None:
    log_in(client)
    assert client.get("/twilio-config").status_code == 401


def test_the_session_cookie_is_for_the_server_alone(client: Client, ada: User) -> None:
    log_in(client)
    cookie = client.cookies[django_settings.SESSION_COOKIE_NAME]
    assert cookie["httponly"]
    assert cookie["secure"]
    assert cookie["samesite"] == "Lax"
    assert cookie["max-age"] == 14 * 24 * 3600


def test_a_login_asks_the_database_little(
    client: Client, ada: User, django_assert_max_num_queries: object, settings: Settings
) -> None:
    with django_assert_max_num_queries(0):  # type: ignore[operator]
        assert client.get("/admin/login/").status_code == 200
