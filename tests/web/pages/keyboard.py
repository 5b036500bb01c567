"""Somebody at a keyboard without a mouse: Tab, Space, Enter, and typing."""

from __future__ import annotations

from typing import Any

# Of what has the focus: whether it is what was looked for, and what is wrong with how it is shown.
_AT = """(wanted) => {
  const at = document.activeElement;
  if (!at || at === document.body) return ['', ''];
  const box = at.getBoundingClientRect(), look = getComputedStyle(at);
  const wrong = [];
  if (look.outlineStyle === 'none' && look.boxShadow === 'none') wrong.push('no ring');
  if (!box.width || !box.height) wrong.push('hidden');
  return [at.matches(wanted) ? 'yes' : 'no', wrong.map((each) => each + ': ' + at.outerHTML.slice(0, 100)).join()];
}"""


class Keys:
    """A tab that is used by keys alone.

    Attributes:
        faults: what had the focus on the way and could not be seen.
    """

    def __init__(self, tab: Any) -> None:
        self.tab = tab
        self.faults: list[str] = []

    def reach(self, selector: str, most: int = 150) -> None:
        """Press Tab until something has the focus.

        Raises:
            AssertionError: if it never gets it.
        """
        for _ in range(most):
            self.tab.keyboard.press("Tab")
            found, wrong = self.tab.evaluate(_AT, selector)
            if wrong:
                self.faults.append(wrong)
            if found == "yes":
                return
        raise AssertionError(f"{selector} is not reached by {most} times Tab at {self.tab.url}")

    def press(self, selector: str, key: str = "Enter") -> None:
        """Go somewhere and press a key there."""
        self.reach(selector)
        self.tab.keyboard.press(key)

    def write(self, selector: str, text: str) -> None:
        """Go to a field and type."""
        self.reach(selector)
        self.tab.keyboard.type(text)
