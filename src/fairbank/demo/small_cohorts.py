"""A site's policy under which so few images may be trained on as demos, benches and tests have: images of nobody."""

from __future__ import annotations

from fairbank.federated_jobs.node.policy_file import accept, policy_path
from fairbank.release.node import Node
from fairbank.release.people import Signer

WHY = """\
# The images here are synthetic, or come with libraries: they show nobody whom an update could give away.
# So few may be trained on here. A site with images of patients leaves these lines out, and the defaults count.
"""


def allow_small_trainings(
    node: Node,
    *,
    minimum_subjects: int = 1,
    minimum_images: int = 1,
    batch_norm_buffers: bool = False,
    by: str = "operator",
    signer: Signer | None = None,
) -> None:
    """Write such a policy, and have a person sign it where persons are named.

    Args:
        minimum_subjects, minimum_images, batch_norm_buffers: of `[training]`; the other rules stay as they are.
    """
    path = policy_path(node)
    path.write_text(
        f"""schema = "site-policy/1"

{WHY}[training]
minimum_subjects = {minimum_subjects}
minimum_images = {minimum_images}
batch_norm_buffers = {str(batch_norm_buffers).lower()}
"""
    )
    path.chmod(0o600)
    if signer is not None:
        accept(node, by=by, signer=signer)
