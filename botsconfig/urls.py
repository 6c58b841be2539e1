"""Every path of the HTTP side."""

from __future__ import annotations

from csp.decorators import csp_update
from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from apps.core import views
from apps.core.routing import both, read_only
from botsconfig import errors

# Its page cannot show what OPTIONS would tell of it. Swagger's styles stand in the page itself, its
# scripts do not.
_docs = csp_update({"style-src": ["'unsafe-inline'"]})(
    SpectacularSwaggerSplitView.as_view(url_name="schema", metadata_class=None)
)

urlpatterns = [
    *both("healthz", views.healthz, name="healthz"),
    *both("readyz", views.readyz, name="readyz"),
    *both("schema", SpectacularAPIView.as_view(), name="schema"),
    *both("docs", _docs, name="docs"),
    path("", include("apps.accounts.urls")),
    path("", include("apps.bots.urls")),
    path("", include("apps.webhooks.urls")),
    path("", include("apps.calls.urls")),
    path("", include("apps.gateway.urls")),
    path("admin/", include("apps.dashboard.login_urls")),
    path("admin/", include("apps.dashboard.urls")),
    path("admin/", admin.site.urls),
    path("favicon.ico", views.favicon),
    # A person who opens the address itself wants the dashboard.
    path("", read_only(RedirectView.as_view(pattern_name="admin:index"))),
    # Last: whatever no app knows. A view rather than handler404, which DEBUG replaces by a page.
    re_path(r"", errors.not_found),
]

handler400 = "botsconfig.errors.bad_request"
handler403 = "botsconfig.errors.forbidden"
handler404 = "botsconfig.errors.not_found"
handler500 = "botsconfig.errors.server_error"
