"""The admin site by role: who sees what, and who changes what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Permission
from django.test import Client

from apps.accounts.audit import Actor
from apps.accounts.credentials import credential_put, credential_secrets
from apps.accounts.models import Account, ApiKey, AuditEntry, Credential, Membership, User
from apps.accounts.services import api_key_create, api_key_verify, membership_put
from apps.bots.models import TwilioConfig
from tests.calls.test_calls_api import make_call

ROLES = ["owner", "admin", "operator", "viewer"]
KEEPERS = {"owner", "admin"}
LISTS = ["accounts/account", "accounts/apikey", "accounts/credential", "accounts/auditentry"]
LISTS += ["bots/twilioconfig", "calls/call"]
# What needs the scope "admin" in the API needs a role that holds it here.
KEPT = {"accounts/apikey", "accounts/credential", "accounts/auditentry"}

Login = Callable[..., Client]


def person(name: str, account: Account | None = None, role: str = "") -> User:
    user = User.objects.create(username=name, is_staff=True)
    if account is not None:
        membership_put(account=account, user=user, role=role, actor=Actor())
    return user


@pytest.fixture
def as_(db: None) -> Login:
    """A client that is logged in as a staff user of this role in the account."""

    def login(account: Account | None, role: str = "") -> Client:
        client = Client()
        client.force_login(person(f"{role or 'nobody'}-{User.objects.count()}", account, role))
        return client

    return login


@pytest.fixture
def key(account: Account) -> ApiKey:
    return api_key_create(account=account, actor=Actor(), name="our-key")[0]


@pytest.fixture
def openai(account: Account) -> Credential:
    return credential_put(account=account, provider="openai", api_key="0123456789", actor=Actor())


def _paths(config: TwilioConfig, key: ApiKey, openai: Credential) -> list[str]:
    call = make_call(config)
    entry = AuditEntry.objects.filter(account=config.account).latest("created_at")
    rows = [config.account, key, openai, entry, config, call]
    return [f"/admin/{name}/{row.pk}/change/" for name, row in zip(LISTS, rows, strict=True)]


@pytest.mark.parametrize("role", ROLES)
def test_a_member_sees_their_accounts_rows(
    as_: Login, account: Account, config: TwilioConfig, key: ApiKey, openai: Credential, role: str
) -> None:
    client = as_(account, role)
    for name, path in zip(LISTS, _paths(config, key, openai), strict=True):
        allowed = role in KEEPERS or name not in KEPT
        assert client.get(path).status_code == (200 if allowed else 403), path
        assert client.get(f"/admin/{name}/").status_code == (200 if allowed else 403), name


@pytest.mark.parametrize("role", ["owner", ""])
def test_a_stranger_sees_no_row_of_ours(
    as_: Login, stranger: Account, config: TwilioConfig, key: ApiKey, openai: Credential, role: str
) -> None:
    client = as_(stranger if role else None, role)
    for path in _paths(config, key, openai):
        # Django sends who asks for what is not there to the index; our own pages say 404.
        assert client.get(path).status_code in (302, 403, 404), path
    for name in LISTS:
        page = client.get(f"/admin/{name}/")
        assert page.status_code == (200 if role else 403)
        assert "Hotel" not in page.content.decode()
    found = client.get(
        "/admin/autocomplete/",
        {"app_label": "accounts", "model_name": "apikey", "field_name": "account", "term": ""},
    )
    assert "Hotel" not in found.content.decode()


@pytest.mark.parametrize("role", ROLES)
def test_keys_are_made_and_ended_by_owners_and_admins(
    as_: Login, account: Account, key: ApiKey, role: str
) -> None:
    client = as_(account, role)
    form = {"account": str(account.id), "name": "new", "scopes": "calls:read"}
    client.post("/admin/accounts/apikey/add/", form)
    ids = {"action": "revoke", "_selected_action": [str(key.pk)]}
    client.post("/admin/accounts/apikey/", ids)
    key.refresh_from_db()
    assert ApiKey.objects.filter(name="new").exists() is (role in KEEPERS)
    assert (key.revoked_at is not None) is (role in KEEPERS)


@pytest.mark.parametrize("role", ROLES)
def test_credentials_are_kept_by_owners_and_admins(
    as_: Login, account: Account, openai: Credential, role: str
) -> None:
    client, path = as_(account, role), "/admin/accounts/credential/"
    form = {"account": str(account.id), "provider": "deepgram", "api_key": "of-deepgram"}
    client.post(f"{path}add/", form)
    client.post(f"{path}{openai.pk}/change/", {"api_key": "another-key"})
    changed = {"deepgram": {"api_key": "of-deepgram"}, "openai": {"api_key": "another-key"}}
    before = {"openai": {"api_key": "0123456789"}}
    assert credential_secrets(account.id) == (changed if role in KEEPERS else before)
    client.post(f"{path}{openai.pk}/delete/", {"post": "yes"})
    assert ("openai" not in credential_secrets(account.id)) is (role in KEEPERS)


@pytest.mark.parametrize("role", ROLES)
def test_an_account_is_named_by_owners_and_admins_and_limited_by_neither(
    as_: Login, account: Account, role: str
) -> None:
    client = as_(account, role)
    form = _account_form(name="Inn", max_live_calls="9999", new_twilio_auth_token="0123456789")
    client.post(f"/admin/accounts/account/{account.id}/change/", form)
    account.refresh_from_db()
    assert (account.name, account.twilio_auth_token) == (
        ("Inn", "0123456789") if role in KEEPERS else ("Hotel", "")
    )
    assert account.max_live_calls == 100


def _account_form(*members: dict[str, str], old: int = 0, **values: str) -> dict[str, str]:
    form = {"name": "Hotel", "memberships-TOTAL_FORMS": str(len(members)), **values}
    form["memberships-INITIAL_FORMS"] = str(old)
    for number, member in enumerate(members):
        form |= {f"memberships-{number}-{name}": value for name, value in member.items()}
    return form


@pytest.mark.parametrize("role", ROLES)
def test_members_are_chosen_by_owners(as_: Login, account: Account, role: str) -> None:
    person("bob", account, "viewer")
    person("carol", account, "viewer")
    person("dave")
    client = as_(account, role)
    bob, carol = (Membership.objects.get(user__username=name) for name in ("bob", "carol"))
    mine = Membership.objects.get(account=account, role=role, user__username__startswith=role)
    form = _account_form(
        {"id": str(bob.pk), "username": "bob", "role": "admin"},
        {"id": str(carol.pk), "username": "carol", "role": "viewer", "DELETE": "on"},
        {"id": str(mine.pk), "username": mine.user.username, "role": role},
        {"username": "dave", "role": "operator"},
        old=3,
    )
    client.post(f"/admin/accounts/account/{account.id}/change/", form)
    found = dict(Membership.objects.exclude(pk=mine.pk).values_list("user__username", "role"))
    owned = {"bob": "admin", "dave": "operator"}
    assert found == (owned if role == "owner" else {"bob": "viewer", "carol": "viewer"})


def test_a_member_who_does_not_exist_is_said_not_to(as_: Login, account: Account) -> None:
    client = as_(account, "owner")
    mine = Membership.objects.get()
    form = _account_form(
        {"id": str(mine.pk), "username": mine.user.username, "role": "owner"},
        {"username": "ghost", "role": "viewer"},
        old=1,
    )
    page = client.post(f"/admin/accounts/account/{account.id}/change/", form)
    assert "There is no such user." in page.content.decode()
    assert Membership.objects.count() == 1


def test_being_an_owner_here_gives_nothing_there(
    as_: Login, account: Account, stranger: Account, key: ApiKey, openai: Credential
) -> None:
    client, form = as_(stranger, "owner"), dict[str, Any]()
    user = User.objects.get(username__startswith="owner")
    membership_put(account=account, user=user, role="viewer", actor=Actor())
    form = {"account": str(account.id), "name": "new", "scopes": "admin"}
    assert client.post("/admin/accounts/apikey/add/", form).status_code == 200  # with an error
    for path, ids in (("apikey", [str(key.pk)]), ("credential", [str(openai.pk)])):
        for action in ("revoke", "forget", "delete_selected"):
            form = {"action": action, "_selected_action": ids, "post": "yes"}
            client.post(f"/admin/accounts/{path}/", form)
    key.refresh_from_db()
    assert (ApiKey.objects.count(), key.revoked_at) == (1, None)
    assert Credential.objects.count() == 1


def test_djangos_permissions_open_no_account(as_: Login, account: Account, key: ApiKey) -> None:
    client = as_(None)
    User.objects.get().user_permissions.set(Permission.objects.all())
    assert client.get("/admin/accounts/apikey/").status_code == 403
    assert client.get("/admin/accounts/user/").status_code == 403
    assert client.get(f"/admin/accounts/user/{User.objects.get().pk}/change/").status_code == 403


@pytest.mark.parametrize("role", [*ROLES, "superuser"])
def test_nobody_changes_the_audit_log(as_: Login, account: Account, role: str) -> None:
    client = as_(account if role in ROLES else None, role)
    User.objects.update(is_superuser=role == "superuser")
    entry = AuditEntry.objects.filter(action="account.create").get()
    path = f"/admin/accounts/auditentry/{entry.pk}"
    seen = role in KEEPERS or role == "superuser"
    assert client.get(f"{path}/change/").status_code == (200 if seen else 403)
    assert client.post(f"{path}/change/", {"action": "nothing"}).status_code == 403
    assert client.post(f"{path}/delete/", {"post": "yes"}).status_code == 403
    assert client.get("/admin/accounts/auditentry/add/").status_code == 403


def test_a_page_asks_for_roles_once(
    as_: Login, account: Account, key: ApiKey, django_assert_max_num_queries: Any
) -> None:
    client = as_(account, "admin")
    with django_assert_max_num_queries(8):
        client.get("/admin/accounts/apikey/")


def test_what_a_person_does_is_in_the_log_under_their_name(as_: Login, account: Account) -> None:
    client = as_(account, "admin")
    form = {"account": str(account.id), "name": "new", "scopes": ["calls:read", "configs:read"]}
    page = client.post("/admin/accounts/apikey/add/", form, follow=True)
    secret = page.content.decode().partition("shown this once: ")[2].partition("<")[0].strip()
    made = api_key_verify(secret)
    assert made is not None and made.scopes == ["configs:read", "calls:read"]
    entry = AuditEntry.objects.get(action="api_key.create", target_id=str(made.id))
    assert (entry.actor_kind, entry.actor_name[:5]) == ("user", "admin")


def test_a_vendors_key_is_shown_to_nobody(as_: Login, account: Account, openai: Credential) -> None:
    client = as_(account, "owner")
    for path in ("", f"{openai.pk}/change/"):
        page = client.get(f"/admin/accounts/credential/{path}").content.decode()
        assert "…6789" in page
        assert "0123456789" not in page
