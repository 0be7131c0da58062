"""Tables: from a file of rows to a network that reads them, and back to scored rows.

Names that mean one thing here:

- table: the columns and rows of one or several files or frames, a `Table`
- reader: what reads one file, or one frame, of a table, a `Reader`
- frame: consecutive rows of a table, a `polars.DataFrame`
- values: those of one column in a frame, a `polars.Series` or the float64 numbers made of it
- kind: number, boolean, category or date; of a target number, integer, boolean or text
- column: an input column, fitted to training rows, a `Column`; its numbers are its features
- target: the column to learn
- schema: the columns, the target and the dropped columns of a table, a `Schema`
- record: how a model came about, as JSON; history: its numbers per epoch
"""
