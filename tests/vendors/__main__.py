"""Runs a provider's stand-in, for calls without the vendor.

``python -m tests.vendors tts-acme``: by the id of its subject. Says where it is, and its key.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from tests.vendors.kinds import Subject
from tests.vendors.serving import KEY, serving
from tests.vendors.subjects import EARS, MODELS, VOICES


async def serve(subject: Subject) -> None:
    async with serving(subject.stand_in()) as vendor:
        urls = json.dumps({subject.provider: vendor.url})
        sys.stdout.write(f"PROVIDER_API_URLS='{urls}'\nkey: {KEY}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def main(arguments: Sequence[str]) -> None:
    subjects = {subject.id: subject for subject in (*VOICES, *MODELS, *EARS)}
    if len(arguments) != 1 or arguments[0] not in subjects:
        raise SystemExit(f"Which one? {', '.join(subjects)}")
    asyncio.run(serve(subjects[arguments[0]]))


if __name__ == "__main__":
    main(sys.argv[1:])
