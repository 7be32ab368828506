"""The tests; a package, so that test files share helpers: ``from tests.waiting import wait_for``.

``python -m pytest`` from the checkout's root puts the root on ``sys.path``.
"""
