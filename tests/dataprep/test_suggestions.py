"""What may have been meant is never what was written."""

from pathlib import Path

import pytest

from dataprep.file_names import near
from dataprep.manifest.layout import Files
from dataprep.manifest.text import column_places, lines_of
from dataprep.records import RecordingError
from grid.experiment.cells import suggestion


def test_a_column_that_is_there_twice_is_not_suggested():
    lines = lines_of(b"eda,eda,Eda\n1,2,3\n", Path("x.csv"), Files())
    with pytest.raises(RecordingError, match="expected 'eda' once among them; there is Eda"):
        column_places(lines, ["eda"], Path("x.csv"))


def test_a_name_is_not_similar_to_itself():
    assert near("eda", ["eda", "EDA", "edb"]) == ["EDA"]
    assert suggestion("eda", ["eda"]) == ""
    assert suggestion("eda", ["eda", "edax"]) == ": did you mean 'edax'?"
