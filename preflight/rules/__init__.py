"""Judgements on facts, a file a subject: each returns a Finding or None, or raises CouldNotCheck or NotApplicable."""
