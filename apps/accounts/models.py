"""Accounts and who acts for them: users by their membership, scripts by their API key."""

from __future__ import annotations

import uuid
from datetime import datetime

from django.contrib.auth.models import AbstractUser
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils import timezone
from phonenumbers import SUPPORTED_REGIONS

from apps.accounts.scopes import scopes_are_valid
from apps.core.fields import EncryptedJSONField, EncryptedTextField
from apps.core.models import AppendOnly, BaseModel


def countries_are_known(value: object) -> None:
    """Refuse what is no list of ISO 3166-1 alpha-2 codes that have phone numbers."""
    if not isinstance(value, list) or not all(code in SUPPORTED_REGIONS for code in value):
        raise ValidationError("A list of two-letter countries, such as US or GB.", code="country")


class Account(BaseModel):
    """The owner of everything else. One account sees nothing of another.

    twilio_auth_token: where there is no connection, only Bins whose streams are signed.
    signing_secrets: all that Twilio may sign with, kept by ``apps.accounts.connections``:
    ``{account_sid: {"auth_token": "…", "keys": {name: secret}}}``; in one place, because every
    webhook asks. calls_per_second: dialled by us. allowed_countries: that may be dialled; empty:
    any. calling_hours: when, see ``apps.calls.hours``; empty: always.
    """

    name = models.CharField(max_length=200)
    max_live_calls = models.PositiveIntegerField(default=100)
    twilio_auth_token = EncryptedTextField(blank=True, default="")
    signing_secrets = EncryptedJSONField(blank=True, default=dict)
    calls_per_second = models.PositiveSmallIntegerField(
        default=1, validators=[MinValueValidator(1), MaxValueValidator(100)]
    )
    allowed_countries = models.JSONField(default=list, blank=True, validators=[countries_are_known])
    calling_hours = models.JSONField(default=dict, blank=True)
    defaults = models.JSONField(
        default=dict,
        blank=True,
        help_text="What bots get that name no provider in a slot: {llm, tts, stt}, as in a config.",
    )

    class Meta:
        ordering = ("name", "id")

    def __str__(self) -> str:
        return self.name


class User(AbstractUser):
    """A person at the dashboard."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)


class Membership(BaseModel):
    """What a user may do in an account."""

    class Role(models.TextChoices):
        OWNER = "owner"
        ADMIN = "admin"
        OPERATOR = "operator"
        VIEWER = "viewer"

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="memberships")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=16, choices=Role.choices, default=Role.VIEWER)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("user", "account"), name="membership_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=("owner", "admin", "operator", "viewer")),
                name="membership_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} in {self.account_id}"


class Invitation(BaseModel):
    """A user is asked to be in an account, and has not answered: it opens nothing yet."""

    user = models.ForeignKey(User, on_delete=models.CASCADE, related_name="invitations")
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="invitations")
    role = models.CharField(max_length=16, choices=Membership.Role.choices)
    invited_by = models.ForeignKey(
        User, on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(fields=("user", "account"), name="invitation_once"),
            models.CheckConstraint(
                condition=models.Q(role__in=("owner", "admin", "operator", "viewer")),
                name="invitation_role_known",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.user_id} to {self.account_id}"


def is_in_the_future(value: datetime) -> None:
    """Refuse a time that has passed."""
    if value <= timezone.now():
        raise ValidationError("This time has passed.", code="past")


class ApiKey(BaseModel):
    """A script's key. prefix finds the row; digest is the whole key's SHA-256, in hex.

    scopes: what it may do, see ``apps.accounts.scopes``. successor: the key that it was last
    rotated to.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="api_keys")
    name = models.CharField(max_length=200, blank=True, default="")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    digest = models.CharField(max_length=64, editable=False)
    scopes = models.JSONField(default=list, validators=[scopes_are_valid])
    expires_at = models.DateTimeField(null=True, blank=True, validators=[is_in_the_future])
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    successor = models.ForeignKey(
        "self", on_delete=models.SET_NULL, null=True, editable=False, related_name="+"
    )

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"bc_{self.prefix}"

    @property
    def is_live(self) -> bool:
        """It opens the door now."""
        now = timezone.now()
        return self.revoked_at is None and (self.expires_at is None or self.expires_at > now)


class Credential(BaseModel):
    """An account's key at a vendor, for bots that bring none of their own.

    secret: ``{"api_key": "…"}``. last4: its end, to tell it by; empty where that would tell much.
    base_url: where the bot names the provider's server: that which the key is for, and no other.
    """

    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="credentials")
    provider = models.CharField(max_length=64)
    secret = EncryptedJSONField()
    last4 = models.CharField(max_length=4, blank=True, default="", editable=False)
    base_url = models.CharField(max_length=500, blank=True, default="", editable=False)

    class Meta:
        ordering = ("provider",)
        constraints = [
            models.UniqueConstraint(fields=("account", "provider"), name="credential_once")
        ]

    def __str__(self) -> str:
        return f"{self.provider} {self.hint}"

    @property
    def hint(self) -> str:
        """What may be shown of the key."""
        return f"…{self.last4}"


class TwilioConnection(BaseModel):
    """A Twilio project, or a sub-account of one, that an account uses.

    Requests sign in with the API key if there is one, else with the auth token; a sub-account
    without either uses its parent's. auth_token is the primary one: webhooks are signed with it.
    signing_keys: Twilio's SharedKeys by name, for signatures by HMAC-SHA256.
    region, edge: Twilio's, both or neither. checked_at, check_error: how the last try went.
    hints: what may be shown of the secrets, so that showing it opens none:
    ``{"auth_token": "…abcd", "signing_keys": [name]}``.
    """

    account = models.ForeignKey(
        Account, on_delete=models.CASCADE, related_name="twilio_connections"
    )
    name = models.CharField(max_length=200, blank=True, default="")
    account_sid = models.CharField(max_length=34)
    parent = models.ForeignKey(
        "self", on_delete=models.PROTECT, null=True, blank=True, related_name="subaccounts"
    )
    auth_token = EncryptedTextField(blank=True, default="")
    api_key_sid = models.CharField(max_length=34, blank=True, default="")
    api_key_secret = EncryptedTextField(blank=True, default="")
    signing_keys = EncryptedJSONField(blank=True, default=dict)
    hints = models.JSONField(default=dict, blank=True, editable=False)
    region = models.CharField(max_length=16, blank=True, default="")
    edge = models.CharField(max_length=32, blank=True, default="")
    checked_at = models.DateTimeField(null=True, blank=True, editable=False)
    check_error = models.CharField(max_length=300, blank=True, default="", editable=False)
    friendly_name = models.CharField(max_length=200, blank=True, default="", editable=False)
    is_trial = models.BooleanField(default=False, editable=False)

    class Meta:
        ordering = ("created_at", "id")
        constraints = [
            models.UniqueConstraint(fields=("account", "account_sid"), name="connection_once"),
            models.CheckConstraint(
                condition=models.Q(region="", edge="") | ~models.Q(region="") & ~models.Q(edge=""),
                name="connection_region_with_edge",
            ),
        ]

    def __str__(self) -> str:
        return self.name or self.account_sid


class AuditEntry(AppendOnly):
    """Who did what, from where. Written once; the database itself refuses to change or remove it.

    before, after: the members that changed, by path, without secrets. actor_id and actor_name are
    kept as texts: a key or a user may be gone, what they did stays.
    """

    class ActorKind(models.TextChoices):
        KEY = "key"
        USER = "user"
        COMMAND = "command"
        SYSTEM = "system"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="audit_entries")
    created_at = models.DateTimeField(auto_now_add=True)
    actor_kind = models.CharField(max_length=8, choices=ActorKind.choices)
    actor_id = models.CharField(max_length=64, blank=True, default="")
    actor_name = models.CharField(max_length=200, blank=True, default="")
    address = models.GenericIPAddressField(null=True, blank=True)
    request_id = models.CharField(max_length=128, blank=True, default="")
    action = models.CharField(max_length=64)
    target_kind = models.CharField(max_length=32)
    target_id = models.CharField(max_length=64)
    before = models.JSONField(default=dict, blank=True)
    after = models.JSONField(default=dict, blank=True)

    class Meta:
        ordering = ("-created_at", "-id")
        verbose_name_plural = "audit entries"
        indexes = [
            models.Index(fields=("account", "-created_at", "-id"), name="audit_newest"),
            models.Index(fields=("-created_at", "-id"), name="audit_newest_of_all"),
            models.Index(fields=("account", "action", "-created_at", "-id"), name="audit_action"),
            models.Index(fields=("account", "actor_id", "-created_at", "-id"), name="audit_actor"),
            models.Index(
                fields=("account", "target_kind", "-created_at", "-id"), name="audit_kind"
            ),
            models.Index(
                fields=("account", "target_id", "-created_at", "-id"), name="audit_target"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.action} {self.target_id}"
