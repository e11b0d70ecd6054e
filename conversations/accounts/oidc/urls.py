from django.urls import path

from conversations.accounts.oidc.provider import ID
from conversations.accounts.sso import views

urlpatterns = [
    path("login/", views.login, {"provider_id": ID}, name="oidc_login"),
    path("login/callback/", views.callback, {"provider_id": ID}, name="oidc_callback"),
]
