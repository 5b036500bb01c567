"""Jobs: manifest, dispatch, node agent, sandbox, compute plans, aggregation, models. It never opens an image archive itself."""
