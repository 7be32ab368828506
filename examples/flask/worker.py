"""An RQ worker in the application's surroundings; with --burst it leaves when all is done."""

import sys

import redis
from app import create_app
from rq import Worker

if __name__ == "__main__":
    app = create_app()
    with app.app_context():
        Worker(["orders"], connection=redis.from_url(app.config["REDIS_URL"])).work(burst="--burst" in sys.argv)
