"""The jobs."""

import clues


def charge(total, card_number):
    clues.clues_metadata["total"] = total
