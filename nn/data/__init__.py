"""Data: files become a `Dataset`, a `Dataset` becomes a `Split` whose parts are scaled by the training part alone."""

from nn.data.bundled import CHECKSUMS
from nn.data.dataset import Dataset
from nn.data.encoding import Encoding
from nn.data.frames import is_frame, table_of_frame
from nn.data.generators import GENERATORS
from nn.data.lazy import LazyRows
from nn.data.load import load_dataset, load_folds, load_split
from nn.data.reading import READING, ReadingOption, option_of_text, read_table, reading_options
from nn.data.scaling import Scaling
from nn.data.separation import Separated, separate
from nn.data.split import Split
from nn.data.table import Column, Table, numbers_of, table_of_array
