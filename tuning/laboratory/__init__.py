"""The learning-rate laboratory: published results about gradient descent, measured here.

Each experiment is a file with `measure`, which knows no expected value and returns arrays, and `claims`, which holds
what was measured against what was published. A script of the same name in `scripts/laboratory/` prints the table and
saves the figure. `findings` has what all of them share, and `page` shows all experiments as one HTML file; `digits`,
`parallel` and `sharpening` are parts that several experiments use, and `charts` those of their figures.
"""

from tuning.laboratory.findings import (
    HEADINGS,
    Argument,
    Claim,
    Findings,
    command_line,
    main,
    perform,
    run_of,
    write_whole,
)
