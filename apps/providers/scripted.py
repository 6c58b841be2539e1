"""Scripted providers' declarations (filled in beside their module)."""

from __future__ import annotations

from apps.providers.base import Declaration

DECLARATIONS: tuple[Declaration, ...] = ()
