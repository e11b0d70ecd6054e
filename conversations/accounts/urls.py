from django.urls import path

from conversations.accounts import session_views, token_views

urlpatterns = [
    path("sessions/", session_views.session_list, name="sessions"),
    path("sign-in-again/", session_views.sign_in_again, name="sign_in_again"),
    path("api-tokens/", token_views.token_list, name="api_tokens"),
]
