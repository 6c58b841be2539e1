"""People, as superusers change them: who is asked for the password, what ends, what is told."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache
from django.test import Client
from pytest_django import Settings

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, Membership, User
from apps.accounts.people import user_update
from apps.accounts.services import membership_put
from tests.dashboard.people import told
from tests.support.login import PASSWORD, is_in, log_in, person, second_factor

NEW_PASSWORD = "four quite unrelated words"
INLINE = {
    f"memberships-{name}_FORMS": count
    for name, count in (("TOTAL", "0"), ("INITIAL", "0"), ("MIN_NUM", "0"), ("MAX_NUM", "0"))
}


@pytest.fixture(autouse=True)
def _nothing_counted(settings: Settings) -> None:
    cache.clear()
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def boss(db: None) -> Client:
    """A superuser's browser, where they have just logged in."""
    person("boss", is_superuser=True)
    client = Client()
    log_in(client, name="boss")
    return client


@pytest.fixture
def ada(account: Account) -> User:
    """The only owner of our account."""
    user = person()
    membership_put(account=account, user=user, role="owner", actor=Actor())
    return user


def late(client: Client) -> Client:
    """The same browser, an hour later."""
    session = client.session
    for record in session["account_authentication_methods"]:
        record["at"] -= 3_600
    session.save()
    return client


def page(user: User, name: str = "change") -> str:
    return f"/admin/accounts/user/{user.pk}/{name}/"


def form(user: User, **more: str) -> dict[str, str]:
    """What the page of an active member of the staff sends; an empty value unticks a box."""
    boxes = {"is_active": "on", "is_staff": "on", **more}
    return {"username": user.username, **{n: v for n, v in boxes.items() if v}, **INLINE}


def passwords(text: str = NEW_PASSWORD) -> dict[str, str]:
    return {"password1": text, "password2": text, "usable_password": "true"}


def entries(account: Account) -> list[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    found = AuditEntry.objects.filter(account=account, target_kind="user")
    rows = found.order_by("created_at", "id")
    return list(rows.values_list("action", "actor_name", "before", "after"))


def other_owner(account: Account) -> User:
    user = person("bob")
    membership_put(account=account, user=user, role="owner", actor=Actor())
    return user


def test_ones_own_password_is_not_set_without_the_old_one(boss: Client) -> None:
    user = User.objects.get(username="boss")
    for ask in (boss.get, boss.post):
        answer = ask(page(user, "password"), passwords())
        assert answer["Location"] == "/admin/password_change/"
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_another_password_ends_the_sessions_and_is_in_the_log(
    boss: Client, ada: User, account: Account
) -> None:
    adas = Client()
    log_in(adas)
    answer = boss.post(page(ada, "password"), passwords())
    assert answer["Location"] == page(ada)
    assert not is_in(adas)
    assert log_in(Client(), password=NEW_PASSWORD).status_code == 302
    assert entries(account) == [("user.password_set", "boss", {}, {"user": "ada"})]


def test_a_password_that_is_too_weak_is_said_to_be(boss: Client, ada: User) -> None:
    answer = boss.post(page(ada, "password"), passwords("12345"))
    assert "This password is too short" in answer.content.decode()
    ada.refresh_from_db()
    assert ada.check_password(PASSWORD)


def test_what_gives_power_over_others_asks_for_the_password_again(
    boss: Client, ada: User, account: Account
) -> None:
    other_owner(account)
    second_factor(ada)
    late(boss)
    chosen = {"action": "delete_selected", "_selected_action": [str(ada.pk)], "post": "yes"}
    for path, sent in (
        (page(ada, "password"), passwords()),
        (page(ada), form(ada, is_superuser="on")),
        (page(ada, "delete"), {"post": "yes"}),
        ("/admin/accounts/user/", chosen),
        (page(ada, "second-factor"), {}),
    ):
        assert boss.post(path, sent)["Location"].startswith("/admin/confirm/?next="), path
    found = User.objects.get(pk=ada.pk)
    assert found.check_password(PASSWORD)
    assert not found.is_superuser
    assert found.authenticator_set.exists()
    assert entries(account) == []


def test_no_password_that_was_sent_is_kept_for_after_the_question(boss: Client, ada: User) -> None:
    late(boss).post(page(ada, "password"), passwords())
    assert NEW_PASSWORD not in str(dict(boss.session))


def test_who_is_asked_goes_on_where_they_were(boss: Client, ada: User) -> None:
    asked = late(boss).get(page(ada, "password"))["Location"]
    assert boss.post(asked, {"password": PASSWORD})["Location"] == page(ada, "password")
    assert boss.post(page(ada, "password"), passwords())["Location"] == page(ada)


def test_a_new_superuser_is_in_the_log(boss: Client, ada: User, account: Account) -> None:
    boss.post(page(ada), form(ada, is_superuser="on"))
    ada.refresh_from_db()
    assert ada.is_superuser
    changed = ("user.update", "boss", {"is_superuser": False}, {"is_superuser": True})
    assert entries(account) == [changed]


def test_who_is_locked_out_has_no_session_and_the_log_tells_of_it(
    boss: Client, ada: User, account: Account
) -> None:
    other_owner(account)
    adas = Client()
    log_in(adas)
    boss.post(page(ada), form(ada, is_active=""))
    ada.refresh_from_db()
    assert not ada.is_active
    assert not is_in(adas)
    assert not ada.usersession_set.exists()
    changed = ("user.update", "boss", {"is_active": False}, {"is_active": True})
    assert entries(account) == [(changed[0], changed[1], changed[3], changed[2])]


@pytest.mark.parametrize("box", ["is_active", "is_staff"])
def test_the_only_owner_of_an_account_is_not_locked_out(
    boss: Client, ada: User, account: Account, box: str
) -> None:
    answer = boss.post(page(ada), form(ada, **{box: ""}))
    assert "ada is the only owner of Hotel" in told(answer)
    ada.refresh_from_db()
    assert ada.is_active
    assert ada.is_staff
    assert entries(account) == []


def test_the_only_owner_keeps_a_password(boss: Client, ada: User) -> None:
    none = {"usable_password": "false", "unset-password": "yes"}
    assert "the only owner" in told(boss.post(page(ada, "password"), none))
    ada.refresh_from_db()
    assert ada.has_usable_password()


@pytest.mark.parametrize("several", [False, True])
def test_the_only_owner_of_an_account_is_not_deleted(
    boss: Client, ada: User, account: Account, several: bool
) -> None:
    bob = person("bob")
    ids = [str(bob.pk), str(ada.pk)]
    chosen = {"action": "delete_selected", "_selected_action": ids, "post": "yes"}
    path = "/admin/accounts/user/" if several else page(ada, "delete")
    answer = boss.post(path, chosen if several else {"post": "yes"})
    assert "ada is the only owner of Hotel" in told(answer)
    assert User.objects.filter(pk__in=ids).count() == 2
    assert Membership.objects.get(account=account).user == ada


@pytest.mark.parametrize("several", [False, True])
def test_who_is_deleted_is_in_the_log(
    boss: Client, ada: User, account: Account, several: bool
) -> None:
    other_owner(account)
    chosen = {"action": "delete_selected", "_selected_action": [str(ada.pk)], "post": "yes"}
    path = "/admin/accounts/user/" if several else page(ada, "delete")
    assert boss.post(path, chosen if several else {"post": "yes"}).status_code == 302
    assert not User.objects.filter(pk=ada.pk).exists()
    ((action, actor, before, after),) = entries(account)
    assert (action, actor, before["user"], after) == ("user.delete", "boss", "ada", {})


def test_a_change_reverts_nothing_that_was_changed_meanwhile(ada: User) -> None:
    User.objects.filter(pk=ada.pk).update(first_name="Ada")
    user_update(user=ada, changes={"email": "ada@example.com"}, actor=Actor())
    ada.refresh_from_db()
    assert (ada.first_name, ada.email) == ("Ada", "ada@example.com")
