"""Questions that a researcher may have, with the queries that answer them: for the command line and the documentation.

Each runs unchanged against any hub. Subjects are never added up: over cells or datasets their sum would count people
twice (see the imaging cube).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Example:
    """A question in words and in SPARQL, under a name to call it by."""

    name: str
    question: str
    query: str


EXAMPLES: Final = (
    Example(
        "datasets-with-ct",
        "Which datasets have CT, and at least how many series of it?",
        """\
SELECT ?dataset ?title (SUM(COALESCE(?n, 0)) AS ?atLeast) WHERE {
  ?cell fb:ofDataset ?dataset ; fb:modality "CT" .
  ?dataset dct:title ?title .
  OPTIONAL { ?cell fb:seriesCount ?n }
} GROUP BY ?dataset ?title
ORDER BY DESC(?atLeast) ?dataset""",
    ),
    Example(
        "thin-chest-ct",
        "Which datasets have chest CT in slices thinner than 1.5 mm from at least 20 subjects by one manufacturer?",
        """\
SELECT ?dataset ?manufacturer ?thickness ?subjects WHERE {
  ?cell fb:ofDataset ?dataset ; fb:modality "CT" ; fb:bodyPart "CHEST" ;
        fb:manufacturer ?manufacturer ; fb:sliceThickness ?thickness ; fb:subjectCount ?subjects .
  VALUES ?thickness { "<1" "1-1.5" }
  FILTER (?subjects >= 20)
} ORDER BY DESC(?subjects) ?dataset""",
    ),
    Example(
        "vendors",
        "Whose scanners made the images, per modality, and at least how many series?",
        """\
SELECT ?modality ?manufacturer (COUNT(DISTINCT ?dataset) AS ?datasets) (SUM(COALESCE(?n, 0)) AS ?atLeast) WHERE {
  ?cell fb:ofDataset ?dataset ; fb:modality ?modality ; fb:manufacturer ?manufacturer .
  OPTIONAL { ?cell fb:seriesCount ?n }
} GROUP BY ?modality ?manufacturer
ORDER BY ?modality DESC(?atLeast) ?manufacturer""",
    ),
    Example(
        "biobanks",
        "Which biobanks take part, with which datasets of how many subjects?",
        """\
SELECT ?biobank ?dataset ?subjects WHERE {
  ?node a fb:Node ; foaf:name ?biobank .
  ?dataset a dcat:Dataset ; prov:wasAttributedTo ?node .
  OPTIONAL { ?dataset fb:subjectCount ?subjects }
} ORDER BY ?biobank ?dataset""",
    ),
    Example(
        "data-use",
        "What may each dataset be used for, and under which licence?",
        """\
SELECT ?dataset (GROUP_CONCAT(DISTINCT ?code; separator=" ") AS ?terms) (SAMPLE(?name) AS ?licence) WHERE {
  ?dataset a dcat:Dataset .
  OPTIONAL { ?dataset fb:dataUse ?term . BIND (STRAFTER(STR(?term), STR(duo:)) AS ?number)
             BIND (CONCAT("DUO:", ?number) AS ?code) }
  OPTIONAL { ?dataset dct:license ?document . OPTIONAL { ?document rdfs:label ?label }
             BIND (COALESCE(?label, STR(?document)) AS ?name) }
} GROUP BY ?dataset
ORDER BY ?dataset""",
    ),
    Example(
        "open-to-health-research",
        "Which datasets may be used for health research (DUO:0000006), or for any research (DUO:0000042)?",
        """\
SELECT DISTINCT ?dataset ?title WHERE {
  ?dataset a dcat:Dataset ; dct:title ?title ; fb:dataUse ?term .
  VALUES ?term { duo:0000006 duo:0000042 }
} ORDER BY ?title ?dataset""",
    ),
    Example(
        "provenance",
        "How did each dataset come about, step by step, and with which tools?",
        """\
SELECT ?dataset ?step ?tool ?version ?started ?ended WHERE {
  ?dataset a dcat:Dataset ; prov:wasGeneratedBy ?activity .
  ?activity a ?step ; fb:tool ?tool ; fb:toolVersion ?version ;
            prov:startedAtTime ?started ; prov:endedAtTime ?ended .
  VALUES ?step { fb:Acquisition fb:Deidentification fb:Harvest }
} ORDER BY ?dataset ?started""",
    ),
    Example(
        "deidentification",
        "By which profile was each dataset de-identified before it was counted?",
        """\
SELECT ?dataset ?profile ?digest WHERE {
  ?dataset prov:wasGeneratedBy ?harvest .
  ?harvest a fb:Harvest ; prov:wasInformedBy ?cleaning .
  ?cleaning a fb:Deidentification ; fb:profile ?profile .
  OPTIONAL { ?cleaning fb:profileDigest ?digest }
} ORDER BY ?dataset""",
    ),
    Example(
        "models",
        "Which models were trained on each dataset, and by which code?",
        """\
SELECT ?dataset ?model ?code ?rounds WHERE {
  ?model a fb:Model ; prov:wasGeneratedBy ?training .
  ?training a fb:Training ; prov:used ?dataset .
  OPTIONAL { ?training fb:codeName ?code }
  OPTIONAL { ?training fb:rounds ?rounds }
} ORDER BY ?dataset ?model""",
    ),
    Example(
        "settings-of-models",
        "Which models were trained on each dataset, with which settings?",
        """\
SELECT ?dataset ?model ?plan ?aggregator ?step ?objective ?parameter ?value WHERE {
  ?model a fb:Model ; prov:wasGeneratedBy ?training .
  ?training a fb:Training ; prov:used ?dataset ; fb:planName ?plan ; fb:aggregatorName ?aggregator ;
            fb:localStep ?step ; fb:objective ?objective .
  ?dataset a dcat:Dataset .
  OPTIONAL { ?training fb:parameter [ fb:parameterName ?parameter ; fb:parameterValue ?value ] }
} ORDER BY ?dataset ?model ?parameter""",
    ),
    Example(
        "updates-of-models",
        "Of which updates was each model made, round by round, and from which biobank is each?",
        """\
SELECT ?model ?number ?node ?digest WHERE {
  ?model a fb:Model ; prov:wasGeneratedBy ?training .
  ?round a fb:Round ; dct:isPartOf ?training ; fb:roundNumber ?number ; prov:used ?update .
  ?update fb:digest ?digest ; prov:wasAttributedTo ?node .
} ORDER BY ?model ?number ?node""",
    ),
    Example(
        "sites-of-models",
        "At which biobanks was each model trained?",
        """\
SELECT ?model (COUNT(DISTINCT ?node) AS ?sites) (GROUP_CONCAT(DISTINCT ?name; separator=", ") AS ?biobanks) WHERE {
  ?model a fb:Model ; prov:wasGeneratedBy/prov:wasAssociatedWith ?node .
  ?node foaf:name ?name .
} GROUP BY ?model
ORDER BY DESC(?sites) ?model""",
    ),
    Example(
        "withheld",
        "What is withheld, because too few subjects are behind it?",
        """\
SELECT ?dataset ?k (COUNT(?cell) AS ?cells) WHERE {
  ?cell a fb:Stratum ; fb:ofDataset ?dataset ; fb:subjectCountBelow ?k .
} GROUP BY ?dataset ?k
ORDER BY DESC(?cells) ?dataset""",
    ),
    Example(
        "quality",
        "What was looked for in the images, and what was not?",
        """\
SELECT ?dataset ?aspect ?assessed ?affected WHERE {
  ?dataset fb:quality ?quality .
  ?quality rdfs:label ?aspect ; fb:assessed ?assessed .
  OPTIONAL { ?quality fb:seriesAffected ?affected }
} ORDER BY ?dataset ?aspect""",
    ),
    Example(
        "clinical-variables",
        "Which datasets know the creatinine in serum (LOINC 2160-0), in which unit, and of how many subjects?",
        """\
SELECT ?dataset ?label ?unit ?subjects WHERE {
  ?dataset fb:variable ?variable .
  ?variable fb:codeSystem <http://loinc.org> ; skos:notation "2160-0" ; rdfs:label ?label .
  OPTIONAL { ?variable fb:unit ?unit }
  OPTIONAL { ?variable fb:subjectCount ?subjects }
} ORDER BY ?dataset""",
    ),
    Example(
        "sex",
        "How many subjects of each sex does each dataset have, and how is it known?",
        """\
SELECT ?dataset ?sex ?subjects ?known WHERE {
  ?dataset fb:distributionRow ?row .
  ?row fb:attribute "sex" ; fb:attributeValue ?sex ; fb:howKnown ?known .
  OPTIONAL { ?row fb:subjectCount ?subjects }
} ORDER BY ?dataset ?sex""",
    ),
)


def find(name: str) -> Example | None:
    """Return the example of a name.

    >>> find("vendors").question
    'Whose scanners made the images, per modality, and at least how many series?'
    """
    return next((one for one in EXAMPLES if one.name == name), None)
