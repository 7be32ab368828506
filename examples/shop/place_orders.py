"""The shop's web part, in short: it enqueues."""

import initializer  # noqa: F401 - configures clues
from jobs import ChargeCard

from clues import resque

for order_id, card_number in [(1, "4111111111111111"), (2, "4000000000000000")]:
    print(resque.enqueue(ChargeCard, order_id, card_number))
