"""Who sees and changes what in the admin site: superusers all, others by their memberships.

Django's own permissions, which know no accounts, count for nothing where this is mixed in.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from django.contrib import admin
from django.db.models import ForeignKey, Model, QuerySet
from django.http import HttpRequest

from apps.accounts.audit import Actor
from apps.accounts.models import Account, Membership, User

if TYPE_CHECKING:
    Scoped = admin.ModelAdmin[Any]
else:
    Scoped = object

Role = Membership.Role
ANY_ROLE = frozenset(Role.values)
KEEPERS = frozenset((Role.OWNER.value, Role.ADMIN.value))
OWNERS = frozenset((Role.OWNER.value,))
NOBODY: frozenset[str] = frozenset()


def person_of(request: HttpRequest) -> User:
    """Return who is logged in. The admin site has checked that somebody is."""
    if not isinstance(request.user, User):
        raise TypeError("The admin site lets nobody in without a login.")
    return request.user


def actor_in(request: HttpRequest) -> Actor:
    """Return who is acting, for the audit log."""
    return Actor(user=person_of(request))


def roles_of(request: HttpRequest) -> Mapping[Any, str]:
    """Return the user's role by account. Asked for many times a page: one query a request."""
    found: Mapping[Any, str] | None = vars(request).get("_roles")
    if found is None:
        rows = Membership.objects.filter(user=person_of(request))
        found = vars(request)["_roles"] = dict(rows.values_list("account_id", "role"))
    return found


def has_role(request: HttpRequest, roles: frozenset[str], account_id: Any = None) -> bool:
    """Tell whether the user has one of the roles, in this account or, without one, in any.

    A superuser has every role everywhere.
    """
    if not (request.user.is_active and request.user.is_staff):
        return False
    if request.user.is_superuser:
        return True
    held = roles_of(request)
    return held.get(account_id) in roles if account_id else bool(roles & set(held.values()))


def accounts_with(request: HttpRequest, roles: frozenset[str]) -> list[Any]:
    """Return the ids of the accounts where the user has one of the roles."""
    return [account_id for account_id, role in roles_of(request).items() if role in roles]


class AccountScoped(Scoped):
    """An admin class of rows that belong to accounts.

    account_path: the lookup from a row to its account's id. adding, changing, deleting: the roles
    that may do so; a superuser still needs them not to be empty.
    """

    account_path: ClassVar[str] = "account_id"
    adding: ClassVar[frozenset[str]] = NOBODY
    changing: ClassVar[frozenset[str]] = NOBODY
    deleting: ClassVar[frozenset[str]] = NOBODY

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        return self.rows_for(request, super().get_queryset(request), ANY_ROLE)

    def rows_for(
        self, request: HttpRequest, rows: QuerySet[Any], roles: frozenset[str]
    ) -> QuerySet[Any]:
        """Narrow ``rows`` to the accounts where the user has one of the roles."""
        if request.user.is_superuser:
            return rows
        return rows.filter(**{f"{self.account_path}__in": accounts_with(request, roles)})

    def account_id_of(self, obj: Any) -> Any:
        return getattr(obj, self.account_path)

    def formfield_for_foreignkey(
        self, db_field: ForeignKey[Any, Any], request: HttpRequest, **kwargs: Any
    ) -> Any:
        if db_field.related_model is Account and not request.user.is_superuser:
            accounts = accounts_with(request, self.adding)
            kwargs["queryset"] = Account.objects.filter(pk__in=accounts)
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def has_module_permission(self, request: HttpRequest) -> bool:
        return has_role(request, ANY_ROLE)

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, ANY_ROLE, obj)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return self._may(request, self.adding, None)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.changing, obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self._may(request, self.deleting, obj)

    def _may(self, request: HttpRequest, roles: frozenset[str], obj: Model | None) -> bool:
        account_id = None if obj is None else self.account_id_of(obj)
        return bool(roles) and has_role(request, roles, account_id)


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
