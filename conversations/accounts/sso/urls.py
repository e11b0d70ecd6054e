"""In place of allauth's URLs where people have no passwords (`LOCAL_ACCOUNTS=false`)."""

from allauth.account import views as account
from django.urls import path

from conversations.accounts.sso import views

urlpatterns = [
    path("login/", views.choose, name="account_login"),
    path("logout/", account.logout, name="account_logout"),
    path("inactive/", account.account_inactive, name="account_inactive"),
]
