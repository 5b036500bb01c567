"""Clinical words that may stay in free-text descriptors: anatomy, planes, phases, sequences and reconstruction.

Chosen by hand for English, German, French, Spanish, Italian and Dutch, with the forms of DICOM PS3.16 (Annex L, CID
4031) and the abbreviations of scanners. Words that are above all names of people or places are left out. Words that are
also surnames (Head, Bone, Sharp …) are here because they are clinical: `descriptors` masks them where they stand for a
person.
"""

from __future__ import annotations

_SCANNERS = """
opa opl he na tp pg lsqx volser lsplus lsult hsqx lspr vzoom sen aqul mx mx8000 lightspeed sensation aquilion
brilliance somatom definition discovery optima revolution avanto aera skyra prisma trio verio vida signa achieva
ingenia intera ingenuity gemini biograph mmr mct frozen ffpe seed inception evaluations fullres harmonized scattered
heterogeneous hetero range product fatty dense round reader classification interest stain collection slope alpha
preview scouts surview procedure consensus fully aligned coefficient apparent dyna completed partially analysis fz tsa
nt bp stl gk tt np dsr ipat ffe mix flex atten corrected characterization unit research spontaneous functional motor
language endorectal grade infused preinvasive macro films film storage plate midthigh protocols mamm pelv abdome brst
braintumor channel contouring imri oncology combo ph
"""
_ANATOMY = """
abd abdo abdom abdomen abdomens abdominal abdomenpelvis abdpelvis abdomenandpelvis acetabulum achilles acoustic
adenopathy adnexa adrenal adrenals airway airways alveolar amygdala anal ankle ankles antrum anus aorta aortic
aortoiliac apex appendix arch arm arms arterial arteries artery articular atlas atrium auditory axilla axillary back
basal basilar bile biliary bladder bladders body bone bones bony bowel brachial brain brainstem breast breasts bronchi
bronchial bronchus buttock calcaneus calf callosum calvarium canal cap capsule cardiac carotid carotids carpal
cartilage caudate cava cavity cecum celiac cerebellar cerebellum cerebral cerebrum cervical cervix chamber cheek chest
chestabdomen chestabdomenpelvis chestabdpelvis chin choroid clavicle clivus coccyx cochlea colon colonic column
condyle conus cord cornea coronary corpus cortex cortical cranial cranium cspine csp csf cuff dental diaphragm digit
disc disk dorsal ductal duct ducts duodenum dural ear ears elbow elbows endometrium epidural epigastric epiglottis
esophagus ethmoid extremities extremity eye eyes face facet facial fallopian fascia femora femoral femur fetal fetus
fibula finger fingers flank foot forearm forefoot foramen fossa frontal fundus gallbladder ganglia gastric
gastrointestinal genital glenoid gland glands gluteal glottis gray groin gyrus hand hands haunch head headneck
hemisphere hepatic hilar hilum hindfoot hip hips hippocampal hippocampus humeral humerus hypopharynx hypothalamus iac
ileum iliac ilium inguinal inner interior intercostal intestine intracranial intestinal ischium jaw jejunum joint
joints jugular kidney kidneys knee knees kub labrum lacrimal larynx leg legs lens ligament ligaments limb limbs lip
lips liver lobe lobes lower lspine lsp ls lumbar lumbosacral lumen lung lungs lymph lymphatic lymphnode lymphnodes
mammary mandible mandibular marrow mastoid matter maxilla maxillary maxillofacial meatus median mediastinal
mediastinum medulla membrane meniscus mesenteric mesentery metacarpal metatarsal midbrain midfoot mitral molar mouth
muscle muscles musculoskeletal myocardial myocardium nail nasal nasopharynx navel neck nerve nerves nipple node nodes
nose nostril nucleus occipital occiput ocular oesophagus olecranon omentum optic oral orbit orbita orbital orbits
organ organs oropharynx ovarian ovaries ovary palate pancreas pancreatic panorex paranasal parathyroid parietal
parotid patella patellar pelvic pelvis penile penis perianal pericardial pericardium perineum periorbital peritoneal
peritoneum petrous phalanx pharynx pituitary placenta pleura pleural plexus pns pons popliteal portal posture prostate
prostatic pubic pubis pulmonary pylorus radial radius rectal rectum renal retina retroperitoneal retroperitoneum rib
ribs root rotator sacral sacroiliac sacrum saliva salivary scalp scaphoid scapula scrotal scrotum sella sellar septum
shoulder shoulders sigmoid sinus sinuses skeletal skeleton skin skull skullbase spinal spine spines spleen splenic
sternal sternum stomach subclavian subcutaneous sulcus supraclavicular sural symphysis tailbone talus tarsal teeth
temporal tendon tendons testicle testicular testis thalamus thigh thighs thoracic thoracoabdominal thoracolumbar
thorax throat thumb thymus thyroid tibia tibial tissue tissues tmj toe toes tongue tonsil tooth torso trachea tract
trochanter trunk tspine tsp tube ulna ulnar umbilical umbilicus upper ureter ureters urethra urinary urogenital
uterine uterus vagina vaginal valve vascular vasculature vein veins vena venous ventral ventricle ventricles
ventricular vertebra vertebrae vertebral vertex vesicle vessel vessels vestibular viscera vulva wholebody wb womb
wrist wrists zygoma extracranial subthalamic insula putamen pallidum thyroidea wall whole dura pleura cell cells
septal sax lax
"""
_PLACES = """
anterior ant antero anteroposterior ap ax axi axial axials axl bilat bilateral bilaterally bil both cc caudal
caudocranial central cephalic contralateral cor coronal coronals coro cranial craniocaudal decub decubitus distal
dorsal erect external feet ffdp ffds ffp ffs flexion extension frog frontal hfdp hfds hfp hfs horizontal inf inferior
inner internal intermediate ipsilateral ips lat lateral laterals left lft lhs lld long longitudinal lt medial
mediolateral medio mid middle midline midsagittal ml mlo nearside neutral ob obl oblique obliques odontoid outer
outlet pa parallel para parasagittal parasag peripheral perpendicular post posterior posteroanterior prone prox
proximal radial rao lao rcc lcc rmlo lmlo rhs right rld rot rotated rotation rt sag sagittal sagittals seated
semierect short side sides sitting skyline standing straight sup superior supine sunrise swimmers tangential tra tran
trans transaxial transversal transverse transverses trv trav tunnel upright vertical view views wt weightbearing inlet
base top bottom quarter half quadrant segment segments level levels position positioned positioning angle angled tilt
tilted rl lr si fh hf
"""
_MODALITIES = """
angio angiogram angiographic angiography arthro arthrogram arthrography bmd cbct cine colonography colonoscopy cr csi
ct cta ctac ctangio ctp ctu ctv cisternography densitometry dr dsa dts dbt dx dxa echo echocardiogram echocardiography
ecg ekg elastography endoscopy enterography enteroclysis fluoro fluoroscopy ffdm fmri ga holter io iop ivp ivus
lymphography mammo mammogram mammograms mammography mammographic mbi mg micro mpet mr mra mrcp mre mrg mri mrs mrt mrv
myelo myelogram myelography nm oct opg opt ot pan panoramic pano perf petct petmr petmri pet port portable pr ptct pt
px radiograph radiographic radiography radiology radiotherapy rf rgb rt rtdose rtimage rtplan rtstruct sc scan scanner
scans scanned scintigraphy seg segs siascopy sm spect spectct spectroscopy sr stereotactic tomo tomogram tomography
tomosynthesis topogram topo ultrasound ultrasonography urogram urography us venogram venography videofluoroscopy
virtual vr xa xc xr xray xrays hysterosalpingogram dexa histology histopathology pathology cytology biopsy slide smear
aspirate specimen fundus oct octa dermoscopy photo photograph endo microscopy
"""
_SEQUENCES = """
adc add adiabatic advdiff aif arterialspin asl aspir asset av2 b0 bh bffe balanced blade blood bold bravo bright btfe
bval bvals bvalue bvalues calc calculated cartigram cbf cbv ce cemra cest ciss coherent coil coils composed contrast
corr cosmic cpmg cpr cube dark dce decay dess diff diffusion diffweighted difftensor dir disco dis2d dis3d distortion
dixon dki double driven dsc dti dual dualecho dw dwi dwibs dyn dynamic dynamics dynaviews dynasuite eadc echo echoes
echoplanar edr effe efgre efgre3d efficient ep ep2d epi ethrive exp fa fad fast fastsat fat fatonly fatsat fatsup fb
fgr fgre fgre3d field fieldmap fiesta fiestac fl2d fl3d flair flash flip fov fq fractional frfse fs fsat fse fsexl
fsirm fspgr ftr gad gadavist gado gadolinium gating gated ge gdtpa gfe gradient gre grase grappa haste hastirm hd
hires highres hifi hyper idl ideal idealiq idrive imaging in inhance inphase interleaved interpolated inv inversion ir
irse iso isotropic iterative iview k2 ktrans kspace lava lavaflex lfov linear local locs loc loca locator localiser
localisers localizer localizers lowres lava3d m0 m3d mag magnetization magnitude map mapping maps mask masked matrix
mavric mb mdixon mean medic merge mdc mip mips minip min minimum max maximum moco moll molli motion mpgr mph mpr
mprage mprs mprages mprange mrac mt mtt mtc mtr multi multiband multiecho multiphase multiplanar multislice multishot
mvxd navigator ncc negative nex noncontrast nonenhanced nerveview nonfatsat nsa null nulled opp opposed opposedphase
oop op out outofphase outphase pasl pc pca pcasl pcmri pd pdfs pdw pdwi pe per perfusion permeability phase phased
phases philips pilot plane plane3 planar planes plus pos positive posterior precession prep prescan presat proc proset
proton protondensity psd psir pulse q quick qsm quant quantitative r1 r2 r2star radial ratio readout real recovery ref
reference refscan registered registration rel relaxation relaxometry relative res resolution resolve resp respgated
resptrig retro roi rois rr rs rtof rtrig s0 satband sat satur saturated saturation scan scout se selective sense
senseflex sensitivity seq sequence shim shot shots shuffled signal single singleshot siemens slab slow smart space
spacer spair spatial spc spec spectral specs spectrum spgr spi spin spinecho spir spiral spiro split spoiled ss ssfp
ssfse ssh sshtse star stealth steady stir sub subs subtract subtracted subtraction subtractions supp suppressed
suppression surv survey susceptibility sw swan swi swip swp t1ce t1c t1gd t1fs t1fl t1flair t1mprage t1vibe t1w t1wi
t1map t1rho t2fs t2flair t2fse t2haste t2map t2star t2stir t2tse t2w t2wi taste te tensor tetra tfe tfl thick thin
thrive ti tilt time tirm tmax tof toshiba tr trace tracew traceweighted tracking tram tricks triggered trig true trufi
trufisp truefisp tse tsirm turbo turboflair tw twist ue ute uni vane venc venbold vert vibe vibrant vista vol volum
volume volumes wash washin washout water weighted weight weighting wfs wi wip xd zte wats we water3d hyperband
"""
_RECONSTRUCTION = """
abs ac ace aidr aidr3d algo algorithm alg asir asirv attenuation attn auto autofocus average averaged averages avg
bilinear bin binning bi bone bonesharp boneplus box boxes bpl braindetail chst clear cnr collimation color colour
combined comparison composite compressed compressor conv converted convolution corrected correction cropped crop curve
curved custom cut dap decon deep default denoise denoised detail detector deviation difference digital disp display
displayed dist dlp dlir dose dosimetry dual effective eff edge edges emission en energies energy enhanced enhancement
enlarged exam export exported exposure fast fbp filter filtered filters fine first firm flat focus format frame frames
full fused fusion generated generic gray grey greyscale grid half hard hd head helical helix hi high highres hir
histogram hybrid hu idose imr increment image images inc index info input intensity invert inverted inverse iq ir
kernel kev kv kvp kx large last layer line lineplus lossless lossy low lung lut ma mapped mar mas mask matrix measured
measurement measurements medium med metal model modified monitor monitoring mono monochromatic monoenergetic monoplus
multi nac negative new noise none norm normal normalized null object off on only orig original osem output overlay
overview pack packed parameter parametric partial percent pix pixel pixels plane plot plus point points position
prediction presentation primary processed processing profile projection projections proj protocol quality
quantification raw recon reconed recons reconstructed reconstruction reconstructions rec reduced reduction ref
reformat reformats reformatted reformations reg region regions registered rendered rendering repeat rep report reports
resampled rescaled result results retro rotating routine safire sampled save saved scale scaled scatter score screen
screening sd second secondary seg segment segmentation segmentations segmented selected semi sequential ser series
serie session set sets shape sharp sharpness short size slab slice slices sliceth sliceinc slow small smooth smoothed
smoothing snr soft softtissue spacing special spiral ssd standard static statistics std step stack stitched strip
structure structured study sum summary summed surface synthetic synthesized system table temp template test texture
thick thicker thickness thin thins third threshold thresh thumbnail tool trace tracker transmission true type ultra
uncorrected unenhanced uniform universal unsharp unspecified update upper user value values vector version very vital
voi volume vrt voxel weighted wide window windows width work workstation xl zoom zoomed zoomit vzoom derived dicom bpr
firstorder shape glcm radiomics annotation annotations annotated bounding binary label labels labeled landmark
landmarks manual manually automatic automated detected detection contour contours contoured ai cad cnn net nnu unet
totalsegmentator mc monte carlo phantom qa qc calibration daily water stereo tomo tomohd cview pitch slcol reconfilter
uncompressed simulation simulated simulator
"""
_CONTRAST = """
agent air arterial art artery barium bolus bol ca carbon c11 c choline cm con cons cont contr contra contrast
contrasts contraste cu64 delay delayed delays dotatate dotatoc dry dual dye early empty enema enh enhanced enhancement
equil equilibrium excretion excretory exp expiration expiratory expire f18 fapi fast fdg fdopa fes flt fluid fluorine
flow full ga68 gastrografin gd held hepatobiliary hold inj injected injection insp inspiration inspiratory inspi
intravenous in111 iodine iv ivc ivcon kinetic late lavage lutetium mibg native nat ncct nephro nephrogram
nephrographic no non none nonc oral ora parench parenchymal perfusion phase pharmacologic po portal portalvenous
portovenous portven post postcon postcontrast postgad postgd postinj postgado pre precon precontrast pregad pregado
preinj pv pvp pyl psma radiotracer rect rectal respiration respiratory rest resting saline scan sestamibi spect stress
suv suvbw suvmax suvmean tc99 tc99m tetrofosmin tl201 tracer triphasic triple uptake uv valsalva vein ven venous void
w wash washout water wc with without wo wocon wcon wwo woc ww nc unenhanced breath breathhold breathe breathing free
gated ungated triggered min mins minute minutes hour hours sec secs second seconds biphasic biphase multiphasic
systole systolic diastole diastolic enddiastole endsystole
"""
_FINDINGS = """
abnormal abscess acute aneurysm appendicitis arthritis asymmetry atelectasis atrophy benign biopsy birads bleed
bleeding bypass calcification calcifications calcium calculus cancer carcinoma catheter chronic clip clips cyst cysts
cystic defect deformity device diagnostic disease displacement dissection drain edema effusion embolism emphysema
endoleak fibrosis fistula fluid foreign fracture fractures gas glioma graft hematoma hemorrhage hernia implant
implants infarct infection inflammation inflammatory injury interventional invasive ischemia lesion lesions leukemia
lymphoma malignant mass masses melanoma meningioma metastases metastasis metastatic mets myeloma necrosis neoplasia
neoplasm nodule nodules nodular normal obstruction occlusion pain palpable patch perforation peritonitis plaque
pneumonia pneumothorax polyp polyps prosthesis ruptured sarcoma screw sclerosis sepsis shunt sinusitis stenosis stent
stone stones stroke swelling symptomatic tear tumor tumors tumour tumours trauma thrombosis thrombus ulcer vasculitis
whiplash varices viable aggressiveness scoliosis osteoporosis node finding findings impression intraop preop postop
intraoperative preoperative postoperative operative surgical surgery treatment therapy response staging restaging
stage recurrence recurrent residual baseline followup follow fu initial interval screening surveillance guidance
guided planning plan plans beam beams boost field fields fraction fx gtv itv ctv ptv oar isocenter isodose bolus couch
setup simulation treatment target targets margin ablation embolization drainage puncture needle wire tube line lines
port pacemaker pace emergency urgent routine clinical research trial diagnosis protocol patient adult adults child
children pediatric paediatric neonatal newborn infant obstetric gynecology male female limited complete comprehensive
abbreviated extended standard additional add repeat attempt outside import imported prior current previous comparison
unilateral unilat single double triple multiple bilateral total partial
"""
_LITTLE = """
a o an and are as at be below between by during each for from has if including into is its more not of off on one only
or other over per plus right same than that the then this through to two three four under until up upto use using vs
versus was wide within yes no none all any before after above new old first second third fourth last next start end
stop begin run pass passage part parts part1 part2 number nr num set group average step 2nd 1st 3rd 4th unknown unkn
other misc mm cm ml mg kg hz khz mhz kev kv kvp ma mas msec ms sec s deg degree degrees percent hu gy cgy mgy mgycm
suv x r l non isotropic auto mode dose report series study exam examination scan scanning image picture screen capture
captured
"""
_GERMAN = """
abdomenübersicht abdomenuebersicht achse achsel achsial akut allgemein arm arterie arteriell aufnahme auge augen axial
atemlage atemstop atemtriggerung atemgetriggert atemanhalt aufnahmen ausatmung bauch becken beckenübersicht
beckenuebersicht beide beidseits bein beine bds befund bild bilder blase brust brustkorb brustwirbelsäule
brustwirbelsaeule bws bwk buch darm diffusion doppel dünn duenn dünnschicht duennschicht dynamik dynamisch einatmung
ellbogen ellenbogen erste exspiration fett fettgesättigt fettgesaettigt ferse finger frontal fuß fuss fuesse füße
ganzkörper ganzkoerper gallenblase gefäß gefaess gefäße gefaesse gehirn gelenk gesicht gesamt hals halswirbelsäule
halswirbelsaeule hand handgelenk harnblase haut herz hinten hirn hoden hüfte huefte hüftgelenk hws hwk hypophyse insp
inspiration innenohr kardio kehlkopf kernel kiefer kiefergelenk kleinhirn knie kniegelenk knochen knöchel knoechel
kontrast kontrastmittel kontrolle kopf koronar koronare körper koerper km kreuzbein leber leiste lenden
lendenwirbelsäule lendenwirbelsaeule liegend linke linken linker links lokalizer luft lunge lungen lws lwk lymphknoten
magen mamma mammae mammographie milz mit mittel muskel nach nacken nase nasennebenhöhlen nasennebenhoehlen nativ
nativen nebenniere nebennieren nerv nieren niere nnh oben oberarm oberbauch oberkiefer oberschenkel ohne ohr ohren
orbita pankreas parenchym pause phase planung portalvenös portalvenoes postkontrast prostata quer rechte rechten
rechter rechts rekonstruktion rippen rücken ruecken sagittal schädel schaedel schädelbasis schilddrüse schilddruese
schicht schichten schlüsselbein schnell schnitt schulter schultergelenk sehnerv seite seitlich serie sitzend spät
spaet spätphase sprunggelenk stehend steissbein sternoklavikular strahlentherapie teilkörper teilkoerper thorax
transversal trocken tumor übersicht uebersicht und unten unterarm unterbauch unterkiefer unterschenkel unter
untersuchung vene venen venös venoes verlauf verlaufskontrolle von vor vorne weich weichteil weichteile
weichteilfenster weich wirbel wirbelsäule wirbelsaeule zahn zähne zaehne zehen zunge zwerchfell zweite knochenfenster
lungenfenster obere unterer untere
"""
_FRENCH = """
abdomino abdominopelvien abdominopelvienne acquisition anterieur antérieur aorte apres après artere artère arteriel
artériel artérielle arterielle articulation avant avec avantbras axiale bassin bouche bras bronches cardiaque cérébral
cerebral cérébrale cerebrale cerveau cervicale cheville coeur coronale coupe coupes coude crane crâne cuisse dent
dents diffusion dorsal dorsale dos droit droite dynamique encéphale encephale epaule épaule estomac face fesse foie
fémur fine fines gauche genou genoux gorge hanche hanches inferieur inférieur injecté injecte injection injectee
injectée inspiration intestin irm jambe jambes langue larynx lombaire machoire mâchoire main mains membre membres mou
mous mammo mammographie moelle nez nuque oeil oreille orteil orteils os osseux parenchyme parties pelvien pelvienne
pied pieds poignet poitrine portale postérieur posterieur poumon poumons prostate pulmonaire rachis radiographie
rapide rate rein reins reconstruction renal rénal rénale repérage reperage sacré sans scanner sein seins sinus sous
spirale superieur supérieur tardif tardive temps tête tete thoracique thorax tissu tissus tronc vaisseaux veine veines
veineux veineuse ventre vertebre vertèbre vessie vésicule vesicule yeux de du des la le les et au aux en sur pour par
un une profil
"""
_SPANISH = """
abdomen abdominopelvico abdominopélvico antebrazo anterior arteria arterial articulacion articulación axial axila bazo
boca brazo cabeza cadera caderas cardiaco cardíaco cerebral cerebro cervical codo columna con contraste corazón
corazon cortes corte coronal costilla costillas cráneo craneo cuello cuerpo dedo dedos derecha derecho diente dientes
difusion difusión dinamico dinámico dorsal espalda esternon esternón estomago estómago estudio fase fémur femur
garganta higado hígado hombro hombros hueso huesos inferior inspiracion inspiración intestino izquierda izquierdo
lengua ligamento lumbar lumbosacra mama mamas mamografia mamografía mandibula mandíbula mano manos medula médula
miembro miembros muñeca muslo nariz oblicua oído oido ojo ojos oreja órbita orbita paranasales partes pecho pelvica
pélvica pelvis pie pies pierna piernas pierna portal posterior prostata próstata pulmon pulmón pulmonar pulmones
rapida reconstrucción reconstruccion resonancia magnetica magnética retardada riñon riñón riñones rodilla rodillas
sagital senos serie simple sin superior tardia tardía tejido tejidos tobillo tomografia tomografía torax tórax tronco
vejiga vena venas venosa venoso vertebral vesicula vesícula vientre blandas blandos y el los las del
"""
_ITALIAN = """
addome addominale anca anche arteria arterioso arteriosa articolazione ascella assiale avambraccio bacino bocca
braccio caviglia cervello cervicale collo colonna con contrasto coronale corpo coscia coste costole cranio cuore
destra destro dente denti diffusione dinamica dinamico dita dito dorsale encefalo esame faccia fase fegato femore
gamba gambe ginocchia ginocchio gola gomito inferiore inspirazione intestino laringe lingua lombare lombosacrale
mammella mammelle mandibola mano mani massiccio mezzo midollo milza mdc muscolo nasali naso occhi occhio orecchio
orbite osso ossa ossea pancreas paranasali parti pelvi petto piede piedi polmonare polmone polmoni polso portale
posteriore prostata rachide rapida reni renale ricostruzione ricostruzioni risonanza sacro sagittale schiena senza
seno seni sinistra sinistro spalla spalle spirale stomaco strato superiore surrene surreni tardiva tardivo tessuti
tessuto tiroide tomografia torace toracica toracico trachea tronco vena venosa venoso vertebra vescica viso vaso vasi
molli il lo gli del della dei delle
"""
_DUTCH = """
aangezicht abdomen adem arm armen arterie arterieel bekken been benen bijholten bloedvaten borst borsten boven
bovenarm bovenbeen buik cerebrum coronaal contrastmiddel dij dikke dunne dwars enkel elleboog en eerste foto galblaas
gewricht gezicht halswervelkolom hals hand heup heupen hersenen hoofd huid inademing kaak keel kin knie knieën kop
kuit lever lichaam links linker long longen lumbaal lies lymfeklieren maag met mammografie mamma mond milt na nek neus
nier nieren onder onderarm onderbeen onderzoek oog ogen oksel oor oren opname op portaal prostaat pols rechts rechter
reconstructie rib ribben rug ruggenmerg ruggengraat sagittaal schedel schouder schouders slokdarm snel spier
staartbeen staand tand tanden teen tenen thorax tong tussen uitademing vaten veneus veneuze vinger vingers voet voeten
vroege volledig voor vroeg wervel wervelkolom zijde zijdelings zonder detectie kanker prostaatkanker bot botten laat
late
"""
_LISTS = (
    *(_SCANNERS, _ANATOMY, _PLACES, _MODALITIES, _SEQUENCES, _RECONSTRUCTION, _CONTRAST, _FINDINGS, _LITTLE),
    *(_GERMAN, _FRENCH, _SPANISH, _ITALIAN, _DUTCH),
)


def _written(word: str) -> set[str]:
    """Return a word as its bytes read in Latin-1, in the character sets ISO_IR 100 and ISO_IR 192, in lower case."""
    if word.isascii():
        return {word}
    spellings = (word, word.upper(), word.capitalize())
    return {word, *(one.encode("utf-8").decode("latin-1").lower() for one in spellings)}


# Short words that scanners use before or after a number: "ph2", "sen16", "fl3d", "te100".
_PREFIX_LIST = """
ac acc ang asir av avg axi blade bs ch cor cp cpr dim dir dis dlir dyn dx dx1 echo ep epi fa fb fgre fl fs fse fov gap
gate gre grappa group hd hir idose img im ip ipat iso kv kvp lao lava level loc ls lung mas mb mip mpr mph mt nex nsa
p2 pc pd pe phase ph pos post pre pt rao rec res rot sag seg sen sense ser series set sl slab slice spc ss step sub
swi tau te tse ti tir tof topo tr tra trace trig tfl tw vol run part pass plane point view grad avanto aqul lspr ts fr
thk sp ac3 nav
"""
PREFIXES = frozenset(_PREFIX_LIST.split())
WORDS = frozenset(spelled for words in _LISTS for word in words.split() for spelled in _written(word))
