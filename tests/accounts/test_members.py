"""Who is in an account: roles are given and taken, and an owner stays."""

from __future__ import annotations

import threading
from typing import Any

import pytest
from django.db import connection

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, Membership, User
from apps.accounts.owners import LastOwner
from apps.accounts.people import user_delete, user_update
from apps.accounts.services import (
    account_create,
    account_patch,
    account_update,
    membership_delete,
    membership_put,
    membership_role,
)


def member(account: Account, name: str, role: str) -> Membership:
    user = User.objects.create(username=name, is_staff=True)
    return membership_put(account=account, user=user, role=role, actor=Actor())


def test_the_last_owner_does_not_leave(account: Account) -> None:
    ada = member(account, "ada", "owner")
    member(account, "bob", "admin")
    with pytest.raises(LastOwner, match="make somebody else one first"):
        membership_delete(membership=ada, actor=Actor())
    assert Membership.objects.filter(pk=ada.pk).exists()
    assert not AuditEntry.objects.filter(action="membership.delete").exists()


def test_the_last_owner_keeps_the_role(account: Account) -> None:
    ada = member(account, "ada", "owner")
    with pytest.raises(LastOwner):
        membership_put(account=account, user=ada.user, role="viewer", actor=Actor())
    ada.refresh_from_db()
    assert ada.role == "owner"


def test_an_owner_of_two_may_leave(account: Account, stranger: Account) -> None:
    ada, _ = member(account, "ada", "owner"), member(account, "bob", "owner")
    membership_put(account=account, user=ada.user, role="viewer", actor=Actor())
    ada.refresh_from_db()
    assert ada.role == "viewer"
    membership_delete(membership=ada, actor=Actor())
    assert Membership.objects.get().user.username == "bob"


def test_an_owner_elsewhere_is_none_here(account: Account, stranger: Account) -> None:
    ada = member(account, "ada", "owner")
    member(stranger, "bob", "owner")
    with pytest.raises(LastOwner):
        membership_delete(membership=ada, actor=Actor())


def test_who_is_no_owner_may_leave(account: Account) -> None:
    bob = member(account, "bob", "viewer")
    membership_delete(membership=bob, actor=Actor())
    assert not Membership.objects.exists()


@pytest.mark.parametrize("lacks", [{"is_active": False}, {"is_staff": False}, {"password": "!"}])
def test_an_owner_who_cannot_log_in_is_none(account: Account, lacks: dict[str, Any]) -> None:
    ada = member(account, "ada", "owner")
    bob = member(account, "bob", "owner")
    User.objects.filter(pk=bob.user.pk).update(**lacks)
    with pytest.raises(LastOwner):
        membership_delete(membership=ada, actor=Actor())
    with pytest.raises(LastOwner):
        membership_put(account=account, user=ada.user, role="viewer", actor=Actor())
    membership_delete(membership=bob, actor=Actor())


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("leaves", ["deleted", "locked out"])
def test_of_two_owners_who_go_at_once_one_stays(leaves: str) -> None:
    account = account_create(name="Hotel", actor=Actor())
    users = [member(account, name, "owner").user for name in ("ada", "bob")]
    start, outcomes = threading.Barrier(2), []

    def leave(user: User) -> None:
        start.wait(5)
        try:
            if leaves == "deleted":
                user_delete(user=user, actor=Actor())
            else:
                user_update(user=user, changes={"is_active": False}, actor=Actor())
            outcomes.append("gone")
        except LastOwner:
            outcomes.append("stays")
        connection.close()

    threads = [threading.Thread(target=leave, args=(user,)) for user in users]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(outcomes) == ["gone", "stays"]
    assert Membership.objects.filter(user__is_active=True).count() == 1


def test_a_role_does_not_bring_back_who_was_removed(account: Account) -> None:
    bob = member(account, "bob", "viewer")
    membership_delete(membership=bob, actor=Actor())
    with pytest.raises(Membership.DoesNotExist):
        membership_role(account=account, membership_id=bob.id, role="admin", actor=Actor())
    assert not Membership.objects.exists()


def test_a_member_of_another_account_gets_no_role_from_here(
    account: Account, stranger: Account
) -> None:
    bob = member(stranger, "bob", "viewer")
    with pytest.raises(Membership.DoesNotExist):
        membership_role(account=account, membership_id=bob.id, role="admin", actor=Actor())


def test_who_was_removed_is_not_removed_again(account: Account) -> None:
    bob = member(account, "bob", "viewer")
    old = Membership.objects.get(pk=bob.pk)
    membership_delete(membership=bob, actor=Actor())
    with pytest.raises(Membership.DoesNotExist):
        membership_delete(membership=old, actor=Actor())
    assert AuditEntry.objects.filter(action="membership.delete").count() == 1


def test_an_auth_token_reverts_nothing_that_was_changed_meanwhile(account: Account) -> None:
    old = Account.objects.get(pk=account.pk)
    changes = {"name": "Inn", "max_live_calls": 3, "allowed_countries": ["DE"]}
    account_patch(account_id=account.pk, changes=changes, actor=Actor())
    account_update(account=old, twilio_auth_token="0123456789abcdef", actor=Actor())
    account.refresh_from_db()
    found = (account.name, account.max_live_calls, account.allowed_countries)
    assert found == ("Inn", 3, ["DE"])
    assert account.twilio_auth_token == "0123456789abcdef"
