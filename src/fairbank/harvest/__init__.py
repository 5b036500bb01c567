"""Image sources, headers, the local index and dataset records. It never lets an identifier out."""
