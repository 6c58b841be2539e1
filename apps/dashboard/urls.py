"""Pages of the dashboard that belong to no model. They stand before the admin's own."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

from apps.dashboard.home import invitations
from apps.dashboard.home import views as home
from apps.dashboard.pages import account_choose

app_name = "dashboard"

urlpatterns = [
    path("", admin.site.admin_view(home.home), name="home"),
    path("home/figures", home.figures, name="home_figures"),
    path("home/live", home.live, name="home_live"),
    path(
        "invitations/<uuid:pk>/accept/",
        admin.site.admin_view(invitations.accept),
        name="invitation_accept",
    ),
    path(
        "invitations/<uuid:pk>/decline/",
        admin.site.admin_view(invitations.decline),
        name="invitation_decline",
    ),
    path("account/", admin.site.admin_view(account_choose), name="account"),
]
