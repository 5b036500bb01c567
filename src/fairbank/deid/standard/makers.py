"""Words of makers, their machines, their programs and their techniques: names of things, none of a person.

Public product names, collected from conformance statements and from the test files of open DICOM libraries. A word that
is also the subject's own name does not pass all the same.
"""

from __future__ import annotations

from typing import Final

_MAKERS = """
accuray acme acuson adac agfa aloka alpinion aperio atl bk bracco bruker brainlab caliber canon carestream
cedara celsion co company corp corporation curvebeam cyberknife dentsply elekta elscint esaote fairbank
fischer fuji fujifilm ge general electric gehc gems gevaert ag gmbh hamamatsu healthcare healthineers hewlett
hitachi hologic howtek icad imatron imaging inc instrument instruments instrumentarium ivoclar kodak konica
konicaminolta kyocera kg leica linac lodox lorad ltd limited lumisys marconi mec med medical medicinal medison
mediso merge micromedical mindray minolta mortara nec nemoto neusoft nexstim nidek nucletron offis olympus
optovue packard pace palodex panasonic parc philips photo picker planmeca qiicr raysearch roche samsung sanyo
sas sciences scientific sectra shimadzu siemens sirona sonosite sonoscape sony soredex spectrum super swissray
systems system technologies technology terason terarecon tomey tomotherapy topcon toshiba trex trixell uih
united varex varian ventana vieworks vidar vital zeiss zimmer zonare device devices products treatment
planning equipment manufacturer name here industries optical diagnostics electronics radiology research
software light speed solutions group
biosystems health healthtech international llc laboratories corporate partners foundation community commons
molecular nuclear informatics biometrics bioimaging translational eigen confirma mirax corelab riverain pmod
rarecyte bioimagene plastimatch pnms cti barco visualpacs hasselblad rolleiflex victre mevis fraunhofer kuratorium
medtronic stryker fujinon visualsonics supersonic verasonics edan chison ecare wandong anke alltech paramed imris
viewray mevion radixact ziehm planmed vatech morita rayence drtech icrco intelerad merative heidelberg optos
carlzeiss pentax storz motic histech 3dhistech mirada sunnuclear ptw scandidos nucletron bebig vidamed quibim
aidoc lunit annalise qure arterys tomtec caas medis segami invia syntermed dosisoft raypilot
zebra perspectum imagebiopsy brainminer cortechs icometrix combinostics quantib airs aidence veye thirona
nordicneurolab nordicice olea guerbet ulrich medrad swissvision agilent
"""
_MACHINES = """
vct lgp acq achieva activion adw advance advantage adult affiniti airis allegra allura ambition amira
angiostar aplio aplus apollo applications apps aquilion architect artis artist artiste asteion avance avanto
axiom azurion biograph brightspeed brilliance bucky cassette holder type capsula celesteion centricity citius
classic clearview clinac computer conoscope console cosmos cx cxr definium definition diagnost dimensions
directview discovery drive duo easyvision eclipse eclos echelon edge elite elition emotion encore ensemble
epiq essenta essential evolution excel excite excelart expert explorer fastir fit flash flex fluorospot fonar
force forte galan gantry gemini genesis giotto go gyroscan hdx hdxt hispeed horizon iconos icad illumena
impact infinia infinix ingenia ingenuity innova inspiration insight integris intellispace intera intevo
intuition ivu jetstream lightning lightspeed lobe logiq lumina luminos magnetom mammomat mammodiag millennium
mobilett mobile monaco mosaiq multix mx mycode navigator neo neuro novalis numaris oasis omega one open optima
oncentra optima orian osirix panorama perspective pheno pinnacle pioneer plus point precedence precise
precision precedence premier premium prestige prime pristina prisma pro promax proteus pulsera quantum
raystation regius revelation revolution rotating anode scenaria selenia sensation senographe sequoia signa
siremobil skyra skylight sola somatom sonata sonoline spectra spirit sprint station supria symbia symphony
synapse synergy syngo telescope terra therapist thoravision titan tomoscan top toshiba treatment trilogy
trinias trio triumph truebeam turbo twin ultra up vantage velocity venue vereos verio verity versa via vida
vision vivid volume voluson vscan workplace workstation xario xper xpert xplorer xtreme ysio zee zeego
zenition zenith leonardo multimodality hdw hd iq iqon
qx xqi gsi evo ste idt rx drx tf bore big xvi xio cite ceed ads incisive infinion cadstream senoiris senograph
midi pannoramic nanozoomer axioscan cytefinder cytation imagescope triotim symphonytim avantotim essenza espree
spectralis cirrus maestro triton inveon biomatrix voyager neuviz hfo oval xtra compact thunder maxima zeus tandem
astound vitrea vitrea2 obi inteleviewer cartesion ascend nx lx xp truflight dunlee access xeleris voxar directray
dgr camera elx ektachrome ecat hr varicam eleva certegra dstream fpd cxdi gammaplan gammaknife icon halcyon ethos
exactrac logiqe logiqe9 logiqs8 logiqp9 vevo aixplorer clarity lumify resona consona nuewa zs affirm trident
vieworks dynamix uct umr upmi umi udr angio artiszee artisq pheno embrace vidix zexira trinova ultimax aquilionone
gxl geminigxl lb gs rp lxp confidence drive xcite xceed alpha celebrity ambient cios arcadis orbic
"""
_PROGRAMS = """
software light speed ants algorithm api app application build cad client core coreload clunie dcanon dcmjs
dcmodify dcmqi dcmtk dicom dicomeditor dicomobjects driver drivers editor firmware fmriprep freesurfer fsl
gdcm generator git github com https http highdicom itk itksnap jpeg library machine main mimvista mim model
module monai nnunet ohif os operating patch pixelmed platform plugin printers program pydicom python release
rev revision server service sdk segmenter slicer snap toolkit totalsegmentator unet v ver version vtk win
windows workflow network net resunet deep learning automatic manual semi semiautomatic thresholding threshold
region growing atlas interactive contour watershed random walker levelset graph cut osem mlem fbp fbp2d
iterative ramp hann hanning butterworth shepp logan parzen gaussian oslem truex tof psf blob ramla vue point
fx sharpir q clear qclear
aria radonc rtm monacotps xnat viewer commons imagingdatacommons idc convert conversion converted tifftodicom
nrrdtodicom encapsulatedata xslt extract csv reporting postprocessing somaris imageshare epad plastimatch nuclei
horos radiant weasis orthanc dcm4che dcm4chee fellowoak conquest clearcanvas xmedcon mipav amide mricron dcm2niix
mango synedra visage sectra vuemotion centricitypacs isite intellispaceportal vitreacore mintlesion mint lesion
syngovia numa3 numarisx dicomlib operating system os numaris4 rtnc
"""
_TECHNIQUES = """
flat butterfly multiple large medium strip t1tfe t2tse t1tse t2tfe btfe csa csaparallel nd dis dis2d dis3d
norm som som5 som7 som8 spi seq xyz ec fm nr mag magn pha phoenix vframe ffe rse tracew trace helical mode sat
parallel comp resampled gems acr mosaic tensor colfa fa rad abdom cardiology card gen small parts adv sm prts
ob cv obstetric spring summer fall autumn winter lut hot metal hotiron pf af al ar pl pr lh rh bowtie bow tie
fil wedge copper cu al sn tin rh rhodium mo molybdenum ag silver upper lower cor fil leap lehr legp megp hegp
vxgp meap heap lemp enhancement body head coil array matrix quad breast knee wrist shoulder flexible loop
surface torso endo neurovascular sense nucleus fluorodeoxyglucose fludeoxyglucose fluoride gallium ga dotatate
dotatoc psma tc mdp hdp mibi tetrofosmin sestamibi thallium tl iodine rubidium rb ammonia nh choline fet fdopa
dopa amyloid florbetapir florbetaben flutemetamol pib water xenon helium intravenous oral rectal intra
arterial inhalation injection intravascular route om sn sternal notch orbitomedial meatal iliac crest xiphoid
carotids mra brain hu us od rel pval optical density micro machine processing function unused adult code
"""
WORDS: Final = frozenset(f"{_MAKERS} {_MACHINES} {_PROGRAMS} {_TECHNIQUES}".split())
