"""What a sweep does where nothing is said but the data; the README tells what each of the choices is worth."""

from tuning.automatic.choices import FOLDS, plan
