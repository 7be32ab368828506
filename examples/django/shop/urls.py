from django.urls import path
from orders import views

urlpatterns = [
    path("sign-in/<str:name>", views.sign_in),
    path("orders/<int:total>", views.place),
    path("async/orders/<int:total>", views.place_async),
]
