"""Models of scanners by manufacturer: what a header may say, and the trade name that is published.

A line is a pattern and a name. The pattern is looked for at the beginning of Manufacturer's Model Name (0008,1090) in
lower case, with letters, digits and single spaces only and without the maker's own brand (somatom, magnetom); the
first that fits decides. Versions, options and stations behind the name are dropped, so that a row is a scanner and not
a site. A name has no slash: QXi stands for QX/i.

Source: spellings of the series in NCI's Imaging Data Commons, index 25 (about 600 pairs of manufacturer and model),
and trade names that makers use in public; facts, not text, were taken.
"""

from __future__ import annotations

from typing import Final

SIEMENS = r"""
    volume zoom | SOMATOM Volume Zoom
    volume access | SOMATOM Volume Access
    sensation cardiac | SOMATOM Sensation Cardiac
    sensation open | SOMATOM Sensation Open
    sensation 4\b | SOMATOM Sensation 4
    sensation 10\b | SOMATOM Sensation 10
    sensation 16\b | SOMATOM Sensation 16
    sensation 40\b | SOMATOM Sensation 40
    sensation 64\b | SOMATOM Sensation 64
    sensation\b | SOMATOM Sensation
    emotion duo | SOMATOM Emotion Duo
    emotion 6\b | SOMATOM Emotion 6
    emotion 16\b | SOMATOM Emotion 16
    emotion\b | SOMATOM Emotion
    definition flash | SOMATOM Definition Flash
    definition edge | SOMATOM Definition Edge
    definition ds\b | SOMATOM Definition DS
    (biograph.*|definition as )mct flow | Biograph mCT Flow
    (biograph.*|definition as )mct\b | Biograph mCT
    biograph.*truepoint | Biograph TruePoint
    biograph.*horizon | Biograph Horizon
    biograph.*mmr\b | Biograph mMR
    biograph.*vision | Biograph Vision
    biograph ?6\b | Biograph 6
    biograph ?16\b | Biograph 16
    biograph ?20\b | Biograph 20
    biograph ?40\b | Biograph 40
    biograph ?64\b | Biograph 64
    biograph ?128\b | Biograph 128
    biograph | Biograph
    definition as\b | SOMATOM Definition AS
    definition\b | SOMATOM Definition
    force | SOMATOM Force
    drive | SOMATOM Drive
    edge plus | SOMATOM Edge Plus
    confidence | SOMATOM Confidence
    perspective | SOMATOM Perspective
    scope | SOMATOM Scope
    spirit | SOMATOM Spirit
    plus 4 | SOMATOM Plus 4
    plus\b | SOMATOM Plus
    go ?all | SOMATOM go.All
    go ?top | SOMATOM go.Top
    go ?up | SOMATOM go.Up
    go ?now | SOMATOM go.Now
    go ?sim | SOMATOM go.Sim
    go ?open pro | SOMATOM go.Open Pro
    x ?cite | SOMATOM X.cite
    x ?ceed | SOMATOM X.ceed
    pro pulse | SOMATOM Pro.Pulse
    naeotom alpha | NAEOTOM Alpha
    skyra ?fit | MAGNETOM Skyra Fit
    skyra | MAGNETOM Skyra
    prisma ?fit | MAGNETOM Prisma Fit
    prisma | MAGNETOM Prisma
    avanto ?fit | MAGNETOM Avanto Fit
    avanto | MAGNETOM Avanto
    trio ?tim\b|trio a tim | MAGNETOM Trio Tim
    trio | MAGNETOM Trio
    verio | MAGNETOM Verio
    symphony ?tim\b|symphony a tim | MAGNETOM Symphony Tim
    symphony | MAGNETOM Symphony
    sonata | MAGNETOM Sonata
    espree | MAGNETOM Espree
    essenza | MAGNETOM Essenza
    aera | MAGNETOM Aera
    vida | MAGNETOM Vida
    sola | MAGNETOM Sola
    lumina | MAGNETOM Lumina
    altea | MAGNETOM Altea
    amira | MAGNETOM Amira
    sempra | MAGNETOM Sempra
    spectra | MAGNETOM Spectra
    terra | MAGNETOM Terra
    investigational device 7t|investigational device 7 t | MAGNETOM 7T
    cima | MAGNETOM Cima.X
    free max | MAGNETOM Free.Max
    allegra | MAGNETOM Allegra
    harmony | MAGNETOM Harmony
    concerto | MAGNETOM Concerto
    vision plus | MAGNETOM Vision Plus
    vision\b(?! 7) | MAGNETOM Vision
    expert | MAGNETOM Expert
    impact | MAGNETOM Impact
    symbia intevo | Symbia Intevo
    symbia | Symbia
    ecat | ECAT
    inveon | Inveon
    mammomat inspiration | MAMMOMAT Inspiration
    mammomat revelation | MAMMOMAT Revelation
    mammomat novation | MAMMOMAT Novation
    mammomat | MAMMOMAT
    axiom artis|artis | Artis
    fluorospot compact | Fluorospot Compact
    ysio | Ysio
"""

GE = r"""
    lightspeed qx | LightSpeed QXi
    lightspeed ultra | LightSpeed Ultra
    lightspeed plus | LightSpeed Plus
    lightspeed power | LightSpeed Power
    lightspeed pro 16 | LightSpeed Pro 16
    lightspeed pro 32 | LightSpeed Pro 32
    lightspeed vct | LightSpeed VCT
    lightspeed xtra | LightSpeed Xtra
    lightspeed rt ?16 | LightSpeed RT16
    lightspeed rt\b | LightSpeed RT
    lightspeed ?16 | LightSpeed 16
    lightspeed | LightSpeed
    brightspeed qx | BrightSpeed QXi
    brightspeed | BrightSpeed
    hispeed qx | HiSpeed QXi
    hispeed nx | HiSpeed NXi
    hispeed ct i | HiSpeed CTi
    hispeed dual | HiSpeed Dual
    (genesis )?hispeed | HiSpeed
    discovery ct750 | Discovery CT750 HD
    discovery ct590 | Discovery CT590 RT
    discovery mr750w | Discovery MR750w
    discovery mr750 | Discovery MR750
    discovery mr450 | Discovery MR450
    discovery ste | Discovery STE
    discovery st\b | Discovery ST
    discovery ls | Discovery LS
    discovery rx | Discovery RX
    discovery qx | Discovery QXi
    discovery 600 | Discovery 600
    discovery 610 | Discovery 610
    discovery 690 | Discovery 690
    discovery 710 | Discovery 710
    discovery iq | Discovery IQ
    discovery mi dr | Discovery MI DR
    discovery mi\b | Discovery MI
    discovery nm | Discovery NM
    discovery xr ?656 | Discovery XR656
    discovery ct | Discovery CT
    optima ct660 | Optima CT660
    optima ct580 | Optima CT580
    optima ct540 | Optima CT540
    optima ct520 | Optima CT520
    optima mr450w | Optima MR450w
    optima mr360 | Optima MR360
    optima 560 | Optima 560
    optima xr | Optima XR
    revolution evo | Revolution EVO
    revolution apex | Revolution Apex
    revolution ascend | Revolution Ascend
    revolution hd | Revolution HD
    revolution gsi | Revolution GSI
    revolution maxima | Revolution Maxima
    revolution frontier | Revolution Frontier
    revolution xq | Revolution XQi
    revolution xr | Revolution XRd
    revolution ct | Revolution CT
    genesis signa | Genesis Signa
    signa hdxt | Signa HDxt
    signa hdx\b | Signa HDx
    signa hde | Signa HDe
    signa excite | Signa EXCITE
    signa architect | SIGNA Architect
    signa artist | SIGNA Artist
    signa explorer | SIGNA Explorer
    signa hero | SIGNA Hero
    signa pet ?mr | SIGNA PET-MR
    signa pioneer | SIGNA Pioneer
    signa premier | SIGNA Premier
    signa voyager | SIGNA Voyager
    signa infinity | Signa Infinity
    signa\b | Signa
    senographe? ds | Senographe DS
    senographe? 2000 | Senographe 2000D
    senographe essential | Senographe Essential
    senographe pristina | Senographe Pristina
    senographe care | Senographe Care
    senographe | Senographe
    seno ?iris | SenoIris
    infinia | Infinia
    millennium | Millennium
    varicam | Varicam
    advance\b | Advance
    logiq ?e9 | LOGIQ E9
    logiq ?s8 | LOGIQ S8
    logiq | LOGIQ
    vivid | Vivid
    voluson | Voluson
    innova | Innova
"""

PHILIPS = r"""
    mx8000 idt | Mx8000 IDT
    mx8000 | Mx8000
    brilliance ?ict|ict 256 | iCT 256
    ict sp | iCT SP
    ict\b | iCT
    brilliance big bore | Brilliance Big Bore
    brilliance ?64 | Brilliance 64
    brilliance ?40 | Brilliance 40
    brilliance ?16p? | Brilliance 16
    brilliance ?10 | Brilliance 10
    brilliance ?6\b | Brilliance 6
    brilliance | Brilliance
    iqon | IQon Spectral CT
    spectral ct 7500 | Spectral CT 7500
    incisive | Incisive CT
    ingenuity tf | Ingenuity TF
    ingenuity core | Ingenuity Core
    ingenuity | Ingenuity CT
    gemini ?gxl | Gemini GXL
    gemini tf big bore | Gemini TF Big Bore
    gemini tf | Gemini TF
    gemini | Gemini
    vereos | Vereos
    truflight | TruFlight
    allegro | Allegro
    guardian | Guardian
    precedence | Precedence
    brightview | BrightView
    achieva dstream | Achieva dStream
    achieva | Achieva
    ingenia ambition | Ingenia Ambition
    ingenia elition | Ingenia Elition
    ingenia evolution | Ingenia Evolution
    ingenia | Ingenia
    (gyroscan )?(nt )?intera | Intera
    gyroscan | Gyroscan
    mr 5300 | MR 5300
    mr 7700 | MR 7700
    panorama | Panorama
    infinion | Infinion
    vista 1 ?0 ?t | Vista
    ct aura | CT Aura
    ct secura | CT Secura
    mobilediagnost | MobileDiagnost
    digital ?diagnost | DigitalDiagnost
    microdose | MicroDose
    allura | Allura
    azurion | Azurion
    epiq | EPIQ
    affiniti | Affiniti
    iu22 | iU22
    ie33 | iE33
"""

CANON = r"""
    aquilion one | Aquilion ONE
    aquilion prime sp | Aquilion Prime SP
    aquilion prime | Aquilion PRIME
    aquilion lightning | Aquilion Lightning
    aquilion lb | Aquilion LB
    aquilion precision | Aquilion Precision
    aquilion cx | Aquilion CX
    aquilion rxl | Aquilion RXL
    aquilion serve | Aquilion Serve
    aquilion exceed | Aquilion Exceed LB
    aquilion | Aquilion
    cartesion prime | Cartesion Prime
    celesteion | Celesteion
    activion | Activion
    alexion | Alexion
    asteion | Asteion
    (vantage )?galan | Vantage Galan
    (vantage )?titan ?3t | Vantage Titan 3T
    (vantage )?titan | Vantage Titan
    (vantage )?orian | Vantage Orian
    (vantage )?elan | Vantage Elan
    vantage | Vantage
    aplio | Aplio
    xario | Xario
    cxdi | CXDI
"""

OTHERS: Final = {
    "Hologic": r"""
        selenia dimensions|3dimensions | Selenia Dimensions
        (lorad )?selenia | Lorad Selenia
        horizon | Horizon
        discovery | Discovery DXA
    """,
    "Carestream": r"""
        drx revolution | DRX-Revolution
        drx evolution | DRX-Evolution
        drx 1\b | DRX-1
        drx | DRX
        (kodak )?cr ?(800|850|900|950|975) | Kodak CR
        dr ?9000 | Kodak DR 9000
    """,
    "Fujifilm": r"""
        scenaria view | SCENARIA View
        fdr | FDR
        fcr | FCR
        amulet | AMULET
        sonosite | SonoSite
    """,
    "Hitachi": r"""
        scenaria view | SCENARIA View
        scenaria | SCENARIA
        supria | Supria
        eclos | ECLOS
        echelon oval | ECHELON Oval
        echelon | ECHELON
        oasis | OASIS
        airis | AIRIS
    """,
    "Agfa": r"""
        cr ?85 | CR 85
        cr ?35 | CR 35
        adc compact | ADC Compact
        dx d | DX-D
    """,
    "United Imaging": r"""
        uct atlas | uCT ATLAS
        uct 960 | uCT 960
        uct 780 | uCT 780
        uct 760 | uCT 760
        uct 530|uct 528 | uCT 530
        uct 510 | uCT 510
        umr 570 | uMR 570
        umr 588 | uMR 588
        umr 770 | uMR 770
        umr 780 | uMR 780
        umr 790 | uMR 790
        umr omega | uMR Omega
        umr jupiter | uMR Jupiter
        umi 550 | uMI 550
        umi 780 | uMI 780
        umi panorama | uMI Panorama
        upmr 790 | uPMR 790
        uexplorer | uEXPLORER
    """,
    "Neusoft": r"""
        neuviz dual | NeuViz Dual
        neuviz 16 | NeuViz 16
        neuviz 64 | NeuViz 64
        neuviz 128 | NeuViz 128
        neuviz | NeuViz
    """,
    "Varian": r"""
        trilogy cone beam | Trilogy CBCT
        obi cone beam|on board imager | OBI CBCT
        truebeam | TrueBeam
        halcyon | Halcyon
        ethos | Ethos
    """,
    "Elekta": r"""
        xvi | XVI
        unity | Unity
    """,
    "Samsung": r"""
        gm85 | GM85
        gc85 | GC85
        ceretom | CereTom
        bodytom | BodyTom
    """,
    "Imatron": r"""
        (imatron )?c ?100 | C-100
        (imatron )?c ?150 | C-150
    """,
    "Accuray": r"""
        tomotherapy|hi art | TomoTherapy
        radixact | Radixact
        cyberknife | CyberKnife
    """,
    "Bruker": r"""
        biospec | BioSpec
        pharmascan | PharmaScan
    """,
    "Esaote": r"""
        g scan | G-scan
        s scan | S-scan
        o scan | O-scan
        mylab | MyLab
    """,
    "Hamamatsu": r"""
        nanozoomer | NanoZoomer
    """,
    "Leica": r"""
        aperio at2 | Aperio AT2
        aperio gt ?450|gt ?450 | Aperio GT 450
        aperio cs2 | Aperio CS2
        aperio | Aperio
    """,
    "3DHISTECH": r"""
        pannoramic midi | Pannoramic MIDI
        pannoramic 250 | Pannoramic 250
        pannoramic 1000 | Pannoramic 1000
        pannoramic | Pannoramic
    """,
}  # fmt: skip

MODELS: Final[dict[str, str]] = {"Siemens": SIEMENS, "GE": GE, "Philips": PHILIPS, "Canon": CANON, **OTHERS}
