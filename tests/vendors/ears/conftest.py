"""A recogniser, its vendor, and a caller who is connected to it: for every adapter in turn."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.vendors.caller import Caller, calling
from tests.vendors.kinds import Subject
from tests.vendors.listening import LiveStandIn
from tests.vendors.serving import serving
from tests.vendors.subjects import EARS


@pytest.fixture(params=EARS, ids=lambda subject: subject.id)
def subject(request: pytest.FixtureRequest) -> Subject:
    found: Subject = request.param
    return found


@pytest.fixture
async def vendor(subject: Subject) -> AsyncIterator[LiveStandIn]:
    async with serving(subject.stand_in()) as stand_in:
        assert isinstance(stand_in, LiveStandIn)
        yield stand_in
        assert stand_in.refusals == [] or stand_in.refusals == ["the key"]


@pytest.fixture
async def caller(subject: Subject, vendor: LiveStandIn) -> AsyncIterator[Caller]:
    async with calling(subject, vendor) as caller:
        yield caller
