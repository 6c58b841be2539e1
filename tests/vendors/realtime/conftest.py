"""A vendor, an adapter that is connected to it, and a caller at its other end."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from apps.providers.openai_realtime import OpenAIRealtime
from tests.vendors.kinds import Subject
from tests.vendors.openai_realtime import OpenAIRealtimeStandIn
from tests.vendors.realtime.phone import LOOK, PROMPT, Phone, built
from tests.vendors.serving import serving
from tests.vendors.subjects import SPEAKERS


@pytest.fixture(params=SPEAKERS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    return found


@pytest.fixture
async def vendor(subject: Subject) -> AsyncIterator[OpenAIRealtimeStandIn]:
    async with serving(subject.stand_in()) as stand_in:
        assert isinstance(stand_in, OpenAIRealtimeStandIn)
        yield stand_in


@pytest.fixture
async def mind(vendor: OpenAIRealtimeStandIn) -> AsyncIterator[OpenAIRealtime]:
    found = built(vendor)
    yield found
    await found.aclose()
    assert vendor.refusals == []


@pytest.fixture
async def phone(mind: OpenAIRealtime) -> Phone:
    mind.brief([PROMPT], [LOOK])
    return await Phone(mind).opened()
