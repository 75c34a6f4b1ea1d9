# What a person types. `make` alone explains; the work is done by cargo and by the scripts in packaging/bin.
#
# Nothing here asks for root but the installing of packages, `make install` and the sandbox of demo and tests: cargo runs
# as whoever calls make.

# PAM, D-Bus, systemd and polkit look below /usr (and in /etc) and nowhere else, so that is the default. PREFIX moves only
# what they do not look for: the programs, the manual pages and what is in share/mfa.
PREFIX  ?= /usr
DESTDIR ?=
PURGE   ?=

MULTIARCH ?= $(shell dpkg-architecture -qDEB_HOST_MULTIARCH 2>/dev/null || gcc -print-multiarch 2>/dev/null)
# Where pam_unix.so is; on a machine without it, where Debian would have it.
PAMDIR ?= $(or $(patsubst %/pam_unix.so,%,$(firstword $(wildcard $(addsuffix /security/pam_unix.so,\
            /usr/lib/$(MULTIARCH) /usr/lib64 /usr/lib)))),/usr/lib/$(MULTIARCH)/security)

LIBEXECDIR = $(PREFIX)/libexec/mfa
BINDIR     = $(PREFIX)/bin
SHAREDIR   = $(PREFIX)/share/mfa
MANDIR     = $(PREFIX)/share/man
VENDORDIR  = /usr/lib/mfa
UNITDIR    = /usr/lib/systemd/system
UDEVDIR    = /usr/lib/udev/rules.d

# rustup puts cargo here, and sudo leaves it out of PATH.
export PATH := $(PATH):$(HOME)/.cargo/bin
CARGO ?= cargo

MFAD   = target/release/mfad
MFACTL = target/release/mfactl
FIDO   = target/release/mfad-fido
MODULE = target/pam/release/libpam_mfa.so
# Newer than any source that was built: cargo does not touch a program that a change does not concern.
BUILT  = target/release/.mfa-built

.DEFAULT_GOAL = help
.PHONY: help packages packages-test packages-vm packages-bench packages-check toolchain build check test demo bench prove \
        install uninstall clean built

help:
	@echo 'pam_mfa: a second factor for Linux logins'
	@echo
	@echo '  make demo            try it: a real sshd and sudo in a sandbox, nothing on this machine changes'
	@echo '  make test            run every test suite; ends with passed, failed, skipped and why'
	@echo
	@echo '  make build           the daemon, the console and the PAM module, in release'
	@echo '  sudo make install    put them into place (DESTDIR, PREFIX); changes no PAM stack: see README.md'
	@echo '  sudo make uninstall  take them away; PURGE=1 takes keys and enrollments too'
	@echo
	@echo '  make check           format, lints, documentation, manual pages, units'
	@echo '  make bench           measure against other modules (docs/performance.md)'
	@echo '  make prove           the test suites with their full counts: hours'
	@echo '  make clean           forget what was built'

# --- what the rest needs ---

packages:
	@packaging/bin/packages packaging/packages-build.txt

packages-test:
	@packaging/bin/packages packaging/packages-build.txt packaging/demo/packages.txt

packages-vm:
	@packaging/bin/packages packaging/packages-build.txt packaging/demo/packages.txt packaging/packages-vm.txt

packages-bench:
	@packaging/bin/packages packaging/packages-build.txt packaging/demo/packages.txt packaging/packages-bench.txt

packages-check:
	@packaging/bin/packages packaging/packages-build.txt packaging/packages-check.txt

toolchain:
	@packaging/bin/check-toolchain "$(CARGO)"

# --- build ---

# The module has a build of its own: cargo unifies features over what it builds together, and the daemon's would put
# tokio and its descriptors into sshd.
build: toolchain packages
	$(CARGO) build --release --locked -p mfad -p mfad-fido -p mfactl
	$(CARGO) build --release --locked -p pam_mfa --target-dir target/pam
	packaging/check-module.sh $(MODULE)
	@touch $(BUILT)

check: toolchain packages-check
	@CARGO="$(CARGO)" packaging/bin/check

test: toolchain packages-vm
	@CARGO="$(CARGO)" packaging/bin/run-tests

demo: toolchain packages-test build
	@packaging/demo/demo

bench: toolchain packages-bench build
	$(CARGO) run --release --locked -p mfa-tests --bin bench
	$(CARGO) bench --locked -p policy

prove: toolchain packages-vm
	@CARGO="$(CARGO)" MFA_PROVE=1 MFAD_ROUNDS=1000 packaging/bin/run-tests

clean:
	$(CARGO) clean

# --- install ---

# Under sudo, cargo must not run as root: it would leave root's files in the caller's tree, and root seldom has cargo.
built:
	@if [ -x $(MFAD) ] && [ -x $(MFACTL) ] && [ -x $(FIDO) ] && [ -e $(MODULE) ]; then \
	    built=$(BUILT); [ -e "$$built" ] || built=$(MFAD); \
	    if [ -n "$$(find Cargo.lock mfad pam_mfa policy -newer "$$built" \( -name '*.rs' -o -name 'Cargo.*' \) -print -quit)" ]; then \
	        echo 'make: the source is newer than what is built; to install the newer, run make build first' >&2; \
	    fi; \
	elif [ "$$(id -u)" = 0 ] && [ -n "$${SUDO_USER:-}" ] && [ "$${SUDO_USER}" != root ]; then \
	    sudo -u "$$SUDO_USER" -H -- sh -c 'PATH="$$PATH:$$HOME/.cargo/bin" exec "$$@"' sh $(MAKE) build; \
	else \
	    $(MAKE) build; \
	fi

# A module that is missing for a moment, or half there, denies a login: it is put beside its place and renamed.
define put-module
	install -m 0644 $(MODULE) $(DESTDIR)$(PAMDIR)/.pam_mfa.so.new
	mv -f $(DESTDIR)$(PAMDIR)/.pam_mfa.so.new $(DESTDIR)$(PAMDIR)/pam_mfa.so
endef

# Files that name the daemon's path, which PREFIX moves.
put-with-path = sed 's|/usr/libexec/mfa|$(LIBEXECDIR)|g; s|/usr/bin/mfactl|$(BINDIR)/mfactl|g' $(1) > $(DESTDIR)$(2) && chmod 0644 $(DESTDIR)$(2)

# Files to copy to /etc/mfa; the vendor's policy is no example, it is in force.
EXAMPLES = $(filter-out %/vendor.toml,$(wildcard packaging/policy/*.toml packaging/policy/examples/*.toml))

MAN1 = $(wildcard packaging/man/*.1)
MAN5 = $(wildcard packaging/man/*.5)
MAN8 = $(wildcard packaging/man/*.8)

install: built
	install -d $(addprefix $(DESTDIR),$(LIBEXECDIR) $(BINDIR) $(SHAREDIR)/pam $(SHAREDIR)/examples $(PAMDIR) \
	    $(MANDIR)/man1 $(MANDIR)/man5 $(MANDIR)/man8 $(VENDORDIR)/presets $(UNITDIR) $(UDEVDIR) /usr/lib/sysusers.d /usr/lib/tmpfiles.d \
	    /usr/share/dbus-1/system.d /usr/share/dbus-1/system-services /usr/share/dbus-1/interfaces \
	    /usr/share/polkit-1/actions /usr/share/pam-configs)
	install -m 0755 $(MFAD) $(DESTDIR)$(LIBEXECDIR)/mfad
	install -m 0755 $(FIDO) $(DESTDIR)$(LIBEXECDIR)/mfad-fido
	install -m 0755 $(MFACTL) $(DESTDIR)$(BINDIR)/mfactl
	$(put-module)
	$(call put-with-path,packaging/systemd/mfad.service,$(UNITDIR)/mfad.service)
	$(call put-with-path,packaging/systemd/mfad-fido@.service,$(UNITDIR)/mfad-fido@.service)
	$(call put-with-path,packaging/systemd/mfa-pam-undo.service,$(UNITDIR)/mfa-pam-undo.service)
	install -m 0644 packaging/systemd/mfad.socket packaging/systemd/mfad-user.socket \
	    packaging/systemd/mfad-fido.socket packaging/systemd/mfa-pam-undo.timer $(DESTDIR)$(UNITDIR)
	install -m 0644 packaging/udev/71-mfad-fido.rules $(DESTDIR)$(UDEVDIR)
	install -m 0644 packaging/sysusers/mfad.conf $(DESTDIR)/usr/lib/sysusers.d/mfad.conf
	install -m 0644 packaging/tmpfiles/mfad.conf $(DESTDIR)/usr/lib/tmpfiles.d/mfad.conf
	install -m 0644 packaging/dbus/org.mfad.Mfad1.conf $(DESTDIR)/usr/share/dbus-1/system.d
	$(call put-with-path,packaging/dbus/org.mfad.Mfad1.service,/usr/share/dbus-1/system-services/org.mfad.Mfad1.service)
	install -m 0644 packaging/dbus/org.mfad.Mfad1.xml $(DESTDIR)/usr/share/dbus-1/interfaces
	install -m 0644 packaging/polkit/org.mfad.policy $(DESTDIR)/usr/share/polkit-1/actions
	install -m 0644 packaging/pam-configs/mfa $(DESTDIR)/usr/share/pam-configs/mfa
	install -m 0644 packaging/pam/* $(DESTDIR)$(SHAREDIR)/pam
	install -m 0644 packaging/policy/vendor.toml $(DESTDIR)$(VENDORDIR)/policy.toml
	install -m 0644 packaging/policy/presets/*.toml $(DESTDIR)$(VENDORDIR)/presets
	install -m 0644 $(EXAMPLES) $(DESTDIR)$(SHAREDIR)/examples
	$(call put-with-path,packaging/sudoers/mfa-critical,$(SHAREDIR)/examples/mfa-critical)
	install -m 0644 packaging/systemd/mfad.service.d/encrypted-key.conf.example \
	    $(DESTDIR)$(SHAREDIR)/examples/encrypted-key.conf
	install -m 0644 $(MAN1) $(DESTDIR)$(MANDIR)/man1
	install -m 0644 $(MAN5) $(DESTDIR)$(MANDIR)/man5
	install -m 0644 $(MAN8) $(DESTDIR)$(MANDIR)/man8
	install -m 0755 packaging/bin/post-install packaging/bin/pre-uninstall $(DESTDIR)$(SHAREDIR)
ifeq ($(DESTDIR),)
	MFAD=$(LIBEXECDIR)/mfad $(SHAREDIR)/post-install
	@echo
	@echo 'Installed. No PAM stack was changed. Next: README.md, "Install and roll out".'
endif

uninstall:
ifeq ($(DESTDIR),)
	packaging/bin/pre-uninstall
endif
	rm -f $(addprefix $(DESTDIR),$(PAMDIR)/pam_mfa.so $(BINDIR)/mfactl $(LIBEXECDIR)/mfad $(LIBEXECDIR)/mfad-fido \
	    $(VENDORDIR)/policy.toml $(UNITDIR)/mfad.service $(UNITDIR)/mfad.socket $(UNITDIR)/mfad-user.socket \
	    $(UNITDIR)/mfad-fido.socket $(UNITDIR)/mfad-fido@.service $(UDEVDIR)/71-mfad-fido.rules \
	    $(UNITDIR)/mfa-pam-undo.service $(UNITDIR)/mfa-pam-undo.timer \
	    /usr/lib/sysusers.d/mfad.conf /usr/lib/tmpfiles.d/mfad.conf \
	    /usr/share/dbus-1/system.d/org.mfad.Mfad1.conf \
	    /usr/share/dbus-1/system-services/org.mfad.Mfad1.service \
	    /usr/share/dbus-1/interfaces/org.mfad.Mfad1.xml \
	    /usr/share/polkit-1/actions/org.mfad.policy /usr/share/pam-configs/mfa \
	    $(MANDIR)/man1/mfactl.1 $(MANDIR)/man5/mfad.toml.5 $(MANDIR)/man5/mfa-policy.5 \
	    $(MANDIR)/man8/pam_mfa.8 $(MANDIR)/man8/mfad.8)
	rm -rf $(DESTDIR)$(SHAREDIR) $(DESTDIR)$(VENDORDIR)/presets
	-rmdir $(DESTDIR)$(LIBEXECDIR) $(DESTDIR)$(VENDORDIR) 2>/dev/null
ifeq ($(DESTDIR),)
	@[ ! -d /run/systemd/system ] || systemctl daemon-reload
endif
ifeq ($(PURGE),1)
	rm -rf $(DESTDIR)/var/lib/mfa $(DESTDIR)/etc/mfa $(DESTDIR)/run/mfad
else
	@echo 'Left in place: $(DESTDIR)/etc/mfa (configuration and key) and $(DESTDIR)/var/lib/mfa (enrollments).'
	@echo 'make uninstall PURGE=1 takes them too.'
endif
ifeq ($(DESTDIR),)
	@echo 'The accounts mfad and mfad-fido stay, so that nobody else gets their numbers; userdel removes them.'
endif
