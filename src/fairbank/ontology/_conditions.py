"""Conditions that imaging collections are about: cancers, their broader groups, and diseases of the lung.

Each line: word, MONDO id, ICD-10 code that it is coded under, broader words. A dash means none that is certain.
The hierarchy is ours; it follows MONDO 2026-05-05 where MONDO has the link, and common clinical grouping
elsewhere.

Sources: Mondo Disease Ontology (Monarch Initiative, CC BY 4.0) for the ids; ICD-10 (WHO), codes only.
"""

from __future__ import annotations

from typing import Final

# word | MONDO | ICD-10 | broader
CONDITION_ROWS: Final = """
cancer | 0004992 | C00-C97 | -
carcinoma | 0004993 | - | cancer
adenocarcinoma | 0004970 | - | carcinoma
squamous-cell-carcinoma | 0005096 | - | carcinoma
metastatic-cancer | 0024880 | C77-C79 | cancer
brain-metastasis | 1040026 | C79.3 | metastatic-cancer
respiratory-disease | 0005087 | - | -
lung-disease | 0005275 | - | respiratory-disease
lung-cancer | 0008903 | C34 | cancer lung-disease
non-small-cell-lung-cancer | 0005233 | C34 | lung-cancer carcinoma
lung-adenocarcinoma | 0005061 | C34 | non-small-cell-lung-cancer adenocarcinoma
lung-squamous-cell-carcinoma | 0005097 | C34 | non-small-cell-lung-cancer squamous-cell-carcinoma
lung-large-cell-carcinoma | 0003050 | C34 | non-small-cell-lung-cancer
small-cell-lung-cancer | 0008433 | C34 | lung-cancer carcinoma
mesothelioma | 0006292 | C45 | cancer
thymoma | 0006456 | - | -
thymus-cancer | 0002586 | C37 | cancer
breast-cancer | 0007254 | C50 | cancer
invasive-breast-carcinoma | 0006256 | C50 | breast-cancer carcinoma
breast-ductal-carcinoma | 0005590 | - | breast-cancer adenocarcinoma
breast-lobular-carcinoma | 0000552 | - | breast-cancer adenocarcinoma
ductal-carcinoma-in-situ | 0005023 | D05.1 | breast-ductal-carcinoma
digestive-cancer | 0002516 | C15-C26 | cancer
esophageal-cancer | 0007576 | C15 | digestive-cancer
esophageal-carcinoma | 0019086 | C15 | esophageal-cancer carcinoma
gastric-cancer | 0001056 | C16 | digestive-cancer
gastric-adenocarcinoma | 0005036 | C16 | gastric-cancer adenocarcinoma
gastroesophageal-cancer | 0850129 | - | digestive-cancer
colorectal-cancer | 0005575 | C18-C20 | digestive-cancer
colon-cancer | 0021063 | C18 | colorectal-cancer
colon-adenocarcinoma | 0002271 | C18 | colon-cancer adenocarcinoma
colon-mucinous-adenocarcinoma | 0005007 | C18 | colon-adenocarcinoma
rectal-cancer | 0006519 | C20 | colorectal-cancer
rectal-adenocarcinoma | 0002169 | C20 | rectal-cancer adenocarcinoma
colorectal-adenoma | 0005484 | - | -
anal-cancer | 0001879 | C21 | digestive-cancer
anal-squamous-cell-carcinoma | 0006082 | C21 | anal-cancer squamous-cell-carcinoma
liver-cancer | 0002691 | C22 | digestive-cancer
hepatocellular-carcinoma | 0007256 | C22.0 | liver-cancer carcinoma
hepatoblastoma | 0018666 | C22.2 | liver-cancer
cholangiocarcinoma | 0019087 | - | digestive-cancer carcinoma
intrahepatic-cholangiocarcinoma | 0003210 | C22.1 | cholangiocarcinoma liver-cancer
gallbladder-cancer | 0005411 | C23 | digestive-cancer
pancreatic-cancer | 0009831 | C25 | digestive-cancer
pancreatic-adenocarcinoma | 0006047 | C25 | pancreatic-cancer adenocarcinoma
pancreatic-ductal-adenocarcinoma | 0005184 | C25 | pancreatic-adenocarcinoma
gastrointestinal-stromal-tumour | 0011719 | - | -
head-and-neck-cancer | 0005627 | - | cancer
head-and-neck-squamous-cell-carcinoma | 0010150 | - | head-and-neck-cancer squamous-cell-carcinoma
oral-cavity-cancer | 0005515 | - | head-and-neck-cancer
oropharyngeal-cancer | 0004608 | C10 | head-and-neck-cancer
nasopharyngeal-carcinoma | 0015459 | C11 | head-and-neck-cancer carcinoma
laryngeal-cancer | 0002352 | C32 | head-and-neck-cancer
salivary-gland-cancer | 0004669 | C07-C08 | head-and-neck-cancer
endocrine-cancer | 0021069 | C73-C75 | cancer
thyroid-cancer | 0002108 | C73 | endocrine-cancer
papillary-thyroid-carcinoma | 0005075 | C73 | thyroid-cancer carcinoma
adrenal-cancer | 0002817 | C74 | endocrine-cancer
adrenocortical-carcinoma | 0006639 | C74.0 | adrenal-cancer carcinoma
neuroendocrine-neoplasm | 0019496 | - | -
neuroendocrine-carcinoma | 0002120 | - | neuroendocrine-neoplasm carcinoma
pancreatic-neuroendocrine-tumour | 0019954 | - | neuroendocrine-neoplasm
paraganglioma | 0000448 | - | neuroendocrine-neoplasm
pheochromocytoma | 0008233 | - | neuroendocrine-neoplasm
brain-cancer | 0001657 | C71 | cancer
glioma | 0021042 | - | -
low-grade-glioma | 0021637 | - | glioma
malignant-glioma | 0100342 | - | glioma cancer
glioblastoma | 0018177 | C71 | malignant-glioma brain-cancer
astrocytoma | 0019781 | - | glioma
oligodendroglioma | 0016695 | - | glioma
ependymoma | 0016698 | - | glioma
diffuse-intrinsic-pontine-glioma | 0006033 | C71.7 | malignant-glioma brain-cancer
medulloblastoma | 0007959 | C71.6 | brain-cancer
meningioma | 0016642 | - | -
vestibular-schwannoma | 0001569 | D33.3 | -
neuroblastoma | 0005072 | - | cancer
retinoblastoma | 0008380 | C69.2 | cancer
urinary-cancer | 0006295 | C64-C68 | cancer
kidney-cancer | 0002367 | C64 | urinary-cancer
renal-cell-carcinoma | 0005086 | C64 | kidney-cancer carcinoma
clear-cell-renal-cell-carcinoma | 0005005 | C64 | renal-cell-carcinoma
papillary-renal-cell-carcinoma | 0017884 | C64 | renal-cell-carcinoma
chromophobe-renal-cell-carcinoma | 0017885 | C64 | renal-cell-carcinoma
wilms-tumour | 0019004 | C64 | kidney-cancer
urothelial-carcinoma | 0040679 | - | urinary-cancer carcinoma
bladder-cancer | 0001187 | C67 | urinary-cancer
bladder-urothelial-carcinoma | 0005611 | C67 | bladder-cancer urothelial-carcinoma
male-genital-cancer | 0005836 | C60-C63 | cancer
prostate-cancer | 0008315 | C61 | male-genital-cancer
prostate-adenocarcinoma | 0005082 | C61 | prostate-cancer adenocarcinoma
testicular-cancer | 0005447 | C62 | male-genital-cancer
testicular-germ-cell-tumour | 0010108 | - | -
female-genital-cancer | 0001416 | C51-C58 | cancer
ovarian-cancer | 0008170 | C56 | female-genital-cancer
ovarian-serous-carcinoma | 0005211 | C56 | ovarian-cancer adenocarcinoma
ovarian-serous-cystadenocarcinoma | 0006046 | C56 | ovarian-serous-carcinoma
cervical-cancer | 0002974 | C53 | female-genital-cancer
cervical-squamous-cell-carcinoma | 0006143 | C53 | cervical-cancer squamous-cell-carcinoma
cervical-adenocarcinoma | 0005153 | C53 | cervical-cancer adenocarcinoma
endocervical-adenocarcinoma | 0000554 | C53.0 | cervical-adenocarcinoma
uterine-cancer | 0002715 | - | female-genital-cancer
endometrial-cancer | 0011962 | C54.1 | uterine-cancer
endometrial-carcinoma | 0002447 | C54.1 | endometrial-cancer carcinoma
uterine-carcinosarcoma | 0006485 | - | uterine-cancer
skin-cancer | 0002898 | C43-C44 | cancer
melanoma | 0005105 | - | cancer
cutaneous-melanoma | 0005012 | C43 | melanoma skin-cancer
uveal-melanoma | 0006486 | C69 | melanoma
basal-cell-carcinoma | 0005341 | C44 | skin-cancer carcinoma
merkel-cell-carcinoma | 0019210 | C44 | skin-cancer neuroendocrine-carcinoma
sarcoma | 0005089 | - | cancer
soft-tissue-sarcoma | 0018078 | - | sarcoma
leiomyosarcoma | 0005058 | - | soft-tissue-sarcoma
liposarcoma | 0005060 | - | soft-tissue-sarcoma
rhabdomyosarcoma | 0005212 | - | soft-tissue-sarcoma
synovial-sarcoma | 0010434 | - | soft-tissue-sarcoma
myxofibrosarcoma | 0019202 | - | soft-tissue-sarcoma
peripheral-nerve-sheath-tumour | 0017827 | - | soft-tissue-sarcoma
bone-cancer | 0002129 | C40-C41 | cancer
osteosarcoma | 0009807 | - | sarcoma
ewing-sarcoma | 0012817 | - | sarcoma
chondrosarcoma | 0008977 | - | sarcoma
blood-cancer | 0044881 | C81-C96 | cancer
leukemia | 0005059 | C91-C95 | blood-cancer
acute-myeloid-leukemia | 0018874 | C92.0 | leukemia
acute-lymphoblastic-leukemia | 0004967 | C91.0 | leukemia
chronic-lymphocytic-leukemia | 0004948 | C91.1 | leukemia
lymphoma | 0005062 | C81-C86 | blood-cancer
hodgkin-lymphoma | 0004952 | C81 | lymphoma
non-hodgkin-lymphoma | 0018908 | C82-C86 | lymphoma
diffuse-large-b-cell-lymphoma | 0018905 | C83.3 | non-hodgkin-lymphoma
burkitt-lymphoma | 0007243 | C83.7 | non-hodgkin-lymphoma
multiple-myeloma | 0009693 | C90.0 | blood-cancer
copd | 0005002 | J44 | lung-disease
emphysema | 0004849 | J43 | lung-disease
asthma | 0004979 | J45 | respiratory-disease
bronchiectasis | 0004822 | J47 | lung-disease
cystic-fibrosis | 0009061 | E84 | respiratory-disease
interstitial-lung-disease | 0015925 | J84 | lung-disease
pulmonary-fibrosis | 0002771 | J84.1 | interstitial-lung-disease
idiopathic-pulmonary-fibrosis | 0800504 | J84.1 | pulmonary-fibrosis
pneumoconiosis | 0015926 | - | lung-disease
silicosis | 0005960 | J62 | pneumoconiosis
asbestosis | 0016466 | J61 | pneumoconiosis
pneumonia | 0005249 | J12-J18 | lung-disease
viral-pneumonia | 0006012 | J12 | pneumonia
bacterial-pneumonia | 0004652 | - | pneumonia
covid-19 | 0100096 | U07.1 | respiratory-disease
pulmonary-tuberculosis | 0006052 | - | lung-disease
pulmonary-sarcoidosis | 0001708 | D86.0 | lung-disease
pulmonary-embolism | 0005279 | I26 | lung-disease
pulmonary-hypertension | 0005149 | I27 | lung-disease
acute-respiratory-distress-syndrome | 0006502 | J80 | lung-disease
pneumothorax | 0002076 | J93 | respiratory-disease
"""

# Words whose MONDO class is not quite the same: ours says what a collection means by the word.
CLOSE_ONLY: Final = frozenset({"astrocytoma", "blood-cancer"})

# Spellings, as `conditions.key` writes them, that mean a word above. Labels and words themselves need no line.
# Ours, from the cancer types that published collections name.
CONDITION_SPELLINGS: Final[dict[str, str]] = {
    "acinar cell carcinoma": "carcinoma",
    "acoustic neuroma": "vestibular-schwannoma",
    "adrenal cortex carcinoma": "adrenocortical-carcinoma",
    "adrenal cortical carcinoma": "adrenocortical-carcinoma",
    "all": "acute-lymphoblastic-leukemia",
    "aml": "acute-myeloid-leukemia",
    "ards": "acute-respiratory-distress-syndrome",
    "bladder endothelial carcinoma": "bladder-cancer",
    "bladder transitional cell carcinoma": "bladder-urothelial-carcinoma",
    "brain tumor": "brain-cancer",
    "breast carcinoma": "breast-cancer",
    "breast ductal adenocarcinoma": "breast-ductal-carcinoma",
    "breast invasive carcinoma": "invasive-breast-carcinoma",
    "bronchial carcinoma": "lung-cancer",
    "bronchogenic carcinoma": "lung-cancer",
    "cancer of unknown primary": "cancer",
    "carcinosarcoma of uterus": "uterine-carcinosarcoma",
    "ccrcc": "clear-cell-renal-cell-carcinoma",
    "cervix cancer": "cervical-cancer",
    "clear cell carcinoma": "carcinoma",
    "cll": "chronic-lymphocytic-leukemia",
    "colon precancer": "colorectal-adenoma",
    "colorectal carcinoma": "colorectal-cancer",
    "coronavirus disease 2019": "covid-19",
    "corpus endometrial carcinoma": "endometrial-carcinoma",
    "covid": "covid-19",
    "covid19": "covid-19",
    "crc": "colorectal-cancer",
    "cutaneous squamous cell carcinoma": "skin-cancer",
    "dcis": "ductal-carcinoma-in-situ",
    "dipg": "diffuse-intrinsic-pontine-glioma",
    "dlbcl": "diffuse-large-b-cell-lymphoma",
    "ductal adenocarcinoma": "adenocarcinoma",
    "endometrium cancer": "endometrial-cancer",
    "esophagus cancer": "esophageal-cancer",
    "esophagus carcinoma": "esophageal-carcinoma",
    "ewing sarcoma peripheral pnet": "ewing-sarcoma",
    "gbm": "glioblastoma",
    "gist": "gastrointestinal-stromal-tumour",
    "glioblastoma multiforme": "glioblastoma",
    "hcc": "hepatocellular-carcinoma",
    "head neck cancer": "head-and-neck-cancer",
    "head neck squamous cell carcinoma": "head-and-neck-squamous-cell-carcinoma",
    "hematologic cancer": "blood-cancer",
    "hematological malignancy": "blood-cancer",
    "hnscc": "head-and-neck-squamous-cell-carcinoma",
    "hodgkins lymphoma": "hodgkin-lymphoma",
    "hypernephroma": "renal-cell-carcinoma",
    "ild": "interstitial-lung-disease",
    "invasive breast carcinoma of no special type": "invasive-breast-carcinoma",
    "invasive ductal carcinoma": "breast-ductal-carcinoma",
    "invasive lobular carcinoma": "breast-lobular-carcinoma",
    "ipf": "idiopathic-pulmonary-fibrosis",
    "kidney chromophobe": "chromophobe-renal-cell-carcinoma",
    "kidney renal clear cell carcinoma": "clear-cell-renal-cell-carcinoma",
    "kidney renal papillary cell carcinoma": "papillary-renal-cell-carcinoma",
    "kidney tumor": "kidney-cancer",
    "larynx cancer": "laryngeal-cancer",
    "liver hepatocellular carcinoma": "hepatocellular-carcinoma",
    "liver metastases": "metastatic-cancer",
    "lower grade glioma": "low-grade-glioma",
    "luad": "lung-adenocarcinoma",
    "lung carcinoma": "lung-cancer",
    "lung other": "lung-cancer",
    "lung tumor": "lung-cancer",
    "lusc": "lung-squamous-cell-carcinoma",
    "lymphoid neoplasm diffuse large b cell lymphoma": "diffuse-large-b-cell-lymphoma",
    "malignant melanoma": "melanoma",
    "mammary carcinoma": "breast-cancer",
    "metastases": "metastatic-cancer",
    "metastatic disease": "metastatic-cancer",
    "mpnst": "peripheral-nerve-sheath-tumour",
    "mucinous adenocarcinoma": "adenocarcinoma",
    "mucoepidermoid carcinoma": "carcinoma",
    "myeloma": "multiple-myeloma",
    "nasopharyngeal cancer": "nasopharyngeal-carcinoma",
    "nasopharynx cancer": "nasopharyngeal-carcinoma",
    "nephroblastoma": "wilms-tumour",
    "neuroendocrine cancer": "neuroendocrine-carcinoma",
    "neuroendocrine tumor": "neuroendocrine-neoplasm",
    "nhl": "non-hodgkin-lymphoma",
    "non small cell carcinoma": "non-small-cell-lung-cancer",
    "non small cell lung carcinoma": "non-small-cell-lung-cancer",
    "nsclc": "non-small-cell-lung-cancer",
    "oropharynx cancer": "oropharyngeal-cancer",
    "oropharynx carcinoma": "oropharyngeal-cancer",
    "ovarian serous adenocarcinoma": "ovarian-serous-carcinoma",
    "ovary cancer": "ovarian-cancer",
    "pancreas adenocarcinoma": "pancreatic-adenocarcinoma",
    "pancreas cancer": "pancreatic-cancer",
    "pdac": "pancreatic-ductal-adenocarcinoma",
    "pe": "pulmonary-embolism",
    "plasma cell myeloma": "multiple-myeloma",
    "prostate carcinoma": "prostate-cancer",
    "rcc": "renal-cell-carcinoma",
    "rectum adenocarcinoma": "rectal-adenocarcinoma",
    "rectum cancer": "rectal-cancer",
    "sarcomas": "sarcoma",
    "sars cov 2 infection": "covid-19",
    "sclc": "small-cell-lung-cancer",
    "skin cutaneous melanoma": "cutaneous-melanoma",
    "small cell lung carcinoma": "small-cell-lung-cancer",
    "spindle cell sarcoma": "sarcoma",
    "squamous cell lung carcinoma": "lung-squamous-cell-carcinoma",
    "testicular germ cell": "testicular-germ-cell-tumour",
    "testis cancer": "testicular-cancer",
    "thymic carcinoma": "thymus-cancer",
    "thyroid carcinoma": "thyroid-cancer",
    "transitional cell carcinoma": "urothelial-carcinoma",
    "tuberculosis of lung": "pulmonary-tuberculosis",
    "urinary bladder cancer": "bladder-cancer",
    "urothelial bladder cancer": "bladder-cancer",
    "uterine corpus endometrial carcinoma": "endometrial-carcinoma",
    "uterus cancer": "uterine-cancer",
}

# Places of a tumour, as `conditions.key` writes them, and the cancer there.
CANCER_AT: Final[dict[str, str]] = {
    "adrenal": "adrenal-cancer",
    "adrenal gland": "adrenal-cancer",
    "adrenal glands": "adrenal-cancer",
    "anus": "anal-cancer",
    "bladder": "bladder-cancer",
    "bladder organ": "bladder-cancer",
    "body of uterus": "uterine-cancer",
    "bone": "bone-cancer",
    "bone element": "bone-cancer",
    "brain": "brain-cancer",
    "breast": "breast-cancer",
    "cervix": "cervical-cancer",
    "colon": "colon-cancer",
    "esophagus": "esophageal-cancer",
    "gallbladder": "gallbladder-cancer",
    "head and neck": "head-and-neck-cancer",
    "head neck": "head-and-neck-cancer",
    "kidney": "kidney-cancer",
    "larynx": "laryngeal-cancer",
    "liver": "liver-cancer",
    "lung": "lung-cancer",
    "oral cavity": "oral-cavity-cancer",
    "ovary": "ovarian-cancer",
    "pancreas": "pancreatic-cancer",
    "prostate": "prostate-cancer",
    "prostate gland": "prostate-cancer",
    "rectum": "rectal-cancer",
    "skin": "skin-cancer",
    "skin of body": "skin-cancer",
    "stomach": "gastric-cancer",
    "testicles": "testicular-cancer",
    "testis": "testicular-cancer",
    "thymus": "thymus-cancer",
    "thyroid": "thyroid-cancer",
    "thyroid gland": "thyroid-cancer",
    "uterine cervix": "cervical-cancer",
    "uterus": "uterine-cancer",
}

# A tissue named without its place, with the cancer of the place: what both together are.
TISSUE_AT: Final[dict[tuple[str, str], str]] = {
    ("adenocarcinoma", "cervical-cancer"): "cervical-adenocarcinoma",
    ("adenocarcinoma", "colon-cancer"): "colon-adenocarcinoma",
    ("adenocarcinoma", "gastric-cancer"): "gastric-adenocarcinoma",
    ("adenocarcinoma", "lung-cancer"): "lung-adenocarcinoma",
    ("adenocarcinoma", "pancreatic-cancer"): "pancreatic-adenocarcinoma",
    ("adenocarcinoma", "prostate-cancer"): "prostate-adenocarcinoma",
    ("adenocarcinoma", "rectal-cancer"): "rectal-adenocarcinoma",
    ("squamous-cell-carcinoma", "anal-cancer"): "anal-squamous-cell-carcinoma",
    ("squamous-cell-carcinoma", "cervical-cancer"): "cervical-squamous-cell-carcinoma",
    ("squamous-cell-carcinoma", "head-and-neck-cancer"): "head-and-neck-squamous-cell-carcinoma",
    ("squamous-cell-carcinoma", "lung-cancer"): "lung-squamous-cell-carcinoma",
    ("carcinoma", "esophageal-cancer"): "esophageal-carcinoma",
}
