"""An account's page: its settings by the API's rules, and its members by its owners."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from apps.accounts.models import Account, AuditEntry, Invitation, Membership, User
from tests.dashboard.people import KEEPERS, ROLES, Login, form_in, person, text


def url(name: str, account: Account) -> str:
    return reverse(f"admin:accounts_account_{name}", args=[account.pk])


def settings_form(**more: Any) -> dict[str, Any]:
    said = {"name": "Hotel", "calls_per_second": "1", "hours_set": "always"}
    return {**said, "hours_timezone": "callee", **more}


HOURS = {
    "hours_set": "hours",
    "hours_from": "09:00",
    "hours_until": "20:00",
    "hours_days": ["mon", "fri"],
    "hours_timezone": "Europe/Berlin",
}


# --- settings -------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_settings_are_changed_by_owners_and_admins(as_: Login, account: Account, role: str) -> None:
    client = as_(account, role)
    assert client.get(url("change", account)).status_code == (200 if role in KEEPERS else 403)
    client.post(url("edit", account), settings_form(name="Inn", calls_per_second="5"))
    account.refresh_from_db()
    expected = ("Inn", 5) if role in KEEPERS else ("Hotel", 1)
    assert (account.name, account.calls_per_second) == expected


@pytest.mark.parametrize("role", ROLES)
def test_how_much_of_the_server_it_may_use_the_superuser_says(
    as_: Login, account: Account, role: str
) -> None:
    client = as_(account, role)
    client.post(url("limit", account), {"max_live_calls": "7"})
    client.post(url("edit", account), settings_form(max_live_calls="7"))
    account.refresh_from_db()
    assert account.max_live_calls == (7 if role == "superuser" else 100)


def test_calling_hours_are_days_and_times_in_a_zone(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    client.post(url("edit", account), settings_form(**HOURS))
    account.refresh_from_db()
    assert account.calling_hours == {
        "from": "09:00",
        "until": "20:00",
        "days": ["mon", "fri"],
        "timezone": "Europe/Berlin",
    }
    page = text(client.get(url("change", account)))
    assert 'value="09:00"' in page
    assert '<option value="Europe/Berlin" selected>' in page
    client.post(url("edit", account), settings_form())
    account.refresh_from_db()
    assert account.calling_hours == {}


def test_midnight_is_the_end_of_the_day(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    client.post(url("edit", account), settings_form(**{**HOURS, "hours_until": "00:00"}))
    account.refresh_from_db()
    assert account.calling_hours["until"] == "24:00"
    assert 'name="hours_until" value="00:00"' in text(client.get(url("change", account)))


def test_hours_that_end_before_they_begin_are_refused_at_their_field(
    as_: Login, account: Account
) -> None:
    wrong = {**HOURS, "hours_until": "08:00"}
    page = text(as_(account, "admin").post(url("edit", account), settings_form(**wrong)))
    error = page.partition('id="settingsform_hours_until_error"')[2].partition("</div>")[0]
    assert "Later than from" in error
    account.refresh_from_db()
    assert account.calling_hours == {}


def test_countries_are_codes_with_commas_between(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    client.post(url("edit", account), settings_form(allowed_countries="de, AT"))
    account.refresh_from_db()
    assert account.allowed_countries == ["DE", "AT"]
    page = text(client.post(url("edit", account), settings_form(allowed_countries="Utopia")))
    assert "Two-letter countries" in page
    client.post(url("edit", account), settings_form(allowed_countries=""))
    account.refresh_from_db()
    assert account.allowed_countries == []


def test_a_default_provider_keeps_its_other_options_and_another_one_does_not(
    as_: Login, account: Account
) -> None:
    stored = {"llm": {"provider": "openai", "model": "gpt-5-mini", "temperature": 0.3}}
    Account.objects.update(defaults=stored)
    client = as_(account, "admin")
    client.post(url("edit", account), settings_form(llm_provider="openai", llm_model="gpt-5"))
    account.refresh_from_db()
    assert account.defaults == {"llm": {**stored["llm"], "model": "gpt-5"}}
    client.post(url("edit", account), settings_form(llm_provider="local"))
    account.refresh_from_db()
    assert account.defaults == {"llm": {"provider": "local"}}
    client.post(url("edit", account), settings_form())
    account.refresh_from_db()
    assert account.defaults == {}


def test_a_default_that_no_bot_could_use_is_refused_at_its_field(
    as_: Login, account: Account
) -> None:
    wrong = settings_form(tts_provider="local", tts_voice="nobody-speaks-so")
    page = text(as_(account, "admin").post(url("edit", account), wrong))
    error = page.partition('id="settingsform_tts_voice_error"')[2].partition("</div>")[0]
    assert error.strip()
    account.refresh_from_db()
    assert account.defaults == {}


def older_page(client: Client, account: Account) -> dict[str, Any]:
    """What the settings' form sends if it was opened now, and nobody touched it."""
    return form_in(text(client.get(url("change", account))), url("edit", account))


def stored(account: Account) -> Account:
    account.refresh_from_db()
    return account


def test_who_saves_an_older_page_undoes_nothing_of_what_others_set(
    as_: Login, account: Account
) -> None:
    Account.objects.update(
        defaults={"llm": {"provider": "openai", "model": "gpt-5"}},
        calling_hours={"from": "09:00", "until": "20:00", "days": ["mon"], "timezone": "callee"},
    )
    client = as_(account, "admin")
    mine = older_page(client, account)
    theirs = older_page(client, account) | {"calls_per_second": "7", "hours_from": "08:00"}
    theirs |= {"tts_provider": "local", "llm_model": "gpt-5-mini", "hours_days": ["mon", "fri"]}
    client.post(url("edit", account), theirs)
    mine |= {"allowed_countries": "DE", "hours_until": "18:00", "stt_provider": "local"}
    client.post(url("edit", account), mine)
    assert stored(account).calls_per_second == 7
    assert account.allowed_countries == ["DE"]
    hours = account.calling_hours
    assert (hours["from"], hours["until"], hours["days"]) == ("08:00", "18:00", ["mon", "fri"])
    assert account.defaults == {
        "llm": {"provider": "openai", "model": "gpt-5-mini"},
        "tts": {"provider": "local"},
        "stt": {"provider": "local"},
    }


def test_an_untouched_page_changes_nothing_and_a_refused_one_still_knows_what_it_was(
    as_: Login, account: Account
) -> None:
    client = as_(account, "admin")
    mine = older_page(client, account)
    Account.objects.update(calls_per_second=7)
    client.post(url("edit", account), mine)
    assert stored(account).calls_per_second == 7
    page = client.post(url("edit", account), mine | {"allowed_countries": "Utopia"})
    again = form_in(text(page), url("edit", account)) | {"allowed_countries": "AT"}
    client.post(url("edit", account), again)
    assert (stored(account).calls_per_second, account.allowed_countries) == (7, ["AT"])


@pytest.mark.parametrize("was", ["", "{", "[1]", "[" * 100_000, '{"name": {"a": 1}}'])
def test_a_page_that_says_wrongly_what_it_was_made_with_is_taken_as_it_is(
    as_: Login, account: Account, was: str
) -> None:
    client = as_(account, "admin")
    answer = client.post(url("edit", account), settings_form(calls_per_second="5", was=was))
    assert answer.status_code == 302
    assert stored(account).calls_per_second == 5


@pytest.mark.parametrize("name", ["playht", "scripted"])
def test_a_default_that_is_not_offered_is_shown_and_stays(
    as_: Login, account: Account, settings: Settings, name: str
) -> None:
    settings.ENABLE_TEST_PROVIDERS = False
    Account.objects.update(defaults={"tts": {"provider": name}})
    client = as_(account, "admin")
    mine = older_page(client, account)
    assert mine["tts_provider"] == name
    client.post(url("edit", account), mine | {"calls_per_second": "3"})
    assert stored(account).defaults == {"tts": {"provider": name}}
    assert account.calls_per_second == 3
    client.post(url("edit", account), older_page(client, account) | {"tts_provider": ""})
    assert stored(account).defaults == {}


def test_an_auth_token_is_set_but_never_shown(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    answer = client.post(
        url("token", account), {"twilio_auth_token": "0123456789abcdef"}, follow=True
    )
    account.refresh_from_db()
    assert account.twilio_auth_token == "0123456789abcdef"
    page = text(answer) + text(client.get(url("change", account)))
    assert "0123456789abcdef" not in page
    assert "One is stored." in page
    client.post(url("edit", account), settings_form())
    account.refresh_from_db()
    assert account.twilio_auth_token == "0123456789abcdef"


@pytest.mark.parametrize(
    "act", ["change", "edit", "token", "limit", "invite", "withdraw", "role", "remove"]
)
def test_another_account_is_not_there(
    as_: Login, account: Account, stranger: Account, act: str
) -> None:
    client = as_(stranger, "owner")
    ask = client.get if act == "change" else client.post
    assert ask(url(act, account), {}).status_code == 404
    assert "Hotel" not in text(client.get("/admin/accounts/account/", follow=True))


def test_who_is_in_one_account_is_led_to_its_page(as_: Login, account: Account) -> None:
    answer = as_(account, "admin").get("/admin/accounts/account/")
    assert answer["Location"] == url("change", account)


@pytest.mark.parametrize("role", ROLES)
def test_accounts_are_made_by_superusers(as_: Login, account: Account, role: str) -> None:
    answer = as_(account, role).post("/admin/accounts/account/add/", {"name": "Inn"})
    assert answer.status_code == (302 if role == "superuser" else 403)
    assert Account.objects.filter(name="Inn").exists() is (role == "superuser")


# --- members --------------------------------------------------------------------------------------


@pytest.mark.parametrize("role", ROLES)
def test_members_are_chosen_by_owners(as_: Login, account: Account, role: str) -> None:
    client = as_(account, role)
    person("dave")
    bob, carol = (person(name, account, "viewer") for name in ("bob", "carol"))
    ids = {user.username: str(user.memberships.get().pk) for user in (bob, carol)}
    client.post(url("invite", account), {"username": "dave", "role": "operator"})
    client.post(url("role", account), {"membership": ids["bob"], "role": "admin"})
    client.post(url("remove", account), {"membership": ids["carol"]})
    others = Membership.objects.exclude(user__username__startswith=role)
    found = dict(others.values_list("user__username", "role"))
    owned = {"bob": "admin", **({"dave": "operator"} if role == "superuser" else {})}
    may = role in ("owner", "superuser")
    assert found == (owned if may else {"bob": "viewer", "carol": "viewer"})
    asked = [("dave", "operator")] if role == "owner" else []
    assert list(Invitation.objects.values_list("user__username", "role")) == asked


def test_an_admin_sees_who_is_in_and_no_way_to_change_it(as_: Login, account: Account) -> None:
    person("bob", account, "viewer")
    page = text(as_(account, "admin").get(url("change", account)))
    assert "bob" in page
    assert url("invite", account) not in page
    assert url("remove", account) not in page


def test_a_member_who_does_not_exist_is_said_not_to(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    page = text(client.post(url("invite", account), {"username": "ghost", "role": "viewer"}))
    assert "There is no such user." in page
    assert Membership.objects.count() == 1


def test_a_member_is_added_once(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    person("bob", account, "viewer")
    page = text(client.post(url("invite", account), {"username": "bob", "role": "owner"}))
    assert "This user is here already." in page
    assert Membership.objects.get(user__username="bob").role == "viewer"


def test_the_last_owner_stays_and_the_page_says_why(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    mine = str(Membership.objects.get().pk)
    for act, form in (("remove", {}), ("role", {"role": "viewer"})):
        page = text(client.post(url(act, account), {"membership": mine, **form}, follow=True))
        assert "An account keeps an owner" in page
    assert Membership.objects.get().role == "owner"


def test_an_owner_who_makes_themselves_less_is_led_away(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    mine = Membership.objects.get()
    person("bob", account, "owner")
    answer = client.post(url("role", account), {"membership": str(mine.pk), "role": "viewer"})
    assert answer["Location"] == "/admin/"
    assert client.get(url("change", account)).status_code == 403


def test_a_member_of_another_account_is_not_removed_from_here(
    as_: Login, account: Account, stranger: Account
) -> None:
    person("bob", stranger, "viewer")
    theirs = str(Membership.objects.get().pk)
    client = as_(account, "owner")
    for act in ("remove", "role"):
        form = {"membership": theirs, "role": "admin"}
        assert client.post(url(act, account), form).status_code == 404
    assert Membership.objects.get(user__username="bob").role == "viewer"


def test_what_is_done_to_members_is_in_the_log(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    person("bob")
    client.post(url("invite", account), {"username": "bob", "role": "viewer"})
    entry = AuditEntry.objects.filter(action="invitation.create").latest("created_at")
    assert entry.actor_name.startswith("owner")
    assert entry.after == {"user": "bob", "role": "viewer"}
    shown = reverse("admin:accounts_auditentry_change", args=[entry.pk])
    assert url("change", account) in text(client.get(shown))


def test_whom_a_superuser_makes_may_log_in(as_: Login) -> None:
    client = as_(None, "superuser")
    password = "a long enough password"
    form = {"username": "bob", "password1": password, "password2": password}
    inline = {f"memberships-{name}_FORMS": "0" for name in ("TOTAL", "INITIAL")}
    client.post("/admin/accounts/user/add/", {**form, **inline, "usable_password": "true"})
    assert User.objects.get(username="bob").is_staff
