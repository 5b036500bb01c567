"""Training algorithms as they run inside a site, behind MONAI's `ClientAlgo`; they open no archive and no socket."""
