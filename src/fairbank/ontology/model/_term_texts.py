"""Names of the classes and properties in six languages, and definitions in English and German.

Columns of `LABEL_ROWS`: name | English | German | French | Spanish | Italian | Dutch.
Columns of `DEFINITION_ROWS`: name | English | German.
"""

# ruff: noqa: E501 - one term a line, so that a new language is one more column

from __future__ import annotations

from typing import Final

LABEL_ROWS: Final = """
ImagingCube | imaging cube | Bildgebungswürfel | cube d'imagerie | cubo de imágenes | cubo di immagini | beeldvormingskubus
Stratum | stratum | Stratum | strate | estrato | strato | stratum
DistributionRow | row of a distribution | Zeile einer Verteilung | ligne d'une distribution | fila de una distribución | riga di una distribuzione | rij van een verdeling
Node | node | Knoten | nœud | nodo | nodo | knooppunt
Acquisition | acquisition | Aufnahme | acquisition | adquisición | acquisizione | acquisitie
Deidentification | de-identification | De-Identifizierung | dé-identification | desidentificación | deidentificazione | de-identificatie
Harvest | harvest | Erfassung | moissonnage | recolección | raccolta | oogst
Training | training | Training | entraînement | entrenamiento | addestramento | training
Analysis | analysis | Auswertung | analyse | análisis | analisi | analyse
Model | model | Modell | modèle | modelo | modello | model
Result | result | Ergebnis | résultat | resultado | risultato | resultaat
QualityAspect | quality aspect | Qualitätsaspekt | aspect de qualité | aspecto de calidad | aspetto di qualità | kwaliteitsaspect
Variable | clinical variable | klinische Variable | variable clinique | variable clínica | variabile clinica | klinische variabele
VariableValue | value of a variable | Wert einer Variablen | valeur d'une variable | valor de una variable | valore di una variabile | waarde van een variabele
Round | round | Runde | tour | ronda | ciclo | ronde
SiteSettings | settings of a site | Einstellungen eines Standorts | réglages d'un site | ajustes de un centro | impostazioni di un centro | instellingen van een locatie
Parameter | parameter | Parameter | paramètre | parámetro | parametro | parameter
modality | modality | Modalität | modalité | modalidad | modalità | modaliteit
modalityCode | modality code | Modalität als Code | code de modalité | código de modalidad | codice della modalità | modaliteitscode
bodyPart | body part | Körperteil | partie du corps | parte del cuerpo | parte del corpo | lichaamsdeel
bodyPartCode | body part code | Körperteil als Code | code de partie du corps | código de parte del cuerpo | codice della parte del corpo | lichaamsdeelcode
manufacturer | manufacturer | Hersteller | fabricant | fabricante | fabbricante | fabrikant
sliceThickness | slice thickness | Schichtdicke | épaisseur de coupe | grosor de corte | spessore di strato | coupedikte
seriesCount | number of series | Anzahl der Serien | nombre de séries | número de series | numero di serie | aantal series
studyCount | number of studies | Anzahl der Studien | nombre d'examens | número de estudios | numero di esami | aantal onderzoeken
subjectCount | number of subjects | Anzahl der Personen | nombre de sujets | número de sujetos | numero di soggetti | aantal personen
instanceCount | number of instances | Anzahl der Bilder | nombre d'instances | número de instancias | numero di istanze | aantal beelden
seriesCountBelow | number of series is below | Anzahl der Serien liegt unter | nombre de séries inférieur à | número de series inferior a | numero di serie inferiore a | aantal series is lager dan
studyCountBelow | number of studies is below | Anzahl der Studien liegt unter | nombre d'examens inférieur à | número de estudios inferior a | numero di esami inferiore a | aantal onderzoeken is lager dan
subjectCountBelow | number of subjects is below | Anzahl der Personen liegt unter | nombre de sujets inférieur à | número de sujetos inferior a | numero di soggetti inferiore a | aantal personen is lager dan
instanceCountBelow | number of instances is below | Anzahl der Bilder liegt unter | nombre d'instances inférieur à | número de instancias inferior a | numero di istanze inferiore a | aantal beelden is lager dan
minimumCount | smallest count | kleinste Anzahl | plus petit nombre | número mínimo | numero minimo | kleinste aantal
cube | cube | Würfel | cube | cubo | cubo | kubus
stratum | stratum | Stratum | strate | estrato | strato | stratum
ofDataset | of dataset | gehört zum Datensatz | du jeu de données | del conjunto de datos | del dataset | van dataset
distributionRow | row of a distribution | Zeile einer Verteilung | ligne d'une distribution | fila de una distribución | riga di una distribuzione | rij van een verdeling
attribute | attribute | Merkmal | attribut | atributo | attributo | kenmerk
attributeValue | value of the attribute | Wert des Merkmals | valeur de l'attribut | valor del atributo | valore dell'attributo | waarde van het kenmerk
howKnown | how known | woher bekannt | provenance du fait | cómo se sabe | come è noto | hoe bekend
collectionKind | kind of collection | Art der Sammlung | type de collection | tipo de colección | tipo di raccolta | soort verzameling
dataUse | data use | Datennutzung | utilisation des données | uso de los datos | uso dei dati | datagebruik
recordVersion | version of the record | Version des Eintrags | version de la notice | versión del registro | versione della scheda | versie van de vermelding
recordDigest | digest of the record | Prüfsumme des Eintrags | empreinte de la notice | huella del registro | impronta della scheda | digest van de vermelding
signedBy | signed by | signiert von | signé par | firmado por | firmato da | ondertekend door
acquiredFrom | acquired from | aufgenommen ab | acquis depuis | adquirido desde | acquisito dal | verworven vanaf
acquiredTo | acquired to | aufgenommen bis | acquis jusqu'à | adquirido hasta | acquisito fino al | verworven tot
annotationGuideline | annotation guideline | Annotationsrichtlinie | consigne d'annotation | guía de anotación | linea guida di annotazione | annotatierichtlijn
biorepository | biorepository | Biorepositorium | biodépôt | biorrepositorio | biorepository | biorepository
omicsHeld | omics data are held | Omics-Daten liegen vor | données omiques disponibles | hay datos ómicos | dati omici disponibili | omics-gegevens aanwezig
healthRecordsHeld | health records are held | Gesundheitsakten liegen vor | dossiers de santé disponibles | hay historias clínicas | cartelle sanitarie disponibili | gezondheidsdossiers aanwezig
imagingBiomarker | imaging biomarker | Bildgebungs-Biomarker | biomarqueur d'imagerie | biomarcador de imagen | biomarcatore di imaging | beeldvormingsbiomarker
plannedTimePoints | planned time points | geplante Zeitpunkte | moments prévus | momentos previstos | momenti previsti | geplande tijdstippen
plannedFollowUp | planned follow-up | geplante Nachbeobachtung | suivi prévu | seguimiento previsto | follow-up previsto | geplande follow-up
dataUseLimit | limit of data use | Grenze der Datennutzung | limite d'utilisation des données | límite del uso de los datos | limite dell'uso dei dati | grens aan datagebruik
variable | clinical variable | klinische Variable | variable clinique | variable clínica | variabile clinica | klinische variabele
variableKind | kind of values | Art der Werte | type de valeurs | tipo de valores | tipo di valori | soort waarden
codeSystem | code system | Codesystem | système de codes | sistema de códigos | sistema di codici | codesysteem
unit | unit | Einheit | unité | unidad | unità | eenheid
possibleValue | possible value | möglicher Wert | valeur possible | valor posible | valore possibile | mogelijke waarde
quality | quality | Qualität | qualité | calidad | qualità | kwaliteit
assessed | assessed | geprüft | évalué | evaluado | valutato | beoordeeld
seriesAffected | series affected | betroffene Serien | séries concernées | series afectadas | serie interessate | getroffen series
tool | tool | Werkzeug | outil | herramienta | strumento | gereedschap
toolVersion | version of the tool | Version des Werkzeugs | version de l'outil | versión de la herramienta | versione dello strumento | versie van het gereedschap
profile | profile | Profil | profil | perfil | profilo | profiel
profileDigest | digest of the profile | Prüfsumme des Profils | empreinte du profil | huella del perfil | impronta del profilo | digest van het profiel
sourceSystem | source system | Quellsystem | système source | sistema de origen | sistema di origine | bronsysteem
digest | digest | Prüfsumme | empreinte | huella | impronta | digest
manifestDigest | digest of the manifest | Prüfsumme des Auftrags | empreinte du manifeste | huella del manifiesto | impronta del manifesto | digest van het manifest
visaDigest | digest of the visa | Prüfsumme des Visums | empreinte du visa | huella del visado | impronta del visto | digest van het visum
codeName | name of the code | Name des Programms | nom du code | nombre del código | nome del codice | naam van de code
codeVersion | version of the code | Version des Programms | version du code | versión del código | versione del codice | versie van de code
codeDigest | digest of the code | Prüfsumme des Programms | empreinte du code | huella del código | impronta del codice | digest van de code
rounds | rounds | Runden | tours | rondas | cicli | ronden
planName | plan | Plan | plan | plan | piano | plan
aggregatorName | aggregator | Aggregator | agrégateur | agregador | aggregatore | aggregator
localStep | local step | lokaler Schritt | étape locale | paso local | passo locale | lokale stap
updateFilter | update filter | Filter der Beiträge | filtre des mises à jour | filtro de actualizaciones | filtro degli aggiornamenti | filter van bijdragen
objective | objective | Zielgröße | objectif | objetivo | obiettivo | doel
seed | seed | Startwert | graine | semilla | seme | startwaarde
parameter | parameter | Parameter | paramètre | parámetro | parametro | parameter
parameterName | name of a parameter | Name eines Parameters | nom d'un paramètre | nombre de un parámetro | nome di un parametro | naam van een parameter
parameterValue | value of a parameter | Wert eines Parameters | valeur d'un paramètre | valor de un parámetro | valore di un parametro | waarde van een parameter
roundNumber | number of the round | Nummer der Runde | numéro du tour | número de la ronda | numero del ciclo | nummer van de ronde
subjectWithdrawn | a subject withdrew | eine Person widerrief | un sujet s'est retiré | un sujeto se retiró | un soggetto si è ritirato | een proefpersoon trok zich terug
valuesFrom | values from | Werte aus | valeurs issues de | valores de | valori da | waarden uit
dicomAttribute | DICOM attribute | DICOM-Attribut | attribut DICOM | atributo DICOM | attributo DICOM | DICOM-attribuut
icd10Code | ICD-10 code | ICD-10-Code | code CIM-10 | código CIE-10 | codice ICD-10 | ICD-10-code
"""

DEFINITION_ROWS: Final = """
ImagingCube | The counts of one dataset by modality, body part, manufacturer and slice thickness. | Die Zählungen eines Datensatzes nach Modalität, Körperteil, Hersteller und Schichtdicke.
Stratum | One observation of an imaging cube: how many series, studies and subjects have these four values. | Eine Beobachtung eines Bildgebungswürfels: wie viele Serien, Studien und Personen diese vier Werte haben.
DistributionRow | How many subjects of a dataset have one value of one attribute. | Wie viele Personen eines Datensatzes einen Wert eines Merkmals haben.
Node | A biobank that takes part in the federation and publishes datasets. | Eine Biobank, die an der Föderation teilnimmt und Datensätze veröffentlicht.
Acquisition | The images were made or collected. | Die Bilder wurden aufgenommen oder gesammelt.
Deidentification | Identifying content was removed from the images. | Was Personen erkennbar macht, wurde aus den Bildern entfernt.
Harvest | The headers of the images were read and counted. | Die Kopfdaten der Bilder wurden gelesen und gezählt.
Training | A model was trained at the nodes. | Ein Modell wurde an den Knoten trainiert.
Analysis | Measurements were made at the nodes. | An den Knoten wurde gemessen.
Model | A trained model. | Ein trainiertes Modell.
Result | A table or report that a job returned. | Eine Tabelle oder ein Bericht, den ein Auftrag ergab.
QualityAspect | Something that is wrong with images, whether it was looked for, and how many series it affects. | Ein Mangel von Bildern, ob nach ihm gesucht wurde, und wie viele Serien er betrifft.
Variable | Something that is known of subjects of a dataset beside their images, named by a code. | Etwas, das von Personen eines Datensatzes neben ihren Bildern bekannt ist, durch einen Code benannt.
VariableValue | A code or band that the values of a clinical variable can be. | Ein Code oder ein Bereich, den die Werte einer klinischen Variablen annehmen können.
Round | One round of a training: the updates that were merged, and the model that came of it. | Eine Runde eines Trainings: die vereinigten Beiträge und das Modell, das daraus entstand.
SiteSettings | What a node signed as its effective settings of a training. | Was ein Knoten als seine tatsächlichen Einstellungen eines Trainings unterschrieben hat.
Parameter | One parameter of a training, with its value. | Ein Parameter eines Trainings mit seinem Wert.
modality | Code of the modality (DICOM CID 29 or CID 32), or 'unknown'. | Code der Modalität (DICOM CID 29 oder CID 32) oder 'unknown'.
modalityCode | The modality as a DICOM code. | Die Modalität als DICOM-Code.
bodyPart | Defined term of the body part (DICOM PS3.16, table L-1), or 'unknown'. | Definierter Begriff des Körperteils (DICOM PS3.16, Tabelle L-1) oder 'unknown'.
bodyPartCode | The body part as a SNOMED CT code. | Der Körperteil als SNOMED-CT-Code.
manufacturer | Manufacturer of the device, one name each; 'other' or 'unknown'. | Hersteller des Geräts mit je einem Namen; 'other' oder 'unknown'.
sliceThickness | Band of slice thickness in millimetres; lower bounds belong to their band. | Band der Schichtdicke in Millimetern; die untere Grenze gehört zum Band.
seriesCount | Exact number of series. | Genaue Anzahl der Serien.
studyCount | Exact number of studies. | Genaue Anzahl der Studien.
subjectCount | Exact number of subjects. Subjects do not add up over strata or datasets. | Genaue Anzahl der Personen. Personen lassen sich über Strata oder Datensätze nicht addieren.
instanceCount | Exact number of images. | Genaue Anzahl der Bilder.
seriesCountBelow | The number of series is withheld: it is below this number, or would reveal one that is. | Die Anzahl der Serien wird zurückgehalten: Sie liegt unter dieser Zahl oder würde eine solche verraten.
studyCountBelow | The number of studies is withheld: it is below this number, or would reveal one that is. | Die Anzahl der Studien wird zurückgehalten: Sie liegt unter dieser Zahl oder würde eine solche verraten.
subjectCountBelow | The number of subjects is withheld: it is below this number, or would reveal one that is. | Die Anzahl der Personen wird zurückgehalten: Sie liegt unter dieser Zahl oder würde eine solche verraten.
instanceCountBelow | The number of images is withheld: it is below this number, or would reveal one that is. | Die Anzahl der Bilder wird zurückgehalten: Sie liegt unter dieser Zahl oder würde eine solche verraten.
minimumCount | Counts of fewer subjects than this are withheld. | Zählungen von weniger Personen als dieser Zahl werden zurückgehalten.
cube | The imaging cube of a dataset. | Der Bildgebungswürfel eines Datensatzes.
stratum | A stratum of a cube. | Ein Stratum eines Würfels.
ofDataset | The dataset that a stratum belongs to. | Der Datensatz, zu dem ein Stratum gehört.
distributionRow | A row of a distribution over the subjects of a dataset. | Eine Zeile einer Verteilung über die Personen eines Datensatzes.
attribute | What a distribution is about. | Wovon eine Verteilung handelt.
attributeValue | The value that the subjects of a row have. | Der Wert, den die Personen einer Zeile haben.
howKnown | Where a fact comes from. | Woher eine Angabe stammt.
collectionKind | How a collection came to be. | Wie eine Sammlung entstand.
dataUse | A data-use term of the dataset (Data Use Ontology). | Eine Nutzungsbedingung des Datensatzes (Data Use Ontology).
recordVersion | Grows with each publication. | Wächst mit jeder Veröffentlichung.
recordDigest | SHA-256 of the signed record that this description was made from. | SHA-256 des signierten Eintrags, aus dem diese Beschreibung entstand.
signedBy | Id of the key that signed the record. | Kennung des Schlüssels, der den Eintrag signierte.
acquiredFrom | First year of acquisition with enough subjects to be told. | Erstes Aufnahmejahr mit genug Personen, um genannt zu werden.
acquiredTo | Last year of acquisition with enough subjects to be told. | Letztes Aufnahmejahr mit genug Personen, um genannt zu werden.
annotationGuideline | The document that says how the images of a dataset were annotated. | Das Dokument, das sagt, wie die Bilder eines Datensatzes annotiert wurden.
biorepository | A biobank or a collection with samples of the same people. | Eine Biobank oder Sammlung mit Proben derselben Menschen.
omicsHeld | Whether omics data of the same people are held; nothing is said where it is not stated. | Ob Omics-Daten derselben Menschen vorliegen; ohne Angabe wird nichts gesagt.
healthRecordsHeld | Whether health records of the same people are held; nothing is said where it is not stated. | Ob Gesundheitsakten derselben Menschen vorliegen; ohne Angabe wird nichts gesagt.
imagingBiomarker | A quantity measured in the images whose values come with the dataset. | Eine an den Bildern gemessene Größe, deren Werte zum Datensatz gehören.
plannedTimePoints | Number of imaging time points per subject that the protocol plans. | Anzahl der Aufnahmezeitpunkte je Person, die das Protokoll vorsieht.
plannedFollowUp | Follow-up per subject that the protocol plans. | Dauer der Nachbeobachtung je Person, die das Protokoll vorsieht.
dataUseLimit | A value of a data-use code: the code, a blank, and the disease, country or other value that it asks for. | Ein Wert zu einem Datennutzungscode: der Code, ein Leerzeichen und die Krankheit, das Land oder was er sonst verlangt.
variable | A clinical variable of a dataset; its subject count says of how many subjects a value is known. | Eine klinische Variable eines Datensatzes; ihre Anzahl sagt, von wie vielen Personen ein Wert bekannt ist.
variableKind | What the values are: coded, quantity, integer, boolean, year or age-band. | Was die Werte sind: coded, quantity, integer, boolean, year oder age-band.
codeSystem | The code system that a code is from, as FHIR names it. | Das Codesystem eines Codes, wie FHIR es benennt.
unit | The UCUM unit in which a quantity is given. | Die UCUM-Einheit, in der eine Größe angegeben ist.
possibleValue | A value that a variable can have, whether it occurs or not. | Ein Wert, den eine Variable haben kann, ob er vorkommt oder nicht.
quality | A quality aspect of the dataset. | Ein Qualitätsaspekt des Datensatzes.
assessed | Whether the aspect was looked for; not assessed is not the same as absent. | Ob nach dem Aspekt gesucht wurde; nicht geprüft heißt nicht abwesend.
seriesAffected | Exact number of series with this fault. | Genaue Anzahl der Serien mit diesem Mangel.
tool | The software that did it. | Die Software, die es tat.
toolVersion | The version of that software. | Die Version dieser Software.
profile | The rules it followed. | Die Regeln, denen sie folgte.
profileDigest | SHA-256 of those rules. | SHA-256 dieser Regeln.
sourceSystem | The kind of system that the images came from. | Die Art des Systems, aus dem die Bilder kamen.
digest | SHA-256 of the model's or result's bytes. | SHA-256 der Bytes des Modells oder Ergebnisses.
manifestDigest | The signed job that was run. | Der signierte Auftrag, der ausgeführt wurde.
visaDigest | The signed grant that the job was run under. | Die signierte Erlaubnis, unter der der Auftrag lief.
codeName | The code that was run. | Das Programm, das lief.
codeVersion | The version of the code that was run. | Die Version des Programms, das lief.
codeDigest | SHA-256 of the code's files. | SHA-256 der Dateien des Programms.
rounds | How many rounds a training took. | Wie viele Runden ein Training dauerte.
planName | Who trains when. | Wer wann trainiert.
aggregatorName | How the updates of the nodes were merged. | Wie die Beiträge der Knoten vereinigt wurden.
localStep | What was different in local training; 'plain' for nothing. | Was am lokalen Training anders war; 'plain' für nichts.
updateFilter | What changed in an update before it left its node. | Was an einem Beitrag geändert wurde, bevor er seinen Knoten verließ.
objective | By what a model is judged over its nodes: mean, weighted or worst-site. | Wonach ein Modell über seine Knoten beurteilt wird: mean, weighted oder worst-site.
seed | The whole number that all random choices were derived from. | Die ganze Zahl, aus der alle Zufallswahlen abgeleitet wurden.
parameter | A parameter of the training. | Ein Parameter des Trainings.
parameterName | Name of the parameter, as the tool has it. | Name des Parameters, wie das Werkzeug ihn führt.
parameterValue | Value of the parameter, as JSON. | Wert des Parameters als JSON.
roundNumber | Number of the round, from 1. | Nummer der Runde, ab 1.
subjectWithdrawn | Day on which the hub learned that a subject of whose images a model or result was made has withdrawn. | Tag, an dem die Zentrale erfuhr, dass eine Person, aus deren Bildern ein Modell oder Ergebnis entstand, widerrufen hat.
valuesFrom | The concept scheme whose notations are the values of a property. | Das Begriffssystem, dessen Notationen die Werte einer Eigenschaft sind.
dicomAttribute | Tag and keyword of the DICOM attribute that a value is made from. | Tag und Schlüsselwort des DICOM-Attributs, aus dem ein Wert entsteht.
icd10Code | Code or range of codes of ICD-10 under which a condition is coded; several conditions may share one. | Code oder Codebereich der ICD-10, unter dem eine Krankheit verschlüsselt wird; mehrere können ihn teilen.
"""
