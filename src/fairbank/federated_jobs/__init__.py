"""Jobs: manifest, dispatch, node agent, sandbox, plans, aggregation, models. It opens no image archive itself."""
