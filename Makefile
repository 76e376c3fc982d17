# SPDX-License-Identifier: BSD-3-Clause
# The front door. Meson and Ninja do the work; this sets up what they need.
B ?= build
MESON_FLAGS ?=
PREFIX ?= /usr/local

.PHONY: all build run test bench install clean setup

all: build

setup:
	scripts/setup build

# lib, not what Meson guesses: that takes dpkg-dev to be right, and lib64 is searched by no loader of Debian's.
$(B)/build.ninja: | setup
	meson setup $(B) --prefix=$(abspath $(PREFIX)) --libdir=lib $(MESON_FLAGS)

build: $(B)/build.ninja
	ninja -C $(B)

# Boot an unmodified guest on the virtual host and let it check its disk.
run: build
	scripts/setup guest
	scripts/run-main $(B)

test: build
	scripts/test $(B)

bench: build
	scripts/bench $(B)

install: build
	meson configure $(B) --prefix=$(abspath $(PREFIX))
	meson install -C $(B)
	@[ -n "$(DESTDIR)" ] || [ "$$(id -u)" != 0 ] || /sbin/ldconfig

clean:
	rm -rf $(B) $(B)-asan $(B)-tsan $(B)-clang
