"""The admin site for operators: typed, without secrets; state changes only through services."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.auth.models import Group

from apps.dashboard import (  # noqa: F401 - they register their own
    account,
    calls,
    connections,
    numbers,
    webhooks,
)
from apps.dashboard.bots import admin as bots  # noqa: F401

admin.site.site_header = admin.site.site_title = "botsconfig"
admin.site.index_title = "Bots and calls"
admin.site.site_url = None
# Roles say who may what; Django's groups and permissions mean nothing here.
admin.site.unregister(Group)
