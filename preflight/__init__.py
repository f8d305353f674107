"""Preflight for Elasticsearch's S3 snapshots: gather once, judge often, explain the cause."""

__version__ = "0.1.0"
