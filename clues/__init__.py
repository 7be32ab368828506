"""clues: what happens to every background job, published.

import clues
from clues.publishers import LogPublisher

clues.configure(publisher=LogPublisher("/var/log/clues.log"))
"""

from clues.config import configure, configured
from clues.event import Event, EventType
from clues.runtime import Runtime, clues_metadata

__version__ = "0.1.0.dev0"

__all__ = ["Event", "EventType", "Runtime", "__version__", "clues_metadata", "configure", "configured"]
