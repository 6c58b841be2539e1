"""Paths of API keys, credentials, connections to Twilio and the audit log."""

from __future__ import annotations

from apps.accounts.connection_views import ConnectionViewSet
from apps.accounts.viewsets import ApiKeyViewSet, AuditLogViewSet, CredentialViewSet
from apps.core.routing import both

_keys = ApiKeyViewSet.as_view({"get": "list", "post": "create"})
_key = ApiKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"})
_rotation = ApiKeyViewSet.as_view({"post": "rotate"})
_credentials = CredentialViewSet.as_view({"get": "list"})
_credential = CredentialViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
_test = CredentialViewSet.as_view({"post": "test"})
_connections = ConnectionViewSet.as_view({"get": "list", "post": "create"})
_connection = ConnectionViewSet.as_view(
    {"get": "retrieve", "patch": "partial_update", "delete": "destroy"}
)
_check = ConnectionViewSet.as_view({"post": "check"})
_subaccounts = ConnectionViewSet.as_view({"get": "subaccounts"})

urlpatterns = [
    *both("api-keys", _keys, name="api-keys"),
    *both("api-keys/<uuid:id>", _key, name="api-key"),
    *both("api-keys/<uuid:id>/rotate", _rotation, name="api-key-rotate"),
    *both("credentials", _credentials, name="credentials"),
    *both("credentials/<str:provider>", _credential, name="credential"),
    *both("credentials/<str:provider>/test", _test, name="credential-test"),
    *both("twilio-connections", _connections, name="twilio-connections"),
    *both("twilio-connections/<uuid:id>", _connection, name="twilio-connection"),
    *both("twilio-connections/<uuid:id>/check", _check, name="twilio-connection-check"),
    *both(
        "twilio-connections/<uuid:id>/subaccounts",
        _subaccounts,
        name="twilio-connection-subaccounts",
    ),
    *both("audit-log", AuditLogViewSet.as_view({"get": "list"}), name="audit-log"),
]
