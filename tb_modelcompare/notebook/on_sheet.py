"""What is shown as a sheet of pictures."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from tb_modelcompare.render.sheet import Sheet


class OnSheet(ABC):
    """Pictures that a notebook shows on a sheet, and that are saved as one."""

    @abstractmethod
    def sheet(self) -> Sheet:
        """The sheet of all pictures."""

    def save(self, file: str | Path) -> Path:
        """Write the sheet to a file, as ``sheet().save(file)`` does.

        Parameters
        ----------
        file : str or Path
            Ends in .html or .png.

        Returns
        -------
        Path

        Raises
        ------
        OptionError
            If the name ends in neither.
        """
        return self.sheet().save(file)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.sheet()!r}>"

    def _repr_html_(self) -> str:
        return self.sheet().html()
