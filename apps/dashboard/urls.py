"""Pages of the dashboard that belong to no model. They stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from apps.dashboard.pages import account_choose

app_name = "dashboard"

urlpatterns = [
    path("account/", admin.site.admin_view(account_choose), name="account"),
]
