"""What a superuser does to people: changing, locking out, deleting them, setting passwords.

What is done to somebody is written into the log of every account that they are in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction

from apps.accounts.audit import Actor
from apps.accounts.models import User
from apps.accounts.owners import can_log_in, user_leaves_check
from apps.accounts.second_factor import person_record
from apps.accounts.sessions import sessions_end


def user_create(*, user: User, actor: Actor) -> User:
    """Store a new person, with the password that was set. They are staff.

    Whom nobody would let in would not have been made. They are in no account yet, so that no log
    can tell of it; their first membership does.
    """
    user.is_staff = True
    user.save(force_insert=True)
    return user


def user_update(*, user: User, changes: Mapping[str, Any], actor: Actor) -> User:
    """Change members of a person, by their names in the model; they are checked already.

    Who may not log in any more has no session left. Raises LastOwner.
    """
    with transaction.atomic():
        found = _locked(user)
        before, could_log_in = _facts(found), can_log_in(found)
        changed = [name for name in changes if getattr(found, name) != changes[name]]
        for name in changed:
            setattr(found, name, changes[name])
        leaves = could_log_in and not can_log_in(found)
        if leaves:
            user_leaves_check(found)
        if not changed:
            return found
        found.save(update_fields=changed)
        if leaves:
            sessions_end(user=found)
        after = _facts(found)
        if before != after:
            person_record(user=found, actor=actor, action="user.update", before=before, after=after)
    return found


def user_password_set(*, user: User, password: str | None, actor: Actor) -> None:
    """Give a person another password, which is checked already, and end their sessions.

    None: they have none, and cannot log in until they get one. Raises LastOwner.
    """
    with transaction.atomic():
        found = _locked(user)
        if password is None:
            user_leaves_check(found)
        found.set_password(password)
        found.save(update_fields=["password"])
        sessions_end(user=found)
        person_record(user=found, actor=actor, action="user.password_set")


def user_delete(*, user: User, actor: Actor) -> None:
    """Delete a person and end their sessions. Raises LastOwner."""
    with transaction.atomic():
        found = User.objects.get(pk=user.pk)
        user_leaves_check(found)
        person_record(user=found, actor=actor, action="user.delete", before=_facts(found), after={})
        sessions_end(user=found)
        found.delete()


def _locked(user: User) -> User:
    # Not against who refers to the row: a membership's insert, which holds the account's lock that
    # is asked for next, would wait for this one in turn.
    return User.objects.select_for_update(no_key=True).get(pk=user.pk)


def _facts(user: User) -> dict[str, Any]:
    return {
        "user": user.get_username(),
        "is_active": user.is_active,
        "is_staff": user.is_staff,
        "is_superuser": user.is_superuser,
    }
