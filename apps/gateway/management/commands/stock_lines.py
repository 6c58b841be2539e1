"""Makes the platform's stock sentences anew, with the local voice."""

from __future__ import annotations

import asyncio
from typing import Any, get_args

from django.core.management.base import BaseCommand

from apps.gateway.stock import FOLDER, path_of
from apps.providers.base import ServiceSettings
from apps.providers.local_voice import LocalVoice
from apps.voice.ports import sound_of
from apps.voice.settings import LineName, Lines


class Command(BaseCommand):
    help = "Speak the platform's stock sentences with the local voice, into the package."

    def handle(self, *args: Any, **options: Any) -> None:
        FOLDER.mkdir(exist_ok=True)
        lines = Lines()
        for name in get_args(LineName):
            if text := getattr(lines, name):
                audio = asyncio.run(_spoken(text))
                path_of(name).write_bytes(audio)
                self.stdout.write(f"{name}: {len(audio) / 8_000:.1f} s")


async def _spoken(text: str) -> bytes:
    voice = LocalVoice(ServiceSettings("local"))
    return b"".join([piece async for piece in sound_of(voice, text)])
