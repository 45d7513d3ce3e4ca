"""Numbers to tables, plots, one HTML page and a model card; computes nothing."""
