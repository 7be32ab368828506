"""The conformance suite's producer, with the application beside this file."""

from __future__ import annotations

import sys

from tests.adapters import taskiq_app
from tests.conformance import producer

if __name__ == "__main__":
    sys.modules["tests.conformance.apps.taskiq_app"] = taskiq_app
    producer.main("taskiq")
