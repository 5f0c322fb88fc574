"""Draws the dashboards without a Grafana: a run, a real Prometheus, the panels' own queries, a browser."""
