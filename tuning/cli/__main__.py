import sys

from tuning.cli.main import main

sys.exit(main())
