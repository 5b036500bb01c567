"""Structured reports and other trees of content items: cleaned item by item, by what each is about.

Knows Table E.3.4-1 and the shape of a content tree; never admits a document by itself.
"""
