"""The step of ``life`` that is about outgoing events: endpoints, their deliveries, replays."""

from __future__ import annotations

from answers import typed
from botsconfig_client import AuthenticatedClient as Client
from botsconfig_client.api.webhooks import (
    webhook_create,
    webhook_delete,
    webhook_delivery_get,
    webhook_delivery_list,
    webhook_delivery_replay,
    webhook_get,
    webhook_kind_list,
    webhook_list,
    webhook_ping,
    webhook_replay,
    webhook_rotate_secret,
    webhook_update,
)
from botsconfig_client.models import (
    Delivery,
    DeliveryDetail,
    Endpoint,
    EndpointBodyRequest,
    Error,
    EventKindEnum,
    Kinds,
    NewEndpoint,
    PaginatedDeliveryList,
    PaginatedEndpointList,
    PatchedEndpointChangesRequest,
    Ping,
    Replayed,
    ReplayedStatusEnum,
    ReplayRequest,
    SecretRotationRequest,
    WebhookDeliveryListKind,
)


def webhooks(client: Client) -> None:
    """An endpoint that nobody answers at: its secret, a ping, the log of it, and replays."""
    whole = EndpointBodyRequest(url="https://hooks.invalid/in", kinds=[EventKindEnum.CALL_ENDED])
    new = typed(webhook_create.sync_detailed(client=client, body=whole), 201, NewEndpoint)
    page = typed(webhook_list.sync_detailed(client=client), 200, PaginatedEndpointList)
    assert new.id in [found.id for found in page.results]
    more = PatchedEndpointChangesRequest(kinds=[], description="CRM")
    changed = typed(webhook_update.sync_detailed(new.id, client=client, body=more), 200, Endpoint)
    assert (changed.url, changed.kinds, changed.description) == (whole.url, [], "CRM")
    grace = SecretRotationRequest(grace_seconds=60)
    rotated = webhook_rotate_secret.sync_detailed(new.id, client=client, body=grace)
    assert typed(rotated, 200, NewEndpoint).secret != new.secret
    read = typed(webhook_get.sync_detailed(new.id, client=client), 200, Endpoint)
    assert read.previous_secret_until

    pinged = typed(webhook_ping.sync_detailed(new.id, client=client), 200, Ping)
    assert (pinged.ok, pinged.attempt.status) == (False, None)
    log = webhook_delivery_list.sync_detailed(
        new.id, client=client, kind=WebhookDeliveryListKind.PING
    )
    (sent,) = typed(log, 200, PaginatedDeliveryList).results
    one = webhook_delivery_get.sync_detailed(new.id, sent.id, client=client)
    assert typed(one, 200, DeliveryDetail).payload.type_ == EventKindEnum.PING
    again = webhook_delivery_replay.sync_detailed(new.id, sent.id, client=client)
    assert typed(again, 202, Delivery).next_attempt_at
    since = ReplayRequest(since=new.created_at, status=ReplayedStatusEnum.ALL)
    replayed = webhook_replay.sync_detailed(new.id, client=client, body=since)
    assert typed(replayed, 202, Replayed).next_since is None
    assert typed(webhook_kind_list.sync_detailed(client=client), 200, Kinds).results
    assert webhook_delete.sync_detailed(new.id, client=client).status_code == 204
    inside = EndpointBodyRequest(url="https://10.0.0.1/in")
    refused = typed(webhook_create.sync_detailed(client=client, body=inside), 400, Error)
    assert "PRIVATE_ADDRESSES" in refused.fields["url"][0]
