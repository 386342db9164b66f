# SPDX-License-Identifier: MIT
# lodge finds lodge-vm beside itself or under PREFIX/libexec/lodge.

## make install         DESTDIR= PREFIX=/usr/local: the programs
.PHONY: install
install: all
	install -D -m 755 $(BUILD)/lodge $(DESTDIR)$(PREFIX)/bin/lodge
	install -D -m 755 $(BUILD)/lodge-vm $(DESTDIR)$(PREFIX)/libexec/lodge/lodge-vm
