"""The hub's catalogue: records, RDF view, SPARQL, search, accounts, access. It never sees an image."""
