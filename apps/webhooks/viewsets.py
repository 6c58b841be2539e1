"""REST of endpoints, deliveries and kinds of events. Another account's are a 404."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, ClassVar

from django.db.models import QuerySet
from django.http import Http404
from django.urls import reverse
from rest_framework import mixins, status, viewsets
from rest_framework.generics import get_object_or_404
from rest_framework.request import Request
from rest_framework.response import Response

from apps.accounts.authentication import account_of, actor_of
from apps.core.errors import Conflict
from apps.core.parsers import body_of
from apps.webhooks import schema
from apps.webhooks.endpoints import (
    TooMany,
    endpoint_create,
    endpoint_delete,
    endpoint_ping,
    endpoint_secret_rotate,
    endpoint_update,
)
from apps.webhooks.kinds import KINDS
from apps.webhooks.models import Delivery, Endpoint
from apps.webhooks.replaying import NotNow, deliveries_replay, delivery_replay
from apps.webhooks.selectors import deliveries_of, delivery_with_log, endpoints_of
from apps.webhooks.serializers import (
    DeliveryDetailSerializer,
    DeliveryFilterSerializer,
    DeliverySerializer,
    EndpointBodySerializer,
    EndpointChangesSerializer,
    EndpointSerializer,
    KindsSerializer,
    NewEndpointSerializer,
    PingSerializer,
    ReplayedSerializer,
    ReplaySerializer,
    SecretRotationSerializer,
    example_payload,
)

READ, WRITE = "webhooks:read", "webhooks:write"


@schema.ENDPOINTS
class EndpointViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Endpoint]):
    """The account's endpoints."""

    required_scopes: ClassVar[Mapping[str, str]] = {
        "GET": READ,
        "POST": WRITE,
        "PATCH": WRITE,
        "DELETE": WRITE,
    }
    queryset = Endpoint.objects.none()
    serializer_class = EndpointSerializer
    lookup_url_kwarg = "id"

    def get_queryset(self) -> QuerySet[Endpoint]:
        return endpoints_of(account_of(self.request))

    def create(self, request: Request) -> Response:
        body = EndpointBodySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        endpoint, secret = endpoint_create(
            account=account_of(request), actor=actor_of(request), **body.validated_data
        )
        answer = _shown_once(endpoint, secret, status.HTTP_201_CREATED)
        path = reverse("webhook", kwargs={"id": endpoint.id})
        answer["Location"] = request.build_absolute_uri(path)
        return answer

    def retrieve(self, request: Request, id: uuid.UUID) -> Response:
        return Response(EndpointSerializer(get_object_or_404(self.get_queryset(), pk=id)).data)

    def partial_update(self, request: Request, id: uuid.UUID) -> Response:
        get_object_or_404(self.get_queryset(), pk=id)
        body = EndpointChangesSerializer(data=body_of(request), partial=True)
        body.is_valid(raise_exception=True)
        endpoint = endpoint_update(**self._named(id), changes=body.validated_data)
        return Response(EndpointSerializer(endpoint).data)

    def destroy(self, request: Request, id: uuid.UUID) -> Response:
        endpoint_delete(**self._named(id))
        return Response(status=status.HTTP_204_NO_CONTENT)

    @schema.ROTATE
    def rotate_secret(self, request: Request, id: uuid.UUID) -> Response:
        body = SecretRotationSerializer(data=request.data)
        body.is_valid(raise_exception=True)
        endpoint, secret = endpoint_secret_rotate(
            **self._named(id),
            grace=timedelta(seconds=body.validated_data["grace_seconds"]),
            secret=body.validated_data.get("secret"),
        )
        return _shown_once(endpoint, secret, status.HTTP_200_OK)

    @schema.PING
    def ping(self, request: Request, id: uuid.UUID) -> Response:
        delivery = endpoint_ping(account=account_of(request), endpoint_id=id)
        attempt = delivery.log.get()
        shown = {"ok": not attempt.error, "delivery_id": delivery.id, "attempt": attempt}
        return Response(PingSerializer(shown).data)

    @schema.REPLAY_ALL
    def replay(self, request: Request, id: uuid.UUID) -> Response:
        endpoint = get_object_or_404(self.get_queryset(), pk=id)
        body = ReplaySerializer(data=request.data)
        body.is_valid(raise_exception=True)
        replayed = deliveries_replay(endpoint, actor=actor_of(request), **body.validated_data)
        return Response(ReplayedSerializer(replayed).data, status=status.HTTP_202_ACCEPTED)

    def _named(self, id: uuid.UUID) -> dict[str, Any]:
        request = self.request
        return {
            "account": account_of(request),
            "endpoint_id": id,
            "actor": actor_of(request),
        }

    def handle_exception(self, exc: Exception) -> Response:
        if isinstance(exc, Endpoint.DoesNotExist):
            exc = Http404()
        elif isinstance(exc, TooMany | NotNow):
            exc = Conflict(str(exc))
        return super().handle_exception(exc)


@schema.DELIVERIES
class DeliveryViewSet(mixins.ListModelMixin, viewsets.GenericViewSet[Delivery]):
    """An endpoint's deliveries, newest first."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": READ, "POST": WRITE}
    queryset = Delivery.objects.none()
    serializer_class = DeliverySerializer

    def get_queryset(self) -> QuerySet[Delivery]:
        asked = DeliveryFilterSerializer(data=self.request.query_params.dict())
        asked.is_valid(raise_exception=True)
        mine = endpoints_of(account_of(self.request))
        endpoint = get_object_or_404(mine, pk=self.kwargs["id"])
        return deliveries_of(endpoint, **asked.validated_data)

    def retrieve(self, request: Request, id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        return Response(DeliveryDetailSerializer(self._found(id, delivery_id)).data)

    @schema.REPLAY
    def replay(self, request: Request, id: uuid.UUID, delivery_id: uuid.UUID) -> Response:
        try:
            found = delivery_replay(self._found(id, delivery_id), actor=actor_of(request))
        except NotNow as exc:
            raise Conflict(str(exc)) from None
        return Response(DeliverySerializer(found).data, status=status.HTTP_202_ACCEPTED)

    def _found(self, id: uuid.UUID, delivery_id: uuid.UUID) -> Delivery:
        try:
            return delivery_with_log(account_of(self.request), id, delivery_id)
        except Delivery.DoesNotExist:
            raise Http404 from None


@schema.KINDS
class KindViewSet(viewsets.GenericViewSet[Any]):
    """The kinds of events."""

    required_scopes: ClassVar[Mapping[str, str]] = {"GET": READ}
    serializer_class = KindsSerializer
    pagination_class = None  # the catalogue has an end

    def list(self, request: Request) -> Response:
        found = [
            {
                "name": kind.name,
                "description": kind.description,
                "example": example_payload(kind.name, kind.example),
            }
            for kind in KINDS.values()
        ]
        return Response(KindsSerializer({"results": found}).data)


def _shown_once(endpoint: Endpoint, secret: str, code: int) -> Response:
    shown = NewEndpointSerializer(endpoint, context={"secret": secret}).data
    return Response(shown, status=code, headers={"Cache-Control": "no-store"})
