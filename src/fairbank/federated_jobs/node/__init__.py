"""A node's side of jobs: agent, site approval, cohort, sandbox, worker. It sends nothing but through the outbox."""
