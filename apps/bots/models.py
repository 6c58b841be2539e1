"""Bot configurations: a stable id and token, and versions that never change."""

from __future__ import annotations

from django.conf import settings
from django.db import models

from apps.accounts.models import Account, ApiKey
from apps.core.fields import EncryptedJSONField, EncryptedTextField
from apps.core.models import AppendOnly, BaseModel


def _live(name: str, *fields: str) -> models.Index:
    """An index over an account's live bots, with the id to break ties."""
    tie = "id" if fields[-1] == "name" else "-id"
    return models.Index(
        fields=("account", *fields, tie), condition=models.Q(deleted_at=None), name=name
    )


class TwilioConfig(BaseModel):
    """A bot. What it says and does stands in its versions.

    current: the version that takes calls; none before the first is published. latest_number: the
    newest version, which may be a draft. name, metadata and the three providers repeat what the
    current version says (before there is one, the latest), for lists and their filters.
    previous_stream_token works until previous_token_until. A row with deleted_at is gone for
    everyone but running calls.
    """

    account = models.ForeignKey(Account, on_delete=models.PROTECT, related_name="configs")
    name = models.CharField(max_length=200, blank=True, default="")
    metadata = models.JSONField(default=dict, blank=True)
    llm_provider = models.CharField(max_length=64, default="")
    tts_provider = models.CharField(max_length=64, default="")
    stt_provider = models.CharField(max_length=64, default="")
    current = models.ForeignKey(
        "TwilioConfigVersion", on_delete=models.PROTECT, null=True, related_name="+"
    )
    latest_number = models.PositiveIntegerField(default=1)
    stream_token = EncryptedTextField()
    previous_stream_token = EncryptedTextField(blank=True, default="")
    previous_token_until = models.DateTimeField(null=True, blank=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        verbose_name = "bot"
        indexes = [
            _live("config_live_newest", "-created_at"),
            _live("config_live_updated", "-updated_at"),
            _live("config_live_name", "name"),
            _live("config_live_llm", "llm_provider", "-created_at"),
            _live("config_live_tts", "tts_provider", "-created_at"),
            _live("config_live_stt", "stt_provider", "-created_at"),
        ]

    def __str__(self) -> str:
        return self.name or str(self.id)


class TwilioConfigVersion(AppendOnly):
    """What a bot was told at one time. Never changes.

    document: normalised, what the gateway reads; see ``apps.bots.document``. body: as received,
    without what is in secrets; encrypted, because unknown members are kept and may hold anything.
    kept: what a Daily Bots body said that the native form has no word for; see
    ``apps.bots.dailybots.Kept``; carried from version to version, whichever face writes.
    is_draft: written to be looked at, and taking no calls until it is published.
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
    kept = EncryptedJSONField(default=dict)
    secrets = EncryptedJSONField(default=dict)
    is_draft = models.BooleanField(default=False)
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
