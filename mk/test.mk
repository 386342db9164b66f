# SPDX-License-Identifier: MIT
# Everything; what it is made of is in tests/suites.

## make test            installs what is missing, builds, runs every test: TEST="NAME NAME" only these suites
.PHONY: test
test:
	tools/install-dependencies test
	@tests/run-all $(TEST)
