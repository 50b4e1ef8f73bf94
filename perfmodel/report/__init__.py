"""Rows and answers to text, CSV, JSON and HTML. Nothing here computes; nothing here prints."""
