from django.db import models


class Order(models.Model):
    total = models.PositiveIntegerField()
    charged = models.BooleanField(default=False)
