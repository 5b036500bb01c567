"""Pure functions from values to accessible SVG. It imports no room but the ontology."""
