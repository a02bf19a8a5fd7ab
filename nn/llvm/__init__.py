"""Instructions for the vector registers of this machine: products, sums and elementary functions of the kernels."""

from nn.llvm.elementary import exp, normal, softmax, tanh
from nn.llvm.products import column_sums, product, product_left, product_right, sum_of, sum_of_squares, transpose
from nn.llvm.registers import WITHOUT_WRAPPERS, apart, borrowed, line, view
