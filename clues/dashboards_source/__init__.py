"""The dashboards, rules and alerts, described once; ``python -m clues.dashboards_source`` writes them to files."""
