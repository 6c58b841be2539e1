"""Sends deliveries: many at once over one event loop, while rows are read and written between.

Requests wait in the loop; the loop stands still for the few milliseconds of each query. So a sweep
needs one thread and one connection to the database, however many endpoints keep it waiting.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

import orjson
from django.utils import timezone

from apps.core.crypto import DecryptionError
from apps.providers import connections
from apps.webhooks import signing
from apps.webhooks.models import Delivery, Endpoint, Event
from apps.webhooks.outbox import attempt_began, attempt_finish, deliveries_claim
from apps.webhooks.sending import DEADLINE_S, Outcome, post

# Of one sweep; the next one starts a second later, whether or not this one waits.
AT_ONCE = 100
# Then it ends, when what is under way has: nothing runs for ever.
CLAIMS_FOR_S = 10.0

Secrets = dict[uuid.UUID, list[str]]
_Tasks = dict["asyncio.Task[Outcome]", Delivery]


def deliveries_send(*, now: datetime | None = None, deadline_s: float | None = None) -> int:
    """Send all that is due, and return how many requests that were. Takes as long as they do.

    now: the time, for tests.
    """
    rows = deliveries_claim(now=now or timezone.now(), limit=AT_ONCE)
    return deliveries_carry(rows, now=now, deadline_s=deadline_s)


def deliveries_carry(
    rows: list[Delivery], *, now: datetime | None = None, deadline_s: float | None = None
) -> int:
    """Send claimed deliveries, and go on claiming for a while as requests end."""
    ends = time.monotonic() + CLAIMS_FOR_S

    def more(room: int) -> list[Delivery]:
        if time.monotonic() > ends:
            return []
        return deliveries_claim(now=now or timezone.now(), limit=room)

    return _carry(rows, more, now, deadline_s or DEADLINE_S)


def delivery_carry(delivery: Delivery, *, now: datetime | None = None) -> None:
    """Send one claimed delivery."""
    _carry([delivery], lambda room: [], now, DEADLINE_S)


def payload(event: Event) -> dict[str, Any]:
    """Return what is sent of an event; the same every time."""
    at = event.created_at.astimezone(UTC).isoformat(timespec="milliseconds")
    return {
        "id": str(event.id),
        "type": event.kind,
        "timestamp": at.replace("+00:00", "Z"),
        "data": event.data,
    }


# --- inside -------------------------------------------------------------------------------------


def _carry(
    rows: list[Delivery],
    more: Callable[[int], list[Delivery]],
    now: datetime | None,
    deadline_s: float,
) -> int:
    count = 0
    under_way: _Tasks = {}
    # Queries run in this thread while the loop does not: Django refuses them inside one.
    with asyncio.Runner() as runner:
        while rows or under_way:
            secrets = _secrets(rows, now or timezone.now())
            count += len(rows)
            for row in rows:
                sent = _sent(row, secrets.get(row.endpoint_id), deadline_s)
                under_way[runner.get_loop().create_task(sent)] = row
            for task in runner.run(_first(under_way)):
                attempt_finish(under_way.pop(task), task.result(), now=now or timezone.now())
                # The others' turn: many slow queries in a row would look like slow endpoints.
                runner.run(asyncio.sleep(0))
            rows = more(AT_ONCE - len(under_way))
        runner.run(connections.aclose())
    return count


async def _first(under_way: _Tasks) -> set[asyncio.Task[Outcome]]:
    done, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
    return done


async def _sent(delivery: Delivery, secrets: list[str] | None, deadline_s: float) -> Outcome:
    if secrets is None:
        return Outcome(error="secret", info="The endpoint's secret cannot be read.")
    event, body = delivery.event, orjson.dumps(payload(delivery.event))
    stamp = int(attempt_began(delivery).timestamp())
    headers = signing.headers(secrets, id=str(event.id), timestamp=stamp, body=body)
    return await post(delivery.endpoint.url, headers=headers, body=body, deadline_s=deadline_s)


def _secrets(rows: Iterable[Delivery], now: datetime) -> Secrets:
    """Read what signs, by endpoint; without those whose secrets fit none of our keys."""
    ids = {row.endpoint_id for row in rows}
    if not ids:
        return {}
    try:
        return _read(ids, now)
    except DecryptionError:
        found: Secrets = {}
        for one in ids:
            try:
                found |= _read({one}, now)
            except DecryptionError:
                continue  # told to its owner, by the attempt
        return found


def _read(ids: set[uuid.UUID], now: datetime) -> Secrets:
    fields = ("secret", "previous_secret", "previous_secret_until")
    return {
        endpoint.id: endpoint_secrets(endpoint, now)
        for endpoint in Endpoint.objects.filter(pk__in=ids).only("id", *fields)
    }


def endpoint_secrets(endpoint: Endpoint, now: datetime) -> list[str]:
    """Return what signs for an endpoint now: its secret, and for a while the one before."""
    until = endpoint.previous_secret_until
    previous = [endpoint.previous_secret] if until is not None and until > now else []
    return [endpoint.secret, *previous]
