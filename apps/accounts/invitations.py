"""Invitations: nobody is put into an account by its owners unasked.

A membership counts the moment that it exists: its account's log then tells of the person's own
logins. So an invitation is no membership yet, and becomes one by the person's own yes.
"""

from __future__ import annotations

import uuid

from django.db import transaction
from django.db.models import QuerySet

from apps.accounts.audit import Actor, Target, audit_record, without_address
from apps.accounts.models import Account, Invitation, Membership, User
from apps.accounts.owners import members_lock
from apps.accounts.services import membership_put


def invitations_to(user: User) -> QuerySet[Invitation]:
    """What a person is asked and has not answered, oldest first."""
    return Invitation.objects.filter(user=user).select_related("account", "invited_by")


def invitations_of(account: Account) -> QuerySet[Invitation]:
    """Whom an account waits for, who was asked first first."""
    return Invitation.objects.filter(account=account).select_related("user", "invited_by")


def member_invite(
    *, account: Account, user: User, role: str, actor: Actor
) -> Membership | Invitation:
    """Ask a person into an account, or put them there at once, if it is a superuser who does.

    Who is invited already is invited to the new role. Who is in stays what they are.
    """
    with transaction.atomic():
        members_lock(account.pk)
        if actor.user is not None and actor.user.is_superuser:
            Invitation.objects.filter(account=account, user=user).delete()
            return membership_put(account=account, user=user, role=role, actor=actor)
        member = Membership.objects.filter(account=account, user=user).first()
        if member is not None:
            return member
        found, _ = Invitation.objects.update_or_create(
            account=account, user=user, defaults={"role": role, "invited_by": actor.user}
        )
        _record(found, actor, "create")
    return found


def invitation_withdraw(*, account: Account, invitation_id: uuid.UUID, actor: Actor) -> Invitation:
    """Take back what was not answered yet. Raises Invitation.DoesNotExist."""
    with transaction.atomic():
        members_lock(account.pk)
        found = invitations_of(account).get(pk=invitation_id)
        _record(found, actor, "withdraw")
        Invitation.objects.filter(pk=found.pk).delete()
    return found


def invitation_accept(*, user: User, invitation_id: uuid.UUID) -> Membership:
    """Make a person the member that they were asked to be. Raises Invitation.DoesNotExist."""
    with transaction.atomic():
        found = _locked(user, invitation_id)
        actor = Actor(user=user)
        _record(found, actor, "accept")
        Invitation.objects.filter(pk=found.pk).delete()
        member = Membership.objects.filter(account=found.account, user=user).first()
        # A superuser was quicker: what they said stands.
        return member or membership_put(
            account=found.account, user=user, role=found.role, actor=actor
        )


def invitation_decline(*, user: User, invitation_id: uuid.UUID) -> Invitation:
    """Note that a person does not want to. Raises Invitation.DoesNotExist.

    Their address is nothing to an account that they are not in.
    """
    with transaction.atomic(), without_address():
        found = _locked(user, invitation_id)
        _record(found, Actor(user=user), "decline")
        Invitation.objects.filter(pk=found.pk).delete()
    return found


def _locked(user: User, invitation_id: uuid.UUID) -> Invitation:
    """Return an invitation that is still there once nobody else answers or withdraws it."""
    members_lock(invitations_to(user).get(pk=invitation_id).account_id)
    return invitations_to(user).get(pk=invitation_id)


def _record(invitation: Invitation, actor: Actor, verb: str) -> None:
    facts = {"user": invitation.user.get_username(), "role": invitation.role}
    opens = verb == "create"
    audit_record(
        account=invitation.account,
        actor=actor,
        action=f"invitation.{verb}",
        target=Target("invitation", str(invitation.id)),
        before=None if opens else facts,
        after=facts if opens else None,
    )
