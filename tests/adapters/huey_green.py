"""``huey_consumer`` as an application runs it with greenlets: gevent patches the process before anything else."""

from gevent import monkey

monkey.patch_all()

from huey.bin.huey_consumer import consumer_main  # noqa: E402

consumer_main()
