"""The reference's pages, made of the code; ``python -m docs.reference_source`` writes them to docs/reference."""
