"""What a list of bots may be narrowed to, and in what order it comes."""

from __future__ import annotations

from collections.abc import Mapping

from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import QueryDict
from rest_framework.exceptions import ValidationError
from rest_framework.request import Request

from apps.bots.models import TwilioConfig
from apps.core.metadata import metadata_filtered
from apps.core.pagination import NewestFirstPagination
from apps.providers import registry
from apps.providers.base import KINDS

ORDERS: Mapping[str, tuple[str, str]] = {
    "-created_at": ("-created_at", "-id"),
    "created_at": ("created_at", "id"),
    "-updated_at": ("-updated_at", "-id"),
    "updated_at": ("updated_at", "id"),
    "name": ("name", "id"),
    "-name": ("-name", "-id"),
}
LONGEST = 200


class ConfigPagination(NewestFirstPagination):
    """Newest first, or as ``order`` says."""

    def get_ordering(self, request: Request) -> tuple[str, str]:
        asked = request.query_params.get("order", "-created_at")
        if asked not in ORDERS:
            raise ValidationError({"order": [f"One of {', '.join(ORDERS)}."]})
        return ORDERS[asked]


def configs_filtered(configs: QuerySet[TwilioConfig], asked: QueryDict) -> QuerySet[TwilioConfig]:
    """Narrow the list. Raises ValidationError, by parameter."""
    given = {name: str(text) for name, text in asked.items() if name != "cursor"}
    for name, text in given.items():
        if "\0" in name + text or len(text) > LONGEST:
            raise ValidationError({name: [f"Up to {LONGEST} characters, none of them null."]})
    if "name" in given:
        configs = configs.filter(name=given["name"])
    if "search" in given:
        configs = configs.filter(name__icontains=given["search"])
    if "provider" in given:
        configs = configs.filter(_provider(given["provider"]))
    return metadata_filtered(configs, given)


def _provider(name: str) -> Q:
    """A provider's name stands in one slot's column, or in several for one like ``local``."""
    test = settings.ENABLE_TEST_PROVIDERS
    kinds = [kind for kind in KINDS if registry.find(kind, name, test_providers=test) is not None]
    if not kinds:
        names = sorted({found.name for found in registry.catalogue(test_providers=test)})
        raise ValidationError({"provider": [f"Unknown provider. Valid: {', '.join(names)}."]})
    found = Q()
    for kind in kinds:
        found |= Q(**{f"{kind}_provider": name})
    return found
