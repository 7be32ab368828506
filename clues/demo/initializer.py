"""What an application's initializer looks like; ``CLUES_PUBLISHERS`` says where the events go."""

import clues
from clues.demo.customers import add_customer

clues.configure(item_preprocessor=add_customer)
