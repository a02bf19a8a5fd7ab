"""The colours of all charts."""

# Okabe & Ito (2008), Color Universal Design, without the yellow, which a projector loses on white. Lines that differ in
# colour differ in their dashes too.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
SEQUENTIAL = "viridis"  # for quantities; light is more
