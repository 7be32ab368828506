"""clues in a Django project.

INSTALLED_APPS = [..., "clues.django"]
MIDDLEWARE = [..., "clues.django.middleware.CluesMiddleware"]
CLUES = {"PUBLISHERS": ["log:///var/log/clues.log"]}
"""
