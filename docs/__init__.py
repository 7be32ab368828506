"""The documentation: Markdown pages, the site that is made of them, and the pages that are made of the code."""
