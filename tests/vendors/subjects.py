"""Every adapter that the conformance suite tries, and its stand-in."""

from __future__ import annotations

from tests.vendors import cartesia
from tests.vendors.kinds import Subject

MODELS: tuple[Subject, ...] = ()
VOICES: tuple[Subject, ...] = (
    Subject(
        "tts",
        "cartesia",
        cartesia.CartesiaStandIn,
        settings={"model": "sonic-3", "voice": cartesia.VOICE, "language": "en-US"},
        key_name="CARTESIA_API_KEY",
        stops_in_words=True,
        times_words=True,
        shares_socket=True,
        heard_as=(cartesia.VOICE, "sonic-3"),
    ),
)
EARS: tuple[Subject, ...] = ()
