"""Forms of keys, credentials and members."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django import forms
from django.core.exceptions import ValidationError

from apps.accounts.credentials import credential_providers, is_addressed
from apps.accounts.models import Account, Credential, Invitation, Membership, User
from apps.accounts.scopes import DEFAULT_SCOPES, SCOPES
from apps.accounts.serializers import (
    KEY_CHARACTERS,
    ApiKeyBodySerializer,
    CredentialBodySerializer,
    RotationSerializer,
)
from apps.dashboard.forms import (
    GraceField,
    MomentField,
    OfAccountForm,
    PlainForm,
    RuledForm,
    SecretField,
)

# What each lets a script do.
SCOPES_SAID: Final[Mapping[str, str]] = {
    "configs:read": "look at bots",
    "configs:write": "make, change and delete bots",
    "calls:read": "look at calls, transcripts and recordings",
    "calls:write": "dial, speak, transfer, hang up",
    "phones:read": "look at numbers and Twilio connections",
    "phones:write": "assign and repair numbers",
    "webhooks:read": "look at endpoints and deliveries",
    "webhooks:write": "make endpoints, replay deliveries",
    "admin": "everything, and keys, credentials, connections and settings",
}


class ApiKeyForm(OfAccountForm):
    """A key to be made."""

    rules = ApiKeyBodySerializer

    name = forms.CharField(
        label="Name", max_length=200, help_text="Which script or machine uses it."
    )
    scopes = forms.MultipleChoiceField(
        label="May",
        choices=[(scope, f"{scope}: {SCOPES_SAID[scope]}") for scope in SCOPES],
        initial=list(DEFAULT_SCOPES),
        widget=forms.CheckboxSelectMultiple,
        help_text="A :write holds its :read, admin holds all.",
    )
    expires_at = MomentField(
        required=False, label="Works until", help_text="Empty: until somebody revokes it."
    )


class KeyRotationForm(RuledForm):
    """How long the old key works on."""

    rules = RotationSerializer

    grace_seconds = GraceField(label="The old key works on for")


def _address() -> forms.CharField:
    return forms.CharField(
        required=False,
        label="Address",
        max_length=500,
        help_text="For custom_llm alone: the server that the key is for, as in"
        " https://models.example.com/v1. It is sent to no other, whatever a bot names.",
        widget=forms.URLInput(attrs={"spellcheck": "false"}),
    )


class CredentialForm(OfAccountForm):
    """A vendor's key to be stored."""

    rules = CredentialBodySerializer

    provider = forms.ChoiceField(
        label="Provider", help_text="One key for each: a new one replaces the stored one."
    )
    api_key = SecretField(label="API key", max_length=KEY_CHARACTERS)
    base_url = _address()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["provider"]
        field.choices = [(name, name) for name in credential_providers()]

    def body(self) -> dict[str, Any]:
        found = {"api_key": self.cleaned_data["api_key"]}
        return {**found, "base_url": self.cleaned_data["base_url"]}


class CredentialChangeForm(RuledForm):
    """A vendor's key instead of the stored one."""

    rules = CredentialBodySerializer

    api_key = SecretField(
        label="New API key", max_length=KEY_CHARACTERS, help_text="Replaces the stored one."
    )
    base_url = _address()

    def __init__(self, *args: Any, credential: Credential, **kwargs: Any) -> None:
        super().__init__(*args, initial={"base_url": credential.base_url}, **kwargs)
        if not is_addressed(credential.provider):
            del self.fields["base_url"]


class InviteForm(PlainForm):
    """A user is named, not picked: a list would tell who else is on this server."""

    username = forms.CharField(
        label="Username",
        max_length=150,
        help_text="Of somebody who can log in here already; the server's superuser makes users.",
        widget=forms.TextInput(attrs={"autocomplete": "off", "autocapitalize": "none"}),
    )
    role = forms.ChoiceField(
        label="Role", choices=Membership.Role.choices, initial=Membership.Role.VIEWER
    )

    def __init__(self, *args: Any, account: Account, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._account = account

    def clean_username(self) -> str:
        name: str = self.cleaned_data["username"]
        found = User.objects.filter(username=name, is_active=True).first()
        if found is None:
            raise ValidationError("There is no such user.")
        if Membership.objects.filter(account=self._account, user=found).exists():
            raise ValidationError("This user is here already.")
        if Invitation.objects.filter(account=self._account, user=found).exists():
            raise ValidationError("This user is invited already, and has not answered yet.")
        self.user = found
        return name


class InvitationForm(PlainForm):
    """An invitation that is taken back."""

    invitation = forms.UUIDField(widget=forms.HiddenInput)


class RoleForm(PlainForm):
    """Another role for a member."""

    membership = forms.UUIDField(widget=forms.HiddenInput)
    role = forms.ChoiceField(label="Role", choices=Membership.Role.choices)


class AccountForm(PlainForm):
    """An account to be made."""

    name = forms.CharField(label="Name", max_length=200)


class LimitForm(PlainForm):
    """How much of the server an account may use, which its operator says."""

    max_live_calls = forms.IntegerField(
        label="Live calls at most",
        min_value=0,
        max_value=2_147_483_647,
        help_text="More callers hear that all lines are busy.",
    )


class TokenForm(PlainForm):
    """What Twilio signs streams of TwiML Bins with, where there is no connection."""

    twilio_auth_token = SecretField(
        label="Twilio auth token", max_length=500, help_text="Replaces the stored one."
    )
