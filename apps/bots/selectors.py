"""How bot configurations are read. Every query starts at the account, or ends at its token."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from apps.accounts.models import Account
from apps.bots.models import SpokenLine, TwilioConfig, TwilioConfigVersion
from apps.providers.base import Kind, ServiceSettings


def twilio_configs_of(account: Account) -> QuerySet[TwilioConfig]:
    """The account's live bots."""
    return TwilioConfig.objects.filter(account=account, deleted_at=None)


def twilio_configs_listed(account: Account) -> QuerySet[TwilioConfig]:
    """The account's live bots with what a list shows; bodies and secrets stay in the table."""
    return (
        twilio_configs_of(account)
        .select_related("current")
        .defer("current__body", "current__secrets", "previous_stream_token")
    )


def twilio_config_by_id(config_id: str | uuid.UUID) -> TwilioConfig | None:
    """Any account's live bot with its account and version; for Twilio's webhooks, who have no key.

    None for an id that is malformed, unknown or deleted.
    """
    found = _uuid(config_id)
    if found is None:
        return None
    configs = TwilioConfig.objects.filter(id=found, deleted_at=None)
    return configs.select_related("account", "current").first()


@dataclass(frozen=True, slots=True)
class Admission:
    """What an admitted stream is to be: the bot's version at this moment, and its secrets."""

    account_id: str
    config_id: str
    config_name: str
    version_id: int
    version_number: int
    document: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)
    twilio_auth_token: str = field(repr=False)

    def service(self, kind: Kind) -> ServiceSettings:
        """What the slot's provider is built from."""
        return service_settings(kind, self.document, self.secrets)


def stream_admit(*, account_id: str, config_id: str, token: str) -> Admission | None:
    """Return what the stream may be, or None if these three do not belong together.

    One query. The texts come from the socket and may be anything.
    """
    account_uuid, config_uuid = _uuid(account_id), _uuid(config_id)
    if account_uuid is None or config_uuid is None:
        return None
    configs = TwilioConfig.objects.filter(id=config_uuid, account=account_uuid, deleted_at=None)
    config = configs.select_related("account", "current").defer("current__body").first()
    if config is None or config.current is None or not _token_fits(config, token):
        return None
    return _admission(config, config.current)


def _token_fits(config: TwilioConfig, token: str) -> bool:
    offered = token.encode("utf-8", "surrogatepass")
    fits = _same(offered, config.stream_token)
    until = config.previous_token_until
    if until is not None and until > timezone.now():
        fits |= _same(offered, config.previous_stream_token)
    return fits


def _same(offered: bytes, stored: str) -> bool:
    # An empty one is no token: without this a bot that never rotated would admit an empty text.
    return bool(stored) and hmac.compare_digest(offered, stored.encode())


def _admission(config: TwilioConfig, version: TwilioConfigVersion) -> Admission:
    return Admission(
        account_id=str(config.account_id),
        config_id=str(config.id),
        config_name=config.name,
        version_id=version.id,
        version_number=version.number,
        document=version.document,
        secrets=version.secrets,
        twilio_auth_token=config.account.twilio_auth_token,
    )


def service_settings(
    kind: Kind, document: Mapping[str, Any], secrets: Mapping[str, Any]
) -> ServiceSettings:
    """What a slot's provider is built from. secrets: a version's; the key is named ``api_key``."""
    slot = document[kind]
    key = secrets.get("api_keys", {}).get(slot["provider"])
    return ServiceSettings(
        provider=slot["provider"],
        model=slot["model"],
        voice=slot.get("voice", ""),
        language=slot.get("language", ""),
        options=slot["options"],
        secrets={"api_key": key} if key else {},
    )


def spoken_lines_load(account_id: str, digests: Iterable[str]) -> dict[str, bytes]:
    """Return the audio (mu-law, 8,000 Hz, mono) of the lines that are there, by digest."""
    found = _uuid(account_id)
    if found is None:
        return {}
    lines = SpokenLine.objects.filter(account_id=found, digest__in=list(digests))
    return {digest: bytes(audio) for digest, audio in lines.values_list("digest", "audio")}


def _uuid(text: str | uuid.UUID) -> uuid.UUID | None:
    try:
        return uuid.UUID(str(text))
    except ValueError:
        return None
