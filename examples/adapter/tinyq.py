"""A job system in forty lines: a list in Redis, and a worker that pops it. It stands for yours."""

import json
import traceback
from uuid import uuid4

import redis


class Queue:
    def __init__(self, name, url):
        self.name = name
        self.key = f"tinyq:{name}"
        self.redis = redis.Redis.from_url(url)
        self.functions = {}

    def job(self, function):
        self.functions[function.__name__] = function
        return function

    def enqueue(self, job, *args, retries=0):
        message = {"id": str(uuid4()), "job": job, "args": args, "retries": retries}
        self.push(message)
        return message["id"]

    def push(self, message):
        self.redis.rpush(self.key, json.dumps(message))

    def perform(self, message):
        try:
            self.call(message)
        except Exception:
            if message["retries"]:
                self.push({**message, "retries": message["retries"] - 1})
            raise

    def call(self, message):
        self.functions[message["job"]](*message["args"])

    def work(self):
        while found := self.redis.blpop([self.key]):
            try:
                self.perform(json.loads(found[1]))
            except Exception:  # noqa: BLE001 - a job may raise anything
                traceback.print_exc()
