"""HTTP: the status API, the metrics, the probes and the page, all read from the latest report."""
