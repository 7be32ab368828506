from asgiref.sync import sync_to_async
from django.contrib.auth import get_user_model, login
from django.http import JsonResponse

from clues import resque
from orders.jobs import charge
from orders.models import Order


def sign_in(request, name):
    """Stands for your log-in page: whoever says a name is that user."""
    user, _ = get_user_model().objects.get_or_create(username=name)
    login(request, user)
    return JsonResponse({"user_id": user.pk})


def place(request, total):
    order = Order.objects.create(total=total)
    receipt = resque.enqueue(charge, order.pk, "4111111111111111")
    return JsonResponse({"order": order.pk, "job": receipt.event_hash})


async def place_async(request, total):
    user_id = await sync_to_async(lambda: request.user.pk)()  # from Django 5.0 on: (await request.auser()).pk
    order = await Order.objects.acreate(total=total)
    receipt = resque.enqueue(charge, order.pk, "4111111111111111")
    return JsonResponse({"order": order.pk, "job": receipt.event_hash, "user_id": user_id})
