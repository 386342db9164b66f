# SPDX-License-Identifier: MIT
# lodge finds lodge-vm beside itself or under PREFIX/libexec/lodge.

MAN := $(BUILD)/man
# The words of the pages are lodge's own help.
$(MAN)/lodge.1: $(BUILD)/lodge
	@mkdir -p $(@D)
	$< help --man > $@.new && mv $@.new $@
	for command in $$($< complete); do $< help --man $$command > $(@D)/lodge-$$command.1 || exit 1; done

## make man             the man pages, build/man
.PHONY: man
man: $(MAN)/lodge.1

## make install         DESTDIR= PREFIX=/usr/local: the programs, man pages, completion for bash
.PHONY: install
install: all man
	install -D -m 755 $(BUILD)/lodge $(DESTDIR)$(PREFIX)/bin/lodge
	install -D -m 755 $(BUILD)/lodge-vm $(DESTDIR)$(PREFIX)/libexec/lodge/lodge-vm
	install -d $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 $(MAN)/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -D -m 644 completions/lodge $(DESTDIR)$(PREFIX)/share/bash-completion/completions/lodge
