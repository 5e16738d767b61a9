"""The texts of the help: what each command does, with examples."""

from __future__ import annotations

DESCRIPTION = """\
Find groups in a table: fit a mixture of Gaussian, binomial or Poisson
distributions to its rows, find the group of each row, and use the fitted model
for other tables.
"""

EPILOG = """\
examples:
  fastem fit geyser.csv
      choose the number of groups by BIC, and describe them
  fastem fit geyser.csv -k 3 --out model.npz --plot picture.png --assign out.csv
      fit three groups; save the model, a picture, and the group of each row
  fastem predict model.npz other.csv --out groups.csv
      find the groups of the rows of another table

fastem COMMAND --help describes a command.  Results go to standard output,
everything else to standard error.  Exit codes: 0 success, 1 bench or doctor
found a fault, 2 wrong usage or input, 130 interrupted, 141 standard output was
closed.
"""

FIT = """\
Fit a mixture to the rows of a table, and print a description of its components.
Of several numbers of components, the one with the lowest BIC is chosen.
"""

FIT_EXAMPLES = """\
examples:
  fastem fit geyser.csv
      fit 1 to 8 components to all columns of numbers, and choose by BIC
  fastem fit geyser.csv --columns eruptions,waiting -k 2 --out model.npz
      fit two components to two columns, and save the model
  fastem fit geyser.csv --plot geyser.png --assign groups.csv --keep all
      from the table to a picture, and to a copy of the table with the
      component of each row, in one command
  fastem fit alleles.tsv.gz --successes alt --failures ref
      fit binomial components to the share of alternative reads
  fastem fit survey.csv --drop-missing --missing .,unknown
      leave out rows with empty cells, NA, . or unknown
"""

PREDICT = """\
Find the component of each row of a table.  The columns are those that the model
was fitted to, by name.  The result has for each row: component, a number from
0; probability, of that component; log_density, which is low for a row that fits
no component.
"""

PREDICT_EXAMPLES = """\
examples:
  fastem predict model.npz geyser.csv
      print the component of each row as CSV
  fastem predict model.npz geyser.csv --keep all --out groups.parquet
      write the table with these columns added
  fastem predict model.npz geyser.csv --keep id --probabilities --out all.tsv.gz
      write the column id, and the probability of each component as well
"""
