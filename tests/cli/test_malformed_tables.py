"""Tables as people have them: each is read as it is meant, told where that is not plain, or refused with its place."""

import codecs
import gzip
import io

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest

from fastem.cli.tables import open_table

LONG = "x" * 200_000


def npy(array, header=None):
    """Bytes of a .npy file, or those with another header."""
    file = io.BytesIO()
    np.save(file, array)
    content = file.getvalue()
    return content if header is None else content[:10] + header.ljust(content[8]).encode() + content[10 + content[8] :]


def parquet(*columns, names):
    file = io.BytesIO()
    pyarrow.parquet.write_table(pyarrow.table(list(columns), names=list(names)), file)
    return file.getvalue()


TWO = "a,b\n1,2\n3,4\n"
ROWS = [[1, 2], [3, 4]]
HALVES = [[1.5, 2.5], [3, 4]]

PLAIN = {
    "plain": (TWO, ROWS),
    "no line end at the end": ("a,b\n1,2\n3,4", ROWS),
    "lines end as in DOS": (TWO.replace("\n", "\r\n"), ROWS),
    "lines end as on old Macs": (TWO.replace("\n", "\r"), ROWS),
    "a byte order mark": (codecs.BOM_UTF8 + TWO.encode(), ROWS),
    "blank lines": ("\n\na,b\n\n1,2\n   \n3,4\n\n", ROWS),
    "spaces around cells": ("a , b\n 1 , 2\n3,\t4 \n", ROWS),
    "quoted names and numbers": ('"a","b"\n"1","2"\n3,"4"\n', ROWS),
    "a quoted name of two lines": ('"a\nx",b\n1,2\n3,4\n', ROWS),
    "a quoted name with the delimiter": ('"a, in m",b\n1,2\n3,4\n', ROWS),
    "a quote in a name": ('"a ""x""",b\n1,2\n3,4\n', ROWS),
    "a stray quote in text": ('a,b,c\n1,2,5" pipe\n3,4,x\n', ROWS, "a,b"),
    "text between": ("a,note,b\n1,hello,2\n3,,4\n", ROWS, "a,b"),
    "quoted text with delimiters and lines": ('a,note,b\n1,"x,y\nz",2\n3,";|",4\n', ROWS, "a,b"),
    "text in UTF-8": ("a,größe,b\n1,µ,2\n3,字,4\n", ROWS, "a,b"),
    "a cell of 200,000 characters": (f"a,note,b\n1,{LONG},2\n3,x,4\n", ROWS, "a,b"),
    "a quoted cell of 200,000 characters": (f'a,note,b\n1,"{LONG}",2\n3,x,4\n', ROWS, "a,b"),
    "a quote far behind": ("a,b\n" + "1,2\n" * 300_000 + '"3",4\n', [[1, 2]] * 300_000 + [[3, 4]]),
    "exponents and signs": ("a,b\n+1e0,.2E1\n3.,004\n", ROWS),
    "more digits than a float has": ("a,b\n1.00000000000000000001,2\n3,4\n", ROWS),
    "semicolons in the text of a CSV": ("id,genes;other,b\n1,x;y,2\n3,z;z,4\n", ROWS, "id,b"),
    "a name with a bar in it": ("P(a|b),b\n1,2\n3,4\n", ROWS),
    "one column": ("a\n1\n3\n", [[1], [3]]),
    "one row": ("a,b\n1,2\n", [[1, 2]]),
    "columns by number, two of one name": ("a,a\n1,2\n3,4\n", ROWS, "0,1"),
    "npy": (npy(np.array(ROWS, float)), ROWS),
    "npy of one dimension": (npy(np.array([1.0, 3.0])), [[1], [3]]),
    "npy of integers in another order": (npy(np.array(ROWS, ">i4", order="F")), ROWS),
    "parquet": (parquet([1.0, 3.0], [2.0, 4.0], names="ab"), ROWS),
    "parquet with text": (parquet([1.0, 3.0], ["x", "y"], names="ab"), [[1], [3]], "a"),
    "packed by gzip": (gzip.compress(TWO.encode()), ROWS),
}
"""name -> bytes, rows, columns that are asked for: read without a word."""

TOLD = {
    "semicolons": ("a;b\n1;2\n3;4\n", ROWS, "separated by semicolons"),
    "tabs": ("a\tb\n1\t2\n3\t4\n", ROWS, "separated by tabs"),
    "bars": ("a|b\n1|2\n3|4\n", ROWS, "separated by vertical bars"),
    "tabs, and text with commas": ("a\tb\tnote, x\n1\t2\tx, y\n3\t4\tz\n", ROWS, "separated by tabs", "a,b"),
    "semicolons and decimal commas": ("a;b\n1,5;2,5\n3;4\n", HALVES, "taken for decimal marks"),
    "decimal commas and names with commas": ("a, m;b, m\n1,5;2,5\n3,0;4,0\n", HALVES, "taken for decimal marks"),
    "decimal commas in quotes": ('a;b\n"1,5";"2,5"\n3;4\n', HALVES, "taken for decimal marks"),
    "the first decimal comma far behind": (
        "a;b\n" + "1;2\n" * 9000 + "1,5;2\n", [[1, 2]] * 9000 + [[1.5, 2]], "taken for decimal marks"
    ),
    "semicolons and decimal points": ("a;b;date\n1.5;2.5;1,1\n3;4;x\n", HALVES, "separated by semicolons", "a,b"),
    "Excel's line for the delimiter": ("sep=;\na;b\n1,5;2,5\n3;4\n", HALVES, "separated by semicolons"),
    "comments above the header": ("# from a logger\n#\na,b\n1,2\n3,4\n", ROWS, "above line 3 are taken for comments"),
    "R's names of rows": ('"a","b"\n"1",1,2\n"2",3,4\n', ROWS, "the first cell is taken for the name of the row"),
    "R's names, text": ('"a","b"\n"x y",1,2\n"z",3,4\n', ROWS, "the first cell is taken for the name of the row"),
    "R's write.csv": ('"","a","b"\n"1",1,2\n"2",3,4\n', ROWS, "column 0 has no name and is left out"),
    "R's write.csv2": ('"";"a";"b"\n"1";1,5;2,5\n"2";3;4\n', HALVES, "column 0 has no name and is left out"),
    "the index of pandas": (",a,b\n0,1,2\n1,3,4\n", ROWS, "column 0 has no name and is left out"),
    "a delimiter at the end of each line": ("a,b,\n1,2,\n3,4,\n", ROWS, "column 2 has no name and is left out"),
    "years for names": ("town,2019,2020\nx,1,2\ny,3,4\n", ROWS, "though a column is called '2019'", "2019,2020"),
    "the index of pandas in parquet": (
        parquet([1.0, 3.0], [2.0, 4.0], [5, 6], names=["a", "b", "__index_level_0__"]),
        ROWS,
        "column 2 has no name and is left out",
    ),
}  # fmt: skip
"""name -> bytes, rows, a part of what is told, columns that are asked for."""

NO_HEADER = "has no header: its first line"
REFUSED = {
    # cells that are not where they should be
    "decimal commas between commas": ("a,b\n1,5,2,5\n3,5,4,5\n", "line 2 has 4 cells instead of 2"),
    "decimal commas in one column": ("a\n1,5\n2,5\n", "line 2 has 2 cells instead of 1"),
    "thousands between commas": ("a,b\n1,000,5\n2,000,6\n", "line 2 has 3 cells instead of 2"),
    "thousands in one row": ("a,b\n" + "1,2\n" * 9000 + "1,000,5\n", "line 9002 has 3 cells"),
    "thousands behind text": ("town,b\nx,1,000\ny,2,000\n", "line 2 has 3 cells", "b"),
    "a cell too many in a column that nobody wants": ("a,b,c\n1,2,x\n3,4,y,z\n", "line 3 has 4 cells", "a"),
    "names of rows without quotes": ("a,b\nx,1,2\ny,3,4\n", "line 2 has 3 cells"),
    "a row that is too short": ("a,b,c\n1,2,x\n3,4\n", "line 3, column 'c' is missing", "a,b"),
    "a line of one cell": ("a,b\n1,2\ntotal\n", "line 3, column 'b' is missing"),
    "another delimiter in the rows": ("a,b\n1;2\n3;4\n", "line 2, column 'b' is missing"),
    "a comment between rows": ("a,b\n1,2\n# end\n", "line 3, column 'b' is missing"),
    "a title above": ("Report of May\n\na,b\n1,2\n", "line 3 has 2 cells instead of 1"),
    "another row too long, behind a quoted one": ('a,"b"\n1,"2\n"\n3,4,5\n', "line 4 has 3 cells"),
    # cells that are no numbers
    "text": ("a,b\n1,2\n3,x\n", "line 3, column 'b' is 'x', not a number"),
    "text far behind": ("a,b\n" + "1,2\n" * 400_000 + "1,x\n", "line 400002, column 'b' is 'x', not a number"),
    "text behind a long cell": (f"a,b,n\n1,2,x\n2,3,{LONG}\n3,oops,z\n", "line 4, column 'b' is 'oops'", "a,b"),
    "text behind a quoted cell of two lines": ('n,b\n"x\r\ny",2\nz,oops\n', "line 4, column 'b' is 'oops'", "b"),
    "a missing cell": ("a,b\n1,\n3,4\n", "line 2, column 'b' is '', a missing value: --drop-missing"),
    "NA": ("a,b\n1,NA\n3,4\n", "line 2, column 'b' is 'NA', a missing value: --drop-missing"),
    "quoted thousands": ('a,b\n"1,000",2\n3,4\n', "line 2, column 'a' is '1,000', not a number"),
    "thousands between tabs": ("a\tb\n1,000\t2\n3\t4\n", "line 2, column 'a' is '1,000', not a number"),
    "points for thousands": ("a;b\n1.000,5;2\n3;4\n", "line 2, column 'a' is '1.000,5', not a number"),
    "two decimal marks": ("a;b\n1,5;2\n3;4.5\n", "line 3, column 'b' is '4.5', but other numbers have ','"),
    "the second decimal mark far behind": (
        "a;b\n" + "1.5;2\n" * 9000 + "1;2,5\n", "line 9002, column 'b' is '2,5', but other numbers have '.'"
    ),
    "an underscore": ("a,b\n1_000,2\n3,4\n", "line 2, column 'a' is '1_000', not a number"),
    "digits of another script": ("a,b\n1,2\n\u0663,4\n", "line 3, column 'a' is '\u0663', not a number"),
    "wide digits": ("a,b\n1,\uff12\n3,4\n", "line 2, column 'b' is '\uff12', not a number"),
    "a unit": ("a,b\n1,2 cm\n3,4\n", "line 2, column 'b' is '2 cm', not a number"),
    "a percentage": ("a,b\n1,2%\n3,4\n", "line 2, column 'b' is '2%', not a number"),
    "hexadecimal": ("a,b\n1,0x2\n3,4\n", "line 2, column 'b' is '0x2', not a number"),
    "True": ("a,b\n1,True\n3,4\n", "line 2, column 'b' is 'True', not a number"),
    "spaces between cells": ("a b\n1 2\n3 4\n", "column 'a b' is '1 2', not a number; spaces do not separate"),
    "a zero byte in a number": ("a,b\n" + "1,2\n" * 3000 + "3,4\0\n", "line 3002, character 4 is a zero byte, which"),
    "a zero byte in text": ("a,b\n" + "1,x\n" * 9 + "1,x\0y\n", "line 11, character 4 is a zero byte", "a"),
    "a zero byte in a header": ("alpha,beta\0\n1,2\n", "line 1, character 11 is a zero byte"),
    "a name of thousands": ("a," + "b" * 9000 + "\n1,2\n1,x\n", f"line 3, column '{'b' * 57}...' is 'x', not a number"),
    # headers that are none
    "nothing": ("", f"{NO_HEADER} must name the columns"),
    "blank lines alone": ("\n \n\n", f"{NO_HEADER} must name the columns"),
    "delimiters alone": (",,\n1,2,3\n", f"{NO_HEADER} must name the columns"),
    "no header": ("1,2\n3,4\n", f"{NO_HEADER} '1,2' is all numbers"),
    "no header, decimal commas": ("1,5;2,5\n3;4\n", f"{NO_HEADER} '1,5;2,5' is all numbers"),
    "no header, a missing number": ("1,NA\n2,6\n3,9\n", f"{NO_HEADER} '1,NA' is all numbers"),
    "no header, an empty cell": ("1,\n2,6\n3,9\n", f"{NO_HEADER} '1,' is all numbers"),
    "no header, text": ("5.1,3.5,setosa\n4.9,3.0,setosa\n", f"{NO_HEADER} '5.1,3.5,setosa' has the number 5.1 in it"),
    "a header that is a comment": ("# a,b\n1,2\n3,4\n", f"{NO_HEADER} below its comments '1,2' is all numbers"),
    "a header that is a comment, and text": ("#a\tb\nx\t2\ny\t4\n", "has the number 2 in it"),
    "a header alone": ("a,b\n", "has no rows below its header 'a,b'"),
    "comments alone": ("# a\n# b\n", f"{NO_HEADER} must name the columns"),
    "two columns of one name": ("a,a\n1,2\n", "has 2 columns 'a': choose by number, 0 or 1"),
    # quotes
    "an open quote in the header": ('a,"b\n1,2\n3,4\n', "line 1 is not CSV: a quote is opened and not closed"),
    "an open quote in a row": ('a,b\n1,2\n3,"4\n5,6\n', "line 3 is not CSV: a quote is opened and not closed"),
    "text behind a quote": ('a,b\n1,2\n"3"1,4\n', "line 3 is not CSV: ',' expected after '\"'"),
    "a quoted row": ('a,b\n"1,2"\n"3,4"\n', "line 2, column 'b' is missing"),
    # other encodings and kinds of files
    "Latin-1": ("a,b\n1,2\nü,4\n".encode("latin-1"), "line 3 has the byte 0xfc, which is not UTF-8"),
    "Latin-1 in the header": ("größe,b\n1,2\n".encode("latin-1"), "line 1 has the byte 0xf6, which is not UTF-8"),
    "Latin-1 far behind": (b"a,b\n" + b"1,2\n" * 400_000 + b"1,\xb5\n", "line 400002 has the byte 0xb5"),
    "UTF-16": (TWO.encode("utf-16"), "is UTF-16: save it as UTF-8"),
    "UTF-16 without a mark": (TWO.encode("utf-16-le"), "is not text: it begins with b'a\\x00,\\x00b\\x00\\n\\x00'"),
    "zeros": (bytes(100), "is not text"),
    "gzip without its end": (gzip.compress(TWO.encode())[:-9], "is damaged: Compressed file ended before"),
    "gzip with another sum": (gzip.compress(TWO.encode())[:-8] + bytes(8), "is damaged: CRC check failed"),
    "a packed array": (gzip.compress(b"\x93NUMPY" + bytes(99)), "is a NumPy array"),
    "a workbook": (b"PK\x03\x04" + bytes(99), "is a zip archive"),
    "parquet by another name": (b"PAR1" + bytes(99), "is Parquet: its name must end in .parquet"),
    "npy by another name": (b"\x93NUMPY" + bytes(99), "is a NumPy array: its name must end in .npy"),
    "JSON": ('[{"a": 1, "b": 2},\n {"a": 3, "b": 4}]\n', "line 1 is not CSV: ',' expected after '\"'"),
    "JSON in one line": ('{"a": [1, 3], "b": [2, 4]}', "line 1 is not CSV"),
    "HTML": ("<!DOCTYPE html>\n<html>\n", "line 2, column '<!DOCTYPE html>' is '<html>', not a number"),
    "HTML in one line": ("<html><body>not found</body></html>", "has no rows below its header '<html>"),
    # arrays and Parquet
    "npy of text": (npy(np.array(["a", "b"])), "must hold one array of numbers"),
    "npy of three dimensions": (npy(np.zeros((2, 2, 2))), "must hold one array of numbers"),
    "npy of objects": (npy(np.array([1, None])), "is damaged"),
    "npy without its end": (npy(np.ones((2, 2)))[:-8], "is damaged"),
    "npy with more than its shape": (npy(np.ones((2, 2))) + bytes(8), "has more bytes than (2, 2) numbers"),
    "npy with half of its type": (
        npy(np.ones((2, 2)), "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 2), }"), "has more bytes than"
    ),
    "npy with an open bracket": (
        npy(np.ones((2, 2)), "{'descr': '<f8', 'fortran_order': False, 'shape': (2, 2, }"), "is damaged"
    ),
    "npy with no Python": (npy(np.ones((2, 2)), "{'descr': <f8', 'fortran_order'= False"), "is damaged"),
    "npy of nothing": (b"", "is damaged"),
    "parquet of nothing": (b"", "bytes"),
    "parquet with a column twice": (parquet([1.0], [2.0], names="aa"), "column 'a' appears 2 times", "0"),
    "parquet with text for a number": (parquet([1.0], ["x"], names="ab"), "'b' must hold numbers, got string", "a,b"),
    "parquet with a null": (parquet([1.0, None], names="a"), "row 1 (from 0), column 'a' is a missing value"),
    "parquet without its end": (parquet([1.0, 3.0], names="a")[:-8], "Parquet magic bytes not found"),
}  # fmt: skip
"""name -> bytes, a part of the sentence, columns that are asked for."""


def read(name, content, columns, folder):
    suffix = next((f".{kind}" for kind in ("npy", "parquet") if kind in name and "name" not in name), ".csv")
    path = folder / f"t{suffix}"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with open_table(str(path)) as table:
        places = [table.place(column) for column in columns.split(",")] if columns else table.others([])
        (found,) = table.columns(places)
        return found.tolist(), [note.removeprefix(f"{path}: ") for note in table.notes]


@pytest.mark.parametrize("name", PLAIN)
@pytest.mark.seconds
def test_what_is_plain_is_read_without_a_word(name, tmp_path):
    content, rows, *columns = PLAIN[name]
    assert read(name, content, *(columns or [None]), tmp_path) == (rows, [])


@pytest.mark.parametrize("name", TOLD)
def test_what_is_read_in_another_way_is_told(name, tmp_path):
    content, rows, sentence, *columns = TOLD[name]
    found, notes = read(name, content, *(columns or [None]), tmp_path)
    assert found == rows
    assert sentence in " ".join(notes)


@pytest.mark.parametrize("name", REFUSED)
@pytest.mark.seconds
def test_what_could_be_another_number_is_refused_with_its_place(name, tmp_path):
    content, sentence, *columns = REFUSED[name]
    with pytest.raises((ValueError, TypeError)) as error:
        read(name, content, *(columns or [None]), tmp_path)
    assert sentence in str(error.value)
    assert str(error.value).startswith(str(tmp_path)) or "parquet" in name
