"""The ontology of fairbank as data: classes, properties, concept schemes, and their triples. Does no I/O."""
