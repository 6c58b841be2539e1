"""Paths of API keys, credentials and the audit log."""

from __future__ import annotations

from apps.accounts.viewsets import ApiKeyViewSet, AuditLogViewSet, CredentialViewSet
from apps.core.routing import both

_keys = ApiKeyViewSet.as_view({"get": "list", "post": "create"})
_key = ApiKeyViewSet.as_view({"get": "retrieve", "delete": "destroy"})
_rotation = ApiKeyViewSet.as_view({"post": "rotate"})
_credentials = CredentialViewSet.as_view({"get": "list"})
_credential = CredentialViewSet.as_view({"get": "retrieve", "put": "update", "delete": "destroy"})
_test = CredentialViewSet.as_view({"post": "test"})

urlpatterns = [
    *both("api-keys", _keys, name="api-keys"),
    *both("api-keys/<uuid:id>", _key, name="api-key"),
    *both("api-keys/<uuid:id>/rotate", _rotation, name="api-key-rotate"),
    *both("credentials", _credentials, name="credentials"),
    *both("credentials/<str:provider>", _credential, name="credential"),
    *both("credentials/<str:provider>/test", _test, name="credential-test"),
    *both("audit-log", AuditLogViewSet.as_view({"get": "list"}), name="audit-log"),
]
