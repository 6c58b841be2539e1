"""How bot configurations are read. Every query starts at the account, or ends at its token."""

from __future__ import annotations

import hmac
import logging
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.models import Q, QuerySet
from django.utils import timezone

from apps.accounts.credentials import credential_secrets
from apps.accounts.models import Account
from apps.bots.addresses import is_addressed, may_lend
from apps.bots.models import SpokenLine, TwilioConfig, TwilioConfigVersion
from apps.bots.slots import declaration, kinds_used, slots_of
from apps.bots.variables import filled, filling_of
from apps.core.crypto import DecryptionError
from apps.providers.base import KINDS, Kind, ServiceSettings

logger = logging.getLogger(__name__)


def twilio_configs_of(account: Account) -> QuerySet[TwilioConfig]:
    """The account's live bots."""
    return TwilioConfig.objects.filter(account=account, deleted_at=None)


def twilio_configs_deleted(account: Account) -> QuerySet[TwilioConfig]:
    """The account's bots that were taken out of service."""
    return TwilioConfig.objects.filter(account=account).exclude(deleted_at=None)


def providers_in_use() -> set[tuple[Kind, str]]:
    """The providers that any account's live bots name, by slot."""
    live = TwilioConfig.objects.filter(deleted_at=None).order_by()
    return {
        (kind, name)
        for kind in KINDS
        for name in live.values_list(f"{kind}_provider", flat=True).distinct()
    }


# What a bot is shown by. Everything else, and all other ciphertext, stays in the table.
_SHOWN = (
    *("account", "current", "latest_number", "stream_token", "created_at", "updated_at"),
    *("current__number", "current__document", "current__is_draft"),
)

# Built once: laying out columns and joins costs as much as the query itself.
_LISTED = TwilioConfig.objects.filter(deleted_at=None).select_related("current").only(*_SHOWN)


def twilio_configs_listed(account: Account) -> QuerySet[TwilioConfig]:
    """The account's live bots with what a list shows, and nothing more."""
    return _LISTED.filter(account=account)


# The same of one bot, written out: the request that scripts send most. The ORM takes 0.3 ms more
# to lay out this join than the database takes to answer it.
_ONE = f"""
    SELECT config.id, config.account_id, config.current_id, config.latest_number,
           config.stream_token, config.created_at, config.updated_at,
           version.number AS shown_number, version.document AS shown_document,
           version.is_draft AS shown_is_draft
    FROM {TwilioConfig._meta.db_table} AS config
    LEFT JOIN {TwilioConfigVersion._meta.db_table} AS version ON version.id = config.current_id
    WHERE config.account_id = %s AND config.id = %s AND config.deleted_at IS NULL
"""
_DOCUMENT: Any = TwilioConfigVersion._meta.get_field("document")
_ID: Any = TwilioConfig._meta.get_field("id")


def twilio_config_get(account: Account, config_id: uuid.UUID) -> TwilioConfig:
    """One of the account's live bots, as lists show it. Raises TwilioConfig.DoesNotExist."""
    asked = [_ID.get_db_prep_value(found, connection) for found in (account.pk, config_id)]
    config: Any = next(iter(TwilioConfig.objects.raw(_ONE, asked)), None)
    if config is None:
        raise TwilioConfig.DoesNotExist
    if config.current_id is not None:
        document = _DOCUMENT.from_db_value(config.shown_document, None, connection)
        config.current = TwilioConfigVersion.from_db(
            config._state.db,
            ("id", "config_id", "number", "document", "is_draft"),
            (
                config.current_id,
                config.pk,
                config.shown_number,
                document,
                bool(config.shown_is_draft),
            ),
        )
    found: TwilioConfig = config
    return found


# Ciphertext that most readers do not need.
_HEAVY = ("body", "kept", "secrets")


def versions_shown(configs: Sequence[TwilioConfig]) -> list[TwilioConfigVersion]:
    """Return what each bot shows: the version that takes calls, or the latest before there is one.

    One query at the most, however many bots.
    """
    drafts = Q()
    for config in configs:
        if config.current is None:
            drafts |= Q(config=config, number=config.latest_number)
    latest = {}
    if drafts:
        found = TwilioConfigVersion.objects.filter(drafts).defer(*_HEAVY)
        latest = {version.config_id: version for version in found}
    return [config.current or latest[config.id] for config in configs]


def version_shown(
    config: TwilioConfig, *, draft: bool = False, whole: bool = False
) -> TwilioConfigVersion:
    """Return what a bot shows; with ``draft`` the latest version, published or not.

    whole: with body, kept members and secrets.
    """
    if config.current is not None and not (
        whole or (draft and config.current.number != config.latest_number)
    ):
        return config.current
    number = config.latest_number if draft or config.current is None else config.current.number
    return version_numbered(config, number, whole=whole)


def version_numbered(
    config: TwilioConfig, number: int, *, whole: bool = False
) -> TwilioConfigVersion:
    """Return a version of a bot. Raises TwilioConfigVersion.DoesNotExist."""
    versions = TwilioConfigVersion.objects.filter(config=config)
    version: TwilioConfigVersion = (versions if whole else versions.defer(*_HEAVY)).get(
        number=number
    )
    return version


def versions_of(config: TwilioConfig) -> QuerySet[TwilioConfigVersion]:
    """A bot's versions with their authors; bodies stay in the table."""
    found: QuerySet[TwilioConfigVersion] = (
        TwilioConfigVersion.objects.filter(config=config)
        .select_related("author", "author_key")
        .defer("body", "kept")
    )
    return found


def versions_before(
    config: TwilioConfig, versions: Sequence[TwilioConfigVersion]
) -> dict[int, TwilioConfigVersion]:
    """Return the predecessors of some versions by number; one query for those not among them."""
    known = {version.number: version for version in versions}
    wanted = {version.number - 1 for version in versions} - known.keys() - {0}
    if wanted:
        found = versions_of(config).filter(number__in=wanted)
        known |= {version.number: version for version in found}
    return known


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
    """What an admitted stream is to be: the bot's version at this moment, and its secrets.

    values: of the bot's variables.
    """

    account_id: str
    config_id: str
    config_name: str
    version_id: int
    version_number: int
    document: Mapping[str, Any] = field(repr=False)
    secrets: Mapping[str, Any] = field(repr=False)
    account: Account = field(repr=False)
    values: Mapping[str, str] = field(default_factory=dict, repr=False)

    def service(self, kind: Kind) -> ServiceSettings:
        """What the slot's provider is built from."""
        return self.services(kind)[0]

    def services(self, kind: Kind) -> tuple[ServiceSettings, ...]:
        """The same of the slot's provider, and of whoever takes over if it fails."""
        chain = slots_of(self.document, kind)
        return tuple(slot_settings(slot, self.secrets) for slot in chain)


def stream_admit(
    *, account_id: str, config_id: str, token: str, given: Mapping[str, str] | None = None
) -> Admission | None:
    """Return what the stream may be, or None if these three do not belong together.

    given: what else the call brings; the bot's variables are filled from it. One query, and one
    more where a provider needs a key that the bot does not bring itself. The texts come from the
    socket and may be anything. A bot that was never published takes no calls.
    """
    account_uuid, config_uuid = _uuid(account_id), _uuid(config_id)
    if account_uuid is None or config_uuid is None:
        return None
    configs = TwilioConfig.objects.filter(id=config_uuid, account=account_uuid, deleted_at=None)
    config = (
        configs.select_related("account", "current").defer("current__body", "current__kept").first()
    )
    if config is None or config.current is None or not _token_fits(config, token):
        return None
    return admission_of(config, config.current, given or {})


def call_expected(config_id: str, given: Mapping[str, str]) -> Admission | None:
    """Return what a call that rings will be, before its stream proves that it may.

    None for a bot that is unknown, deleted or unpublished. The queries of ``stream_admit``.
    """
    config = twilio_config_by_id(config_id)
    if config is None or config.current is None:
        return None
    return admission_of(config, config.current, given)


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


def admission_of(
    config: TwilioConfig, version: TwilioConfigVersion, given: Mapping[str, str]
) -> Admission:
    """Return what a call of a bot's version is to be. config: with its account.

    One query, if a provider needs a key that the version does not bring.
    """
    filling = filling_of(version.document, given)
    return Admission(
        account_id=str(config.account_id),
        config_id=str(config.id),
        config_name=config.name,
        version_id=version.id,
        version_number=version.number,
        document=filled(version.document, filling.values),
        secrets=secrets_used(str(config.account_id), version),
        account=config.account,
        values=filling.values,
    )


def secrets_used(account_id: str, version: TwilioConfigVersion) -> Mapping[str, Any]:
    """Return the version's secrets, completed by the account's credentials where it brings none.

    Those that are for a server of the account's choosing stand in ``bound``, with their
    ``base_url``: ``slot_settings`` lends them to slots that ask there, and to no other.
    One query, if a provider needs a key that the version does not bring.
    """
    secrets: Mapping[str, Any] = version.secrets
    own = secrets.get("api_keys", {})
    providers = {
        slot["provider"]: kind
        for kind in kinds_used(version.document)
        for slot in slots_of(version.document, kind)
    }
    wanted = [
        name
        for name, kind in providers.items()
        if name not in own and (found := declaration(kind, name)) and found.needs_key
    ]
    if not wanted:
        return secrets
    try:
        stored = credential_secrets(account_id)
    except DecryptionError:
        # The call goes on, and its provider says that there is no key.
        logger.exception("An account's credentials cannot be read", extra={"account": account_id})
        return secrets
    kept = {name: stored[name] for name in wanted if name in stored}
    bound = {name: one for name, one in kept.items() if is_addressed(providers[name], name)}
    lent = {name: one["api_key"] for name, one in kept.items() if name not in bound}
    return {**secrets, "api_keys": {**lent, **own}, "bound": bound}


def service_settings(
    kind: Kind, document: Mapping[str, Any], secrets: Mapping[str, Any]
) -> ServiceSettings:
    """What a slot's provider is built from. secrets: a version's; the key is named ``api_key``."""
    return slot_settings(document[kind], secrets)


def slot_settings(slot: Mapping[str, Any], secrets: Mapping[str, Any]) -> ServiceSettings:
    """The same of one slot, or of one that takes over."""
    key = secrets.get("api_keys", {}).get(slot["provider"])
    bound = secrets.get("bound", {}).get(slot["provider"])
    if bound is not None and may_lend(slot, bound.get("base_url", "")):
        key = bound["api_key"]
    return ServiceSettings(
        provider=slot["provider"],
        model=model_used(slot["provider"], slot["model"]),
        voice=slot.get("voice", ""),
        language=slot.get("language", ""),
        options=slot["options"],
        secrets={"api_key": key} if key else {},
        base_url=settings.PROVIDER_API_URLS.get(slot["provider"], ""),
    )


def model_used(provider: str, model: str) -> str:
    """Return the model that is really asked for: the operator may map retired names."""
    return settings.MODEL_ALIASES.get(provider, {}).get(model, model)


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
