"""An account keeps an owner who can log in: the rule, and the lock that it is checked under."""

from __future__ import annotations

import uuid

from apps.accounts.models import Account, Membership, User


class LastOwner(Exception):
    """The account would be left without an owner; the message says what to do first."""


def members_lock(account_id: uuid.UUID) -> None:
    """Let one change of an account's members follow the other; in a transaction.

    Of two owners who leave at once, the second one finds the first one gone.
    """
    Account.objects.select_for_update(no_key=True).only("id").get(pk=account_id)


def can_log_in(user: User) -> bool:
    """Tell whether the dashboard opens to this person at all."""
    return user.is_active and user.is_staff and user.has_usable_password()


def other_owner_check(leaving: Membership) -> None:
    """Raise LastOwner if no other owner stays. Who cannot log in is none: nobody could ask them."""
    if leaving.role != Membership.Role.OWNER:
        return
    staying = Membership.objects.filter(
        account=leaving.account_id, role=Membership.Role.OWNER
    ).exclude(pk=leaving.pk)
    if not any(can_log_in(owner.user) for owner in staying.select_related("user")):
        raise LastOwner("An account keeps an owner: make somebody else one first.")


def user_leaves_check(user: User) -> None:
    """Raise LastOwner, naming the accounts, if one would be left without an owner.

    Locks every account that the user is in: in a transaction, before anything is changed. Nobody
    makes them an owner meanwhile, and leaves.
    """
    memberships = Membership.objects.filter(user=user)
    # Always in one order: two who each wait for the other's account would wait forever.
    for account_id in memberships.order_by("account_id").values_list("account_id", flat=True):
        members_lock(account_id)
    orphaned = []
    for membership in memberships.select_related("account").order_by("account__name"):
        try:
            other_owner_check(membership)
        except LastOwner:
            orphaned.append(membership.account.name)
    if orphaned:
        raise LastOwner(
            f"{user} is the only owner of {', '.join(orphaned)}: make somebody else one first."
        )
