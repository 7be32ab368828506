"""Event logs in, answers out: the reader, the follower, one job's timeline, running statistics."""
