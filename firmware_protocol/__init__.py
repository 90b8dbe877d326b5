# SPDX-License-Identifier: MIT
"""Wire protocol of the roller: tables, codecs and golden records. Imports nothing by itself."""
