"""PlayHT, which is no more: its name stays, so that bodies that carry it are kept and explained.

PlayHT (PlayAI) was bought by Meta in July 2025 and shut its API on 31 December 2025. Sources, read
in November 2026: docs.pipecat.ai (TTS, PlayHT), github.com/pipecat-ai/pipecat/pull/3838.
"""

from __future__ import annotations

from apps.providers.base import Declaration, Option

_GONE = (
    "PlayHT has shut its service (31 December 2025). Nearest to it: cartesia or elevenlabs, which "
    "clone voices too, or rime. The texts, the language and speed (within the new one's bounds) "
    "carry over; the voice, the model, user_id and the key do not, and a cloned voice has to be "
    "cloned again."
)

DECLARATIONS = (
    Declaration(
        kind="tts",
        name="playht",
        title="PlayHT",
        description="Shut since 31 December 2025; choose another voice.",
        models=("Play3.0-mini", "PlayDialog"),
        open_models=True,
        open_voices=True,
        options=(
            # Daily Bots: above 0 and up to 5; bounds are inclusive here.
            Option("speed", "number", "Kept, without effect.", minimum=0.01, maximum=5),
            Option("user_id", "string", "Kept, without effect: the account at PlayHT."),
            Option("text_filter", "object", "Kept, without effect."),
            Option("sample_rate", "integer", "Kept, without effect."),
            Option("output_format", "string", "Kept, without effect."),
        ),
        needs_key=True,
        closed=_GONE,
        billing="nothing",
        source="docs.pipecat.ai (PlayHT's end on 31 December 2025), read in November 2026",
        limits=("The vendor no longer exists.",),
    ),
)
