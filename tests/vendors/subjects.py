"""Every adapter that the conformance suite tries, and its stand-in."""

from __future__ import annotations

from tests.vendors.kinds import Subject

MODELS: tuple[Subject, ...] = ()
VOICES: tuple[Subject, ...] = ()
EARS: tuple[Subject, ...] = ()
