"""The local page: what waits, who works, what failed, and the life of each job; see docs/web.md."""
