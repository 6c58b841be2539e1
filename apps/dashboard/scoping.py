"""Who sees and changes what in the admin site: superusers all, others by their memberships.

A role holds scopes (``apps.accounts.roles``), and a page needs the scope that the same thing needs
in the API. Django's own permissions, which know no accounts, count for nothing here.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django import forms
from django.contrib import admin
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest

from apps.accounts.audit import Actor
from apps.accounts.models import Account, Membership, User
from apps.accounts.roles import role_allows

if TYPE_CHECKING:
    Scoped = admin.ModelAdmin[Any]
else:
    Scoped = object

Row = TypeVar("Row", bound=Model)

# Where the session keeps the account that its pages are narrowed to.
CHOSEN = "account"
# What a class says where nobody may do it, superusers included.
NOBODY = ""


def person_of(request: HttpRequest) -> User:
    """Return who is logged in. The admin site has checked that somebody is."""
    if not isinstance(request.user, User):
        raise TypeError("The admin site lets nobody in without a login.")
    return request.user


def actor_in(request: HttpRequest) -> Actor:
    """Return who is acting, for the audit log."""
    return Actor(user=person_of(request))


def roles_of(request: HttpRequest) -> Mapping[uuid.UUID, str]:
    """Return the user's role by account. Asked for many times a page: one query a request."""
    found: Mapping[uuid.UUID, str] | None = vars(request).get("_roles")
    if found is None:
        rows = Membership.objects.filter(user=person_of(request))
        found = vars(request)["_roles"] = dict(rows.values_list("account_id", "role"))
    return found


def may(request: HttpRequest, scope: str, account_id: Any = None) -> bool:
    """Tell whether the user may do what needs ``scope``, in this account or, without one, in any.

    A superuser may do everything everywhere; but what is NOBODY's is not theirs either.
    """
    if not scope or not (request.user.is_active and getattr(request.user, "is_staff", False)):
        return False
    if request.user.is_superuser:
        return True
    held = roles_of(request)
    if account_id is not None:
        return role_allows(held.get(account_id, ""), scope)
    return any(role_allows(role, scope) for role in held.values())


def accounts_with(request: HttpRequest, scope: str) -> list[uuid.UUID] | None:
    """Return the ids of the accounts where the user may do it; None: all, a superuser."""
    if request.user.is_superuser:
        return None
    return [found for found, role in roles_of(request).items() if role_allows(role, scope)]


def account_chosen(request: HttpRequest) -> uuid.UUID | None:
    """Return the account that the user narrows all pages to, if there is one that they see."""
    try:
        chosen = uuid.UUID(request.session.get(CHOSEN, ""))
    except (ValueError, TypeError):
        return None
    return chosen if request.user.is_superuser or chosen in roles_of(request) else None


def accounts_shown(request: HttpRequest, scope: str) -> list[uuid.UUID] | None:
    """Return the ids of the accounts that a page shows; None: all, to a superuser."""
    allowed, chosen = accounts_with(request, scope), account_chosen(request)
    if chosen is None:
        return allowed
    return [chosen] if allowed is None or chosen in allowed else []


def shows_several(request: HttpRequest) -> bool:
    """Tell whether a list needs to say whose each row is."""
    if account_chosen(request) is not None:
        return False
    if not request.user.is_superuser:
        return len(roles_of(request)) > 1
    found: bool | None = vars(request).get("_several")
    if found is None:
        found = vars(request)["_several"] = len(Account.objects.values_list("pk")[:2]) > 1
    return found


def narrowed(
    request: HttpRequest, rows: QuerySet[Row], scope: str, path: str = "account_id"
) -> QuerySet[Row]:
    """Narrow ``rows`` to the accounts that a page shows. path: from a row to its account's id."""
    accounts = accounts_shown(request, scope)
    return rows if accounts is None else rows.filter(**{f"{path}__in": accounts})


class AccountScoped(Scoped):
    """An admin class of rows that belong to accounts.

    account_path: the lookup from a row to its account's id. reading, adding, changing, deleting:
    the scope that it needs.
    """

    account_path: ClassVar[str] = "account_id"
    reading: ClassVar[str] = NOBODY
    adding: ClassVar[str] = NOBODY
    changing: ClassVar[str] = NOBODY
    deleting: ClassVar[str] = NOBODY
    # A list tells whose a row is by this column, to who sees rows of several accounts.
    account_column: ClassVar[str] = "account"

    @property
    def media(self) -> forms.Media:
        """What lists and forms of ours use; Django's own would bring jQuery and XRegExp, 150 kB."""
        return forms.Media(js=["admin/js/core.js", "admin/js/actions.js"])

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return narrowed(request, super().get_queryset(request), self.reading, self.account_path)

    def get_list_display(self, request: HttpRequest) -> Any:
        columns = super().get_list_display(request)
        if shows_several(request):
            return columns
        return [name for name in columns if name != self.account_column]

    def account_id_of(self, obj: Any) -> Any:
        return getattr(obj, self.account_path)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.related_model is Account:
            kwargs["queryset"] = narrowed(request, Account.objects.all(), self.adding, "pk")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return may(request, self.reading)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.reading, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.adding, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.changing, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.deleting, obj)

    def _may(self, request: HttpRequest, scope: str, obj: Model | None) -> bool:
        return may(request, scope, None if obj is None else self.account_id_of(obj))


class SeenWithItsParent:
    """Rows on another row's page: who may open that page sees them; nobody changes them."""

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
