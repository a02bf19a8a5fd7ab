"""The learning-rate laboratory: published results about gradient descent, measured here.

Each study is a file with `measure`, which knows no expected value and returns arrays, and `claims`, which holds what
was measured against what was published. A script of the same name in `scripts/` prints the table and saves the figure.
`laboratory` has what all scripts share, and `page` shows all studies as one HTML file; `digits`, `parallel`,
`sharpening` and `slopes` are parts that several studies use.
"""
