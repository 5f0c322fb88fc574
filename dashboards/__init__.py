"""Grafana's dashboards as code: what each panel asks, how it shows the answer, and what it means when there is none."""
