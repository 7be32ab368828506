"""The same jobs, for each job system; they run in the environments of those, beside the checkout."""
