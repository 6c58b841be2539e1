"""Forms of a connection to Twilio."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from django import forms
from django.db.models import QuerySet

from apps.accounts.connection_serializers import (
    TwilioConnectionBodySerializer,
    TwilioConnectionPatchSerializer,
)
from apps.accounts.connections import connections_of
from apps.accounts.models import TwilioConnection
from apps.dashboard.forms import ChangeForm, OfAccountForm, PlainForm, SecretField

_AUTH_TOKEN, _API_KEY = "auth_token", "api_key"
_SIGNING = "signing:"
_RARE = frozenset(
    ("api_key_sid", "api_key_secret", "parent_id", "region", "edge")
    + ("signing_key_name", "signing_key_secret")
)


class ConnectionFields(PlainForm):
    """What a connection is made of; its secrets are typed, never shown."""

    places: ClassVar[Mapping[str, str]] = {"signing_keys": "signing_key_secret"}

    name = forms.CharField(
        required=False, label="Name", help_text="Yours, to tell it by.", max_length=200
    )
    auth_token = SecretField(
        required=False,
        label="Auth token",
        help_text="The primary one, from the console's front page: Twilio signs webhooks with it.",
    )
    api_key_sid = forms.CharField(
        required=False,
        label="API key SID",
        help_text="SK…; signs in instead of the auth token. Store the token too: without it no"
        " webhook can be verified.",
    )
    api_key_secret = SecretField(required=False, label="API key secret")
    parent_id = forms.ModelChoiceField(
        TwilioConnection.objects.none(),
        required=False,
        label="Main account",
        empty_label="None: it is one itself",
        help_text="Of a sub-account: it needs nothing else to sign in.",
    )
    region = forms.CharField(
        required=False, label="Region", help_text="Such as ie1; empty: us1, as most accounts."
    )
    edge = forms.CharField(
        required=False, label="Edge", help_text="Such as dublin. Both or neither."
    )
    signing_key_name = forms.CharField(
        required=False,
        label="Name of a signing key",
        help_text="Twilio's SharedKeys, if you use them.",
    )
    signing_key_secret = SecretField(required=False, label="Its secret")
    check_first = forms.BooleanField(
        required=False,
        initial=True,
        label="Try it at Twilio before it is stored",
        help_text="Without it nobody knows whether it works until it is needed.",
    )

    def common_fields(self) -> list[forms.BoundField]:
        return [field for field in self.visible_fields() if field.name not in _RARE]

    def rare_fields(self) -> list[forms.BoundField]:
        """Return what few connections have, for the page to fold away."""
        return [field for field in self.visible_fields() if field.name in _RARE]

    def rare_errors(self) -> bool:
        """Tell whether what is folded away is to be seen: it is wrong, or said by the link here."""
        return any(field.errors or self.initial.get(field.name) for field in self.rare_fields())

    def parents(self, rows: QuerySet[TwilioConnection]) -> None:
        """Offer connections of main accounts."""
        field: Any = self.fields["parent_id"]
        field.queryset = rows.filter(parent=None)

    def connection_body(self) -> dict[str, Any]:
        """Return the members of a body, without secrets that were not typed."""
        data = self.cleaned_data
        parent = data["parent_id"]
        plain = {name: data[name] for name in ("name", "api_key_sid", "region", "edge")}
        typed = {name: data[name] for name in ("auth_token", "api_key_secret") if data[name]}
        found = {**plain, **typed, "parent_id": parent and str(parent.pk)}
        if data["signing_key_name"] or data["signing_key_secret"]:
            found["signing_keys"] = {data["signing_key_name"]: data["signing_key_secret"]}
        return found


class ConnectionForm(ConnectionFields, OfAccountForm):
    """A connection to be made."""

    rules = TwilioConnectionBodySerializer

    account_sid = forms.CharField(
        label="Account SID", help_text="AC and 32 hexadecimal digits, from Twilio's console."
    )
    field_order = ("account", "name", "account_sid", "auth_token")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        accounts: Any = self.fields["account"]
        self.parents(TwilioConnection.objects.filter(account__in=accounts.queryset))

    def body(self) -> dict[str, Any]:
        return {**self.connection_body(), "account_sid": self.cleaned_data["account_sid"].strip()}


class ConnectionChangeForm(ConnectionFields, ChangeForm):
    """What is to change of a connection. What is left empty of the secrets stays."""

    take_away = forms.MultipleChoiceField(
        required=False, label="Take away", widget=forms.CheckboxSelectMultiple
    )

    def __init__(self, *args: Any, connection: TwilioConnection, **kwargs: Any) -> None:
        names = ("name", "api_key_sid", "parent_id", "region", "edge")
        super().__init__(
            *args, initial={name: getattr(connection, name) for name in names}, **kwargs
        )
        self.parents(connections_of(connection.account).exclude(pk=connection.pk))
        choices: Any = self.fields["take_away"]
        choices.choices = _stored(connection)
        for name in ("auth_token", "api_key_secret"):
            self.fields[name].help_text = "Leave it empty to keep what is stored."
        if not choices.choices:
            del self.fields["take_away"]
        self.was_set()

    def read(self, body: dict[str, Any]) -> Mapping[str, Any]:
        found = TwilioConnectionPatchSerializer(body)
        found.is_valid(raise_exception=True)
        values: Mapping[str, Any] = found.validated_data
        return values

    def body(self) -> dict[str, Any]:
        stays = self.initial.keys() - self.changed
        found = {name: say for name, say in self.connection_body().items() if name not in stays}
        taken = self.cleaned_data.get("take_away", [])
        if _AUTH_TOKEN in taken:
            found["auth_token"] = None
        if _API_KEY in taken:
            found |= {"api_key_sid": None, "api_key_secret": None}
        gone = {name.removeprefix(_SIGNING): None for name in taken if name.startswith(_SIGNING)}
        if gone:
            found["signing_keys"] = {**gone, **found.get("signing_keys", {})}
        return found


def _stored(connection: TwilioConnection) -> list[tuple[str, str]]:
    """List what may be taken away of a connection, by what may be shown of it."""
    token = connection.hints.get("auth_token", "")
    found = [(_AUTH_TOKEN, f"The auth token {token}")] if token else []
    if connection.api_key_sid:
        found.append((_API_KEY, f"The API key {connection.api_key_sid}"))
    keys = connection.hints.get("signing_keys", [])
    return found + [(f"{_SIGNING}{name}", f"The signing key {name}") for name in keys]
