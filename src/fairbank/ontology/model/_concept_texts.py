"""Names of concept schemes and of their common concepts in six languages, and definitions in English and German.

Ours. Concepts that are not here are named in English by the standard that they come from.
Columns of `SCHEME_ROWS`: scheme | English | German | French | Spanish | Italian | Dutch | definition | in German.
Columns of `CONCEPT_ROWS`: concept | English | German | French | Spanish | Italian | Dutch.
"""

# ruff: noqa: E501 - one concept a line, so that a new language is one more column

from __future__ import annotations

from typing import Final

SCHEME_ROWS: Final = """
modalities | modalities | Modalitäten | modalités | modalidades | modalità | modaliteiten | Kinds of device or object that a series is made by or holds: DICOM PS3.16, CID 29 and CID 32. | Arten von Gerät oder Objekt, von denen eine Serie stammt oder die sie enthält: DICOM PS3.16, CID 29 und CID 32.
bodyParts | body parts | Körperteile | parties du corps | partes del cuerpo | parti del corpo | lichaamsdelen | Body parts that images show: the defined terms of DICOM PS3.16, table L-1, and CID 4031. Broader means that one is part of the other; that hierarchy is ours. | Körperteile, die Bilder zeigen: die definierten Begriffe von DICOM PS3.16, Tabelle L-1, und CID 4031. Weiter heißt, dass einer Teil des anderen ist; diese Hierarchie ist unsere.
manufacturers | manufacturers | Hersteller | fabricants | fabricantes | fabbricanti | fabrikanten | Makers of devices, one name each over all spellings. | Hersteller von Geräten, mit einem Namen für alle Schreibweisen.
sliceThicknesses | bands of slice thickness | Bänder der Schichtdicke | tranches d'épaisseur de coupe | intervalos de grosor de corte | fasce di spessore di strato | klassen van coupedikte | Half-open bands of slice thickness in millimetres. | Halboffene Bänder der Schichtdicke in Millimetern.
sexes | sexes | Geschlechter | sexes | sexos | sessi | geslachten | Sex of a subject as DICOM (0010,0040) has it. | Geschlecht einer Person, wie DICOM (0010,0040) es nennt.
sides | sides of the body | Körperseiten | côtés du corps | lados del cuerpo | lati del corpo | lichaamszijden | Sides of a paired body part: DICOM (0020,0060), (0020,0062) and CID 244. | Seiten eines paarigen Körperteils: DICOM (0020,0060), (0020,0062) und CID 244.
conditions | conditions | Krankheiten | maladies | enfermedades | malattie | aandoeningen | Cancers and diseases of the lung that collections are about. Broader means that one is a kind of the other; that hierarchy is ours. | Krebserkrankungen und Lungenkrankheiten, um die es in Sammlungen geht. Weiter heißt, dass eine Art der anderen ist; diese Hierarchie ist unsere.
attributes | attributes of distributions | Merkmale von Verteilungen | attributs des distributions | atributos de distribuciones | attributi delle distribuzioni | kenmerken van verdelingen | What the distributions of a dataset are about. | Wovon die Verteilungen eines Datensatzes handeln.
waysOfKnowing | ways of knowing | Arten des Wissens | sources des faits | modos de saber | modi di sapere | manieren van weten | Where a fact about a dataset comes from. | Woher eine Angabe über einen Datensatz stammt.
collectionKinds | kinds of collection | Arten von Sammlungen | types de collection | tipos de colección | tipi di raccolta | soorten verzameling | How a collection came to be. | Wie eine Sammlung entstand.
dataUses | data-use terms | Nutzungsbedingungen | conditions d'utilisation | condiciones de uso | condizioni d'uso | gebruiksvoorwaarden | Codes of the Data Use Ontology that datasets have. | Codes der Data Use Ontology, die Datensätze haben.
"""

CONCEPT_ROWS: Final = """
modality-CR | Computed Radiography | Speicherfolien-Radiographie | Radiographie numérisée | Radiografía computarizada | Radiografia computerizzata | Computerradiografie
modality-CT | Computed Tomography | Computertomographie | Tomodensitométrie | Tomografía computarizada | Tomografia computerizzata | Computertomografie
modality-DX | Digital Radiography | Digitale Radiographie | Radiographie numérique | Radiografía digital | Radiografia digitale | Digitale radiografie
modality-ES | Endoscopy | Endoskopie | Endoscopie | Endoscopia | Endoscopia | Endoscopie
modality-MG | Mammography | Mammographie | Mammographie | Mamografía | Mammografia | Mammografie
modality-MR | Magnetic Resonance | Magnetresonanz | Résonance magnétique | Resonancia magnética | Risonanza magnetica | Magnetische resonantie
modality-NM | Nuclear Medicine | Nuklearmedizin | Médecine nucléaire | Medicina nuclear | Medicina nucleare | Nucleaire geneeskunde
modality-PT | Positron emission tomography | Positronen-Emissions-Tomographie | Tomographie par émission de positons | Tomografía por emisión de positrones | Tomografia a emissione di positroni | Positronemissietomografie
modality-RF | Radiofluoroscopy | Durchleuchtung | Radioscopie | Radiofluoroscopia | Radiofluoroscopia | Röntgendoorlichting
modality-RTDOSE | RT Dose | Strahlentherapie-Dosis | Dose de radiothérapie | Dosis de radioterapia | Dose di radioterapia | Radiotherapiedosis
modality-RTPLAN | RT Plan | Bestrahlungsplan | Plan de radiothérapie | Plan de radioterapia | Piano di radioterapia | Bestralingsplan
modality-RTSTRUCT | RT Structure Set | Bestrahlungsstrukturen | Structures de radiothérapie | Estructuras de radioterapia | Strutture di radioterapia | Radiotherapiestructuren
modality-SEG | Segmentation | Segmentierung | Segmentation | Segmentación | Segmentazione | Segmentatie
modality-SM | Slide Microscopy | Objektträger-Mikroskopie | Microscopie sur lame | Microscopía de portaobjetos | Microscopia su vetrino | Objectglasmicroscopie
modality-SR | Structured Report Document | Strukturierter Befund | Compte rendu structuré | Informe estructurado | Referto strutturato | Gestructureerd verslag
modality-US | Ultrasound | Ultraschall | Échographie | Ecografía | Ecografia | Echografie
modality-XA | X-Ray Angiography | Röntgen-Angiographie | Angiographie aux rayons X | Angiografía por rayos X | Angiografia a raggi X | Röntgenangiografie
bodyPart-ABDOMEN | Abdomen | Bauch | Abdomen | Abdomen | Addome | Buik
bodyPart-ABDOMENPELVIS | Abdomen and Pelvis | Bauch und Becken | Abdomen et pelvis | Abdomen y pelvis | Addome e pelvi | Buik en bekken
bodyPart-AORTA | Aorta | Aorta | Aorte | Aorta | Aorta | Aorta
bodyPart-BLADDER | Bladder | Harnblase | Vessie | Vejiga | Vescica | Blaas
bodyPart-BRAIN | Brain | Gehirn | Cerveau | Cerebro | Cervello | Hersenen
bodyPart-BREAST | Breast | Brust (Mamma) | Sein | Mama | Mammella | Borst
bodyPart-CHEST | Chest | Brustkorb | Thorax | Tórax | Torace | Borstkas
bodyPart-CHESTABDOMEN | Chest and Abdomen | Brustkorb und Bauch | Thorax et abdomen | Tórax y abdomen | Torace e addome | Borstkas en buik
bodyPart-CHESTABDPELVIS | Chest, Abdomen and Pelvis | Brustkorb, Bauch und Becken | Thorax, abdomen et pelvis | Tórax, abdomen y pelvis | Torace, addome e pelvi | Borstkas, buik en bekken
bodyPart-COLON | Colon | Dickdarm | Côlon | Colon | Colon | Dikke darm
bodyPart-CSPINE | Cervical spine | Halswirbelsäule | Rachis cervical | Columna cervical | Rachide cervicale | Halswervelkolom
bodyPart-ESOPHAGUS | Esophagus | Speiseröhre | Œsophage | Esófago | Esofago | Slokdarm
bodyPart-EXTREMITY | Extremity | Extremität | Membre | Extremidad | Arto | Ledemaat
bodyPart-EYE | Eye | Auge | Œil | Ojo | Occhio | Oog
bodyPart-FOOT | Foot | Fuß | Pied | Pie | Piede | Voet
bodyPart-HAND | Hand | Hand | Main | Mano | Mano | Hand
bodyPart-HEAD | Head | Kopf | Tête | Cabeza | Testa | Hoofd
bodyPart-HEADNECK | Head and Neck | Kopf und Hals | Tête et cou | Cabeza y cuello | Testa e collo | Hoofd en hals
bodyPart-HEART | Heart | Herz | Cœur | Corazón | Cuore | Hart
bodyPart-HIP | Hip | Hüfte | Hanche | Cadera | Anca | Heup
bodyPart-KIDNEY | Kidney | Niere | Rein | Riñón | Rene | Nier
bodyPart-KNEE | Knee | Knie | Genou | Rodilla | Ginocchio | Knie
bodyPart-LEG | Lower leg | Unterschenkel | Jambe | Pierna | Gamba | Onderbeen
bodyPart-LIVER | Liver | Leber | Foie | Hígado | Fegato | Lever
bodyPart-LOWERLIMB | Lower limb | Bein | Membre inférieur | Miembro inferior | Arto inferiore | Onderste ledemaat
bodyPart-LSPINE | Lumbar spine | Lendenwirbelsäule | Rachis lombaire | Columna lumbar | Rachide lombare | Lendenwervelkolom
bodyPart-NECK | Neck | Hals | Cou | Cuello | Collo | Hals
bodyPart-OVARY | Ovary | Eierstock | Ovaire | Ovario | Ovaio | Eierstok
bodyPart-PANCREAS | Pancreas | Bauchspeicheldrüse | Pancréas | Páncreas | Pancreas | Alvleesklier
bodyPart-PELVIS | Pelvis | Becken | Pelvis | Pelvis | Pelvi | Bekken
bodyPart-PHANTOM | Phantom | Phantom | Fantôme | Fantoma | Fantoccio | Fantoom
bodyPart-PROSTATE | Prostate | Prostata | Prostate | Próstata | Prostata | Prostaat
bodyPart-RECTUM | Rectum | Enddarm | Rectum | Recto | Retto | Endeldarm
bodyPart-SHOULDER | Shoulder | Schulter | Épaule | Hombro | Spalla | Schouder
bodyPart-SKULL | Skull | Schädel | Crâne | Cráneo | Cranio | Schedel
bodyPart-SPINE | Spine | Wirbelsäule | Rachis | Columna vertebral | Rachide | Wervelkolom
bodyPart-SPLEEN | Spleen | Milz | Rate | Bazo | Milza | Milt
bodyPart-STOMACH | Stomach | Magen | Estomac | Estómago | Stomaco | Maag
bodyPart-THIGH | Thigh | Oberschenkel | Cuisse | Muslo | Coscia | Bovenbeen
bodyPart-THYROID | Thyroid | Schilddrüse | Thyroïde | Tiroides | Tiroide | Schildklier
bodyPart-TSPINE | Thoracic spine | Brustwirbelsäule | Rachis thoracique | Columna torácica | Rachide toracico | Borstwervelkolom
bodyPart-UPPERLIMB | Upper limb | Arm | Membre supérieur | Miembro superior | Arto superiore | Bovenste ledemaat
bodyPart-UTERUS | Uterus | Gebärmutter | Utérus | Útero | Utero | Baarmoeder
bodyPart-WHOLEBODY | Entire body | Ganzer Körper | Corps entier | Cuerpo entero | Corpo intero | Hele lichaam
sex-F | female | weiblich | féminin | femenino | femminile | vrouwelijk
sex-M | male | männlich | masculin | masculino | maschile | mannelijk
sex-O | other | anderes | autre | otro | altro | anders
sex-unknown | unknown | unbekannt | inconnu | desconocido | sconosciuto | onbekend
side-right | right | rechts | droite | derecha | destra | rechts
side-left | left | links | gauche | izquierda | sinistra | links
side-both | both sides | beidseitig | bilatéral | bilateral | bilaterale | beiderzijds
side-unilateral | unilateral | einseitig | unilatéral | unilateral | unilaterale | eenzijdig
side-unpaired | unpaired | unpaarig | impair | impar | impari | ongepaard
attribute-sex | sex | Geschlecht | sexe | sexo | sesso | geslacht
attribute-age-band | age in bands of five years | Alter in Bändern von fünf Jahren | âge par tranches de cinq ans | edad en intervalos de cinco años | età in fasce di cinque anni | leeftijd in klassen van vijf jaar
attribute-acquisition-year | year of acquisition | Aufnahmejahr | année d'acquisition | año de adquisición | anno di acquisizione | jaar van acquisitie
wayOfKnowing-header | header of the images | Kopfdaten der Bilder | en-tête des images | cabecera de las imágenes | intestazione delle immagini | kopgegevens van de beelden
wayOfKnowing-archive | archive | Archiv | archive | archivo | archivio | archief
wayOfKnowing-computed | computed | berechnet | calculé | calculado | calcolato | berekend
wayOfKnowing-curator | curator | Kurator | curateur | curador | curatore | curator
collectionKind-trial | clinical trial | klinische Studie | essai clinique | ensayo clínico | sperimentazione clinica | klinische proef
collectionKind-clinical | clinical care | klinische Versorgung | soins cliniques | asistencia clínica | assistenza clinica | klinische zorg
collectionKind-screening | screening | Früherkennung | dépistage | cribado | screening | screening
collectionKind-population | population study | Bevölkerungsstudie | étude en population | estudio poblacional | studio di popolazione | bevolkingsonderzoek
collectionKind-test | test data | Testdaten | données de test | datos de prueba | dati di prova | testgegevens
"""
