"""The app's jobs; ``manage.py clues work`` finds the module ``jobs`` of each installed app."""

import clues
from clues import resque
from orders.models import Order


@resque.job(queue="orders")
def charge(order_id, card_number):
    order = Order.objects.get(pk=order_id)
    clues.clues_metadata["total"] = order.total
    order.charged = True
    order.save()
