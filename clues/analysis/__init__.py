"""Event logs in, answers out: reader, follower, one job's timeline, running statistics, and all of it as a database."""
