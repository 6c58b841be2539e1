"""Bot configurations: a stable id and token, and versions that never change."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.accounts.models import Account, ApiKey
from apps.core.fields import EncryptedJSONField, EncryptedTextField
from apps.core.models import AppendOnly, BaseModel


class TwilioConfig(BaseModel):
    """A bot. What it says and does stands in its current version.

    name repeats the current version's, for lists. previous_stream_token works until
    previous_token_until. A row with deleted_at is gone for everyone but running calls.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="configs")
    name = models.CharField(max_length=200, blank=True, default="")
    current = models.ForeignKey(
        "TwilioConfigVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )
    stream_token = EncryptedTextField()
    previous_stream_token = EncryptedTextField(blank=True, default="")
    previous_token_until = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "bot"
        indexes = [
            models.Index(
                fields=("account", "-created_at", "-id"),
                condition=models.Q(deleted_at=None),
                name="config_live_newest",
            )
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)


class TwilioConfigVersion(AppendOnly):
    """What a bot was told at one time. Never changes.

    document: normalised, what the gateway reads; see ``apps.bots.document``. body: as received,
    without what is in secrets; encrypted, because unknown members are kept and may hold anything.
    secrets: ``{"api_keys": {provider: key}, "tool_headers": {tool: {name: value}}}``.
    """

    class Face(models.TextChoices):
        NATIVE = "native"
        DAILYBOTS = "dailybots"

    id = models.BigAutoField(primary_key=True)
    config = models.ForeignKey(TwilioConfig, on_delete=models.PROTECT, related_name="versions")
    number = models.PositiveIntegerField()
    document = models.JSONField()
    body = EncryptedJSONField()
    face = models.CharField(max_length=16, choices=Face.choices)
    secrets = EncryptedJSONField(default=dict)
    author = models.ForeignKey(
        settings.AUTH_USER_MODEL, on_delete=models.SET_NULL, null=True, related_name="+"
    )
    author_key = models.ForeignKey(ApiKey, on_delete=models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ("-number",)
        verbose_name = "version"
        constraints = [
            models.UniqueConstraint(fields=("config", "number"), name="version_number_once")
        ]

    def __str__(self) -> str:
        return f"version {self.number}"


class SpokenLine(models.Model):
    """A sentence of the platform in a bot's voice, spoken beforehand.

    digest: see ``apps.bots.speech.line_digest``. audio: mu-law, 8,000 Hz, mono, no header.
    """

    id = models.BigAutoField(primary_key=True)
    account = models.ForeignKey(Account, on_delete=models.CASCADE, related_name="+")
    digest = models.CharField(max_length=64)
    audio = models.BinaryField()
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=("account", "digest"), name="spoken_line_once")
        ]

    def __str__(self) -> str:
        return self.digest
