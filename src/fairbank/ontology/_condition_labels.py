"""Names of the conditions in English, German, French, Spanish, Italian and Dutch.

Ours: written from common medical usage in each language, copied from no terminology.
"""

# ruff: noqa: E501 - one condition a line, so that a new language is one more column

from __future__ import annotations

from typing import Final

# word | English | German | French | Spanish | Italian | Dutch
CONDITION_LABELS: Final = """
cancer | Cancer | Krebs | Cancer | Cáncer | Cancro | Kanker
carcinoma | Carcinoma | Karzinom | Carcinome | Carcinoma | Carcinoma | Carcinoom
adenocarcinoma | Adenocarcinoma | Adenokarzinom | Adénocarcinome | Adenocarcinoma | Adenocarcinoma | Adenocarcinoom
squamous-cell-carcinoma | Squamous cell carcinoma | Plattenepithelkarzinom | Carcinome épidermoïde | Carcinoma epidermoide | Carcinoma a cellule squamose | Plaveiselcelcarcinoom
metastatic-cancer | Metastatic cancer | Metastasierter Krebs | Cancer métastatique | Cáncer metastásico | Cancro metastatico | Uitgezaaide kanker
brain-metastasis | Brain metastasis | Hirnmetastase | Métastase cérébrale | Metástasis cerebral | Metastasi cerebrale | Hersenmetastase
respiratory-disease | Disease of the respiratory system | Krankheit der Atmungsorgane | Maladie de l'appareil respiratoire | Enfermedad del aparato respiratorio | Malattia dell'apparato respiratorio | Ziekte van het ademhalingsstelsel
lung-disease | Lung disease | Lungenerkrankung | Maladie pulmonaire | Enfermedad pulmonar | Malattia polmonare | Longziekte
lung-cancer | Lung cancer | Lungenkrebs | Cancer du poumon | Cáncer de pulmón | Cancro del polmone | Longkanker
non-small-cell-lung-cancer | Non-small cell lung cancer | Nicht-kleinzelliger Lungenkrebs | Cancer du poumon non à petites cellules | Cáncer de pulmón no microcítico | Cancro del polmone non a piccole cellule | Niet-kleincellige longkanker
lung-adenocarcinoma | Lung adenocarcinoma | Adenokarzinom der Lunge | Adénocarcinome du poumon | Adenocarcinoma de pulmón | Adenocarcinoma del polmone | Adenocarcinoom van de long
lung-squamous-cell-carcinoma | Squamous cell carcinoma of the lung | Plattenepithelkarzinom der Lunge | Carcinome épidermoïde du poumon | Carcinoma epidermoide de pulmón | Carcinoma a cellule squamose del polmone | Plaveiselcelcarcinoom van de long
lung-large-cell-carcinoma | Large cell carcinoma of the lung | Großzelliges Lungenkarzinom | Carcinome à grandes cellules du poumon | Carcinoma de células grandes de pulmón | Carcinoma a grandi cellule del polmone | Grootcellig longcarcinoom
small-cell-lung-cancer | Small cell lung cancer | Kleinzelliger Lungenkrebs | Cancer du poumon à petites cellules | Cáncer de pulmón microcítico | Cancro del polmone a piccole cellule | Kleincellige longkanker
mesothelioma | Malignant mesothelioma | Malignes Mesotheliom | Mésothéliome malin | Mesotelioma maligno | Mesotelioma maligno | Maligne mesothelioom
thymoma | Thymoma | Thymom | Thymome | Timoma | Timoma | Thymoom
thymus-cancer | Thymus cancer | Thymuskrebs | Cancer du thymus | Cáncer de timo | Cancro del timo | Thymuskanker
breast-cancer | Breast cancer | Brustkrebs | Cancer du sein | Cáncer de mama | Cancro della mammella | Borstkanker
invasive-breast-carcinoma | Invasive breast carcinoma | Invasives Mammakarzinom | Carcinome invasif du sein | Carcinoma invasivo de mama | Carcinoma invasivo della mammella | Invasief mammacarcinoom
breast-ductal-carcinoma | Breast ductal carcinoma | Duktales Mammakarzinom | Carcinome canalaire du sein | Carcinoma ductal de mama | Carcinoma duttale della mammella | Ductaal mammacarcinoom
breast-lobular-carcinoma | Breast lobular carcinoma | Lobuläres Mammakarzinom | Carcinome lobulaire du sein | Carcinoma lobulillar de mama | Carcinoma lobulare della mammella | Lobulair mammacarcinoom
ductal-carcinoma-in-situ | Ductal carcinoma in situ of the breast | Duktales Carcinoma in situ der Brust | Carcinome canalaire in situ du sein | Carcinoma ductal in situ de mama | Carcinoma duttale in situ della mammella | Ductaal carcinoma in situ van de borst
digestive-cancer | Cancer of the digestive system | Krebs der Verdauungsorgane | Cancer de l'appareil digestif | Cáncer del aparato digestivo | Cancro dell'apparato digerente | Kanker van het spijsverteringsstelsel
esophageal-cancer | Oesophageal cancer | Speiseröhrenkrebs | Cancer de l'œsophage | Cáncer de esófago | Cancro dell'esofago | Slokdarmkanker
esophageal-carcinoma | Oesophageal carcinoma | Ösophaguskarzinom | Carcinome de l'œsophage | Carcinoma de esófago | Carcinoma dell'esofago | Slokdarmcarcinoom
gastric-cancer | Stomach cancer | Magenkrebs | Cancer de l'estomac | Cáncer de estómago | Cancro dello stomaco | Maagkanker
gastric-adenocarcinoma | Stomach adenocarcinoma | Adenokarzinom des Magens | Adénocarcinome de l'estomac | Adenocarcinoma de estómago | Adenocarcinoma dello stomaco | Adenocarcinoom van de maag
gastroesophageal-cancer | Gastro-oesophageal cancer | Krebs von Magen und Speiseröhre | Cancer œsogastrique | Cáncer gastroesofágico | Cancro gastroesofageo | Kanker van maag en slokdarm
colorectal-cancer | Colorectal cancer | Darmkrebs (Kolon und Rektum) | Cancer colorectal | Cáncer colorrectal | Cancro del colon-retto | Dikkedarm- en endeldarmkanker
colon-cancer | Colon cancer | Dickdarmkrebs | Cancer du côlon | Cáncer de colon | Cancro del colon | Dikkedarmkanker
colon-adenocarcinoma | Colon adenocarcinoma | Adenokarzinom des Dickdarms | Adénocarcinome du côlon | Adenocarcinoma de colon | Adenocarcinoma del colon | Adenocarcinoom van de dikke darm
colon-mucinous-adenocarcinoma | Mucinous adenocarcinoma of the colon | Muzinöses Adenokarzinom des Dickdarms | Adénocarcinome mucineux du côlon | Adenocarcinoma mucinoso de colon | Adenocarcinoma mucinoso del colon | Mucineus adenocarcinoom van de dikke darm
rectal-cancer | Rectal cancer | Enddarmkrebs | Cancer du rectum | Cáncer de recto | Cancro del retto | Endeldarmkanker
rectal-adenocarcinoma | Rectal adenocarcinoma | Adenokarzinom des Rektums | Adénocarcinome du rectum | Adenocarcinoma de recto | Adenocarcinoma del retto | Adenocarcinoom van de endeldarm
colorectal-adenoma | Colorectal adenoma | Kolorektales Adenom | Adénome colorectal | Adenoma colorrectal | Adenoma del colon-retto | Colorectaal adenoom
anal-cancer | Anal cancer | Analkrebs | Cancer de l'anus | Cáncer de ano | Cancro dell'ano | Anuskanker
anal-squamous-cell-carcinoma | Squamous cell carcinoma of the anus | Plattenepithelkarzinom des Anus | Carcinome épidermoïde de l'anus | Carcinoma epidermoide de ano | Carcinoma a cellule squamose dell'ano | Plaveiselcelcarcinoom van de anus
liver-cancer | Liver cancer | Leberkrebs | Cancer du foie | Cáncer de hígado | Cancro del fegato | Leverkanker
hepatocellular-carcinoma | Hepatocellular carcinoma | Hepatozelluläres Karzinom | Carcinome hépatocellulaire | Carcinoma hepatocelular | Carcinoma epatocellulare | Hepatocellulair carcinoom
hepatoblastoma | Hepatoblastoma | Hepatoblastom | Hépatoblastome | Hepatoblastoma | Epatoblastoma | Hepatoblastoom
cholangiocarcinoma | Cholangiocarcinoma | Cholangiokarzinom | Cholangiocarcinome | Colangiocarcinoma | Colangiocarcinoma | Cholangiocarcinoom
intrahepatic-cholangiocarcinoma | Intrahepatic cholangiocarcinoma | Intrahepatisches Cholangiokarzinom | Cholangiocarcinome intrahépatique | Colangiocarcinoma intrahepático | Colangiocarcinoma intraepatico | Intrahepatisch cholangiocarcinoom
gallbladder-cancer | Gallbladder cancer | Gallenblasenkrebs | Cancer de la vésicule biliaire | Cáncer de vesícula biliar | Cancro della colecisti | Galblaaskanker
pancreatic-cancer | Pancreatic cancer | Bauchspeicheldrüsenkrebs | Cancer du pancréas | Cáncer de páncreas | Cancro del pancreas | Alvleesklierkanker
pancreatic-adenocarcinoma | Pancreatic adenocarcinoma | Adenokarzinom des Pankreas | Adénocarcinome du pancréas | Adenocarcinoma de páncreas | Adenocarcinoma del pancreas | Adenocarcinoom van de alvleesklier
pancreatic-ductal-adenocarcinoma | Pancreatic ductal adenocarcinoma | Duktales Adenokarzinom des Pankreas | Adénocarcinome canalaire du pancréas | Adenocarcinoma ductal de páncreas | Adenocarcinoma duttale del pancreas | Ductaal adenocarcinoom van de alvleesklier
gastrointestinal-stromal-tumour | Gastrointestinal stromal tumour | Gastrointestinaler Stromatumor | Tumeur stromale gastro-intestinale | Tumor del estroma gastrointestinal | Tumore stromale gastrointestinale | Gastro-intestinale stromale tumor
head-and-neck-cancer | Head and neck cancer | Kopf-Hals-Krebs | Cancer de la tête et du cou | Cáncer de cabeza y cuello | Cancro della testa e del collo | Hoofd-halskanker
head-and-neck-squamous-cell-carcinoma | Squamous cell carcinoma of the head and neck | Plattenepithelkarzinom des Kopf-Hals-Bereichs | Carcinome épidermoïde de la tête et du cou | Carcinoma epidermoide de cabeza y cuello | Carcinoma a cellule squamose della testa e del collo | Plaveiselcelcarcinoom van hoofd en hals
oral-cavity-cancer | Cancer of the oral cavity | Mundhöhlenkrebs | Cancer de la cavité buccale | Cáncer de la cavidad oral | Cancro del cavo orale | Mondholtekanker
oropharyngeal-cancer | Oropharyngeal cancer | Oropharynxkrebs | Cancer de l'oropharynx | Cáncer de orofaringe | Cancro dell'orofaringe | Orofarynxkanker
nasopharyngeal-carcinoma | Nasopharyngeal carcinoma | Nasopharynxkarzinom | Carcinome du nasopharynx | Carcinoma nasofaríngeo | Carcinoma del rinofaringe | Nasofarynxcarcinoom
laryngeal-cancer | Laryngeal cancer | Kehlkopfkrebs | Cancer du larynx | Cáncer de laringe | Cancro della laringe | Strottenhoofdkanker
salivary-gland-cancer | Salivary gland cancer | Speicheldrüsenkrebs | Cancer des glandes salivaires | Cáncer de glándulas salivales | Cancro delle ghiandole salivari | Speekselklierkanker
endocrine-cancer | Cancer of an endocrine gland | Krebs einer endokrinen Drüse | Cancer d'une glande endocrine | Cáncer de una glándula endocrina | Cancro di una ghiandola endocrina | Kanker van een endocriene klier
thyroid-cancer | Thyroid cancer | Schilddrüsenkrebs | Cancer de la thyroïde | Cáncer de tiroides | Cancro della tiroide | Schildklierkanker
papillary-thyroid-carcinoma | Papillary thyroid carcinoma | Papilläres Schilddrüsenkarzinom | Carcinome papillaire de la thyroïde | Carcinoma papilar de tiroides | Carcinoma papillare della tiroide | Papillair schildkliercarcinoom
adrenal-cancer | Adrenal gland cancer | Nebennierenkrebs | Cancer de la glande surrénale | Cáncer de la glándula suprarrenal | Cancro della ghiandola surrenale | Bijnierkanker
adrenocortical-carcinoma | Adrenocortical carcinoma | Nebennierenrindenkarzinom | Corticosurrénalome malin | Carcinoma corticosuprarrenal | Carcinoma corticosurrenalico | Bijnierschorscarcinoom
neuroendocrine-neoplasm | Neuroendocrine neoplasm | Neuroendokrine Neoplasie | Néoplasme neuroendocrine | Neoplasia neuroendocrina | Neoplasia neuroendocrina | Neuro-endocriene neoplasie
neuroendocrine-carcinoma | Neuroendocrine carcinoma | Neuroendokrines Karzinom | Carcinome neuroendocrine | Carcinoma neuroendocrino | Carcinoma neuroendocrino | Neuro-endocrien carcinoom
pancreatic-neuroendocrine-tumour | Pancreatic neuroendocrine tumour | Neuroendokriner Tumor des Pankreas | Tumeur neuroendocrine du pancréas | Tumor neuroendocrino de páncreas | Tumore neuroendocrino del pancreas | Neuro-endocriene tumor van de alvleesklier
paraganglioma | Paraganglioma | Paragangliom | Paragangliome | Paraganglioma | Paraganglioma | Paraganglioom
pheochromocytoma | Phaeochromocytoma | Phäochromozytom | Phéochromocytome | Feocromocitoma | Feocromocitoma | Feochromocytoom
brain-cancer | Brain cancer | Hirnkrebs | Cancer du cerveau | Cáncer de cerebro | Cancro del cervello | Hersenkanker
glioma | Glioma | Gliom | Gliome | Glioma | Glioma | Glioom
low-grade-glioma | Low-grade glioma | Niedriggradiges Gliom | Gliome de bas grade | Glioma de bajo grado | Glioma di basso grado | Laaggradig glioom
malignant-glioma | Malignant glioma | Malignes Gliom | Gliome malin | Glioma maligno | Glioma maligno | Maligne glioom
glioblastoma | Glioblastoma | Glioblastom | Glioblastome | Glioblastoma | Glioblastoma | Glioblastoom
astrocytoma | Astrocytoma | Astrozytom | Astrocytome | Astrocitoma | Astrocitoma | Astrocytoom
oligodendroglioma | Oligodendroglioma | Oligodendrogliom | Oligodendrogliome | Oligodendroglioma | Oligodendroglioma | Oligodendroglioom
ependymoma | Ependymoma | Ependymom | Épendymome | Ependimoma | Ependimoma | Ependymoom
diffuse-intrinsic-pontine-glioma | Diffuse intrinsic pontine glioma | Diffuses intrinsisches Ponsgliom | Gliome infiltrant du tronc cérébral | Glioma pontino intrínseco difuso | Glioma pontino intrinseco diffuso | Diffuus intrinsiek ponsglioom
medulloblastoma | Medulloblastoma | Medulloblastom | Médulloblastome | Meduloblastoma | Medulloblastoma | Medulloblastoom
meningioma | Meningioma | Meningeom | Méningiome | Meningioma | Meningioma | Meningeoom
vestibular-schwannoma | Vestibular schwannoma | Vestibularisschwannom | Schwannome vestibulaire | Schwannoma vestibular | Schwannoma vestibolare | Vestibulair schwannoom
neuroblastoma | Neuroblastoma | Neuroblastom | Neuroblastome | Neuroblastoma | Neuroblastoma | Neuroblastoom
retinoblastoma | Retinoblastoma | Retinoblastom | Rétinoblastome | Retinoblastoma | Retinoblastoma | Retinoblastoom
urinary-cancer | Cancer of the urinary tract | Krebs der Harnorgane | Cancer des voies urinaires | Cáncer de las vías urinarias | Cancro delle vie urinarie | Kanker van de urinewegen
kidney-cancer | Kidney cancer | Nierenkrebs | Cancer du rein | Cáncer de riñón | Cancro del rene | Nierkanker
renal-cell-carcinoma | Renal cell carcinoma | Nierenzellkarzinom | Carcinome à cellules rénales | Carcinoma de células renales | Carcinoma a cellule renali | Niercelcarcinoom
clear-cell-renal-cell-carcinoma | Clear cell renal cell carcinoma | Klarzelliges Nierenzellkarzinom | Carcinome rénal à cellules claires | Carcinoma renal de células claras | Carcinoma renale a cellule chiare | Heldercellig niercelcarcinoom
papillary-renal-cell-carcinoma | Papillary renal cell carcinoma | Papilläres Nierenzellkarzinom | Carcinome rénal papillaire | Carcinoma renal papilar | Carcinoma renale papillare | Papillair niercelcarcinoom
chromophobe-renal-cell-carcinoma | Chromophobe renal cell carcinoma | Chromophobes Nierenzellkarzinom | Carcinome rénal chromophobe | Carcinoma renal cromófobo | Carcinoma renale cromofobo | Chromofoob niercelcarcinoom
wilms-tumour | Wilms tumour | Wilms-Tumor | Tumeur de Wilms | Tumor de Wilms | Tumore di Wilms | Wilmstumor
urothelial-carcinoma | Urothelial carcinoma | Urothelkarzinom | Carcinome urothélial | Carcinoma urotelial | Carcinoma uroteliale | Urotheelcarcinoom
bladder-cancer | Bladder cancer | Harnblasenkrebs | Cancer de la vessie | Cáncer de vejiga | Cancro della vescica | Blaaskanker
bladder-urothelial-carcinoma | Urothelial carcinoma of the bladder | Urothelkarzinom der Harnblase | Carcinome urothélial de la vessie | Carcinoma urotelial de vejiga | Carcinoma uroteliale della vescica | Urotheelcarcinoom van de blaas
male-genital-cancer | Cancer of the male reproductive organs | Krebs der männlichen Geschlechtsorgane | Cancer des organes génitaux masculins | Cáncer de los órganos genitales masculinos | Cancro degli organi genitali maschili | Kanker van de mannelijke geslachtsorganen
prostate-cancer | Prostate cancer | Prostatakrebs | Cancer de la prostate | Cáncer de próstata | Cancro della prostata | Prostaatkanker
prostate-adenocarcinoma | Prostate adenocarcinoma | Adenokarzinom der Prostata | Adénocarcinome de la prostate | Adenocarcinoma de próstata | Adenocarcinoma della prostata | Adenocarcinoom van de prostaat
testicular-cancer | Testicular cancer | Hodenkrebs | Cancer du testicule | Cáncer de testículo | Cancro del testicolo | Zaadbalkanker
testicular-germ-cell-tumour | Testicular germ cell tumour | Keimzelltumor des Hodens | Tumeur germinale du testicule | Tumor de células germinales del testículo | Tumore a cellule germinali del testicolo | Kiemceltumor van de zaadbal
female-genital-cancer | Cancer of the female reproductive organs | Krebs der weiblichen Geschlechtsorgane | Cancer des organes génitaux féminins | Cáncer de los órganos genitales femeninos | Cancro degli organi genitali femminili | Kanker van de vrouwelijke geslachtsorganen
ovarian-cancer | Ovarian cancer | Eierstockkrebs | Cancer de l'ovaire | Cáncer de ovario | Cancro dell'ovaio | Eierstokkanker
ovarian-serous-carcinoma | Serous carcinoma of the ovary | Seröses Ovarialkarzinom | Carcinome séreux de l'ovaire | Carcinoma seroso de ovario | Carcinoma sieroso dell'ovaio | Sereus ovariumcarcinoom
ovarian-serous-cystadenocarcinoma | Serous cystadenocarcinoma of the ovary | Seröses Zystadenokarzinom des Ovars | Cystadénocarcinome séreux de l'ovaire | Cistoadenocarcinoma seroso de ovario | Cistoadenocarcinoma sieroso dell'ovaio | Sereus cystadenocarcinoom van het ovarium
cervical-cancer | Cervical cancer | Gebärmutterhalskrebs | Cancer du col de l'utérus | Cáncer de cuello uterino | Cancro della cervice uterina | Baarmoederhalskanker
cervical-squamous-cell-carcinoma | Squamous cell carcinoma of the cervix | Plattenepithelkarzinom der Zervix | Carcinome épidermoïde du col de l'utérus | Carcinoma epidermoide de cuello uterino | Carcinoma a cellule squamose della cervice | Plaveiselcelcarcinoom van de baarmoederhals
cervical-adenocarcinoma | Adenocarcinoma of the cervix | Adenokarzinom der Zervix | Adénocarcinome du col de l'utérus | Adenocarcinoma de cuello uterino | Adenocarcinoma della cervice | Adenocarcinoom van de baarmoederhals
endocervical-adenocarcinoma | Endocervical adenocarcinoma | Endozervikales Adenokarzinom | Adénocarcinome endocervical | Adenocarcinoma endocervical | Adenocarcinoma endocervicale | Endocervicaal adenocarcinoom
uterine-cancer | Uterine cancer | Gebärmutterkrebs | Cancer de l'utérus | Cáncer de útero | Cancro dell'utero | Baarmoederkanker
endometrial-cancer | Endometrial cancer | Endometriumkrebs | Cancer de l'endomètre | Cáncer de endometrio | Cancro dell'endometrio | Endometriumkanker
endometrial-carcinoma | Endometrial carcinoma | Endometriumkarzinom | Carcinome de l'endomètre | Carcinoma de endometrio | Carcinoma dell'endometrio | Endometriumcarcinoom
uterine-carcinosarcoma | Uterine carcinosarcoma | Karzinosarkom des Uterus | Carcinosarcome utérin | Carcinosarcoma uterino | Carcinosarcoma uterino | Carcinosarcoom van de baarmoeder
skin-cancer | Skin cancer | Hautkrebs | Cancer de la peau | Cáncer de piel | Cancro della pelle | Huidkanker
melanoma | Melanoma | Melanom | Mélanome | Melanoma | Melanoma | Melanoom
cutaneous-melanoma | Melanoma of the skin | Melanom der Haut | Mélanome cutané | Melanoma cutáneo | Melanoma cutaneo | Melanoom van de huid
uveal-melanoma | Uveal melanoma | Aderhautmelanom (Uvea) | Mélanome uvéal | Melanoma uveal | Melanoma uveale | Uveamelanoom
basal-cell-carcinoma | Basal cell carcinoma of the skin | Basalzellkarzinom der Haut | Carcinome basocellulaire de la peau | Carcinoma basocelular de piel | Carcinoma basocellulare della cute | Basaalcelcarcinoom van de huid
merkel-cell-carcinoma | Merkel cell carcinoma | Merkelzellkarzinom | Carcinome à cellules de Merkel | Carcinoma de células de Merkel | Carcinoma a cellule di Merkel | Merkelcelcarcinoom
sarcoma | Sarcoma | Sarkom | Sarcome | Sarcoma | Sarcoma | Sarcoom
soft-tissue-sarcoma | Soft tissue sarcoma | Weichteilsarkom | Sarcome des tissus mous | Sarcoma de tejidos blandos | Sarcoma dei tessuti molli | Wekedelensarcoom
leiomyosarcoma | Leiomyosarcoma | Leiomyosarkom | Léiomyosarcome | Leiomiosarcoma | Leiomiosarcoma | Leiomyosarcoom
liposarcoma | Liposarcoma | Liposarkom | Liposarcome | Liposarcoma | Liposarcoma | Liposarcoom
rhabdomyosarcoma | Rhabdomyosarcoma | Rhabdomyosarkom | Rhabdomyosarcome | Rabdomiosarcoma | Rabdomiosarcoma | Rabdomyosarcoom
synovial-sarcoma | Synovial sarcoma | Synovialsarkom | Sarcome synovial | Sarcoma sinovial | Sarcoma sinoviale | Synoviasarcoom
myxofibrosarcoma | Myxofibrosarcoma | Myxofibrosarkom | Myxofibrosarcome | Mixofibrosarcoma | Mixofibrosarcoma | Myxofibrosarcoom
peripheral-nerve-sheath-tumour | Malignant peripheral nerve sheath tumour | Maligner peripherer Nervenscheidentumor | Tumeur maligne des gaines des nerfs périphériques | Tumor maligno de la vaina de los nervios periféricos | Tumore maligno delle guaine dei nervi periferici | Maligne perifere zenuwschedetumor
bone-cancer | Bone cancer | Knochenkrebs | Cancer des os | Cáncer de hueso | Cancro dell'osso | Botkanker
osteosarcoma | Osteosarcoma | Osteosarkom | Ostéosarcome | Osteosarcoma | Osteosarcoma | Osteosarcoom
ewing-sarcoma | Ewing sarcoma | Ewing-Sarkom | Sarcome d'Ewing | Sarcoma de Ewing | Sarcoma di Ewing | Ewingsarcoom
chondrosarcoma | Chondrosarcoma | Chondrosarkom | Chondrosarcome | Condrosarcoma | Condrosarcoma | Chondrosarcoom
blood-cancer | Cancer of blood or lymph | Krebs von Blut oder Lymphe | Cancer du sang ou de la lymphe | Cáncer de la sangre o la linfa | Cancro del sangue o della linfa | Kanker van bloed of lymfe
leukemia | Leukaemia | Leukämie | Leucémie | Leucemia | Leucemia | Leukemie
acute-myeloid-leukemia | Acute myeloid leukaemia | Akute myeloische Leukämie | Leucémie aiguë myéloïde | Leucemia mieloide aguda | Leucemia mieloide acuta | Acute myeloïde leukemie
acute-lymphoblastic-leukemia | Acute lymphoblastic leukaemia | Akute lymphoblastische Leukämie | Leucémie aiguë lymphoblastique | Leucemia linfoblástica aguda | Leucemia linfoblastica acuta | Acute lymfoblastische leukemie
chronic-lymphocytic-leukemia | Chronic lymphocytic leukaemia | Chronische lymphatische Leukämie | Leucémie lymphoïde chronique | Leucemia linfocítica crónica | Leucemia linfatica cronica | Chronische lymfatische leukemie
lymphoma | Lymphoma | Lymphom | Lymphome | Linfoma | Linfoma | Lymfoom
hodgkin-lymphoma | Hodgkin lymphoma | Hodgkin-Lymphom | Lymphome de Hodgkin | Linfoma de Hodgkin | Linfoma di Hodgkin | Hodgkinlymfoom
non-hodgkin-lymphoma | Non-Hodgkin lymphoma | Non-Hodgkin-Lymphom | Lymphome non hodgkinien | Linfoma no Hodgkin | Linfoma non Hodgkin | Non-hodgkinlymfoom
diffuse-large-b-cell-lymphoma | Diffuse large B-cell lymphoma | Diffuses großzelliges B-Zell-Lymphom | Lymphome diffus à grandes cellules B | Linfoma difuso de células B grandes | Linfoma diffuso a grandi cellule B | Diffuus grootcellig B-cellymfoom
burkitt-lymphoma | Burkitt lymphoma | Burkitt-Lymphom | Lymphome de Burkitt | Linfoma de Burkitt | Linfoma di Burkitt | Burkittlymfoom
multiple-myeloma | Multiple myeloma | Multiples Myelom | Myélome multiple | Mieloma múltiple | Mieloma multiplo | Multipel myeloom
copd | Chronic obstructive pulmonary disease | Chronisch obstruktive Lungenerkrankung | Bronchopneumopathie chronique obstructive | Enfermedad pulmonar obstructiva crónica | Broncopneumopatia cronica ostruttiva | Chronische obstructieve longziekte
emphysema | Pulmonary emphysema | Lungenemphysem | Emphysème pulmonaire | Enfisema pulmonar | Enfisema polmonare | Longemfyseem
asthma | Asthma | Asthma | Asthme | Asma | Asma | Astma
bronchiectasis | Bronchiectasis | Bronchiektasie | Bronchectasie | Bronquiectasia | Bronchiectasia | Bronchiëctasie
cystic-fibrosis | Cystic fibrosis | Mukoviszidose | Mucoviscidose | Fibrosis quística | Fibrosi cistica | Taaislijmziekte
interstitial-lung-disease | Interstitial lung disease | Interstitielle Lungenerkrankung | Pneumopathie interstitielle | Enfermedad pulmonar intersticial | Malattia polmonare interstiziale | Interstitiële longziekte
pulmonary-fibrosis | Pulmonary fibrosis | Lungenfibrose | Fibrose pulmonaire | Fibrosis pulmonar | Fibrosi polmonare | Longfibrose
idiopathic-pulmonary-fibrosis | Idiopathic pulmonary fibrosis | Idiopathische Lungenfibrose | Fibrose pulmonaire idiopathique | Fibrosis pulmonar idiopática | Fibrosi polmonare idiopatica | Idiopathische longfibrose
pneumoconiosis | Pneumoconiosis | Pneumokoniose | Pneumoconiose | Neumoconiosis | Pneumoconiosi | Pneumoconiose
silicosis | Silicosis | Silikose | Silicose | Silicosis | Silicosi | Silicose
asbestosis | Asbestosis | Asbestose | Asbestose | Asbestosis | Asbestosi | Asbestose
pneumonia | Pneumonia | Lungenentzündung | Pneumonie | Neumonía | Polmonite | Longontsteking
viral-pneumonia | Viral pneumonia | Virale Lungenentzündung | Pneumonie virale | Neumonía vírica | Polmonite virale | Virale longontsteking
bacterial-pneumonia | Bacterial pneumonia | Bakterielle Lungenentzündung | Pneumonie bactérienne | Neumonía bacteriana | Polmonite batterica | Bacteriële longontsteking
covid-19 | COVID-19 | COVID-19 | COVID-19 | COVID-19 | COVID-19 | COVID-19
pulmonary-tuberculosis | Pulmonary tuberculosis | Lungentuberkulose | Tuberculose pulmonaire | Tuberculosis pulmonar | Tubercolosi polmonare | Longtuberculose
pulmonary-sarcoidosis | Pulmonary sarcoidosis | Sarkoidose der Lunge | Sarcoïdose pulmonaire | Sarcoidosis pulmonar | Sarcoidosi polmonare | Sarcoïdose van de long
pulmonary-embolism | Pulmonary embolism | Lungenembolie | Embolie pulmonaire | Embolia pulmonar | Embolia polmonare | Longembolie
pulmonary-hypertension | Pulmonary hypertension | Pulmonale Hypertonie | Hypertension pulmonaire | Hipertensión pulmonar | Ipertensione polmonare | Pulmonale hypertensie
acute-respiratory-distress-syndrome | Acute respiratory distress syndrome | Akutes Atemnotsyndrom | Syndrome de détresse respiratoire aiguë | Síndrome de dificultad respiratoria aguda | Sindrome da distress respiratorio acuto | Acuut ademnoodsyndroom
pneumothorax | Pneumothorax | Pneumothorax | Pneumothorax | Neumotórax | Pneumotorace | Pneumothorax
"""
