"""Draws the dashboards without a Grafana: a run of the daemon, a real Prometheus, the panels' own queries, a browser."""
