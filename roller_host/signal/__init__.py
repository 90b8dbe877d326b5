# SPDX-License-Identifier: MIT
"""Signal core: pure functions from sample blocks to estimates. No clocks, files, threads or radios."""
