"""`cases.parquet` or `cases.csv`: read as text, where a missing cell stays missing, and written."""

from io import StringIO
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from sonoprior.core.errors import DataError, FolderError
from sonoprior.core.folder import whole_file

PARQUET = "cases.parquet"
CSV = "cases.csv"


def table_path(folder: Path) -> Path:
    """The table of a case set.

    Raises:
        FolderError: if there is none.
        DataError: if there are two.
    """
    found = [folder / name for name in (PARQUET, CSV) if (folder / name).is_file()]
    if not found:
        raise FolderError(f"{folder} is not a case set: it has neither {PARQUET} nor {CSV}.")
    if len(found) > 1:
        raise DataError(f"{folder} must have one table, but has both {PARQUET} and {CSV}.")
    return found[0]


def read_table(path: Path) -> pd.DataFrame:
    """A table of text columns; empty cells are missing.

    Raises:
        DataError: if it cannot be read, or a column is not text.
    """
    return _read_parquet(path) if path.suffix == ".parquet" else read_csv(path)


def read_csv(path: Path, separator: str = ",") -> pd.DataFrame:
    """A CSV in UTF-8 as text columns; empty cells are missing, and nothing else is.

    Args:
        path: the file.
        separator: what stands between two cells.

    Raises:
        DataError: if it is missing, empty, not UTF-8, or its rows do not fit its header.
    """
    text = _utf8(path)
    try:
        table = pd.read_csv(StringIO(text), sep=separator, dtype=str, keep_default_na=False, na_values=[""])
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path} must have a header line, but is empty.") from error
    except pd.errors.ParserError as error:
        raise DataError(f"{path} cannot be read as CSV: {' '.join(str(error).split())}.") from error
    if not isinstance(table.index, pd.RangeIndex):
        raise DataError(
            f"{path}: every row must have the {len(table.columns)} cells of the header, but has more."
        )
    return table


def _utf8(path: Path) -> str:
    try:
        content = path.read_bytes()
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        raise DataError(
            f"{path} must be encoded in UTF-8, but line {line} is not; save it as 'CSV UTF-8'."
        ) from error
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}.") from error


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write the table as Parquet, every column text."""
    schema = pa.schema([(name, pa.string()) for name in table.columns])
    with whole_file(path) as temporary:
        pq.write_table(pa.Table.from_pandas(table, schema=schema, preserve_index=False), temporary)


def _read_parquet(path: Path) -> pd.DataFrame:
    try:
        table = pq.read_table(path)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"{path} cannot be read as Parquet: {' '.join(str(error).split())}.") from error
    columns = {name: _text(table, name, path) for name in table.column_names}
    return pd.DataFrame(columns, dtype="str")


def _text(table: pa.Table, name: str, path: Path) -> pd.Series:
    column = table.column(name)
    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        if column.null_count < len(column):
            raise DataError(f"{path}: the column '{name}' must be text, but is {column.type}.")
        return pd.Series([None] * len(column), dtype="str")
    text = column.to_pandas().astype("str")
    return text.mask(text == "")
