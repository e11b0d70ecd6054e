from django.urls import path

from conversations.accounts.entra.provider import ID
from conversations.accounts.sso import views

urlpatterns = [
    path("login/", views.login, {"provider_id": ID}, name="entra_login"),
    path("login/callback/", views.callback, {"provider_id": ID}, name="entra_callback"),
]
