"""A soak: for N minutes the whole suite works under fire, and then every job and event of it is accounted for.

``make chaos ARGS="--minutes 5"``, or ``python -m tests.chaos.soak --help``. docs/soak.md tells what
it does, and how its account is read.
"""
