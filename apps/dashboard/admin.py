"""The admin site for operators: typed, without secrets; state changes only through services."""

from __future__ import annotations

from django.contrib import admin

from apps.dashboard import accounts, calls  # noqa: F401 - they register their own
from apps.dashboard.bots import admin as bots  # noqa: F401

admin.site.site_header = admin.site.site_title = "botsconfig"
admin.site.index_title = "Bots and calls"
admin.site.site_url = None
