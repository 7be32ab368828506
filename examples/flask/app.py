"""The application's factory."""

import os

import redis
import rq
from flask import Flask, g, jsonify, request
from jobs import charge

from clues.flask import Clues

clues = Clues()


def create_app():
    app = Flask(__name__)
    app.config.update(
        REDIS_URL=os.environ.get("REDIS_URL", "redis://localhost:6379/0"),
        CLUES_PUBLISHERS=["log://events.log"],
        CLUES_ADAPTERS={"rq": True},
        CLUES_REDACT_ARGS={"jobs.charge": [1]},
    )
    clues.init_app(app)
    queue = rq.Queue("orders", connection=redis.from_url(app.config["REDIS_URL"]))

    @app.before_request
    def authenticate():
        """Stands for your log-in; with Flask-Login there is nothing to do."""
        g.user_id = request.args.get("user")

    @app.post("/orders/<int:total>")
    def place(total):
        job = queue.enqueue(charge, total, "4111111111111111")
        return jsonify(job=job.id)

    return app
