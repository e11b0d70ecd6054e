from django.urls import path

from conversations.accounts.entra import views

urlpatterns = [
    path("login/", views.login, name="entra_login"),
    path("login/callback/", views.callback, name="entra_callback"),
]
