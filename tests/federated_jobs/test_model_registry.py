"""Models of the registry: cards sealed by the hub, lines and versions, states, and what is handed out."""

from __future__ import annotations

import json

from fairbank.ontology.model_cards import ModelCard


def test_a_completed_training_has_a_card_that_the_hub_sealed(fed):
    job = fed.run(rounds=3)
    digest = fed.model(job)
    answer = fed.get(f"/v1/models/{digest}/card")
    card, sealed = ModelCard.open(answer.content, trusted=[fed.hub.key.key_id])
    print(json.dumps(card.payload(), indent=1))
    print(json.dumps(fed.get(f"/v1/jobs/{job}/training").json(), indent=1))
    assert card.model == digest
