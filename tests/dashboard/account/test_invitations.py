"""Invitations: nobody is in an account before they have said yes."""

from __future__ import annotations

import pytest
from django.test import Client
from django.urls import reverse

from apps.accounts.audit import Actor
from apps.accounts.invitations import member_invite
from apps.accounts.models import Account, AuditEntry, Invitation, Membership, User
from apps.accounts.second_factor import person_record
from apps.bots.models import TwilioConfig
from tests.dashboard.people import Login, person, text, told

ADDRESS = "203.0.113.9"


def browser(user: User) -> Client:
    client = Client(REMOTE_ADDR=ADDRESS)
    client.force_login(user)
    return client


@pytest.fixture
def bob(stranger: Account) -> User:
    """The owner of another account."""
    return person("bob", stranger, "owner")


@pytest.fixture
def asked(account: Account, bob: User) -> Invitation:
    """Our owner asks Bob to be an operator."""
    owner = person("olga", account, "owner")
    found = member_invite(account=account, user=bob, role="operator", actor=Actor(user=owner))
    assert isinstance(found, Invitation)
    return found


def answer(invitation: Invitation, what: str) -> str:
    return reverse(f"dashboard:invitation_{what}", args=[invitation.pk])


def test_who_is_invited_sees_nothing_yet_and_nothing_is_told_of_them(
    account: Account, bob: User, asked: Invitation, config: TwilioConfig
) -> None:
    client = browser(bob)
    page = reverse("admin:bots_twilioconfig_change", args=[config.pk])
    assert client.get(page).status_code == 404
    assert "Hotel" not in text(client.get("/admin/bots/twilioconfig/add/"))
    person_record(user=bob, actor=Actor(user=bob), action="user.password_change")
    assert not AuditEntry.objects.filter(account=account, target_kind="user").exists()


@pytest.mark.parametrize("elsewhere", [True, False])
def test_who_is_invited_finds_it_at_home(
    account: Account, asked: Invitation, bob: User, elsewhere: bool
) -> None:
    if not elsewhere:
        Membership.objects.filter(user=bob).delete()
    page = text(browser(bob).get("/admin/"))
    assert "olga</strong> invites you to the account <strong>Hotel</strong> as operator" in page
    assert answer(asked, "accept") in page
    assert answer(asked, "decline") in page


def test_a_yes_makes_a_member(account: Account, bob: User, asked: Invitation) -> None:
    client = browser(bob)
    said = client.post(answer(asked, "accept"))
    assert "You are operator of Hotel now." in told(said)
    assert Membership.objects.get(account=account, user=bob).role == "operator"
    assert not Invitation.objects.exists()
    found = AuditEntry.objects.filter(account=account, actor_name="bob").order_by("created_at")
    assert [entry.action for entry in found] == ["invitation.accept", "membership.put"]
    assert "invites you" not in text(client.get("/admin/"))


def test_a_no_leaves_one_outside_and_tells_no_address(
    account: Account, bob: User, asked: Invitation
) -> None:
    browser(bob).post(answer(asked, "decline"))
    assert not Membership.objects.filter(account=account, user=bob).exists()
    assert not Invitation.objects.exists()
    entry = AuditEntry.objects.get(action="invitation.decline")
    assert (entry.account, entry.actor_name, entry.address) == (account, "bob", None)


@pytest.mark.parametrize("what", ["accept", "decline"])
def test_nobody_answers_for_somebody_else(asked: Invitation, what: str) -> None:
    client = browser(person("eve"))
    assert client.post(answer(asked, what)).status_code == 404
    assert Invitation.objects.exists()
    assert client.get(answer(asked, what)).status_code == 405


def test_an_owner_sees_who_has_not_answered_and_withdraws(
    as_: Login, account: Account, bob: User, asked: Invitation
) -> None:
    client = as_(account, "owner")
    page = reverse("admin:accounts_account_change", args=[account.pk])
    assert "bob</strong> is invited as operator" in text(client.get(page))
    withdraw = reverse("admin:accounts_account_withdraw", args=[account.pk])
    assert withdraw in text(client.get(page))
    client.post(withdraw, {"invitation": str(asked.pk)})
    assert not Invitation.objects.exists()
    assert AuditEntry.objects.get(action="invitation.withdraw").before["user"] == "bob"
    assert browser(bob).post(answer(asked, "accept")).status_code == 404


def test_an_invitation_to_another_account_is_not_withdrawn_from_here(
    as_: Login, stranger: Account, asked: Invitation
) -> None:
    client = as_(stranger, "owner")
    withdraw = reverse("admin:accounts_account_withdraw", args=[stranger.pk])
    assert client.post(withdraw, {"invitation": str(asked.pk)}).status_code == 404
    assert Invitation.objects.exists()


def test_who_is_invited_is_not_invited_again(
    as_: Login, account: Account, asked: Invitation
) -> None:
    invite = reverse("admin:accounts_account_invite", args=[account.pk])
    page = text(as_(account, "owner").post(invite, {"username": "bob", "role": "owner"}))
    assert "This user is invited already" in page
    asked.refresh_from_db()
    assert asked.role == "operator"


def test_whom_a_superuser_adds_is_in_at_once(
    root: Client, account: Account, bob: User, asked: Invitation
) -> None:
    member_invite(account=account, user=bob, role="admin", actor=Actor(user=_superuser()))
    assert Membership.objects.get(account=account, user=bob).role == "admin"
    assert not Invitation.objects.exists()


def test_an_old_invitation_changes_no_role(account: Account, bob: User, asked: Invitation) -> None:
    person_of_account = Membership.objects.create(account=account, user=bob, role="viewer")
    browser(bob).post(answer(asked, "accept"))
    person_of_account.refresh_from_db()
    assert person_of_account.role == "viewer"


def _superuser() -> User:
    return User.objects.get(is_superuser=True)


# --- where a new bot goes -------------------------------------------------------------------------


def test_a_new_bot_of_who_has_several_accounts_goes_where_they_say(
    account: Account, stranger: Account, bob: User
) -> None:
    Membership.objects.create(account=account, user=bob, role="operator")
    client = browser(bob)
    add = "/admin/bots/twilioconfig/add/"
    page = text(client.get(add))
    assert "Which account is the bot for?" in page
    assert 'name="config.llm.prompt"' not in page
    client.post(add, {"name": "Clinic", "config.llm.prompt": "Hello.", "do": "draft"})
    assert not TwilioConfig.objects.exists()
    assert 'name="config.llm.prompt"' in text(client.get(f"{add}?account={stranger.pk}"))


def test_the_account_above_the_menu_is_where_a_new_bot_goes(
    account: Account, stranger: Account, bob: User
) -> None:
    Membership.objects.create(account=account, user=bob, role="operator")
    client = browser(bob)
    client.post("/admin/account/", {"account": str(stranger.pk)})
    page = text(client.get("/admin/bots/twilioconfig/add/"))
    assert 'name="config.llm.prompt"' in page
    assert f'name="account" value="{stranger.pk}"' in page
