"""Who is in an account: roles are given and taken, and an owner stays."""

from __future__ import annotations

import pytest

from apps.accounts.audit import Actor
from apps.accounts.models import Account, AuditEntry, Membership, User
from apps.accounts.services import LastOwner, membership_delete, membership_put


def member(account: Account, name: str, role: str) -> Membership:
    user = User.objects.create(username=name)
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
